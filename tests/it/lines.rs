//! Lines on their way, beside the sandbox.

use serde_json::json;

use crate::house::{House, hosting};

#[tokio::test(flavor = "multi_thread")]
async fn a_hosting_order_goes_from_sql_to_delivered() {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    house.until_emailed().await;
    assert_eq!(house.sandbox.state().summary().most_per_tag, 1);
    assert_eq!(house.sandbox.state().mails().len(), 1);
    daemon.stop().await;
}
