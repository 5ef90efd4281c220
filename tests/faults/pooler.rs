//! The real `PgBouncer` between daemons and their server, as it comes: it lends the server's sessions by the transaction.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::{
    house::eventually,
    server::{Server, as_lesser_user, own},
    world::NAME,
};

/// For how long it lends a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// As long as its client is connected.
    Session,
    /// For one transaction.
    Transaction,
}

/// A running `PgBouncer`, reached by a socket in its own folder.
pub(crate) struct Pooler {
    folder: PathBuf,
    running: Child,
}

impl Pooler {
    /// One before a server, which lends so many of its sessions. Its settings are the defaults, but for those that it
    /// can't do without.
    pub(crate) async fn before(server: &Server, mode: Mode, sessions: u32) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let folder = PathBuf::from("/tmp").join(format!("provisor-pooler-{}", &id[..12]));
        fs::create_dir(&folder).expect("a folder for the pooler");
        own(&folder);
        let settings = format!(
            "[databases]
{NAME} = host={} dbname={NAME} user=provisor
[pgbouncer]
pool_mode = {mode}
default_pool_size = {sessions}
auth_type = any
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
logfile = {folder}/pooler.log
pidfile = {folder}/pooler.pid
",
            server.folder().display(),
            folder = folder.display(),
            mode = match mode {
                Mode::Session => "session",
                Mode::Transaction => "transaction",
            },
        );
        let path = folder.join("pooler.ini");
        fs::write(&path, settings).expect("the settings can be written");
        let running = as_lesser_user(&program())
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        let pooler = Self { folder, running };
        eventually("the pooler answers", async || pooler.connect().await.is_ok()).await;
        pooler
    }

    /// The URL of the database by it.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///{NAME}?host={}&port=6432&user=provisor", self.folder.display())
    }

    /// A client's connection, as the driver makes it.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::from_str(&self.url()).expect("a URL");
        // Poolers refuse what they don't know, among which this is.
        PgConnection::connect_with(&options.extra_float_digits(None)).await
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("pooler.log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The program, which `script/pgbouncer-bin` finds, or says how it is installed.
fn program() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("script/pgbouncer-bin");
    let output = Command::new(script).output().expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
