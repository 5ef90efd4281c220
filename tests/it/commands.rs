//! The commands, from outside: what they print, and how they exit.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::{
    binary::{Environment, Process, get, provisor, provisor_reading},
    house::{House, hosting, order},
    world::World,
};

/// Every command, with a word that its help must explain it by.
const COMMANDS: &[(&[&str], &str)] = &[
    (&[], "provisor demo"),
    (&["run"], "SIGTERM"),
    (&["migrate"], "schema"),
    (&["check"], "mail server"),
    (&["order"], "submit"),
    (&["order", "submit"], "standard input"),
    (&["order", "list"], "in_progress"),
    (&["order", "show"], "what comes next"),
    (&["order", "cancel"], "nothing has been sent"),
    (&["order", "plan"], "Nothing is stored"),
    (&["ljpc"], "asking"),
    (&["ljpc", "domains", "register"], "--customer bob.json"),
    (&["ljpc", "domains", "transfer"], "PROVISOR_AUTH_CODE"),
    (&["ljpc", "domains", "update"], "--auto-renew false"),
    (&["ljpc", "contacts", "create"], "--country NL"),
    (&["ljpc", "contacts", "update"], "EVERY domain"),
    (&["ljpc", "dns", "diff"], "changes nothing"),
    (&["ljpc", "dns", "put"], "What is not in FILE goes"),
    (&["ljpc", "dns", "rollback"], "--list"),
    (&["ljpc", "orders", "create"], "--package hosting_5gb"),
    (&["ljpc", "check"], "only `available`"),
    (&["ljpc", "domains", "authcode"], "secret"),
    (&["ljpc", "sites", "login"], "once"),
    (&["ljpc", "dns", "get"], "NS"),
    (&["leanstack"], "advice"),
    (&["leanstack", "suggest"], "without a dot"),
    (&["leanstack", "add-customer"], "known by his reference"),
    (&["audit", "disown"], "as unknown"),
    (&["customer", "export"], "for that person alone"),
    (&["customer", "forget"], "after a backup was restored"),
    (&["completions"], "bash"),
    (&["man"], "FOLDER"),
    (&["sandbox"], "/_sandbox/faults"),
    (&["demo"], "PostgreSQL"),
];

fn database(url: &str) -> Environment {
    BTreeMap::from([("DATABASE_URL".to_owned(), url.to_owned())])
}

#[tokio::test]
async fn help_teaches_each_command() {
    for (command, word) in COMMANDS {
        let args = [command, &["--help"][..]].concat();
        let help = provisor(&args, &Environment::new()).await;
        assert_eq!(help.code, Some(0), "{help:?}");
        // Wherever its lines end.
        let text = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("Usage: provisor") && text.contains(word), "{help:?}");
        assert!(help.stdout.lines().all(|line| line.chars().count() <= 100), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
}

#[tokio::test]
async fn the_page_of_all_keys_is_made_of_them() {
    let page = provisor(&["config", "reference"], &Environment::new()).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page.stdout == kept,
        "docs/CONFIGURATION.md is old: cargo run -- config reference > docs/CONFIGURATION.md"
    );
    assert!(
        page.stdout
            .contains("### `ljpc.timeout`\n\n- `PROVISOR_LJPC__TIMEOUT`, by default `\"30s\"`.")
    );
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_says_what_is_right() {
    for (args, word) in [
        (&[][..], "Usage: provisor"),
        (&["nonsense"], "unrecognized subcommand"),
        (&["run", "extra"], "unexpected argument"),
        (&["order"], "Usage: provisor order"),
        (&["order", "submit"], "<FILE>"),
        (&["order", "list", "--status", "nope"], "attention"),
        (&["order", "list", "--limit", "0"], "1..=1000"),
        (&["ljpc", "check"], "<NAME>"),
        (&["ljpc", "price", "example..nl"], "not a domain name"),
        (&["ljpc", "domains", "show", "nl"], "only one label"),
        (&["ljpc", "sites", "show", "0"], "ID"),
        (&["leanstack", "suggest", "example.nl"], "a dot"),
        (&["sandbox", "--delay", "3d"], "500ms"),
        (&["sandbox", "--failure-rate", "2"], "--failure-rate"),
    ] {
        let ended = provisor(args, &Environment::new()).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
        assert!(ended.stderr.contains(word), "{args:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn all_mistakes_of_the_configuration_are_told_at_once() {
    let env = [
        ("PROVISOR_LJPC__API_KEY", "marker-of-the-key"),
        ("PROVISOR_LJPC__TIMEOUT", "forever"),
        ("PROVISOR_NONSENSE__X", "1"),
        ("PROVISOR_QUEUE__CONCURRENCY", "0"),
        ("PROVISOR_EMAIL__SMTP_URL", "https://user:marker-of-the-password@example.com"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let ended = provisor(&["run"], &env).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    for start in [
        "database.url (not set): ",
        "email.from (not set): ",
        "email.smtp_url (environment PROVISOR_EMAIL__SMTP_URL): ",
        "ljpc.timeout (environment PROVISOR_LJPC__TIMEOUT): ",
        "nonsense.x (environment PROVISOR_NONSENSE__X): ",
        "queue.concurrency (environment PROVISOR_QUEUE__CONCURRENCY): ",
    ] {
        assert!(ended.stderr.lines().any(|line| line.starts_with(start)), "{start}: {ended:?}");
    }
    assert_eq!(ended.stderr.lines().count(), 7, "one for each, and a head: {}", ended.stderr);
    assert!(!ended.stderr.contains("marker"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_file_of_settings_that_is_not_there_is_an_error() {
    let ended =
        provisor(&["migrate", "--config", "/nonexistent/x.toml"], &database("postgres:///x")).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--config"), "{ended:?}");
}

#[tokio::test]
async fn migrations_run_again_and_at_once_from_everywhere() {
    let worlds = [World::empty().await, World::empty().await];
    let envs = worlds.each_ref().map(|world| database(&world.url()));
    let everywhere = (0..8).map(|n| provisor(&["migrate"], &envs[n % 2]));
    for ended in futures_util::future::join_all(everywhere).await {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, "The schema `provisor` is up to date.\n");
    }
    for (world, env) in worlds.iter().zip(&envs) {
        let again = provisor(&["migrate"], env).await;
        assert_eq!(again.code, Some(0), "{again:?}");
        world.submit(&order("SHOP-1", json!([hosting("example.nl")]))).await.unwrap();
    }
}

/// An address on which nobody listens, and nobody else can while the socket is kept.
pub(crate) fn closed_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn a_command_refuses_a_schema_that_does_not_serve_it() {
    let house = House::new().await;
    let env = database(&house.world.url());
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    // A newer release has migrated, and this one is gone back to.
    house.world.migrated_by_a_newer_release("0.0.1").await;
    let served = provisor(&["migrate"], &env).await;
    assert_eq!((served.code, served.stderr.as_str()), (Some(0), ""), "{served:?}");
    assert!(served.stdout.contains("newer than this binary (migration 9999)"), "{served:?}");
    let listed = provisor(&["order", "list"], &env).await;
    assert!(listed.code == Some(0) && listed.stdout.contains("SHOP-1"), "{listed:?}");

    house.world.run("UPDATE provisor.schema_info SET oldest_binary = '99.0.0'").await;
    let why = format!(
        "provisor: the schema serves Provisor 99.0.0 and newer, this is {}: install a newer one\n",
        env!("CARGO_PKG_VERSION")
    );
    for command in [&["migrate"][..], &["order", "list"], &["queue", "stats"]] {
        let refused = provisor(command, &env).await;
        assert_eq!(
            (refused.code, refused.stdout.as_str(), &refused.stderr),
            (Some(1), "", &why),
            "{command:?}"
        );
    }
    // A shop may not look at it, and its functions are as the schema has them.
    let shop = format!("it_{}", uuid::Uuid::new_v4().simple());
    house.world.run(&format!("CREATE ROLE {shop} LOGIN IN ROLE provisor_storefront")).await;
    let document = order("SHOP-2", json!([hosting("example.org")])).to_string();
    let by_shop = database(&house.world.url_as(&shop));
    let submitted = provisor_reading(&["order", "submit", "-"], &by_shop, &document).await;
    house.world.run(&format!("DROP ROLE {shop}")).await;
    assert_eq!(submitted.code, Some(0), "{submitted:?}");
}

#[tokio::test]
async fn an_order_is_submitted_once_however_often() {
    let house = House::new().await;
    let env = database(&house.world.url());
    let document = order("SHOP-1", json!([hosting("example.nl")]));
    let file = std::env::temp_dir().join(format!("provisor-it-{}.json", uuid::Uuid::new_v4()));
    std::fs::write(&file, document.to_string()).unwrap();
    let path = file.to_str().unwrap();

    let first = provisor(&["order", "submit", path, "--json"], &env).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(first.json()["reference"], "SHOP-1");
    let again =
        provisor_reading(&["order", "submit", "-", "--json"], &env, &document.to_string()).await;
    assert_eq!((again.code, again.json()), (Some(0), first.json()), "{again:?}");
    let told = provisor(&["order", "submit", path], &env).await;
    std::fs::remove_file(&file).unwrap();
    assert!(told.stdout.contains("provisor order show SHOP-1"), "{told:?}");

    let other = order("SHOP-1", json!([hosting("example.org")])).to_string();
    let other = provisor_reading(&["order", "submit", "-"], &env, &other).await;
    assert_eq!(
        (other.code, other.stderr.as_str()),
        (Some(1), "provisor: order SHOP-1 was already submitted with different content\n")
    );
}

#[tokio::test]
async fn a_document_that_is_wrong_is_refused_with_its_first_error() {
    let house = House::new().await;
    let env = database(&house.world.url());
    let mut line = hosting("example.nl");
    line["foo"] = json!(1);
    let unknown = order("SHOP-1", json!([line])).to_string();
    for (document, why) in [
        ("[]", "order: must be an object"),
        (unknown.as_str(), "lines[0].foo: is not a known key"),
        ("{oops", "is no JSON"),
        ("", "is no JSON"),
    ] {
        let ended = provisor_reading(&["order", "submit", "-"], &env, document).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(why), "{why}: {ended:?}");
    }
    let absent = provisor(&["order", "submit", "/nonexistent/order.json"], &env).await;
    assert_eq!(absent.code, Some(1), "{absent:?}");
    assert!(absent.stderr.contains("/nonexistent/order.json can't be opened"), "{absent:?}");
    let orders: i64 = house.world.value("SELECT count(*) FROM provisor.orders").await;
    assert_eq!(orders, 0);
}

#[tokio::test]
async fn orders_are_listed_shown_and_cancelled() {
    let house = House::new().await;
    let env = database(&house.world.url());
    for n in 1..=3 {
        house.submit(&format!("SHOP-{n}"), json!([hosting(&format!("example-{n}.nl"))])).await;
    }
    let cancelled = provisor(&["order", "cancel", "SHOP-2", "--json"], &env).await;
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert_eq!(cancelled.json(), json!({ "reference": "SHOP-2", "result": "cancelled" }));

    let references = async |args: &[&str]| {
        let list = provisor(&[&["order", "list", "--json"], args].concat(), &env).await;
        assert_eq!(list.code, Some(0), "{list:?}");
        let orders = list.json();
        let orders = orders.as_array().expect("a list").iter();
        orders.map(|order| order["reference"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(references(&[]).await, ["SHOP-3", "SHOP-2", "SHOP-1"]);
    assert_eq!(references(&["--status", "accepted"]).await, ["SHOP-3", "SHOP-1"]);
    assert_eq!(references(&["--status", "cancelled"]).await, ["SHOP-2"]);
    assert_eq!(references(&["--limit", "1"]).await, ["SHOP-3"]);
    let table = provisor(&["order", "list"], &env).await;
    assert_eq!(table.stdout.lines().count(), 4, "a head and three orders: {}", table.stdout);

    let shown = provisor(&["order", "show", "SHOP-2"], &env).await;
    assert!(shown.stdout.starts_with("Order SHOP-2  CANCELLED"), "{shown:?}");
    let shown = provisor(&["order", "show", "SHOP-1", "--json"], &env).await;
    assert_eq!(shown.json()["lines"][0]["domain"], "example-1.nl");
    for command in ["show", "cancel"] {
        let unknown = provisor(&["order", command, "SHOP-9"], &env).await;
        assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""), "{unknown:?}");
        assert!(unknown.stderr.contains("SHOP-9"), "{unknown:?}");
    }
}

#[tokio::test]
async fn what_has_been_sent_is_not_cancelled() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.stop().await;
    let late =
        provisor(&["order", "cancel", "SHOP-1", "--json"], &database(&house.world.url())).await;
    assert_eq!(late.code, Some(1), "{late:?}");
    assert_eq!(late.json(), json!({ "reference": "SHOP-1", "result": "too_late" }));
    house.until_order("SHOP-1", "completed").await;
}

#[tokio::test]
async fn without_a_database_or_a_schema_a_command_says_so_at_once() {
    let world = World::empty().await;
    let bare = provisor(&["order", "list"], &database(&world.url())).await;
    assert_eq!(bare.code, Some(1), "{bare:?}");
    assert!(bare.stderr.contains("run `provisor migrate`"), "{bare:?}");
    let (_kept, closed) = closed_port();
    for args in [&["order", "list"][..], &["migrate"]] {
        let secret = format!("postgres://x:marker-of-the-password@{closed}/x");
        let away = provisor(args, &database(&secret)).await;
        assert_eq!(away.code, Some(1), "{away:?}");
        assert!(away.stderr.contains("refused"), "{away:?}");
        assert!(!away.stderr.contains("marker"), "{away:?}");
    }
}

#[tokio::test]
async fn the_sandbox_answers_until_it_is_told_to_end() {
    let mails = std::env::temp_dir().join(format!("provisor-it-{}", uuid::Uuid::new_v4()));
    let args = ["sandbox", "--listen=127.0.0.1:0", "--smtp-listen=127.0.0.1:0", "--mail-dir"];
    let args = [&args[..], &[mails.to_str().unwrap()]].concat();
    let mut sandbox = Process::start(&args, &Environment::new());
    crate::house::eventually("the addresses are printed", async || {
        sandbox.printed().iter().any(|line| line.contains("Ctrl-C"))
    })
    .await;
    let printed = sandbox.printed().join("\n");
    let address = printed.split("BASE_URL=http://").nth(1).expect("the address is printed");
    let address = address.lines().next().unwrap().parse().expect("an address");
    let (status, summary) = get(address, "/_sandbox/summary").await;
    assert_eq!(status, 200, "{summary}");
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["orders"], 0);
    assert_eq!(get(address, "/api/v1/orders/1").await.0, 401);
    sandbox.signal("INT").await;
    assert!(sandbox.ended().await.success());
    std::fs::remove_dir_all(mails).unwrap();
}

#[tokio::test]
async fn completions_and_man_pages_know_all_commands() {
    let nothing = Environment::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = provisor(&["completions", shell], &nothing).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{shell}: {ended:?}");
        for word in ["resolve", "past-brake", "customer"] {
            assert!(ended.stdout.contains(word), "{shell}: {word}");
        }
    }
    let folder = std::env::temp_dir().join(format!("provisor-man-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).expect("a folder");
    let ended = provisor(&["man", folder.to_str().expect("text")], &nothing).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = |name: &str| {
        std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    assert!(page("provisor.1").contains("exactly once"));
    assert!(page("provisor-order-resolve.1").contains("absent"));
    std::fs::remove_dir_all(&folder).expect("it goes");
    let ended = provisor(&["man", folder.to_str().expect("text")], &nothing).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("writing man pages into"), "{ended:?}");
}
