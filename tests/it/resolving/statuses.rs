//! What is said of a line that stands elsewhere is refused, and changes nothing.

use serde_json::json;

use crate::house::{House, hosting};

const EVERY_FORM: [(&str, &[&str]); 5] = [
    ("retry", &[]),
    ("resolve", &["--upstream-order", "110", "--force"]),
    ("resolve", &["--site", "110", "--force"]),
    ("resolve", &["--absent", "--force"]),
    ("resolve", &["--abandon", "--force"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn from_each_wrong_status_each_form_is_refused() {
    let house = House::new().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    for status in ["pending", "placing", "provisioning", "completed", "failed", "cancelled"] {
        house.world.run(&format!("UPDATE provisor.order_lines SET status = '{status}'")).await;
        let before = house.all_of_it().await;
        for (verb, options) in EVERY_FORM {
            let ended = house.say(verb, "SHOP-1", options).await;
            // That it has failed is what giving it up would have made of it, and that it goes on what deciding it anew
            // would have; and nothing was sent that could be adopted.
            let is_so = match verb {
                "retry" => ["pending", "placing", "provisioning"].contains(&status),
                _ => status == "failed" && options.contains(&"--abandon"),
            };
            assert_eq!(ended.code, Some(i32::from(!is_so)), "{status} {options:?}: {ended:?}");
            let nothing_sent = ended.stderr.contains("nothing was sent for it");
            let says =
                is_so || nothing_sent || ended.stderr.contains(&format!("the line is {status}: "));
            assert!(says, "{status} {options:?}: {ended:?}");
        }
        assert_eq!(house.all_of_it().await, before, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_being_placed_is_left_alone() {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": "POST /api/v1/orders", "fault": "slow", "delay_ms": 4000 }));
    let daemon = house.daemon(&[
        ("LJPC__TIMEOUT", "10s"),
        ("QUEUE__LEASE", "20s"),
        ("QUEUE__SHUTDOWN_GRACE", "15s"),
    ]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_line("SHOP-1", 0, "placing").await;
    let mut refused = 0;
    // To try it anew is what happens.
    for (verb, options) in EVERY_FORM.into_iter().skip(1) {
        let ended = house.say(verb, "SHOP-1", options).await;
        if house.line_status("SHOP-1", 0).await != "placing" {
            break;
        }
        let words = "the line is placing: its request is under way";
        assert!(ended.code == Some(1) && ended.stderr.contains(words), "{options:?}: {ended:?}");
        refused += 1;
    }
    assert!(refused > 0, "the request was answered too soon to say anything");
    house.until_order("SHOP-1", "completed").await;
    assert_eq!((house.posts("SHOP-1").len(), house.bought("SHOP-1/0")), (1, 1));
    daemon.stop().await;
}
