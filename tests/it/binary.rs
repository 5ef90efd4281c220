//! The binary, run as a process of its own, as an operator runs it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinHandle,
};

use crate::house::{eventually, in_time};

/// How long any command may take.
const COMMAND_MAX: Duration = Duration::from_mins(1);

/// Environment variables of a process.
pub(crate) type Environment = BTreeMap<String, String>;

/// How a command has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What was printed for a script.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The binary that is tested.
const PROVISOR: &str = env!("CARGO_BIN_EXE_provisor");

/// A binary with these arguments, nothing of the developer's own settings, and killed when it is dropped.
fn command(program: &str, args: &[&str], env: &Environment) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PROVISOR_CONFIG_DIR", "/nonexistent");
    // Programs that it starts itself, such as PostgreSQL, are looked for there.
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs(env).kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn provisor(args: &[&str], env: &Environment) -> Ended {
    provisor_reading(args, env, "").await
}

/// The same with something to read on standard input.
pub(crate) async fn provisor_reading(args: &[&str], env: &Environment, input: &str) -> Ended {
    let mut command = command(PROVISOR, args, env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that reads nothing may have closed it.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let ended = tokio::time::timeout(COMMAND_MAX, child.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{args:?} goes on and on")).expect("its output");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A command that goes on until it is told to end.
pub(crate) struct Process {
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
    reading: [JoinHandle<()>; 2],
}

impl Process {
    /// Starts it.
    pub(crate) fn start(args: &[&str], env: &Environment) -> Self {
        Self::start_other(PROVISOR, args, env)
    }

    /// Starts another binary.
    pub(crate) fn start_other(program: &str, args: &[&str], env: &Environment) -> Self {
        let mut command = command(program, args, env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let printed = Arc::default();
        let (out, err) =
            (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let reading = [
            tokio::spawn(keep_lines(BufReader::new(out), Arc::clone(&printed))),
            tokio::spawn(keep_lines(BufReader::new(err), Arc::clone(&printed))),
        ];
        Self { child, printed, reading }
    }

    /// All lines that it has printed or logged so far.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.printed.lock().expect("nobody panics with it").clone()
    }

    /// The first event of its log with this message, if there is one yet.
    fn event(&self, message: &str) -> Option<Value> {
        let events = self.printed();
        let mut events = events.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.find(|event| event["message"] == message)
    }

    /// Waits for an event of its log.
    pub(crate) async fn until_logged(&self, message: &str) -> Value {
        eventually(&format!("{message:?} is logged"), async || self.event(message).is_some()).await;
        self.event(message).expect("it was just seen")
    }

    /// Where a daemon answers for an operator.
    pub(crate) async fn address(&self) -> SocketAddr {
        let started = self.until_logged("started").await;
        started["listen"].as_str().expect("a text").parse().expect("an address")
    }

    /// Waits until a daemon works.
    pub(crate) async fn until_ready(&self) -> SocketAddr {
        self.until_logged("ready").await;
        self.address().await
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it has not been waited for").to_string();
        // The shell's own kill: it needs no crate and no unsafe code.
        let told = Command::new("sh").args(["-c", "kill -s $0 $1", name, &pid]).status().await;
        assert!(told.expect("sh runs").success(), "no signal was sent");
    }

    /// Waits for its end, and for the last of what it has printed.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let Ok(ended) = tokio::time::timeout(COMMAND_MAX, self.child.wait()).await else {
            // Killed at once it would leave behind what it has started itself, such as a PostgreSQL.
            self.signal("TERM").await;
            let _ = tokio::time::timeout(COMMAND_MAX, self.child.wait()).await;
            panic!("it goes on and on:\n{}", self.printed().join("\n"));
        };
        let status = ended.expect("it can be waited for");
        for reading in &mut self.reading {
            reading.await.expect("nothing but reading");
        }
        status
    }
}

async fn keep_lines(mut from: impl AsyncBufReadExt + Unpin, to: Arc<Mutex<Vec<String>>>) {
    let mut line = String::new();
    while from.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let line = std::mem::take(&mut line).trim_end().to_owned();
        to.lock().expect("nobody panics with it").push(line);
    }
}

/// Asks by GET; the status and the body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = in_time(path, async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    })
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, body.to_owned())
}
