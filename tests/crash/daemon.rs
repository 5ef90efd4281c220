//! One daemon's process, armed with failpoints.

use std::{
    fs::File,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::process::{Child, Command};

use crate::house::eventually;

/// How long a daemon may take to end after SIGTERM: its shutdown grace, and room on a busy machine.
const END_MAX: Duration = Duration::from_secs(40);

/// A daemon that runs. It is killed when this is dropped, so that none outlives a test that fails.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts one, whose log becomes this file.
    pub(crate) fn start(env: &[(String, String)], failpoints: &str, log: PathBuf) -> Self {
        let written = File::create_new(&log).expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_provisor"))
            .arg("run")
            // Nothing of the developer's own settings reaches it.
            .env_clear()
            .envs(env.iter().cloned())
            .env(provisor::failpoints::VARIABLE, failpoints)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(written)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        Self { child, log }
    }

    /// All that it has logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has come to this failpoint.
    pub(crate) fn has_reached(&self, failpoint: &str) -> bool {
        self.logged().contains(&format!("\"failpoint\":\"{failpoint}\""))
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be asked")
    }

    /// Waits until it has come to this failpoint.
    pub(crate) async fn until_reached(&self, failpoint: &str) {
        eventually(&format!("{failpoint} is reached"), async || self.has_reached(failpoint)).await;
    }

    /// Waits until it works.
    pub(crate) async fn until_ready(&self) {
        eventually("it is ready", async || self.logged().contains("\"message\":\"ready\"")).await;
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it has not been waited for").to_string();
        // The shell's own kill: it needs no crate and no unsafe code.
        let script = format!("kill -s {signal} \"$0\"");
        let sent = Command::new("sh").args(["-c", &script, &pid]).status().await;
        assert!(sent.expect("sh runs").success(), "SIG{signal} was not sent");
    }

    /// Waits for its end.
    pub(crate) async fn until_ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(END_MAX, self.child.wait()).await;
        ended.expect("it ends in time").expect("it can be waited for")
    }

    /// Tells it to stop, and waits until it has drained.
    pub(crate) async fn drain(mut self) {
        // Before that a signal simply ends it.
        self.until_ready().await;
        self.signal("TERM").await;
        let status = self.until_ended().await;
        assert!(status.success(), "a drained daemon ended with {status}");
    }
}
