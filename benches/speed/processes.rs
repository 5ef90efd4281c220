//! The daemon and the sandbox as processes of their own, as they run at a user's.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use provisor::sandbox::SandboxOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// So long a process may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process of ours, which ends with us.
pub(crate) struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a supervisor does, and waits for its end.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        let ended = Command::new("kill").arg(self.pid().to_string()).status()?;
        anyhow::ensure!(ended.success(), "kill");
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("a process did not end within {} s", PATIENCE.as_secs())
    }
}

/// A free port: nobody else on this machine asks for one meanwhile.
async fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

/// The sandbox, which delivers at once.
pub(crate) struct Sandbox {
    pub(crate) process: Process,
    pub(crate) ljpc: SocketAddr,
    pub(crate) smtp: SocketAddr,
    /// Removed after the process, which is dropped first, has ended.
    _mails: Folder,
}

/// A folder that goes with what it belongs to.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Sandbox {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (ljpc, leanstack, smtp) = (free_port().await?, free_port().await?, free_port().await?);
        let mails = std::env::temp_dir().join(format!("provisor-bench-{}", uuid::Uuid::new_v4()));
        let child = Command::new(env!("CARGO_BIN_EXE_provisor"))
            .args(["sandbox", "--delay", "0s", "--listen", &ljpc.to_string()])
            .args([
                "--leanstack-listen",
                &leanstack.to_string(),
                "--smtp-listen",
                &smtp.to_string(),
            ])
            .arg("--mail-dir")
            .arg(&mails)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let sandbox = Self { process: Process { child }, ljpc, smtp, _mails: Folder(mails) };
        until_listening(ljpc).await?;
        until_listening(smtp).await?;
        Ok(sandbox)
    }
}

async fn until_listening(address: SocketAddr) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("nobody listens on {address}")
}

/// A daemon.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    listen: SocketAddr,
    /// From its start until it was ready.
    pub(crate) ready_after: Duration,
}

impl Daemon {
    /// Starts one, with everything as it is by default but for what would make the upstream's patience the limit.
    pub(crate) async fn start(
        database: &str,
        ljpc: SocketAddr,
        smtp: SocketAddr,
        changes: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let listen = free_port().await?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisor"));
        command
            .arg("run")
            .env_clear()
            .env("PROVISOR_CONFIG_DIR", "/nonexistent")
            .env("PROVISOR_DATABASE__URL", database)
            .env("PROVISOR_LJPC__BASE_URL", format!("http://{ljpc}"))
            .env("PROVISOR_LJPC__API_KEY", SandboxOptions::default().api_key)
            .env("PROVISOR_LJPC__REQUESTS_PER_SECOND", "10000")
            .env("PROVISOR_LJPC__MAX_IN_FLIGHT", "256")
            .env("PROVISOR_QUEUE__CONCURRENCY", "256")
            .env("PROVISOR_EMAIL__SMTP_URL", format!("smtp://{smtp}"))
            .env("PROVISOR_EMAIL__FROM", "Example Hosting <shop@example.com>")
            .env("PROVISOR_HTTP__LISTEN", listen.to_string())
            .env("PROVISOR_LOG__FILTER", "warn")
            .stdout(Stdio::null());
        for (key, value) in changes {
            command.env(format!("PROVISOR_{key}"), value);
        }
        let began = Instant::now();
        let process = Process { child: command.spawn()? };
        while began.elapsed() < PATIENCE {
            if get(listen, "/readyz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(Self { process, listen, ready_after: began.elapsed() });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("the daemon is not ready after {} s", PATIENCE.as_secs())
    }

    /// Reads its metrics, and tells how long that took.
    pub(crate) async fn scrape(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let answer = get(self.listen, "/metrics").await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "the metrics can't be read");
        Ok(began.elapsed())
    }
}

async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), reading).await.context("no answer")??;
    Ok(answer)
}
