//! One daemon's process.

use std::{
    fs::File,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::process::{Child, Command};

/// How long a daemon may take to drain: its shutdown grace, and room on a busy machine.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How long a daemon may take until it listens to signals.
const START_MAX: Duration = Duration::from_secs(30);

/// A daemon that runs. It is killed when this is dropped, so that none outlives a test that fails.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts one, whose log becomes this file.
    pub(crate) fn start(env: &[(String, String)], log: PathBuf) -> Self {
        let written = File::create_new(&log).expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_provisor"))
            .arg("run")
            // Nothing of the developer's own settings reaches it.
            .env_clear()
            .envs(env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(written)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        Self { child, log }
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn kill(mut self) {
        self.ensure_alive();
        self.child.kill().await.expect("a process of ours can be killed");
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be asked")
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it has not been waited for").to_string();
        // The shell's own kill: it needs no crate and no unsafe code.
        let script = format!("kill -s {signal} \"$0\"");
        let sent = Command::new("sh").args(["-c", &script, &pid]).status().await;
        assert!(sent.expect("sh runs").success(), "SIG{signal} was not sent");
    }

    /// Tells it to stop, and waits until it has drained.
    pub(crate) async fn drain(self) {
        if let Err(wrong) = self.end().await {
            panic!("{wrong}");
        }
    }

    /// Tells it to stop, and waits until it has drained; says what was wrong about that.
    pub(crate) async fn end(mut self) -> Result<(), String> {
        self.until_started().await;
        self.signal("TERM").await;
        let ended = tokio::time::timeout(DRAIN_MAX, self.child.wait()).await;
        let Ok(ended) = ended else { return Err(format!("it has not drained in {DRAIN_MAX:?}")) };
        let status = ended.expect("it can be waited for");
        if status.success() { Ok(()) } else { Err(format!("a drained daemon ended with {status}")) }
    }

    /// A signal that comes before the daemon listens to it would end it like any other program.
    pub(crate) async fn until_started(&mut self) {
        let began = Instant::now();
        while !std::fs::read_to_string(&self.log).is_ok_and(|log| log.contains("\"started\"")) {
            self.ensure_alive();
            assert!(began.elapsed() < START_MAX, "not started within {START_MAX:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn ensure_alive(&mut self) {
        let ended = self.ended();
        assert!(ended.is_none(), "the daemon has ended by itself: {ended:?}");
    }
}
