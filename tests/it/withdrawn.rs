//! Orders that were provably not sent, or are withdrawn: whom that frees, and what can't change it any more.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use provisor::sandbox::Stage;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::house::{House, eventually, hosting};

/// An upstream that closes every connection before it can be used.
struct Slamming {
    address: SocketAddr,
    slammed: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Slamming {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let slammed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&slammed);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, slammed, task }
    }
}

impl Drop for Slamming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A line that needs no catalogue: its first request upstream is the order itself.
fn own(domain: &str) -> Value {
    json!({ "kind": "hosting_own", "space_id": 7, "domain": domain })
}

/// An order of one line for this name whose intent was committed, and whose request provably never was written. Nobody
/// looks at its line again before it is poked. Answers the line's id.
async fn submit_unsent(house: &House, reference: &str, domain: &str) -> i64 {
    house.submit(reference, json!([own(domain)])).await;
    let id = house.line(reference, 0).await.id;
    // The intent waits for the order, so that the connection is closed for certain when it would be used.
    let mut transaction = house.world.pool.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM provisor.orders WHERE reference = $1 FOR UPDATE")
        .bind(reference)
        .execute(&mut *transaction)
        .await
        .expect("the order is there");
    let upstream = Slamming::start().await;
    let daemon = house.daemon(&[
        ("LJPC__BASE_URL", &format!("http://{}", upstream.address)),
        // It is not sent a second time before the daemon ends.
        ("POLL__INITIAL_INTERVAL", "1h"),
        ("POLL__MAX_INTERVAL", "1h"),
    ]);
    eventually("it has connected", async || upstream.slammed.load(Ordering::SeqCst) > 0).await;
    transaction.commit().await.expect("nothing was changed");
    house.until_reason(reference, 0, "the order was not sent").await;
    daemon.stop().await;
    house
        .world
        .run(&format!("UPDATE provisor.wakes SET due_at = 'infinity' WHERE id = {id} * 16 + 1"))
        .await;
    let line = house.line(reference, 0).await;
    assert_eq!((line.status.as_str(), line.sent), ("pending", false));
    assert_eq!(placements(house, reference).await, [("not_sent".to_owned(), true)]);
    id
}

/// An order's placements: their states, and whether they are live.
async fn placements(house: &House, reference: &str) -> Vec<(String, bool)> {
    sqlx::query_as(
        "SELECT e.state, e.live FROM provisor.effects e JOIN provisor.order_lines l ON l.id = e.line_id
         JOIN provisor.orders o ON o.id = l.order_id WHERE o.reference = $1 ORDER BY e.id",
    )
    .bind(reference)
    .fetch_all(&house.world.pool)
    .await
    .expect("the ledger can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placement_that_was_not_sent_keeps_nobody_from_its_name_and_waits_for_whoever_took_it() {
    let house = House::with(|options| options.delay = Duration::from_hours(1)).await;
    let id = submit_unsent(&house, "SHOP-1", "example.nl").await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-2", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-2", 0, "provisioning").await;

    house.poke(id).await;
    house.until_reason("SHOP-1", 0, "hosting for its name is being placed by another line").await;
    assert!(house.posts("SHOP-1").is_empty());
    house.drive("SHOP-2/0", Stage::Completed);
    house.until_order("SHOP-2", "completed").await;
    house.until_line("SHOP-1", 0, "provisioning").await;
    assert_eq!((house.bought("SHOP-1/0"), house.bought("SHOP-2/0")), (1, 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_not_sent_is_cancelled_and_frees_its_name() {
    let house = House::new().await;
    let id = submit_unsent(&house, "SHOP-1", "example.nl").await;
    assert_eq!(house.cancel("SHOP-1").await, "cancelled");
    assert_eq!(placements(&house, "SHOP-1").await, [("not_sent".to_owned(), false)]);
    let daemon = house.daemon(&[]);
    house.submit("SHOP-2", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-2", "completed").await;
    house.look_again(id, 2).await;
    assert_eq!(house.order("SHOP-1").await, ("cancelled".to_owned(), None));
    assert!(house.posts("SHOP-1").is_empty(), "nothing is sent for what was cancelled");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_stays_so_whatever_its_failed_line_says() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let mut failing = hosting("one.example");
    failing.as_object_mut().expect("an object").remove("billing_period");
    let mut held = hosting("two.example");
    held["package"] = json!("hosting_7gb");
    let id = house.submit("SHOP-1", json!([failing, held])).await;
    house.until_line("SHOP-1", 0, "failed").await;
    house.until_line("SHOP-1", 1, "held").await;
    assert_eq!(house.cancel("SHOP-1").await, "cancelled");

    let statuses = [house.line_status("SHOP-1", 0).await, house.line_status("SHOP-1", 1).await];
    assert_eq!(statuses, ["failed", "cancelled"]);
    // The operator's mail about the held line is on its way, and tells its own end.
    house.until_emailed().await;
    let before = house.events("SHOP-1").await;
    for line in 0..2 {
        let line = house.line("SHOP-1", line).await;
        house.look_again(line.id, 1).await;
    }
    // The order's own alarm derives its status from its lines.
    house.review_again(id).await;
    assert_eq!(house.order("SHOP-1").await, ("cancelled".to_owned(), None));
    assert_eq!(house.events("SHOP-1").await, before);
    house.until_emailed().await;
    for template in ["order_failed", "order_partial", "order_completed"] {
        assert_eq!(house.count_emails("SHOP-1", template).await, 0, "{template}");
    }
    daemon.stop().await;
}
