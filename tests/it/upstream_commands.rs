//! `provisor ljpc …` and `provisor leanstack …`, beside a server that answers with the samples of the two documents.

use std::{fmt::Write as _, net::SocketAddr};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::binary::{Ended, Environment, provisor};

const KEY: &str = "marker-of-the-key";

/// Answers each question of the documents with its sample.
struct Samples {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Samples {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let serving = tokio::spawn(async {
            axum::serve(listener, Router::new().fallback(answer)).await.expect("it serves");
        });
        Self { address, serving }
    }

    fn environment(&self, key: &str) -> Environment {
        [
            ("PROVISOR_LJPC__BASE_URL", format!("http://{}", self.address)),
            ("PROVISOR_LJPC__API_KEY", key.to_owned()),
            ("PROVISOR_LEANSTACK__BASE_URL", format!("http://{}", self.address)),
            ("PROVISOR_LEANSTACK__ACCESS_TOKEN", key.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn sample(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("a sample")
}

async fn answer(headers: HeaderMap, request: Request) -> (StatusCode, String) {
    let known = ["x-api-key", "access_token"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|key| key == KEY));
    if !known {
        let body = json!({"success": false, "jti": "j-401", "message": "Unknown key"});
        return (StatusCode::UNAUTHORIZED, body.to_string());
    }
    let question = format!("{} {}", request.method(), request.uri());
    let question = question.replacen("/api/hosting/v1", "", 1);
    let (status, name) = match question.as_str() {
        "GET /tlds" => (200, "ljpc/get_tlds_200"),
        "GET /domain-names/check?domain=example.nl" => (200, "ljpc/get_domain_names_check_200"),
        "GET /domain-names/price?domain=example.nl" => (200, "ljpc/get_domain_names_price_200"),
        "GET /domain-names?page=1&per_page=100" => (200, "ljpc/get_domain_names_200"),
        "GET /domain-names/example.nl" => (200, "ljpc/get_domain_names_domain_200"),
        "GET /domain-names/example.nl/authcode" => {
            (200, "ljpc/get_domain_names_domain_authcode_200")
        }
        "GET /domain-names/example.com/authcode" => {
            (404, "ljpc/get_domain_names_domain_authcode_404")
        }
        "GET /contacts?page=1&per_page=100" => (200, "ljpc/get_contacts_200"),
        "GET /contacts/apitest-owned-0001" => (200, "ljpc/get_contacts_handle_200"),
        "GET /contacts/apitest-owned-0009" => (404, "ljpc/get_contacts_handle_404"),
        "GET /dns/zones/example.nl/records" => (200, "ljpc/get_dns_zones_domain_records_200"),
        "GET /dns/zones/example.com/records" => (404, "ljpc/get_dns_zones_domain_records_404"),
        "GET /sites?page=1&per_page=100" => (200, "ljpc/get_sites_200"),
        "GET /sites/2019" => (200, "ljpc/get_sites_id_200"),
        "GET /sites/2019/login" => (200, "ljpc/get_sites_id_login_200"),
        "GET /sites/2020/login" => return (StatusCode::NO_CONTENT, String::new()),
        "GET /sites/2021/login" => (403, "ljpc/get_sites_id_login_403"),
        "GET /api/v1/products" => (200, "ljpc/get_products_200"),
        "GET /api/v1/orders/110" => (200, "ljpc_client/order_detail"),
        "POST /v1/enterprise/domain_availability" => {
            (200, "leanstack/post_domain_availability_free_200")
        }
        "POST /v1/enterprise/domain_suggestion" => (200, "leanstack/post_domain_suggestion_200"),
        _ => return (StatusCode::BAD_GATEWAY, format!("<html>{question}</html>")),
    };
    // The document's sample of a listing shows one of two domains.
    let body = sample(name).replace("\"total\": 2", "\"total\": 1");
    (StatusCode::from_u16(status).expect("a status"), body)
}

/// Every command that only prints, in the order of the help.
const COMMANDS: &[&[&str]] = &[
    &["ljpc", "tlds"],
    &["ljpc", "check", "EXAMPLE.nl"],
    &["ljpc", "price", "example.nl"],
    &["ljpc", "domains", "list"],
    &["ljpc", "domains", "show", "example.nl"],
    &["ljpc", "domains", "authcode", "example.nl"],
    &["ljpc", "contacts", "list"],
    &["ljpc", "contacts", "show", "apitest-owned-0001"],
    &["ljpc", "dns", "get", "example.nl"],
    &["ljpc", "dns", "get", "example.com"],
    &["ljpc", "sites", "list"],
    &["ljpc", "sites", "show", "2019"],
    &["ljpc", "sites", "login", "2019"],
    &["ljpc", "products"],
    &["ljpc", "orders", "show", "110"],
    &["leanstack", "availability", "tunji.com"],
    &["leanstack", "suggest", "tunji"],
];

async fn ran(args: &[&str], env: &Environment) -> Ended {
    let ended = provisor(args, env).await;
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    ended
}

#[tokio::test]
async fn every_question_is_answered_for_people() {
    let samples = Samples::start().await;
    let env = samples.environment(KEY);
    let mut seen = String::new();
    for args in COMMANDS {
        let ended = ran(args, &env).await;
        let lines: Vec<&str> = ended.stdout.lines().map(str::trim_end).collect();
        writeln!(seen, "$ provisor {}\n{}{}\n", args.join(" "), ended.stderr, lines.join("\n"))
            .unwrap();
    }
    insta::assert_snapshot!("answers_for_people", seen);
}

#[tokio::test]
async fn every_question_is_answered_for_scripts() {
    let samples = Samples::start().await;
    let env = samples.environment(KEY);
    let mut seen = String::new();
    for args in COMMANDS {
        let data = ran(&[args, &["--json"][..]].concat(), &env).await.json();
        writeln!(seen, "$ provisor {} --json\n{data:#}\n", args.join(" ")).unwrap();
    }
    insta::assert_snapshot!("answers_for_scripts", seen);
}

#[tokio::test]
async fn leanstacks_advice_stands_beside_ljpcs_word() {
    let samples = Samples::start().await;
    let mut env = samples.environment(KEY);
    env.insert("PROVISOR_LEANSTACK__ENABLED".to_owned(), "true".to_owned());
    let check = ["ljpc", "check", "example.nl"];
    let advised = ran(&check, &env).await.stdout;
    assert!(advised.contains("LEANSTACK ADVISES"), "{advised}");
    assert_eq!(advised.matches("available").count(), 2, "{advised}");
    // What it does not say is not missed.
    let (_closed, address) = crate::commands::closed_port();
    env.insert("PROVISOR_LEANSTACK__BASE_URL".to_owned(), format!("http://{address}"));
    let alone = ran(&check, &env).await.stdout;
    assert!(alone.contains("available") && alone.contains("no answer (not_sent)"), "{alone}");
}

#[tokio::test]
async fn secrets_are_the_only_thing_on_standard_output() {
    let samples = Samples::start().await;
    let env = samples.environment(KEY);
    for (args, secret) in [
        (&["ljpc", "domains", "authcode", "example.nl"][..], "x7!Kq-04\"a"),
        (
            &["ljpc", "sites", "login", "2019"],
            "https://panel.ljpc.systems/sso?token=9c1f0a7be2d84c55",
        ),
    ] {
        let ended = ran(args, &env).await;
        assert_eq!(ended.stdout, format!("{secret}\n"));
        assert!(ended.stderr.contains("a secret: ") && !ended.stderr.contains(secret));
    }
    let order = ran(&["ljpc", "orders", "show", "110", "--json"], &env).await;
    assert!(!order.stdout.contains("s3cr3t"), "an auth code within an order is not shown");
    let item = &order.json()["order_lines"][1]["cart_item"];
    assert_eq!(item["action"], Value::from("transfer"));
}

#[tokio::test]
async fn failures_come_with_their_cure() {
    let samples = Samples::start().await;
    let (env, stranger) = (samples.environment(KEY), samples.environment("another"));
    let mut away = samples.environment(KEY);
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    away.insert("PROVISOR_LJPC__BASE_URL".to_owned(), address);
    let unset = Environment::new();
    for (args, env, code, words) in [
        (&["ljpc", "tlds"][..], &away, 1, &["can't be reached", "ljpc.base_url"][..]),
        (&["ljpc", "tlds"], &stranger, 1, &["does not know the key", "ljpc.api_key", "j-401"]),
        (&["leanstack", "suggest", "a"], &stranger, 1, &["leanstack.access_token"]),
        (&["ljpc", "tlds"], &unset, 2, &["ljpc.api_key"]),
        (&["leanstack", "suggest", "a"], &unset, 2, &["leanstack.access_token"]),
        (&["ljpc", "contacts", "show", "apitest-owned-0009"], &env, 1, &["Contact not found"]),
        (&["ljpc", "contacts", "show", ".."], &env, 1, &["path"]),
        (
            &["ljpc", "domains", "authcode", "example.com"],
            &env,
            1,
            &["Auth code is not available", "0f8c2d5e-6a4b-4c1e-9d37-2b5f8e1a7c90"],
        ),
        (&["ljpc", "sites", "login", "2020"], &env, 1, &["no login URL", "2020"]),
        (&["ljpc", "sites", "login", "2021"], &env, 1, &["don't have permission"]),
        (&["ljpc", "sites", "show", "1"], &env, 1, &["no usable answer", "502", "try again"]),
    ] {
        let ended = provisor(args, env).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{args:?}: {ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "{args:?} {word}: {ended:?}");
        }
        assert!(!ended.stderr.contains("marker"), "{ended:?}");
    }
}
