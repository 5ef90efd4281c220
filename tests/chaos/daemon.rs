//! One daemon's process.

use std::{fs::OpenOptions, path::Path, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

/// How long a daemon may take to drain: its shutdown grace, and room on a busy machine.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// A daemon that runs. It is killed when this is dropped, so that none outlives a test that fails.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts one; its log is appended to the file.
    pub(crate) fn start(env: &[(String, String)], log: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_provisor"))
            .arg("run")
            // Nothing of the developer's own settings reaches it.
            .env_clear()
            .envs(env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        Self(child)
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn kill(mut self) {
        self.ensure_alive();
        self.0.kill().await.expect("a process of ours can be killed");
    }

    /// Tells it to stop, and waits until it has drained.
    pub(crate) async fn drain(mut self) {
        self.ensure_alive();
        let pid = self.0.id().expect("it has not been waited for").to_string();
        // The shell's own kill: it needs no crate and no unsafe code.
        let told = Command::new("sh").args(["-c", "kill -s TERM \"$0\"", &pid]).status().await;
        assert!(told.expect("sh runs").success(), "SIGTERM was not sent");
        let ended = tokio::time::timeout(DRAIN_MAX, self.0.wait()).await;
        let status = ended.expect("it drains in time").expect("it can be waited for");
        assert!(status.success(), "a drained daemon ended with {status}");
    }

    fn ensure_alive(&mut self) {
        let ended = self.0.try_wait().expect("it can be asked");
        assert!(ended.is_none(), "the daemon has ended by itself: {ended:?}");
    }
}
