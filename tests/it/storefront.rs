//! The programs of `examples/storefront/`, each run as its README says, beside a daemon and the sandbox.
//!
//! They run where their language and its driver are there (`script/storefront-deps` brings both). Where they are not, the
//! test says so, and has nothing to test.

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    str::FromStr as _,
};

use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::Mutex,
};

use crate::{
    documents,
    house::{House, hosting, in_time, order},
};

/// Roles belong to the whole server, and the examples share one.
static SHOP_ROLE: Mutex<()> = Mutex::const_new(());

/// A language's program.
struct Language {
    name: &'static str,
    /// What runs a program, with where its libraries are.
    runtime: PathBuf,
    libraries: Option<(&'static str, PathBuf)>,
    /// What only succeeds if the driver is there.
    probe: [&'static str; 2],
    program: &'static str,
}

/// Where `script/storefront-deps` puts drivers: beside the builds.
fn installed(path: &str) -> PathBuf {
    let builds = Path::new(env!("CARGO_BIN_EXE_provisor")).ancestors().nth(2).expect("target/");
    builds.join("storefront").join(path)
}

fn python() -> Language {
    let own = installed("python/bin/python3");
    Language {
        name: "python",
        runtime: if own.exists() { own } else { "python3".into() },
        libraries: None,
        probe: ["-c", "import psycopg"],
        program: "python/shop.py",
    }
}

fn node() -> Language {
    Language {
        name: "node",
        runtime: "node".into(),
        libraries: Some(("NODE_PATH", installed("node/node_modules"))),
        probe: ["-e", "require('pg')"],
        program: "node/shop.js",
    }
}

fn php() -> Language {
    Language {
        name: "php",
        runtime: "php".into(),
        libraries: None,
        probe: ["-r", "exit(extension_loaded('pdo_pgsql') ? 0 : 1);"],
        program: "php/shop.php",
    }
}

impl Language {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.runtime);
        command.env_clear().kill_on_drop(true);
        for name in ["PATH", "HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.libraries.clone());
        command
    }

    /// Whether it can be run here. If not, that is told past the harness, which would swallow it.
    async fn is_here(&self) -> bool {
        let probe = self.command().args(self.probe).output().await;
        let why = match probe {
            Ok(output) if output.status.success() => return true,
            Ok(_) => "its driver for PostgreSQL is missing".to_owned(),
            Err(error) => format!("{} can't be run: {error}", self.runtime.display()),
        };
        let told = format!("skipped: the {} example. {why} (script/storefront-deps)\n", self.name);
        std::io::stderr().write_all(told.as_bytes()).expect("standard error");
        false
    }
}

/// A shop of that language, in a house.
struct Shop<'a> {
    house: &'a House,
    language: &'a Language,
    password: String,
}

/// How a program ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl<'a> Shop<'a> {
    /// Opens it, as README says: the role, its rights and its table.
    async fn open(house: &'a House, language: &'a Language) -> Self {
        house.world.run(include_str!("../../examples/storefront/shop.sql")).await;
        let password = uuid::Uuid::new_v4().simple().to_string();
        house
            .world
            .run(&format!("ALTER ROLE shop PASSWORD '{password}' CONNECTION LIMIT -1"))
            .await;
        Self { house, language, password }
    }

    fn url(&self) -> String {
        let mut url = url::Url::parse(&self.house.world.url()).expect("a URL");
        let others: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(key, _)| key != "user" && key != "password")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        if url.has_host() {
            url.set_username("shop").expect("it has a host");
            url.set_password(Some(&self.password)).expect("it has a host");
            url.query_pairs_mut().clear().extend_pairs(others);
        } else {
            let own = [("user", "shop"), ("password", self.password.as_str())];
            url.query_pairs_mut().clear().extend_pairs(others).extend_pairs(own);
        }
        url.into()
    }

    /// The same as libpq's variables.
    fn libpq(&self) -> Vec<(&'static str, OsString)> {
        let options = PgConnectOptions::from_str(&self.house.world.url()).expect("a URL");
        let host = options.get_socket().map_or_else(
            || OsString::from(options.get_host()),
            |socket| socket.as_os_str().to_owned(),
        );
        vec![
            ("PGHOST", host),
            ("PGPORT", options.get_port().to_string().into()),
            ("PGDATABASE", OsString::from(&self.house.world.name)),
            ("PGUSER", "shop".into()),
            ("PGPASSWORD", OsString::from(&self.password)),
        ]
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/storefront");
        let mut command = self.language.command();
        command.arg(program.join(self.language.program)).args(arguments);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let output = in_time(
            "the program ends",
            self.command(arguments).env("DATABASE_URL", self.url()).output(),
        );
        Ended::of(output.await.expect("it can be run"))
    }

    /// Submits a document, which the program reads from a file.
    async fn submit(&self, document: &Value) -> Ended {
        let file = tempfile(document);
        let ended = self.run(&["submit", file.to_str().expect("UTF-8")]).await;
        std::fs::remove_file(file).expect("it is there");
        ended
    }

    /// How many orders the shop itself has noted.
    async fn noted(&self) -> i64 {
        self.house.world.value("SELECT count(*) FROM shop.orders").await
    }
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// It did what it was asked to, and said so.
    #[track_caller]
    fn said(&self, text: &str) {
        assert_eq!((self.code, self.stdout.trim_end()), (Some(0), text), "{self:?}");
    }

    /// It was refused, with what the database said and no more.
    #[track_caller]
    fn was_refused(&self, text: &str) {
        let told = format!("refused: {text}\n");
        assert_eq!((self.code, self.stderr.as_str()), (Some(1), told.as_str()), "{self:?}");
    }
}

fn tempfile(document: &Value) -> PathBuf {
    let file = std::env::temp_dir().join(format!("provisor-it-{}.json", uuid::Uuid::new_v4()));
    std::fs::write(&file, document.to_string()).expect("the folder for temporary files");
    file
}

async fn sells(language: &Language) {
    if !language.is_here().await {
        return;
    }
    let _alone = SHOP_ROLE.lock().await;
    let house = House::new().await;
    let shop = Shop::open(&house, language).await;
    hands_over_once(&shop).await;
    withdraws(&shop).await;
    comes_again(&shop).await;
    follows(&shop).await;
    assert_eq!(shop.run(&[]).await.code, Some(2), "it says how it is used");
    assert_eq!(shop.run(&["auto-renew", "example.nl", "maybe"]).await.code, Some(2));
}

/// An order is submitted with the shop's own row or not at all, and once, however often.
async fn hands_over_once(shop: &Shop<'_>) {
    let example = documents::example("SHOP-1001");
    let first = shop.submit(&example).await;
    let id: i64 = shop.house.world.value("SELECT order_id FROM provisor.order_status").await;
    first.said(&format!("SHOP-1001 is order {id}"));
    shop.submit(&example).await.said(&format!("SHOP-1001 is order {id}"));
    let mut other = example.clone();
    other["lines"][0]["years"] = json!(2);
    let taken = "order SHOP-1001 was already submitted with different content";
    shop.submit(&other).await.was_refused(taken);
    let malformed = order("SHOP-1002", json!([{ "kind": "dns", "records": [] }]));
    shop.submit(&malformed).await.was_refused("lines[0].domain: is required");
    assert_eq!(shop.noted().await, 1, "what is refused leaves nothing in the shop either");
}

/// No daemon runs yet, so nothing has been sent.
async fn withdraws(shop: &Shop<'_>) {
    let document = order("SHOP-1003", json!([hosting("bücher.example")]));
    assert_eq!(shop.submit(&document).await.code, Some(0));
    shop.run(&["cancel", "SHOP-1003"]).await.said("cancelled");
    shop.run(&["cancel", "SHOP-1003"]).await.said("cancelled");
    shop.run(&["cancel", "SHOP-9"]).await.was_refused("order SHOP-9 is unknown");
    shop.run(&["lines", "SHOP-1003"]).await.said("0 hosting bücher.example cancelled");
}

/// A database that has no room for it is asked again, until it has.
async fn comes_again(shop: &Shop<'_>) {
    shop.house.world.run("ALTER ROLE shop CONNECTION LIMIT 0").await;
    let file = tempfile(&order("SHOP-1004", json!([hosting("example.org")])));
    let mut command = shop.command(&["submit", file.to_str().expect("UTF-8")]);
    command.env("DATABASE_URL", shop.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().expect("it can be run");
    let mut told = BufReader::new(program.stderr.take().expect("a pipe")).lines();
    let line = in_time("it is refused once", told.next_line()).await.expect("UTF-8");
    assert!(line.as_ref().is_some_and(|line| line.starts_with("trying again: ")), "{line:?}");
    shop.house.world.run("ALTER ROLE shop CONNECTION LIMIT -1").await;
    let output = in_time("it ends", program.wait_with_output()).await.expect("its output");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    std::fs::remove_file(file).expect("it is there");
    assert_eq!(shop.house.line_status("SHOP-1004", 0).await, "pending");
}

/// It sees an order end that is delivered while it watches, and says what it wishes of the domain.
async fn follows(shop: &Shop<'_>) {
    let mut command = shop.command(&["watch", "SHOP-1001"]);
    command.env("DATABASE_URL", shop.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watching = command.spawn().expect("it can be run");
    let mut seen = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    let first = in_time("it looks", seen.next_line()).await.expect("UTF-8");
    assert_eq!(first.as_deref().map(str::trim_end), Some("SHOP-1001 accepted"));
    let daemon = shop.house.daemon(&[]);
    let mut last = None;
    while let Some(line) = in_time("it goes on", seen.next_line()).await.expect("UTF-8") {
        last = Some(line.trim_end().to_owned());
    }
    let output = in_time("it ends", watching.wait_with_output()).await.expect("its output");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(last.as_deref(), Some("SHOP-1001 completed"));

    let lines = "0 domain_register example.nl completed \n1 hosting example.nl completed";
    shop.run(&["lines", "SHOP-1001"]).await.said(lines);
    let mut by_libpq = shop.command(&["lines", "SHOP-1001"]);
    let output = in_time("it ends", by_libpq.envs(shop.libpq()).output()).await.expect("it runs");
    Ended::of(output).said(lines);

    shop.run(&["cancel", "SHOP-1001"]).await.said("too_late");
    for (wish, wished) in [("off", false), ("on", true)] {
        let said = shop.run(&["auto-renew", "example.nl", wish]).await;
        said.said(&format!("example.nl: auto-renewal {wish}"));
        let stored: bool =
            shop.house.world.value("SELECT auto_renew_wished FROM provisor.domain_status").await;
        assert_eq!(stored, wished);
    }
    let unknown = shop.run(&["auto-renew", "example.com", "off"]).await;
    unknown.was_refused("domain example.com is unknown");
    shop.run(&["watch", "SHOP-9"]).await.was_refused("order SHOP-9 is unknown");
    daemon.stop().await;
}

#[tokio::test]
async fn the_python_example_sells() {
    sells(&python()).await;
}

#[tokio::test]
async fn the_node_example_sells() {
    sells(&node()).await;
}

#[tokio::test]
async fn the_php_example_sells() {
    sells(&php()).await;
}
