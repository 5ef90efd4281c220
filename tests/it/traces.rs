//! An order's trace: one over all processes that do something for it, exported to a collector, or an id in the logs.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Any,
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    binary::Process,
    house::{House, eventually, hosting},
    logs::{ECHO, customer, private},
};

/// What a collector was sent.
#[derive(Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<Bytes>>>);

impl Collected {
    /// A collector on this machine, for the rest of the test, and its base.
    pub(crate) async fn listen() -> (String, Self) {
        let collected = Self::default();
        let take = async |State(to): State<Self>, body: Bytes| to.0.lock().unwrap().push(body);
        let router = Router::new().route("/v1/traces", post(take)).with_state(collected.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (base, collected)
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.0.lock().unwrap();
        let request =
            |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).expect("it is OTLP");
        let resources = bodies.iter().map(request).flat_map(|it| it.resource_spans);
        resources.flat_map(|it| it.scope_spans).flat_map(|it| it.spans).collect()
    }

    /// All bytes that were sent, as far as they are text.
    pub(crate) fn text(&self) -> String {
        let bodies = self.0.lock().unwrap();
        bodies.iter().map(|body| String::from_utf8_lossy(body)).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn text_of(span: &Span, key: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|it| it.key == key)?;
    let Any::StringValue(text) = attribute.value.as_ref()?.value.as_ref()? else { return None };
    Some(text.clone())
}

async fn traceparent(house: &House, reference: &str) -> String {
    let of = format!("SELECT traceparent FROM provisor.orders WHERE reference = '{reference}'");
    house.world.value(&of).await
}

#[tokio::test]
async fn a_trace_goes_on_in_the_process_that_takes_an_order_over() {
    let (base, collected) = Collected::listen().await;
    let house = House::with(|options| options.delay = std::time::Duration::from_secs(2)).await;
    let changes = [("TRACE__OTLP_ENDPOINT", base.as_str()), ("EMAIL__DISABLED", "")];
    let mut first = Process::start(&["run"], &house.environment(&changes));
    first.until_ready().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    let logged = first.until_logged("accepted").await;
    first.signal("TERM").await;
    assert!(first.ended().await.success());
    let mut second = Process::start(&["run"], &house.environment(&changes));
    second.until_ready().await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    second.signal("TERM").await;
    assert!(second.ended().await.success());

    let parent = traceparent(&house, "SHOP-1").await;
    let (trace, span) = (parent[3..35].to_owned(), parent[36..52].to_owned());
    assert_eq!(logged["spans"][0]["trace_id"], trace, "{logged}");
    let spans = collected.spans();
    let ours: Vec<&Span> = spans.iter().filter(|it| hex(&it.trace_id) == trace).collect();
    let runs: Vec<&&Span> = ours.iter().filter(|it| it.name == "line").collect();
    assert!(runs.len() >= 2, "{spans:?}");
    for run in &runs {
        assert_eq!(hex(&run.parent_span_id), span);
        assert_eq!(text_of(run, "reference").as_deref(), Some("SHOP-1"));
    }
    let email = ours.iter().find(|it| it.name == "email").expect("an email");
    assert_eq!(hex(&email.parent_span_id), span);
    // Each request stands below the run that made it, and says how it ended.
    for endpoint in ["POST /api/v1/orders", "GET /api/v1/orders/{id}"] {
        let request = ours.iter().find(|it| text_of(it, "endpoint").as_deref() == Some(endpoint));
        let request = request.unwrap_or_else(|| panic!("{endpoint}: {ours:?}"));
        assert!(runs.iter().any(|run| run.span_id == request.parent_span_id), "{request:?}");
        assert_eq!(text_of(request, "outcome").as_deref(), Some("ok"));
    }
}

#[tokio::test]
async fn an_order_goes_on_with_the_trace_of_its_shop_and_no_nonsense_fails_it() {
    let house = House::new().await;
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
    for (reference, said) in [("SHOP-1", given), ("SHOP-2", zero), ("SHOP-3", "'; nonsense")] {
        let mut transaction = house.world.pool.begin().await.unwrap();
        sqlx::query("SELECT set_config('provisor.traceparent', $1, true)")
            .bind(said)
            .execute(&mut *transaction)
            .await
            .unwrap();
        let document = crate::house::order(reference, json!([hosting("example.nl")]));
        sqlx::query("SELECT provisor.submit_order($1)")
            .bind(document)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
    assert_eq!(traceparent(&house, "SHOP-1").await, given);
    let own = [traceparent(&house, "SHOP-2").await, traceparent(&house, "SHOP-3").await];
    assert_ne!(own[0], own[1]);
    for own in own {
        assert!(provisor::trace::Trace::parse(&own).is_some(), "{own}");
    }
}

/// No order waits for a collector, nor does the daemon's end; and the log says once that traces are lost.
#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let house = House::new().await;
    // Nobody accepts there, and nobody refuses.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let changes = [("TRACE__OTLP_ENDPOINT", base.as_str())];
    let mut environment = house.environment(&changes);
    // The SDK's own variable: a batch each 100 ms.
    environment.insert("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned());
    let mut daemon = Process::start(&["run"], &environment);
    daemon.until_ready().await;
    for n in 0..20 {
        house.submit(&format!("SHOP-{n}"), json!([hosting("example.nl")])).await;
    }
    house.until_order("SHOP-19", "completed").await;
    eventually("it is told", async || {
        daemon.printed().iter().any(|line| line.contains("takes no traces"))
    })
    .await;
    let began = std::time::Instant::now();
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    let told = daemon.printed().iter().filter(|line| line.contains("takes no traces")).count();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn what_is_exported_holds_nothing_private() {
    let (base, collected) = Collected::listen().await;
    let house = House::new().await;
    let changes = [
        ("TRACE__OTLP_ENDPOINT", base.as_str()),
        ("EMAIL__DISABLED", ""),
        ("LOG__FILTER", "trace"),
    ];
    let mut daemon = Process::start(&["run"], &house.environment(&changes));
    daemon.until_ready().await;
    let refusal = json!({ "fault": "status", "status": 422, "endpoint": "POST /api/v1/orders",
                          "match": { "reference": "SHOP-2" },
                          "message": ECHO });
    house.sandbox.state().add_fault(&refusal).unwrap();
    for n in 1..=2 {
        let document = json!({ "reference": format!("SHOP-{n}"), "customer": customer(),
                               "lines": [hosting(&format!("example-{n}.nl"))] });
        house.world.submit(&document).await.unwrap();
    }
    house.until_order("SHOP-1", "completed").await;
    house.until_order("SHOP-2", "failed").await;
    house.until_emailed().await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
    let text = collected.text();
    assert!(text.contains("SHOP-1") && text.contains("SHOP-2"), "nothing was exported");
    let told: Vec<String> = private().into_iter().filter(|it| text.contains(it.as_str())).collect();
    assert!(told.is_empty(), "{told:?}");
}
