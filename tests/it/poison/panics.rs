//! A line on which the handler panics, of every kind: its attempts end, it is told, and nothing was sent.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};

use super::customer;
use crate::{
    doubt::{Harm, clumsy_engine},
    house::{House, eventually, hosting},
};

/// A line of every kind that a shop may order, each for a name of its own.
fn lines() -> Vec<(&'static str, Value)> {
    let a = json!([{ "type": "A", "name": "@", "content": "192.0.2.10", "ttl": 3600 }]);
    vec![
        ("hosting", hosting("one.example")),
        ("hosting_own", json!({ "kind": "hosting_own", "domain": "two.example", "space_id": 7 })),
        ("domain_register", json!({ "kind": "domain_register", "domain": "three.nl" })),
        (
            "domain_transfer",
            json!({ "kind": "domain_transfer", "domain": "four.nl", "auth_code": "s3cret" }),
        ),
        (
            "domain_update",
            json!({ "kind": "domain_update", "domain": "five.nl", "auto_renew": false }),
        ),
        ("dns", json!({ "kind": "dns", "domain": "six.nl", "records": a })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn three_panics_end_the_attempts_of_a_line_of_any_kind() {
    let house = Arc::new(House::new().await);
    let mut harm = HashMap::new();
    for (kind, line) in lines() {
        let document = json!({ "reference": kind, "customer": customer(), "lines": [line] });
        house.world.submit(&document).await.expect("the order is well formed");
        harm.insert(house.line(kind, 0).await.id, Harm::AtOnce);
    }
    house.submit("GOOD-1", json!([hosting("good.example")])).await;
    let (stop, tasks) = clumsy_engine(&house, harm).await;
    house.until_order("GOOD-1", "completed").await;
    for (kind, _) in lines() {
        house.until_order(kind, "attention").await;
        let line = house.line(kind, 0).await;
        assert_eq!((line.status.as_str(), line.sent), ("held", false), "{kind}");
        assert_eq!(
            line.why(),
            "the worker failed 3 times on this line; its log says why",
            "{kind}"
        );
        let panics = format!("SELECT panics FROM provisor.order_lines WHERE id = {}", line.id);
        assert_eq!(house.world.value::<i32>(&panics).await, 3, "{kind}");
        assert_eq!(house.told_operator(kind, "held").await, 1, "{kind}");
        let due = format!(
            "SELECT due_at = 'infinity' FROM provisor.wakes WHERE id = {} * 16 + 1",
            line.id
        );
        eventually("it does not get another try", async || house.world.value::<bool>(&due).await)
            .await;
    }
    let changes = house.sandbox.state().journal(0);
    let changes = changes.iter().filter(|entry| entry.method != "GET").count();
    assert_eq!(changes, 1, "the good order's alone");
    stop.cancel();
    tasks.close();
}
