//! One hostile order, from its submission to everything that tells of it.

use serde_json::{Value, json};

use super::{BREAKOUT, FOREIGN, MARKUP, SQL, TURNED, assert_harmless, customer, eml, reference};
use crate::{
    binary::{Process, get, provisor},
    house::{House, hosting},
};

const CONTACTS: &str = "/api/hosting/v1/contacts";

/// What a web server would be sent to.
fn target() -> String {
    format!("https://example.com/\"><script>{{{{7*7}}}}</script>?a={TURNED}&b='--")
}

fn txt() -> String {
    format!("v=x; {SQL} {MARKUP} {TURNED}")
}

async fn submit(house: &House) {
    let lines = json!([
        { "kind": "domain_register", "domain": "example.nl",
          "dns": [{ "type": "TXT", "name": "@", "content": txt(), "ttl": 3600 }] },
        { "kind": "hosting", "package": "hosting_forward", "domain": "forward.example", "target_url": target() },
    ]);
    let document = json!({ "reference": reference(), "customer": customer(), "lines": lines });
    house.world.submit(&document).await.expect("the order is well formed");
    // Its reason quotes what the shop wrote.
    let turned = hosting(&format!("exa{TURNED}\u{5d0}mple.nl"));
    let document = json!({ "reference": "TURNED-1", "customer": customer(), "lines": [turned] });
    house.world.submit(&document).await.expect("the order is well formed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_order_steers_nothing_on_its_way() {
    let house = House::new().await;
    let env = house.environment(&[("LOG__FILTER", "debug"), ("EMAIL__DISABLED", "")]);
    let mut daemon = Process::start(&["run"], &env);
    let address = daemon.until_ready().await;
    submit(&house).await;
    house.until_order(&reference(), "completed").await;
    house.until_order("TURNED-1", "failed").await;
    house.until_emailed().await;
    let unsent = "SELECT count(*) FROM provisor.email_outbox WHERE status <> 'sent'";
    assert_eq!(house.world.value::<i64>(unsent).await, 0);

    requests_hold_it_as_data(&house);
    mails_hold_it_as_text(&house);
    terminal_is_not_steered(&env).await;
    let (status, metrics) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    assert_metrics(&metrics);
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
    assert_logs(&daemon.printed());
    // What looked like SQL was text.
    assert_eq!(house.world.value::<i64>("SELECT count(*) FROM provisor.orders").await, 2);
}

/// Each request's body is the JSON that was meant, and its head is ours alone.
fn requests_hold_it_as_data(house: &House) {
    let journal = house.sandbox.state().journal(0);
    let bodies = |path: &str| -> Vec<Value> {
        let of_path = journal.iter().filter(|entry| entry.path == path && entry.method != "GET");
        of_path.map(|entry| serde_json::from_str(entry.body.as_str()).expect("JSON")).collect()
    };
    let contacts = bodies(CONTACTS);
    assert_eq!(contacts.len(), 1);
    let contact = &contacts[0];
    assert_eq!(contact["name"], format!("{MARKUP} {TURNED}"));
    assert_eq!(contact["organization"], SQL);
    assert_eq!(contact["address"], BREAKOUT);
    assert_eq!(contact["city"], FOREIGN);
    let orders = bodies("/api/v1/orders");
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0]["meta"]["external_reference"], format!("{}/1", reference()));
    assert_eq!(orders[0]["order_lines"][0]["cart_item"]["target_url"], target());
    let zones = bodies("/api/hosting/v1/dns/zones/example.nl/records");
    assert_eq!(zones.len(), 1);
    assert_eq!(zones[0]["records"][0]["content"], txt());
    for entry in &journal {
        assert!(
            entry.path.is_ascii() && !entry.path.contains(['<', '\'', '{', ' ']),
            "{}",
            entry.path
        );
        for (name, value) in &entry.headers {
            assert!(value.is_ascii() && !value.contains("SHOP-!"), "{name}: {value}");
        }
    }
}

/// Headers are ours, addresses are those that were given, and what looks like markup is text.
fn mails_hold_it_as_text(house: &House) {
    let mails = house.sandbox.state().mails();
    let subjects: Vec<_> = mails.iter().map(|mail| mail.subject.clone()).collect();
    assert_eq!(mails.len(), 4, "both orders' receipts and ends: {subjects:?}");
    for mail in mails {
        let known = ["bob+tag@example.com", "ops@example.com"];
        let [recipient] = mail.recipients.as_slice() else { panic!("{:?}", mail.recipients) };
        assert!(known.contains(&recipient.as_str()), "{recipient}");
        let eml = eml::Eml::parse(&std::fs::read(&mail.path).expect("it is there"));
        let mut names: Vec<&str> = eml.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "auto-submitted",
                "content-type",
                "date",
                "from",
                "message-id",
                "mime-version",
                "subject",
                "to"
            ]
        );
        for header in ["to", "from", "subject"] {
            assert_harmless(header, &eml::words(eml.header(header)));
        }
        assert_harmless("text", &eml.text.replace("\r\n", "\n"));
        assert_harmless("HTML", &eml.html.replace("\r\n", "\n"));
        for markup in ["<script", "<img"] {
            assert!(!eml.html.contains(markup), "{markup} in {}", eml.html);
        }
        assert!(
            !eml.text.contains("49</script>") && !eml.html.contains("49&lt;"),
            "it was evaluated"
        );
        if recipient.starts_with("bob") {
            assert!(eml.text.replace('\n', " ").contains("{{7*7}}"), "{}", eml.text);
            assert!(eml.html.contains("&lt;script&gt;"), "{}", eml.html);
            assert!(eml::words(eml.header("to")).contains("alert(1)"), "{}", eml.header("to"));
        }
    }
}

/// What a person's terminal is given; and what a script is given, which is whole.
async fn terminal_is_not_steered(env: &crate::binary::Environment) {
    let shown = reference();
    for args in [
        &["order", "list"][..],
        &["order", "show", &shown],
        &["order", "show", "TURNED-1"],
        &["order", "show", "TURNED-1", "--json"],
        &["order", "list", "--json"],
    ] {
        let ended = provisor(args, env).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_harmless(&args.join(" "), &ended.stdout);
        assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    }
    let report = provisor(&["order", "show", "TURNED-1", "--json"], env).await.json();
    let domain = report["lines"][0]["domain"].as_str().expect("a text").to_lowercase();
    assert_eq!(domain, format!("exa{TURNED}\u{5d0}mple.nl").to_lowercase(), "a script has it all");
    let refused = provisor(&["order", "show", "\u{1b}]0;title\u{7}\u{202e}"], env).await;
    assert_ne!(refused.code, Some(0));
    assert_harmless("an error", &refused.stderr);
}

/// Every line is a comment, or a series with a value; nothing of an order is in it.
fn assert_metrics(metrics: &str) {
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        assert!(series.is_ascii(), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    for private in ["SHOP-", "TURNED", "DROP TABLE", "<script", "example.nl"] {
        assert!(!metrics.contains(private), "{private}");
    }
}

/// One JSON object a line, and nothing in it that steers or is anybody's.
fn assert_logs(lines: &[String]) {
    assert!(lines.len() > 10);
    for line in lines {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
        assert_harmless("a log", line);
        for private in ["alert(1)", "jndi", "DROP TABLE", "bob+tag"] {
            assert!(!line.contains(private), "{private}: {line}");
        }
    }
}
