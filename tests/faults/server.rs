//! A PostgreSQL server of a test's own: started, stopped in each manner, broken.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What a test's server is set to; more by `ALTER SYSTEM`.
const CONF: &str = "listen_addresses = ''
max_connections = 60
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
fsync = off
max_wal_senders = 4
wal_level = replica
";

/// Of a small disk: the data of an empty server take about 50 MB.
const DISK: &str = "size=120m,mode=0700";

/// On a small disk, how much of it the log may take.
const SMALL: &str = "min_wal_size = 2MB\nmax_wal_size = 8MB\n";

/// What fills the disk.
const FILLER: &str = "filler";

/// A server with its data, both gone when it is dropped.
pub(crate) struct Server {
    bin: PathBuf,
    folder: PathBuf,
    /// Whether its data lie on a disk of their own.
    is_mounted: bool,
}

impl Server {
    /// One with new data, running.
    pub(crate) fn new() -> Self {
        let server = Self::prepared();
        server.initialise(CONF);
        server
    }

    /// One whose data have a small disk of their own, or why there can't be one.
    pub(crate) fn on_a_small_disk() -> Result<Self, String> {
        if !is_root() {
            return Err("only root may mount a file system".to_owned());
        }
        let mut server = Self::prepared();
        let data = server.data();
        fs::create_dir(&data).expect("a folder for the data");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "tmpfs", &data])
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).into_owned());
        }
        server.is_mounted = true;
        own(Path::new(&data));
        server.initialise(&format!("{CONF}{SMALL}"));
        Ok(server)
    }

    /// Fills its disk to the last byte.
    pub(crate) fn fill_disk(&self) {
        let path = Path::new(&self.data()).join(FILLER);
        let mut file = fs::File::create(path).expect("there is a little room");
        let block = vec![0; 64 * 1024];
        let full = std::iter::repeat_with(|| file.write_all(&block)).find_map(Result::err);
        let full = full.expect("it has an end");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    /// Gives the room back.
    pub(crate) fn empty_disk(&self) {
        fs::remove_file(Path::new(&self.data()).join(FILLER)).expect("it was filled");
    }

    /// Whether it takes connections, or will again by itself.
    pub(crate) fn is_running(&self) -> bool {
        self.run("pg_ctl", &["status", "--pgdata", &self.data()]).status.success()
    }

    fn initialise(&self, conf: &str) {
        let data = self.data();
        self.program(
            "initdb",
            &[
                "--pgdata",
                &data,
                "--username=provisor",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "--wal-segsize=1",
            ],
        );
        self.configure(conf);
        self.start();
    }

    /// A standby of `primary`, running.
    pub(crate) fn standby_of(primary: &Self) -> Self {
        let server = Self::prepared();
        let (data, host) = (server.data(), primary.folder.display().to_string());
        server.program(
            "pg_basebackup",
            &[
                "--pgdata",
                &data,
                "--host",
                &host,
                "--username=provisor",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--wal-method=stream",
                "--no-sync",
            ],
        );
        server.configure("hot_standby = on\n");
        server.start();
        server
    }

    fn prepared() -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        // The path of a socket is bounded at about 100 bytes.
        let folder = PathBuf::from("/tmp").join(format!("provisor-faults-{}", &id[..12]));
        fs::create_dir(&folder).expect("a folder for the server");
        own(&folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("it is ours");
        Self { bin: programs(), folder, is_mounted: false }
    }

    fn configure(&self, more: &str) {
        let path = Path::new(&self.data()).join("postgresql.conf");
        let text = fs::read_to_string(&path).expect("the settings can be read");
        let socket = format!("unix_socket_directories = '{}'\n", self.folder.display());
        fs::write(&path, text + "\n" + more + &socket).expect("the settings can be written");
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// The folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// The URL of a database by its socket.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port=5432&user=provisor", self.folder.display())
    }

    /// Starts it, and waits until it takes connections.
    pub(crate) fn start(&self) {
        let log = self.folder.join("server.log").display().to_string();
        self.program(
            "pg_ctl",
            &["start", "--pgdata", &self.data(), "--log", &log, "--wait", "--silent"],
        );
    }

    /// Ends it as a crash does: nothing is flushed, nobody is told.
    pub(crate) fn stop_immediately(&self) {
        self.program("pg_ctl", &["stop", "--pgdata", &self.data(), "--mode=immediate", "--silent"]);
    }

    /// Ends it as an administrator does.
    pub(crate) fn stop(&self) {
        self.program("pg_ctl", &["stop", "--pgdata", &self.data(), "--mode=fast", "--silent"]);
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        self.program("pg_ctl", &["promote", "--pgdata", &self.data(), "--wait", "--silent"]);
    }

    fn program(&self, name: &str, args: &[&str]) {
        let output = self.run(name, args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {args:?}: {told}\n{}", self.log());
    }

    fn run(&self, name: &str, args: &[&str]) -> Output {
        let mut command = as_lesser_user(&self.bin.join(name));
        // The server inherits what pg_ctl has: a pipe to us would stay open as long as it lives.
        let told = self.folder.join("told");
        let file = fs::File::create(&told).expect("a file for what it says");
        command.args(args).current_dir(&self.folder).env("LC_ALL", "C").stderr(file);
        let status = command.stdout(std::process::Stdio::null()).status().expect("it can be run");
        Output { status, stdout: Vec::new(), stderr: fs::read(&told).unwrap_or_default() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.run("pg_ctl", &["stop", "--pgdata", &self.data(), "--mode=immediate", "--silent"]);
        }
        if self.is_mounted {
            let _ = Command::new("umount").arg(self.data()).status();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A command that runs as the user of servers, if we are root, whom they refuse.
pub(crate) fn as_lesser_user(program: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    if let Some((uid, gid)) = lesser_user() {
        command.uid(uid).gid(gid);
    }
    command
}

/// Gives a file or folder to that user.
pub(crate) fn own(path: &Path) {
    if let Some((uid, gid)) = lesser_user() {
        chown(path, Some(uid), Some(gid)).expect("root may do that");
    }
}

/// Whether we are root, so that a file system may be mounted.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").expect("Linux tells who we are").uid() == 0
}

fn lesser_user() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users are listed");
    ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|field| field.parse().expect("a number"));
        Some((numbers.next()?, numbers.next()?))
    })
}

/// The folder of the server's programs, which `script/postgres-bin` knows.
fn programs() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("script/postgres-bin");
    let output = Command::new(script).output().expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
