//! Leanstack, in both editions of its document.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::upstream::{
    Endpoint, Scope,
    leanstack::{
        AddCustomer, AddedCustomer, Availability, Contract, CustomerOutcome, Leanstack,
        LeanstackSettings, Phone, Suggestion, endpoints::CHECK_AVAILABILITY,
    },
};

const EXISTS: &str = "Customer already exists for organisation";

fn leanstack(base_url: &str, contract: Contract, timeout: Duration) -> (Leanstack, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let settings = LeanstackSettings {
        base_url: Url::parse(base_url).unwrap(),
        access_token: Secret::new(KEY.to_owned()),
        contract,
        timeout,
        allow_http: false,
    };
    (Leanstack::new(settings, recorder.clone()).unwrap(), recorder)
}

fn customer() -> AddCustomer {
    AddCustomer {
        first_name: "Bob".to_owned(),
        last_name: "Brown".to_owned(),
        email: "bob@example.com".to_owned(),
        phone: Phone::parse("+2349018191818").unwrap(),
        address: "My home".to_owned(),
        country: "NG".to_owned(),
        city: "Lagos".to_owned(),
        postal_code: "100001".to_owned(),
    }
}

/// What `call` makes of what this server does, and the request as it came over the wire. There is one, whatever happens.
async fn once<T>(
    act: Act,
    timeout: Duration,
    contract: Contract,
    call: impl AsyncFnOnce(&Leanstack) -> Result<T, UpstreamError>,
) -> (Result<T, UpstreamError>, String) {
    let server = Server::start([act]).await;
    let (client, recorder) = leanstack(&server.url(), contract, timeout);
    let result = call(&client).await;
    let requests = server.requests();
    assert_eq!((server.connections(), requests.len()), (1, 1));
    let outcome = result.as_ref().map_or_else(UpstreamError::outcome, |_| "ok");
    let told: Vec<_> = recorder.told().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(told, [outcome]);
    (result, requests[0].replace(&server.addr().to_string(), "HOST"))
}

async fn available(status: &str, body: &str) -> Result<Availability, UpstreamError> {
    let act = Act::Answer(answer(status, "", body));
    once(act, PATIENCE, Contract::Seed, async |l| l.availability("tunji", "com").await).await.0
}

async fn suggested(status: &str, body: &str) -> Result<Vec<Suggestion>, UpstreamError> {
    let act = Act::Answer(answer(status, "", body));
    once(act, PATIENCE, Contract::Seed, async |l| l.suggestions("tunji").await).await.0
}

async fn add(leanstack: &Leanstack) -> Result<AddedCustomer, UpstreamError> {
    let prepared = customer().prepare(leanstack.contract());
    let deadline = Deadline::after(PATIENCE);
    let connected = leanstack.connect(prepared.endpoint(), deadline).await?;
    leanstack.add_customer(connected, &prepared, deadline).await
}

async fn added(status: &str, body: &str) -> Result<AddedCustomer, UpstreamError> {
    once(Act::Answer(answer(status, "", body)), PATIENCE, Contract::Seed, add).await.0
}

/// The request with its headers in the order of their names, and without what differs each time. Its id is given beside it.
fn as_sent(request: &str) -> (String, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().map(str::to_owned).collect();
    let first = lines.remove(0);
    lines.sort_unstable();
    let id = lines.iter().find_map(|l| l.strip_prefix("debug_id: ")).unwrap().to_owned();
    let version = concat!("provisor/", env!("CARGO_PKG_VERSION"));
    let text = format!("{first}\n{}\n\n{body}", lines.join("\n"));
    (text.replace(&id, "ID").replace(version, "provisor/VERSION"), id)
}

#[tokio::test]
async fn requests_of_both_editions_are_as_documented() {
    let free = sample("leanstack", "post_domain_availability_free_200");
    let mut ids = Vec::new();
    for (suffix, contract) in [("seed", Contract::Seed), ("2022", Contract::Edition2022)] {
        let act = Act::Answer(answer("200 OK", "", &free));
        let (result, question) =
            once(act, PATIENCE, contract, async |l| l.availability("tunji", "com").await).await;
        result.unwrap();
        let act = Act::Answer(answer("200 OK", "", "{}"));
        let (result, addition) = once(act, PATIENCE, contract, add).await;
        result.unwrap();
        insta::with_settings!({ snapshot_suffix => suffix }, {
            let (question, id) = as_sent(&question);
            ids.push(id);
            insta::assert_snapshot!("availability", question);
            let (addition, id) = as_sent(&addition);
            ids.push(id);
            insta::assert_snapshot!("add_customer", addition);
        });
    }
    let act = Act::Answer(answer("200 OK", "", "[]"));
    let (result, request) =
        once(act, PATIENCE, Contract::Seed, async |l| l.suggestions("tunji").await).await;
    assert_eq!(result, Ok(vec![]));
    let (text, id) = as_sent(&request);
    insta::assert_snapshot!("suggestions", text);
    ids.push(id);
    assert!(ids.iter().all(|id| id.parse::<uuid::Uuid>().is_ok()), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each request has an id of its own");
}

#[test]
fn bodies_are_the_documents_samples() {
    let prepared = customer().prepare(Contract::Seed);
    let body: Value = serde_json::from_slice(prepared.body()).unwrap();
    let sample: Value =
        serde_json::from_str(&sample("leanstack", "post_add_customer_request")).unwrap();
    assert_eq!(body, sample);
    assert_eq!(prepared.hash(), customer().prepare(Contract::Seed).hash(), "without the id");
    assert_ne!(prepared.id(), customer().prepare(Contract::Seed).id());
    assert_ne!(prepared.hash(), customer().prepare(Contract::Edition2022).hash());
}

#[tokio::test]
async fn availability_is_read_as_documented() {
    for (name, free, price) in [
        ("post_domain_availability_free_200", Some(true), Some("5")),
        ("post_domain_availability_taken_200", Some(false), Some("5")),
        ("post_domain_availability_unsold_200", None, None),
    ] {
        let read = available("200 OK", &sample("leanstack", name)).await.unwrap();
        assert_eq!(read.tld_available, price.is_some());
        assert_eq!(read.domain_name_available, free);
        assert_eq!(read.dollar_price.map(|p| p.to_string()).as_deref(), price);
        assert_eq!(read.naira_price.is_some(), price.is_some());
    }
    let strange = r#"{"tld_available": true, "dollar_price": 4.90, "naira_price": "call us"}"#;
    let read = available("200 OK", strange).await.unwrap();
    assert_eq!(read.dollar_price.map(|p| p.to_string()).as_deref(), Some("4.90"));
    assert_eq!((read.naira_price, read.domain_name_available), (None, None));
}

#[tokio::test]
async fn questions_are_never_in_doubt() {
    for (status, body) in [
        ("200 OK", "{}"),
        ("200 OK", r#"{"tld_available": "true"}"#),
        ("200 OK", r#"{"tld_available": true, "domain_name_available": "no"}"#),
        ("200 OK", "<html>"),
        ("200 OK", ""),
        ("302 Found", "{}"),
        ("404 X", "<html>"),
        ("422 X", "{}"),
        ("500 X", r#"{"message": "oops"}"#),
    ] {
        assert_unavailable(&available(status, body).await, body);
        assert_unavailable(&suggested(status, body).await, body);
    }
    let huge = format!("{}[]", " ".repeat(1024 * 1024));
    assert_unavailable(&suggested("200 OK", &huge).await, "a huge body");
    for (act, timeout) in
        [(Act::Reset, PATIENCE), (Act::Answer(vec![]), PATIENCE), (Act::Stall(vec![]), IMPATIENCE)]
    {
        let call = async |l: &Leanstack| l.availability("tunji", "com").await;
        let (result, request) = once(act, timeout, Contract::Seed, call).await;
        assert_unavailable(&result, "broken");
        let id = as_sent(&request).1;
        assert_eq!(result.unwrap_err().jti(), Some(id.as_str()), "what their support asks for");
    }
}

#[tokio::test]
async fn message_is_a_refusal() {
    for status in ["200 OK", "400 X", "422 X"] {
        let result = available(status, r#"{"message": "domain_name is key-of-a-test"}"#).await;
        let Err(UpstreamError::Rejected { message, jti, .. }) = result else {
            panic!("{result:?}")
        };
        assert_eq!((message.as_str(), jti.is_some()), ("domain_name is [secret]", true));
        assert!(matches!(
            suggested(status, r#"{"message": "no"}"#).await,
            Err(UpstreamError::Rejected { .. })
        ));
    }
}

#[tokio::test]
async fn what_fails_before_the_connection_stands_is_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (client, recorder) = leanstack(&refused, Contract::Seed, PATIENCE);
    let result = client.availability("tunji", "com").await;
    assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{result:?}");
    assert_eq!(recorder.told(), [(CHECK_AVAILABILITY.name, "not_sent")]);
    assert!(matches!(add(&client).await, Err(UpstreamError::NotSent { .. })));
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let other = Server::start([]).await;
    let location = format!("Location: {}/v1/enterprise/domain_availability\r\n", other.url());
    let act = Act::Answer(answer("307 X", &location, ""));
    let call = async |l: &Leanstack| l.availability("tunji", "com").await;
    assert_unavailable(&once(act, PATIENCE, Contract::Seed, call).await.0, "redirect");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn what_may_have_an_effect_is_not_merely_asked() {
    static CHANGE: Endpoint = Endpoint::new("POST /change");
    let server = Server::start([]).await;
    let settings = Ljpc::transport_settings(settings(&server.url(), PATIENCE));
    let transport =
        crate::upstream::Transport::new(settings, Arc::new(Recorder::default())).unwrap();
    let request = PreparedRequest::json(&CHANGE, "/change".to_owned(), &json!({}), vec![]);
    let result = transport.ask(&request, 10).await;
    assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{result:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn suggestions_are_read_as_documented() {
    let read =
        suggested("200 OK", &sample("leanstack", "post_domain_suggestion_200")).await.unwrap();
    let names: Vec<_> = read.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["yourtunji.com", "tunjiclub.com", "tunji.tech"]);
    assert_eq!((read[2].domain_name.as_str(), read[2].tld.as_str()), ("tunji", "tech"));
    assert_eq!(read[0].dollar_price.unwrap().to_string(), "4.9");
    assert_eq!(read[2].naira_price.unwrap().to_string(), "15000");
}

#[tokio::test]
async fn suggestions_are_bounded_and_only_names() {
    let strange = r#"[{"domain_name": "Bücher", "tld": "example", "dollar_price": null},
        {"domain_name": "<b>", "tld": "com"}, {"domain_name": "a", "tld": ""}, {"tld": "com"}, "x", null,
        {"domain_name": "http://evil", "tld": "com"}, {"domain_name": "evil.example/", "tld": "com"}]"#;
    let read = suggested("200 OK", strange).await.unwrap();
    let names: Vec<_> = read.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["xn--bcher-kva.example"]);

    let many: Vec<_> =
        (0..500).map(|n| json!({"domain_name": format!("a{n}"), "tld": "com"})).collect();
    assert_eq!(suggested("200 OK", &json!(many).to_string()).await.unwrap().len(), 100);
    for none in ["{\"data\": []}", "null", "7"] {
        assert_unavailable(&suggested("200 OK", none).await, none);
    }
}

#[tokio::test]
async fn customer_that_is_there_is_success() {
    let answers = [
        ("200 OK", "post_add_customer_200", CustomerOutcome::Added),
        ("201 Created", "post_add_customer_200", CustomerOutcome::Added),
        ("200 OK", "post_add_customer_exists_200", CustomerOutcome::AlreadyExists),
        ("422 X", "post_add_customer_exists_200", CustomerOutcome::AlreadyExists),
        ("400 X", "post_add_customer_exists_200", CustomerOutcome::AlreadyExists),
    ];
    for (status, name, outcome) in answers {
        let http_status = status[..3].parse().unwrap();
        let read = added(status, &sample("leanstack", name)).await;
        assert_eq!(read, Ok(AddedCustomer { outcome, http_status }), "{status} {name}");
    }
}

#[tokio::test]
async fn customer_that_is_refused() {
    let body = r#"{"message": "phone 2349018191818 of Bob Brown, bob@example.com, is wrong"}"#;
    for status in ["200 OK", "400 X", "404 X", "409 X", "422 X"] {
        let result = added(status, body).await;
        let Err(UpstreamError::Rejected { message, jti, .. }) = result else {
            panic!("{result:?}")
        };
        assert_eq!(message, "phone [secret] of [secret] [secret], [secret], is wrong");
        assert!(jti.is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()));
    }
    let limited = added("429 X", body).await;
    assert_eq!(limited, Err(UpstreamError::RateLimited { after: Duration::from_secs(5) }));
    for (status, scope) in [("401 X", Scope::Upstream), ("403 X", Scope::Endpoint)] {
        for body in [body, "<html>"] {
            let result = added(status, body).await;
            let Err(UpstreamError::Unauthorized { scope: seen, .. }) = result else {
                panic!("{status}: {result:?}")
            };
            assert_eq!(seen, scope);
        }
    }
}

#[tokio::test]
async fn customer_of_whom_nothing_certain_is_said_is_in_doubt() {
    let exists = json!({ "message": EXISTS }).to_string();
    for (status, body) in [
        ("200 OK", ""),
        ("200 OK", "[]"),
        ("200 OK", "null"),
        ("200 OK", "<html>"),
        ("200 OK", "{"),
        ("200 OK", r#"{"id": 5}"#),
        ("200 OK", r#"{"message": null}"#),
        ("200 OK", r#"{"message": " "}"#),
        ("204 No Content", ""),
        ("302 Found", "{}"),
        ("400 X", "{}"),
        ("422 X", "<html>"),
        ("418 X", &exists),
        ("500 X", &exists),
        ("502 X", "<html>"),
    ] {
        let result = added(status, body).await;
        assert_in_doubt(&result, &format!("{status} {body}"));
        assert!(result.unwrap_err().jti().is_some());
    }
    for act in [Act::Reset, Act::Answer(vec![])] {
        let (result, request) = once(act, PATIENCE, Contract::Seed, add).await;
        assert_in_doubt(&result, "broken");
        assert_eq!(result.unwrap_err().jti(), Some(as_sent(&request).1.as_str()));
    }
}

#[test]
fn nothing_personal_and_no_token_is_shown() {
    let (client, _) = leanstack("https://leanstack.example", Contract::Seed, PATIENCE);
    let customer = customer();
    let shown = format!("{client:?} {customer:?} {:?}", customer.prepare(Contract::Seed));
    for hidden in [KEY, "Bob", "Brown", "bob@", "234901", "My home", "Lagos", "100001"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

proptest! {
    #[test]
    fn any_answer_is_read_without_a_panic(
        status in 100_u16..1000,
        body in prop_oneof![
            any::<Vec<u8>>(),
            prop::collection::hash_map(
                prop::sample::select(vec!["message", "tld_available", "dollar_price", "domain_name", "tld"]),
                prop_oneof![Just(json!(null)), Just(json!(true)), Just(json!([1])), ".{0,9}".prop_map(|t| json!(t))],
                0..4,
            ).prop_map(|map| json!(map).to_string().into_bytes()),
        ],
    ) {
        let head = http::Response::builder().status(status).body(()).unwrap().into_parts().0;
        let answer = crate::upstream::Answer::new(&head, Ok(body.into()), vec![]);
        crate::upstream::leanstack::read_as_everything(&answer);
    }
}
