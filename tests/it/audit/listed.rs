//! Listings that no honest upstream would give.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use chrono::TimeDelta;
use provisor::audit::RunKind;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{in_days, run};
use crate::{doubt::database, house::House};

/// An upstream that lists these names in pages of a hundred, says that there are so many, and has no sites.
struct Odd {
    url: String,
    /// What it says of any name that it is asked about.
    detail: Arc<Mutex<Option<Value>>>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Names {
    rows: Vec<Value>,
    total: usize,
    detail: Arc<Mutex<Option<Value>>>,
}

#[derive(Deserialize)]
struct Page {
    page: usize,
}

impl Odd {
    async fn start(rows: Vec<Value>, total: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let names = async |State(names): State<Names>, Query(Page { page }): Query<Page>| {
            let rows: Vec<&Value> = names.rows.iter().skip((page - 1) * 100).take(100).collect();
            said(&json!({ "domains": rows, "total": names.total, "page": page, "per_page": 100 }))
        };
        let sites = async || said(&json!({ "sites": [], "total": 0, "page": 1, "per_page": 100 }));
        let products = async || said(&json!({ "products": [] }));
        let one = async |State(names): State<Names>| {
            let detail = names.detail.lock().expect("no panic").clone();
            detail.map_or_else(|| unknown().into_response(), |it| said(&it).into_response())
        };
        let detail = Arc::new(Mutex::new(None));
        let names_of = Names { rows, total, detail: Arc::clone(&detail) };
        let router = Router::new()
            .route("/api/hosting/v1/domain-names", get(names))
            .route("/api/hosting/v1/domain-names/{domain}", get(one))
            .route("/api/hosting/v1/sites", get(sites))
            .route("/api/v1/products", get(products))
            .fallback(async || unknown())
            .with_state(names_of);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { url, detail, task }
    }

    /// From now on it says this of any name.
    fn detailing(self, row: &Value) -> Self {
        let mut detail = row.clone();
        detail["nameservers"] = json!(["ns1.example.com", "ns2.example.com"]);
        *self.detail.lock().expect("no panic") = Some(detail);
        self
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn unknown() -> impl IntoResponse {
    let body = json!({ "success": false, "jti": "j", "message": "Not found" });
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "application/json")], body.to_string())
}

fn said(data: &Value) -> impl IntoResponse + use<> {
    let body =
        json!({ "success": true, "jti": "0f8c2d5e-6a4b-4c1e-9d37-2b5f8e1a7c90", "data": data });
    ([(CONTENT_TYPE, "application/json")], body.to_string())
}

fn row(domain: &str) -> Value {
    json!({ "domain": domain, "status": "active", "expires_at": in_days(300), "auto_renew": true,
            "transfer_lock": true })
}

impl House {
    async fn own_name(&self, name: &str) {
        let seen = json!({ "status": "active", "expires_at": in_days(300), "auto_renew": true });
        self.own("domain", name, super::owner(1), seen).await;
    }

    async fn status_of(&self, name: &str) -> String {
        self.world
            .value(&format!("SELECT status FROM provisor.domains WHERE domain = '{name}'"))
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_can_not_be_read_or_stored_hide_no_others() {
    let house = House::new().await;
    for name in ["first.nl", "behind.nl", "unlisted.nl"] {
        house.own_name(name).await;
    }
    let mut rows: Vec<Value> = (0..100).map(|n| row(&format!("unknown-{n}.nl"))).collect();
    rows[0] = row("first.nl");
    rows[0]["status"] = json!("ok\u{0}ay");
    rows[1] = json!({ "domain": 7 });
    rows[2] = json!("no object");
    rows[3] = row("nul\u{0}.nl");
    rows.push(row("behind.nl"));
    rows[100]["status"] = json!("hold");
    let upstream = Odd::start(rows, 101).await;
    let db = database(&house);
    let changes = [("LJPC__BASE_URL", upstream.url.as_str())];
    let (auditor, _ends) = house.auditor_with(&changes, &db, TimeDelta::zero());
    let ended = run(&auditor, RunKind::Asked).await;
    let figures = &ended.figures;
    assert_eq!(
        (figures.complete, figures.domains_complete, figures.given_up),
        (false, false, false)
    );
    let told = "the list of domains has entries that can't be read";
    assert!(figures.problems.iter().any(|problem| problem == told), "{:?}", figures.problems);
    assert_eq!(house.status_of("first.nl").await, "okay");
    assert_eq!(
        house.status_of("behind.nl").await,
        "hold",
        "it stands behind them, on another page"
    );
    let open = house.open().await;
    let of = |kind: &str| open.iter().filter(|(open, ..)| open == kind).count();
    assert_eq!((of("domain_unknown"), of("domain_missing")), (96, 0), "{open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_shows_less_than_it_says_is_incomplete() {
    let house = House::new().await;
    for name in ["first.nl", "unlisted.nl"] {
        house.own_name(name).await;
    }
    let upstream = Odd::start(vec![row("first.nl"), row("second.nl")], 3).await;
    let db = database(&house);
    let changes = [("LJPC__BASE_URL", upstream.url.as_str())];
    let (auditor, _ends) = house.auditor_with(&changes, &db, TimeDelta::zero());
    let ended = run(&auditor, RunKind::Asked).await;
    assert!(!ended.figures.domains_complete);
    let told = &ended.figures.problems;
    assert!(told.iter().any(|problem| problem.contains("during each of 4 readings")), "{told:?}");
    let open: Vec<String> = house.open().await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(open, ["domain_unknown"], "what it shows is there; what it does not is not missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_that_differ_change_nothing() {
    let house = House::new().await;
    house.own_name("first.nl").await;
    house.world.run("UPDATE provisor.domains SET auto_renew_wished = true").await;
    let mut listed = row("first.nl");
    listed["auto_renew"] = json!(false);
    let upstream = Odd::start(vec![listed.clone()], 1).await.detailing(&row("first.nl"));
    let db = database(&house);
    let changes = [("LJPC__BASE_URL", upstream.url.as_str())];
    let (auditor, _ends) = house.auditor_with(&changes, &db, TimeDelta::zero());
    let ended = run(&auditor, RunKind::Asked).await;
    assert_eq!((ended.figures.looks, ended.figures.changed), (1, 0), "{:?}", ended.figures);
    assert_eq!(house.open().await, [], "the listing says it, the detail says otherwise");
    // Once both say so it is changed.
    let upstream = upstream.detailing(&listed);
    let ended = run(&auditor, RunKind::Asked).await;
    assert_eq!(ended.figures.changed, 1, "{:?}", ended.figures);
    let open: Vec<String> = house.open().await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(open, ["auto_renew_mismatch"]);
    let due: bool = house
        .world
        .value("SELECT w.due_at < 'infinity' FROM provisor.wakes w JOIN provisor.domains d ON w.id = d.id * 16 + 4")
        .await;
    assert!(due, "its wish is to be carried out");
    drop(upstream);
}
