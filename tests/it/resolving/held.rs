//! A held line: decided anew, perhaps with another limit, or given up.

use serde_json::json;

use crate::{
    emails_owed::mails_to,
    house::{House, hosting},
};

/// A house with a daemon-made held line: it costs more than it may.
async fn held() -> House {
    let house = House::new().await;
    let daemon = house.daemon(&[]);
    let mut dear = hosting("example.nl");
    dear["max_cost"] = json!("4.00");
    house.submit("SHOP-1", json!([dear])).await;
    house.until_order("SHOP-1", "attention").await;
    house.until_emailed().await;
    daemon.stop().await;
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_limit_lets_it_be_bought() {
    let house = held().await;
    let mails = mails_to(&house, "ops@example.com");
    let mail = mails.first().expect("the operator was told");
    let text = std::fs::read_to_string(&mail.path).expect("the mail is kept");
    assert!(text.contains("provisor order retry SHOP-1 --line 0 --max-cost EUR"), "{text}");
    house.say_well("retry", "SHOP-1", &["--max-cost", "4.49", "--why", "he pays it"]).await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.status.as_str(), line.reason), ("pending", None));
    assert_eq!(house.order("SHOP-1").await, ("in_progress".to_owned(), None));
    let told = house.details("SHOP-1", "retried").await;
    assert_eq!(told, [json!({ "by": "alice", "max_cost": "4.49", "why": "he pays it" })]);
    house.say_well("retry", "SHOP-1", &["--max-cost", "4.49", "--why", "he pays it"]).await;
    assert_eq!(house.details("SHOP-1", "retried").await.len(), 1, "said twice, done once");
    let words = ["the line is pending: it goes on by itself"];
    house.say_in_vain("retry", "SHOP-1", &["--max-cost", "9.00"], &words).await;
    let daemon = house.daemon(&[]);
    house.until_order("SHOP-1", "completed").await;
    assert_eq!((house.posts("SHOP-1").len(), house.bought("SHOP-1/0")), (1, 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_higher_limit_it_is_held_again_and_told_again() {
    let house = held().await;
    let daemon = house.daemon(&[]);
    for (times, options) in [(2, vec![]), (3, vec!["--max-cost", "4.48"])] {
        house.say_well("retry", "SHOP-1", &options).await;
        crate::house::eventually("it is told again", async || {
            house.told_operator("SHOP-1", "held").await == times
        })
        .await;
        house.until_order("SHOP-1", "attention").await;
    }
    let line = house.line("SHOP-1", 0).await;
    assert!(line.why().contains("more than max_cost 4.48"), "{line:?}");
    assert!(house.posts("SHOP-1").is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_given_up_and_what_needs_it_fails() {
    let house = held().await;
    house.say_in_vain("resolve", "SHOP-1", &["--absent"], &["the line is held"]).await;
    let words = ["nothing was sent for it", "provisor order retry SHOP-1 --line 0"];
    house.say_in_vain("resolve", "SHOP-1", &["--site", "1"], &words).await;
    house.say_well("resolve", "SHOP-1", &["--abandon"]).await;
    let line = house.line("SHOP-1", 0).await;
    assert_eq!((line.status.as_str(), line.sent), ("failed", false));
    assert_eq!(house.order("SHOP-1").await.0, "failed");
    assert_eq!(house.count_emails("SHOP-1", "order_failed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_refused_where_there_is_none() {
    let house = House::new().await;
    house.submit("SHOP-1", json!([{ "kind": "dns", "domain": "example.nl", "records": [] }])).await;
    house.world.run("UPDATE provisor.order_lines SET status = 'held', reason = 'why'").await;
    for (option, words) in
        [(vec!["--max-cost", "1"], "no max_cost"), (vec!["--allow-premium"], "no allow_premium")]
    {
        house.say_in_vain("retry", "SHOP-1", &option, &[words]).await;
    }
}
