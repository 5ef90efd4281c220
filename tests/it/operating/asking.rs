//! Nothing is bought or changed before somebody has agreed.

use std::process::Stdio;

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{bob, seen};
use crate::{
    binary::provisor,
    house::{House, in_time},
};

/// Every command that buys or changes something, complete but for `--yes`.
const COMMANDS: &[&[&str]] = &[
    &["ljpc", "domains", "register", "example.nl", "--contact-handle", "sandbox-account"],
    &["ljpc", "domains", "update", "example.nl", "--auto-renew", "false"],
    &["ljpc", "contacts", "update", "sandbox-account", "--email", "new@example.com"],
    &[
        "ljpc",
        "contacts",
        "create",
        "--name",
        "Bob Brown",
        "--address",
        "Teststreet 1",
        "--postal-code",
        "1234AB",
        "--city",
        "Testcity",
        "--country",
        "NL",
        "--email",
        "bob@example.com",
        "--phone",
        "+31612345678",
    ],
    &["ljpc", "orders", "create", "--domain", "example.nl", "--space-id", "7"],
];

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_and_without_a_yes_it_is_refused() {
    let house = House::new().await;
    house.put_name("example.nl");
    for args in COMMANDS {
        house.refused(args, 2, &["no terminal to ask on", "--yes"]).await;
    }
    let args = ["ljpc", "dns", "put", "example.nl", "-"];
    let ended = crate::binary::provisor_reading(&args, &house.operator(), "[]").await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!((house.sent(), house.orders().await), (vec![], 0));
    assert!(house.sandbox.state().journal(0).is_empty(), "nothing is even asked");
}

/// Runs a command on a terminal of its own, and answers what it asks.
pub(super) async fn on_a_terminal(house: &House, args: &[&str], answer: &str) -> (bool, String) {
    let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
    let command = format!("'{}' {}", env!("CARGO_BIN_EXE_provisor"), quoted.join(" "));
    // util-linux' script makes the terminal, and passes the exit status on.
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("SHELL", "/bin/sh")
        .envs(house.operator())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("script of util-linux runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(answer.as_bytes()).await.expect("it is read");
    let output = in_time("the command ends", child.wait_with_output()).await.expect("its output");
    drop(stdin);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_shows_what_it_would_do_and_asks() {
    let house = House::new().await;
    house.put_name("example.nl");
    let daemon = house.operators_daemon();
    let args = ["ljpc", "domains", "update", "example.nl", "--auto-renew", "false"];
    for answer in ["n\n", "\n", "nonsense\n"] {
        let (is_good, shown) = on_a_terminal(&house, &args, answer).await;
        assert!(!is_good, "{shown}");
        for word in ["PATCH /api/hosting/v1/domain-names/example.nl", "[y/N]", "not agreed to"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert_eq!((house.sent(), house.orders().await), (vec![], 0), "{answer:?}");
    }
    let (is_good, shown) = on_a_terminal(&house, &args, "y\n").await;
    assert!(is_good && shown.contains("COMPLETED"), "{shown}");
    assert_eq!(
        house.sent(),
        [(
            "PATCH /api/hosting/v1/domain-names/example.nl".to_owned(),
            json!({ "auto_renew": false })
        )]
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_emails_are_whose_is_said_or_asked_for() {
    let house = House::new().await;
    house.put_name("example.nl");
    let args =
        ["ljpc", "domains", "update", "example.nl", "--auto-renew", "false", "--yes", "--no-wait"];
    let mut env = house.operator();
    env.remove("PROVISOR_EMAIL__OPS_TO");
    env.remove("PROVISOR_EMAIL__FROM");
    let ended = provisor(&args, &env).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("email.ops_to"), "{ended:?}");
    env.insert("PROVISOR_EMAIL__FROM".to_owned(), "Shop <shop@example.com>".to_owned());
    assert_eq!(provisor(&args, &env).await.code, Some(0));
    let email = "SELECT email FROM provisor.customers WHERE reference = 'operator'";
    assert_eq!(house.world.value::<String>(email).await, "shop@example.com");
    house.done(&args).await;
    assert_eq!(house.world.value::<String>(email).await, "ops@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_has_its_limit_and_nobody_at_work_is_told() {
    let house = House::new().await;
    house.put_name("example.nl");
    let args = [
        "ljpc",
        "domains",
        "update",
        "example.nl",
        "--auto-renew",
        "false",
        "--yes",
        "--wait",
        "6",
    ];
    let ended =
        house.refused(&args, 1, &["is `provisor run` running?", "not ended within 6 s"]).await;
    assert!(ended.stdout.contains("ACCEPTED"), "{ended:?}");
    // It was handed over all the same.
    let daemon = house.operators_daemon();
    let reference: String = house.world.value("SELECT reference FROM provisor.orders").await;
    assert!(reference.starts_with("ops-"), "{reference}");
    house.until_order(&reference, "completed").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_sees_of_it() {
    let house = House::new().await;
    house.put_name("example.nl");
    let (daemon, bob) = (house.operators_daemon(), bob());
    let zone =
        json!([{ "type": "A", "name": "@", "content": "192.0.2.10", "ttl": 3600 }]).to_string();
    let put = house
        .done_reading(&["ljpc", "dns", "put", "example.nl", "-", "--yes", "--by", "alice"], &zone)
        .await;
    insta::assert_snapshot!("dns_put", seen(&put));
    let bought = [
        "ljpc",
        "domains",
        "register",
        "example.com",
        "--customer",
        bob.path(),
        "--auto-renew",
        "false",
        "--yes",
        "--by",
        "alice",
        "--why",
        "he asked by telephone",
    ];
    insta::assert_snapshot!("domains_register", seen(&house.done(&bought).await));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_refused_or_needs_a_person_ends_the_wait_badly() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let order = |domain: &'static str| {
        ["ljpc", "orders", "create", "--domain", domain, "--space-id", "7", "--yes"]
    };
    let post = "POST /api/v1/orders";
    house.fault(&json!({ "endpoint": post, "fault": "drop", "times": 1 }));
    let doubtful = house.refused(&order("one.nl"), 1, &["in doubt"]).await;
    assert!(
        doubtful.stdout.contains("ATTENTION") && doubtful.stdout.contains("What to do"),
        "{doubtful:?}"
    );
    house.fault(&json!({ "endpoint": post, "fault": "status", "status": 422, "message": "Unknown space", "times": 1 }));
    let refused = house.refused(&order("two.nl"), 1, &["failed"]).await;
    assert!(
        refused.stdout.contains("FAILED") && refused.stdout.contains("Unknown space"),
        "{refused:?}"
    );
    let contact = json!({ "endpoint": "POST /api/hosting/v1/contacts", "fault": "status", "status": 422,
                          "message": "The postal_code of Bob Brown is wrong", "times": 1 });
    house.fault(&contact);
    let create = [COMMANDS[3], &["--yes"]].concat();
    let refused = house.refused(&create, 1, &["failed"]).await;
    assert!(refused.stdout.contains("LJPc refused the WHOIS contact"), "{refused:?}");
    assert!(!house.told().await.contains("Bob"), "what it quotes is masked");
    daemon.stop().await;
}
