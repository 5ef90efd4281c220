//! Who buys, changes or withdraws something by a command, and why, stands in the order's timeline.

use serde_json::json;

use crate::{
    binary::provisor,
    house::{House, hosting},
};

impl House {
    /// Nothing is noted from now on: whatever should be, fails.
    async fn refuse_to_note(&self, event: &str) {
        let sql = format!(
            "ALTER TABLE provisor.events ADD CONSTRAINT no_note CHECK (event <> '{event}')"
        );
        self.world.run(&sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_order_tells_who_ordered_it_and_why() {
    let house = House::new().await;
    house.put_name("example.nl");
    let update = ["ljpc", "domains", "update", "example.nl", "--auto-renew", "false"];
    // By the rules of an operator, which no shop has.
    let contact = ["ljpc", "contacts", "update", "sandbox-account", "--email", "new@example.com"];
    let said = ["--yes", "--no-wait", "--json", "--by", "alice", "--why", "asked by telephone"];
    for command in [update, contact] {
        let told = house.done(&[&command[..], &said[..]].concat()).await.json();
        let reference = told["reference"].as_str().expect("a reference");
        let expected = json!({ "by": "alice", "why": "asked by telephone" });
        assert_eq!(house.details(reference, "ordered_by").await, [expected], "{command:?}");
    }
    let (yes, long) = (["--yes", "--no-wait"], "x".repeat(65));
    house.refused(&[&update[..], &yes, &["--by", &long]].concat(), 2, &["1 to 64"]).await;

    let before = house.orders().await;
    house.world.run("DELETE FROM provisor.events WHERE event = 'ordered_by'").await;
    house.refuse_to_note("ordered_by").await;
    for command in [update, contact] {
        house.refused(&[&command[..], &yes].concat(), 1, &[]).await;
    }
    assert_eq!(house.orders().await, before, "nothing is ordered of which it is not told by whom");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_tells_which_operator_it_was() {
    let house = House::new().await;
    for n in 1..=4 {
        let reference = format!("SHOP-{n}");
        house.submit(&reference, json!([hosting(&format!("example-{n}.nl"))])).await;
    }
    let cancel = async |reference: &str, code: i32| {
        let args =
            ["order", "cancel", reference, "--by", "bob", "--why", "he has changed his mind"];
        let ended = provisor(&args, &house.operator()).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        house.details(reference, "cancelled_by").await
    };
    let told = [json!({ "by": "bob", "why": "he has changed his mind" })];
    assert_eq!(cancel("SHOP-1", 0).await, told);
    assert_eq!(cancel("SHOP-1", 0).await, told, "once");
    assert_eq!(house.details("SHOP-1", "cancelled").await.len(), 2, "the line's, and the order's");
    let shown = house.done(&["order", "show", "SHOP-1"]).await.stdout;
    assert!(shown.contains("by: bob, why: he has changed his mind"), "{shown}");

    assert_eq!(house.cancel("SHOP-2").await, "cancelled");
    assert!(cancel("SHOP-2", 0).await.is_empty(), "it was the shop");
    house
        .world
        .run("UPDATE provisor.order_lines SET sent = true WHERE domain = 'example-3.nl'")
        .await;
    assert!(cancel("SHOP-3", 1).await.is_empty(), "it is too late");

    house.world.run("DELETE FROM provisor.events WHERE event = 'cancelled_by'").await;
    house.refuse_to_note("cancelled_by").await;
    assert!(cancel("SHOP-4", 1).await.is_empty());
    assert_eq!(house.order("SHOP-4").await.0, "accepted", "nor is it cancelled");
    let unsaid = provisor(&["order", "cancel", "SHOP-9"], &house.operator()).await;
    assert!(unsaid.code == Some(1) && unsaid.stderr.contains("SHOP-9 is unknown"), "{unsaid:?}");
}
