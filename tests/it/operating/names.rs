//! Names: registered, transferred, changed; and orders.

use serde_json::{Value, json};

use super::{Paper, bob};
use crate::{
    binary::{provisor, provisor_reading},
    house::House,
};

const REGISTER: &str = "POST /api/hosting/v1/domain-names";
const CODE: &str = "x7!Kq-04\"a";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_registered_for_a_customer_and_not_twice() {
    let house = House::new().await;
    let (daemon, bob) = (house.operators_daemon(), bob());
    let args = [
        "ljpc",
        "domains",
        "register",
        "example.nl",
        "--customer",
        bob.path(),
        "--years",
        "2",
        "--yes",
        "--json",
    ];
    let ended = house.done(&args).await;
    for word in ["costs     ", "POST /api/hosting/v1/contacts", "EUR without VAT", "is submitted"] {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
    let report = ended.json();
    assert_eq!(report["status"], "completed");
    let reference = report["reference"].as_str().unwrap();
    assert!(reference.starts_with("ops-"), "{reference}");
    assert_eq!(report["customer_reference"], "C-77");
    let sent = house.sent();
    assert_eq!(house.sent_paths(), ["POST /api/hosting/v1/contacts", REGISTER]);
    assert_eq!(sent[1].1["years"], 2);
    assert_eq!(sent[1].1["external_reference"], format!("{reference}/0"));
    // What was shown is the most that it may cost.
    let limit: Value =
        house.world.value("SELECT wish -> 'max_cost' FROM provisor.order_lines").await;
    assert_eq!(limit, report["lines"][0]["cost"], "{report}");

    house.refused(&args, 1, &["nothing is done", "example.nl can't be registered"]).await;
    assert_eq!((house.sent().len(), house.orders().await), (2, 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_be_bought_is_not_ordered() {
    let house = House::new().await;
    for (args, words) in [
        (&["--max-cost", "0.10"][..], &["nothing is done", "more than max_cost 0.10 EUR"][..]),
        (&["--max-cost", "cheap"], &["lines[0].max_cost: must be an amount"]),
        (
            &["--nameserver", "ns1.example.com"],
            &["lines[0].nameservers: must be an array of 2 to 13"],
        ),
    ] {
        let all = [
            &[
                "ljpc",
                "domains",
                "register",
                "example.nl",
                "--contact-handle",
                "sandbox-account",
                "--yes",
            ],
            args,
        ]
        .concat();
        house.refused(&all, 1, words).await;
    }
    house
        .refused(
            &["ljpc", "domains", "register", "example.nl", "--yes"],
            2,
            &["--contact-handle", "--customer"],
        )
        .await;
    assert_eq!((house.sent(), house.orders().await), (vec![], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auth_code_comes_by_any_way_but_an_argument_and_is_shown_nowhere() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let (file, bob) = (Paper::new(&format!("{CODE}\n")), bob());
    let base = ["ljpc", "domains", "transfer"];
    let tail = ["--customer", bob.path(), "--yes", "--no-wait"];
    let mut env = house.operator();
    let mut shown = String::new();
    for (name, way, input) in
        [("one.nl", Some(file.path()), ""), ("two.nl", Some("-"), CODE), ("three.nl", None, "")]
    {
        let ways: Vec<&str> = way.map_or(vec![], |way| vec!["--auth-code-file", way]);
        env.insert("PROVISOR_AUTH_CODE".to_owned(), CODE.to_owned());
        let args = [&base[..], &[name], &tail, &ways].concat();
        let ended = provisor_reading(&args, &env, input).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        shown.push_str(&ended.stdout);
        shown.push_str(&ended.stderr);
        let reference: String = house
            .world
            .value("SELECT reference FROM provisor.orders ORDER BY id DESC LIMIT 1")
            .await;
        house.until_order(&reference, "completed").await;
    }
    assert!(shown.contains("<auth code>") && !shown.contains("x7!Kq"), "{shown}");
    let sent = house.sent();
    let codes: Vec<&Value> = sent.iter().filter_map(|(_, body)| body.get("auth_code")).collect();
    assert_eq!(codes, [CODE, CODE, CODE]);
    assert!(!house.told().await.contains("x7!Kq"));
    env.remove("PROVISOR_AUTH_CODE");
    let args = [&base[..], &["four.nl"], &tail].concat();
    let ended = provisor(&args, &env).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("PROVISOR_AUTH_CODE"), "{ended:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_changed_where_anything_differs_and_not_again() {
    let house = House::new().await;
    house.put_name("example.nl");
    let daemon = house.operators_daemon();
    let args = [
        "ljpc",
        "domains",
        "update",
        "EXAMPLE.nl",
        "--auto-renew",
        "true",
        "--transfer-lock",
        "true",
        "--nameserver",
        "ns1.example.com",
        "--nameserver",
        "ns2.example.com",
        "--yes",
    ];
    let ended = house.done(&args).await;
    assert!(ended.stdout.contains("COMPLETED"), "{ended:?}");
    let sent = house.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, "PATCH /api/hosting/v1/domain-names/example.nl");
    // It is said to renew already; what is missing is sent with all that is wished.
    assert_eq!(sent[0].1["auto_renew"], json!(true));
    let again = house.done(&args).await;
    assert_eq!(again.stdout, "Nothing to do: it is so already.\n");
    let again = house.done(&[&args[..], &["--json"]].concat()).await;
    assert_eq!(again.json(), json!({ "changed": false, "reason": "it is so already" }));
    assert_eq!((house.sent().len(), house.orders().await), (1, 1));
    house
        .refused(
            &["ljpc", "domains", "update", "example.com", "--auto-renew", "true", "--yes"],
            1,
            &["example.com is not a name of this account"],
        )
        .await;
    house
        .refused(&["ljpc", "domains", "update", "example.nl", "--yes"], 1, &["at least one of"])
        .await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosting_is_ordered_by_options_and_by_a_file() {
    let house = House::new().await;
    let daemon = house.operators_daemon();
    let by_options = [
        "ljpc",
        "orders",
        "create",
        "--domain",
        "example.nl",
        "--package",
        "hosting_5gb",
        "--billing-period",
        "monthly",
        "--yes",
    ];
    let ended = house.done(&by_options).await;
    assert!(ended.stdout.contains("COMPLETED") && ended.stderr.contains("4.49 EUR"), "{ended:?}");
    let lines = json!([
        { "kind": "hosting_own", "domain": "example.com", "space_id": 7 },
        { "kind": "hosting", "domain": "example.net", "package": "hosting_1gb", "billing_period": "monthly" } ]);
    let args = ["ljpc", "orders", "create", "-", "--yes", "--json"];
    let report = house.done_reading(&args, &lines.to_string()).await.json();
    assert_eq!(
        (&report["status"], &report["customer_reference"]),
        (&"completed".into(), &"operator".into())
    );
    assert_eq!(house.sent_paths(), ["POST /api/v1/orders"; 3]);
    house.refused(&["ljpc", "orders", "create", "--yes"], 2, &["required"]).await;
    house
        .refused(
            &[
                "ljpc",
                "orders",
                "create",
                "--domain",
                "example.nl",
                "--package",
                "hosting_5gb",
                "--yes",
            ],
            1,
            &["billing_period is required"],
        )
        .await;
    assert_eq!(house.orders().await, 2);
    daemon.stop().await;
}
