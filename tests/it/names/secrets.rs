//! Auth codes and personal data of names: where they may be, and where they never are.

use std::process::Command;

use serde_json::{Value, json};

use super::{CONTACTS, TRANSFER, a_record, register, transfer, with};
use crate::{
    binary::Process,
    house::{House, eventually},
    intake::refusal,
    logs::{customer, private},
};

/// An auth code that nothing else looks like, with what breaks naive quoting.
fn code(of: &str) -> String {
    format!("MARKER-{of}-7f\"x\\y'<z>&é;$1")
}

/// A transfer with the code of its name.
fn secret_transfer(of: &str, extra: Value) -> Value {
    transfer(&format!("{of}.nl"), with(json!({ "auth_code": code(of) }), extra))
}

/// All that the database holds, as `pg_dump` writes it: each row of a table as a statement of its own.
fn dump(house: &House) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/script/postgres-bin");
    let found = Command::new(script).output().expect("script/postgres-bin runs");
    let folder = String::from_utf8(found.stdout).expect("a path");
    let dumped = Command::new(format!("{}/pg_dump", folder.trim()))
        .arg("--inserts")
        .arg(house.world.url())
        .output()
        .expect("pg_dump runs");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    String::from_utf8(dumped.stdout).expect("UTF-8")
}

/// The statements of a dump that hold this text.
fn statements<'a>(dump: &'a str, text: &str) -> Vec<&'a str> {
    dump.lines().filter(|line| line.contains(text)).collect()
}

/// Orders of transfers that end in every way, or not at all: the first word of each is its reference and its name.
const ENDED: [&str; 6] = ["done", "by-order", "rejected", "refused", "withdrawn", "unsold"];
const OPEN: [&str; 3] = ["held", "doubt", "pending"];

/// Submits all of them, and waits until each is where it belongs.
async fn carry_all_out(house: &House) {
    // LJPc quotes the code; and it says no, says nothing, and shows no name.
    for fault in [
        json!({ "endpoint": TRANSFER, "fault": "fail", "match": { "domain": "rejected" } }),
        json!({ "endpoint": TRANSFER, "fault": "status", "status": 422, "match": { "domain": "refused" },
                "message": format!("The auth code {} is wrong", code("refused")) }),
        json!({ "endpoint": TRANSFER, "fault": "status", "status": 500, "match": { "domain": "doubt" },
                "message": format!("While reading {}", code("doubt")) }),
        json!({ "endpoint": "GET /api/hosting/v1/domain-names/{domain}", "fault": "status", "status": 404,
                "message": "Domain not found", "times": 1000, "match": { "domain": "pending" } }),
    ] {
        house.fault(&fault);
    }
    for of in ENDED.into_iter().chain(OPEN) {
        let line = match of {
            "by-order" => secret_transfer(of, json!({ "route": "order" })),
            "held" | "withdrawn" => secret_transfer(of, json!({ "max_cost": "1.00" })),
            "unsold" => with(secret_transfer(of, json!({})), json!({ "domain": "unsold.xyz" })),
            _ => secret_transfer(of, json!({})),
        };
        house.order_of(of, &customer(), json!([line])).await;
    }
    for (of, status) in [
        ("done", "completed"),
        ("by-order", "completed"),
        ("rejected", "failed"),
        ("refused", "failed"),
        ("withdrawn", "held"),
        ("unsold", "failed"),
        ("held", "held"),
        ("doubt", "in_doubt"),
        ("pending", "provisioning"),
    ] {
        house.until_line(of, 0, status).await;
    }
    assert_eq!(house.cancel("withdrawn").await, "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_holds_the_auth_codes_of_open_transfers_alone_and_each_in_one_place() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    carry_all_out(&house).await;
    house.until_emailed().await;
    let dump = dump(&house);
    for of in ENDED {
        let marker = format!("MARKER-{of}");
        assert_eq!(statements(&dump, &marker), [""; 0], "the line has ended");
        assert!(house.sandbox.state().journal(0).iter().any(|entry| {
            entry.body.as_str().contains(&marker) || matches!(of, "withdrawn" | "unsold")
        }));
    }
    for of in OPEN {
        let found = statements(&dump, &format!("MARKER-{of}"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("INSERT INTO provisor.transfer_secrets "), "{found:#?}");
    }
    // Those that end now lose theirs: by a person's word, by the name's arrival, by a late look.
    assert_eq!(house.cancel("held").await, "cancelled");
    house.no_more_faults();
    house.until_order("pending", "completed").await;
    house.put_domain(
        &json!({ "domain": "doubt.nl", "status": "active", "contact_handle": "sandbox-0001" }),
    );
    house.until_order("doubt", "completed").await;
    assert_eq!(statements(&self::dump(&house), "MARKER-"), [""; 0]);
    let left: i64 = house.world.value("SELECT count(*) FROM provisor.transfer_secrets").await;
    assert_eq!(left, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_told_holds_an_auth_code_or_what_a_contact_holds() {
    let house = House::new().await;
    let changes = [
        ("LOG__FILTER", "trace"),
        ("EMAIL__DISABLED", ""),
        ("POLL__TRANSFER_MAX_INTERVAL", "500ms"),
        ("POLL__FAILED_RECHECK", "500ms"),
        ("LJPC__EVIDENCE_INTERVAL", "200ms"),
    ];
    let mut daemon = Process::start(&["run"], &house.environment(&changes));
    daemon.until_ready().await;
    // Contacts that are refused, unanswered and doubted, each with words that quote its customer.
    let quoting = format!("{} of {}", customer()["email"], customer()["address"]);
    for (name, fault) in [
        ("contact-no", json!({ "fault": "status", "status": 422, "message": quoting })),
        ("contact-broken", json!({ "fault": "status", "status": 500, "message": quoting })),
        ("contact-cut", json!({ "fault": "process_then_drop" })),
    ] {
        // One after the other: each needs a contact of its own customer.
        house.fault(&with(fault, json!({ "endpoint": CONTACTS })));
        let own = with(customer(), json!({ "reference": name }));
        let wish = json!({ "auto_renew": false, "dns": [a_record("@", "192.0.2.10")] });
        house.order_of(name, &own, json!([register(&format!("{name}.nl"), wish)])).await;
        let end = if name == "contact-no" { "failed" } else { "completed" };
        house.until_order(name, end).await;
    }
    carry_all_out(&house).await;
    house.until_emailed().await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());

    let logged = daemon.printed();
    assert!(logged.len() > 1000, "it talks");
    let events = "SELECT string_agg(e::text, E'\\n') FROM provisor.order_events e";
    let lines = "SELECT string_agg(l::text, E'\\n') FROM provisor.line_status l";
    let orders = "SELECT string_agg(o::text, E'\\n') FROM provisor.order_status o";
    let names = "SELECT string_agg(d::text, E'\\n') FROM provisor.domain_status d";
    let ledger = "SELECT string_agg(e::text || a::text, E'\\n')
                  FROM provisor.effects e JOIN provisor.attempts a ON a.effect_id = e.id";
    let outbox = "SELECT string_agg(m::text, E'\\n') FROM provisor.email_outbox m";
    let mut told = logged;
    for query in [events, lines, orders, names, ledger, outbox] {
        told.push(house.world.value(query).await);
    }
    for text in &told {
        assert!(!text.contains("MARKER-"), "an auth code: {text}");
        for private in private() {
            assert!(!text.contains(&private), "{private}: {text}");
        }
    }
    // An email may name its customer, and never a code.
    let mails = house.sandbox.state().mails();
    assert!(mails.len() > ENDED.len());
    for mail in mails {
        let mail = format!("{mail:?}");
        assert!(!mail.contains("MARKER-"), "{mail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_needed_no_more_once_its_line_has_ended_and_is_not_asked_for_again() {
    let house = House::new().await;
    let daemon = house.quick_daemon();
    house.order_of("done", &customer(), json!([secret_transfer("done", json!({}))])).await;
    house.until_order("done", "completed").await;
    // The same order once more is the same order, and brings no code back.
    house.order_of("done", &customer(), json!([secret_transfer("done", json!({}))])).await;
    let left = "SELECT count(*) FROM provisor.transfer_secrets";
    eventually("the code is gone", async || house.world.value::<i64>(left).await == 0).await;
    // Another code is another content, though neither is kept.
    let other = json!({ "reference": "done", "customer": customer(),
                        "lines": [secret_transfer("done", json!({ "auth_code": "another" }))] });
    let (code, message) = refusal(house.world.submit(&other).await);
    assert_eq!(code, "23505");
    assert!(!message.contains("another"), "{message}");
    daemon.stop().await;
}
