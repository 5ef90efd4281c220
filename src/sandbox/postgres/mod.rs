//! A private PostgreSQL for `provisor demo`: in a folder of its own, reached by a socket in it, on no TCP port.
//!
//! It is durable (fsync stays on): a demonstration of exactly-once that forgets at a crash would show nothing.

mod account;
mod programs;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

use self::{account::Account, programs::Programs};

const NAME: &str = "provisor";
/// It only names the socket. Said everywhere, so that no PGPORT interferes.
const PORT: u16 = 5432;
/// A socket's path must fit into 104 bytes (108 on Linux), of which PostgreSQL's own file names take up to 20.
const SOCKET_DIR_LENGTH_MAX: usize = 80;
/// Longer than a crash recovery of a demo's data takes.
const PROGRAM_MAX: Duration = Duration::from_mins(2);
const TOLD_MAX: usize = 2_000;
const STOP: &[&str] = &["stop", "--mode=fast", "--wait", "--silent"];

/// A PostgreSQL server of our own, running. Dropping it asks the server to stop;
/// [`PrivatePostgres::stop`] waits for it.
#[derive(Debug)]
pub struct PrivatePostgres {
    programs: Programs,
    account: Option<Account>,
    data: PathBuf,
    socket_dir: PathBuf,
    running: bool,
    /// Held as long as we use the folder, so that a second demo does not take it over.
    _lock: File,
}

/// Why there is no private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No server programs were found.
    #[error(
        "PostgreSQL's server programs (version 14 or newer) are not installed. One command does it:\n    \
         sudo apt-get install -y postgresql"
    )]
    NotInstalled,
    /// The folder's data are of a version whose programs are not there.
    #[error(
        "{} holds data of PostgreSQL {major}, whose programs are not installed. Choose another \
         folder, or install them:\n    \
         sudo apt-get install -y postgresql-{major}",
        dir.display()
    )]
    OtherMajor {
        /// The data folder.
        dir: PathBuf,
        /// Its version.
        major: u32,
    },
    /// Another process uses the folder.
    #[error("another Provisor is using {}: stop it, or choose another folder", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder can't be prepared.
    #[error("the folder {} can't be prepared for PostgreSQL", path.display())]
    Folder {
        /// What could not be made, read or written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error("{} could not be run", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program ran for too long.
    #[error("{} did not end within {} s", program.display(), PROGRAM_MAX.as_secs())]
    TimedOut {
        /// The program.
        program: PathBuf,
    },
    /// A program failed.
    #[error("{} failed: {told}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// The end of what it, or the server, said.
        told: String,
    },
}

impl PrivatePostgres {
    /// Starts a server on the data in `dir`, and makes data and database first where there are none. Once this returns,
    /// it accepts connections. A server that an earlier run left behind in `dir` is stopped first.
    pub async fn start(dir: &Path) -> Result<Self, PostgresError> {
        let dir = made_folder(dir)?;
        let lock = lock(&dir)?;
        let account = Account::for_server(&dir.join("lock")).map_err(at(&dir))?;
        if let Some(account) = account {
            account.own(&dir).map_err(at(&dir))?;
        }
        let data = dir.join("data");
        let mut server = Self {
            programs: choose(&data)?,
            account,
            socket_dir: socket_dir(&dir, account)?,
            data,
            running: false,
            _lock: lock,
        };
        server.initialise(&dir).await?;
        server.configure()?;
        server.stop_leftover().await?;
        // From here on there may be something to stop, even if this fails or is dropped halfway.
        server.running = true;
        let log = dir.join("server.log");
        server
            .pg_ctl(&["start", "--wait", "--silent", "--log"], &[log.as_path()])
            .await
            .map_err(|error| with_log(error, &log))?;
        server.create_database().await?;
        Ok(server)
    }

    /// The URL of the database `provisor`, as `database.url` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres:///{NAME}?host={}&port={PORT}&user={NAME}",
            percent_encoded(&self.socket_dir)
        )
    }

    /// A shell command that opens the database in psql.
    #[must_use]
    pub fn psql_command(&self) -> String {
        format!("psql '{}'", self.url())
    }

    /// Stops the server: open transactions are rolled back, and what is committed is on the disk.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        self.running = false;
        self.pg_ctl(STOP, &[]).await?;
        self.remove_socket_dir();
        Ok(())
    }

    /// Makes the data beside their final place, so that a run that was cut short leaves nothing half made there.
    async fn initialise(&self, dir: &Path) -> Result<(), PostgresError> {
        if self.data.join("PG_VERSION").exists() {
            return Ok(());
        }
        let unfinished = dir.join("data.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
        }
        let mut command = self.command("initdb");
        command.arg("--pgdata").arg(&unfinished).args([
            "--username",
            NAME,
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
        ]);
        self.run("initdb", command).await?;
        fs::rename(&unfinished, &self.data).map_err(at(&self.data))
    }

    /// Writes our settings. Anybody who reaches the socket is trusted: its folder is closed to all others.
    fn configure(&self) -> Result<(), PostgresError> {
        let ours = self.data.join("provisor.conf");
        let socket_dir = self.socket_dir.to_string_lossy().replace('\'', "''");
        let settings = format!(
            "# Written anew at each start.\nlisten_addresses = ''\nport = {PORT}\n\
             unix_socket_directories = '{socket_dir}'\n\
             unix_socket_permissions = 0700\nfsync = on\nsynchronous_commit = on\nfull_page_writes = on\n"
        );
        fs::write(&ours, settings).map_err(at(&ours))?;
        if let Some(account) = self.account {
            account.own(&ours).map_err(at(&ours))?;
        }
        let main = self.data.join("postgresql.conf");
        let text = fs::read_to_string(&main).map_err(at(&main))?;
        let include = "include = 'provisor.conf'";
        if !text.lines().any(|line| line == include) {
            fs::write(&main, format!("{text}\n{include}\n")).map_err(at(&main))?;
        }
        Ok(())
    }

    /// We hold the folder's lock, so a server that runs here belongs to a process that is gone.
    async fn stop_leftover(&self) -> Result<(), PostgresError> {
        if !self.is_running().await {
            return Ok(());
        }
        let stopped = self.pg_ctl(STOP, &[]).await;
        // It may have ended by itself between the two.
        if self.is_running().await { stopped } else { Ok(()) }
    }

    async fn is_running(&self) -> bool {
        self.data.join("postmaster.pid").exists() && self.pg_ctl(&["status"], &[]).await.is_ok()
    }

    async fn create_database(&self) -> Result<(), PostgresError> {
        let mut command = self.command("createdb");
        command.arg("--host").arg(&self.socket_dir).args(["--username", NAME, NAME]);
        match self.run("createdb", command).await {
            Err(PostgresError::Failed { told, .. }) if told.contains("already exists") => Ok(()),
            other => other,
        }
    }

    async fn pg_ctl(&self, words: &[&str], paths: &[&Path]) -> Result<(), PostgresError> {
        let mut command = self.command("pg_ctl");
        command.args(words).args(paths).arg("--pgdata").arg(&self.data);
        if words.contains(&"start") {
            // The server inherits what pg_ctl has; a pipe to us would stay open as long as the server lives.
            command.stderr(Stdio::null());
        }
        self.run("pg_ctl", command).await
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.path(program));
        command
            // The server's user may not read the folder that we were called in.
            .current_dir(self.data.parent().unwrap_or(&self.data))
            .env("LC_ALL", "C")
            .env_remove("PGDATA")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for name in ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "PGOPTIONS"] {
            command.env_remove(name);
        }
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    async fn run(&self, program: &str, mut command: Command) -> Result<(), PostgresError> {
        let program = self.programs.path(program);
        let spawned = command.spawn();
        let child =
            spawned.map_err(|source| PostgresError::Run { program: program.clone(), source })?;
        let Ok(ended) = tokio::time::timeout(PROGRAM_MAX, child.wait_with_output()).await else {
            return Err(PostgresError::TimedOut { program });
        };
        let output =
            ended.map_err(|source| PostgresError::Run { program: program.clone(), source })?;
        if output.status.success() {
            return Ok(());
        }
        Err(PostgresError::Failed { program, told: last_part(&output.stderr) })
    }

    fn remove_socket_dir(&self) {
        // Only one that lies apart from the data, and only if the server left it empty; it does no harm otherwise.
        if self.data.parent() != self.socket_dir.parent() {
            drop(fs::remove_dir(&self.socket_dir));
        }
    }
}

impl Drop for PrivatePostgres {
    /// Best effort: the signal is sent, and nobody waits for the end.
    fn drop(&mut self) {
        if !self.running {
            return;
        }
        let mut command = self.command("pg_ctl");
        command
            .args(["stop", "--mode=fast", "--no-wait", "--silent"])
            .arg("--pgdata")
            .arg(&self.data);
        drop(command.as_std_mut().status());
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PostgresError {
    let path = path.to_owned();
    move |source| PostgresError::Folder { path, source }
}

/// The folder, made if it is missing, by its real and absolute path.
fn made_folder(dir: &Path) -> Result<PathBuf, PostgresError> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    let dir = dir.canonicalize().map_err(at(dir))?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(at(&dir))?;
    Ok(dir)
}

fn lock(dir: &Path) -> Result<File, PostgresError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PostgresError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(PostgresError::Folder { path, source }),
    }
}

/// The programs for the data that are there, or the newest.
fn choose(data: &Path) -> Result<Programs, PostgresError> {
    let installed = Programs::installed();
    let version = data.join("PG_VERSION");
    let Ok(text) = fs::read_to_string(&version) else {
        return installed.into_iter().next().ok_or(PostgresError::NotInstalled);
    };
    let major: u32 = text.trim().parse().map_err(|_| {
        at(&version)(io::Error::new(io::ErrorKind::InvalidData, "it names no version"))
    })?;
    installed
        .into_iter()
        .find(|programs| programs.major == major)
        .ok_or_else(|| PostgresError::OtherMajor { dir: data.to_owned(), major })
}

/// A folder for the socket: in ours, or where that path would be too long, among the temporary ones.
fn socket_dir(dir: &Path, account: Option<Account>) -> Result<PathBuf, PostgresError> {
    let inside = dir.join("socket");
    let path = if inside.as_os_str().len() <= SOCKET_DIR_LENGTH_MAX {
        inside
    } else {
        std::env::temp_dir().join(format!("provisor-{}", uuid::Uuid::new_v4().simple()))
    };
    fs::create_dir_all(&path).map_err(at(&path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(at(&path))?;
    if let Some(account) = account {
        account.own(&path).map_err(at(&path))?;
    }
    Ok(path)
}

/// A path as a URL's query can hold it. libpq knows no `+` for a space, so everything unusual is written as `%XX`.
fn percent_encoded(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    let encoded = bytes.map(|byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            char::from(*byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    encoded.collect()
}

/// The error with what the server wrote: `pg_ctl` itself only says where to look.
fn with_log(error: PostgresError, log: &Path) -> PostgresError {
    if let PostgresError::Failed { program, .. } = error {
        let told = fs::read(log).map_or_else(|error| error.to_string(), |text| last_part(&text));
        PostgresError::Failed { program, told }
    } else {
        error
    }
}

fn last_part(text: &[u8]) -> String {
    let from = text.len().saturating_sub(TOLD_MAX);
    String::from_utf8_lossy(text.get(from..).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests;
