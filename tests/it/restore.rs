//! The drill: a dump of the database, restored as another one, on which nothing is bought before somebody has looked.

use std::{path::PathBuf, process::Command};

use serde_json::json;

use crate::{
    binary::{Process, provisor},
    house::{House, eventually, hosting},
    lifecycle::metric,
    logs::customer,
    names::register,
};

/// Runs one of PostgreSQL's own programs.
fn postgres(program: &str, args: &[&str]) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = Command::new(root.join("script/postgres-bin")).output().expect("a script");
    let folder = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    let ended = Command::new(folder.join(program)).args(args).output().expect("it starts");
    assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_from_a_dump_buys_nothing_before_somebody_has_looked() {
    let house = House::new().await;
    let mut daemon = Process::start(&["run"], &house.environment(&[]));
    daemon.until_ready().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());

    let dump = std::env::temp_dir().join(format!("provisor-it-{}.dump", uuid::Uuid::new_v4()));
    let file = dump.to_str().unwrap();
    let url = house.world.url();
    postgres("pg_dump", &["--format=custom", "--schema=provisor", "--file", file, &url]);
    // In place, as somebody in a hurry does it.
    postgres("pg_restore", &["--clean", "--if-exists", "--exit-on-error", "--dbname", &url, file]);
    std::fs::remove_file(&dump).unwrap();

    let env = house.environment(&[]);
    let stats = provisor(&["queue", "stats"], &env).await;
    assert!(stats.stdout.contains("restored from a backup"), "{stats:?}");
    let stats = provisor(&["queue", "stats", "--json"], &env).await.json();
    assert_eq!(stats["timeline"]["restored"], json!(true));
    let mut daemon = Process::start(&["run"], &env);
    daemon.until_ready().await;
    house.submit("SHOP-2", json!([hosting("example.org")])).await;
    house.until_reason("SHOP-2", 0, "failed over or restored").await;
    assert!(house.posts("SHOP-2").is_empty());
    eventually("the operator is told", async || {
        let told =
            "SELECT count(*) FROM provisor.email_outbox WHERE context ->> 'about' = 'failover'";
        house.world.value::<i64>(told).await == 1
    })
    .await;

    let resumed =
        provisor(&["queue", "resume", "--yes", "--by", "test", "--why", "looked"], &env).await;
    assert!(resumed.stdout.contains("restore is confirmed"), "{resumed:?}");
    house.until_order("SHOP-2", "completed").await;
    assert_eq!(house.posts("SHOP-2").len(), 1);
    // What was done before is known, and not done again.
    assert_eq!(house.posts("SHOP-1").len(), 1);
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

/// Two restores in a row, each into a new cluster, give the ledger one oid.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_with_the_same_oid_in_another_cluster_is_another_one() {
    let house = House::new().await;
    house.world.run("UPDATE provisor.timeline SET cluster = cluster + 1").await;
    let env = house.environment(&[]);
    let stats = provisor(&["queue", "stats", "--json"], &env).await.json();
    assert_eq!(stats["timeline"]["restored"], json!(true));
    let mut daemon = Process::start(&["run"], &env);
    let address = daemon.until_ready().await;
    house.submit("SHOP-1", json!([hosting("example.org")])).await;
    house.until_reason("SHOP-1", 0, "failed over or restored").await;
    assert!(house.posts("SHOP-1").is_empty());
    let held = async || metric(address, "provisor_purchases_held").await;
    assert_eq!(held().await, Some(1.0));
    let resumed = provisor(&["queue", "resume", "--yes", "--by", "test"], &env).await;
    assert!(resumed.stdout.contains("restore is confirmed"), "{resumed:?}");
    house.until_order("SHOP-1", "completed").await;
    eventually("nothing is held any more", async || held().await == Some(0.0)).await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}

/// The worst of a restore: an order that is known, and was bought after the backup.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_after_the_backup_is_adopted_and_not_bought_again() {
    let house = House::new().await;
    house.submit("SHOP-1", json!([hosting("example.nl"), hosting("example.org")])).await;
    let named = json!({ "reference": "SHOP-2", "customer": customer(),
                        "lines": [register("example.com", json!({}))] });
    house.world.submit(&named).await.unwrap();
    let url = house.world.url();
    let dump = std::env::temp_dir().join(format!("provisor-it-{}.dump", uuid::Uuid::new_v4()));
    let file = dump.to_str().unwrap();
    postgres("pg_dump", &["--format=custom", "--schema=provisor", "--file", file, &url]);
    let env = house.environment(&[]);
    let mut daemon = Process::start(&["run"], &env);
    daemon.until_ready().await;
    for reference in ["SHOP-1", "SHOP-2"] {
        house.until_order(reference, "completed").await;
    }
    let order = house.line("SHOP-1", 0).await.upstream_order_id.unwrap().to_string();
    let site = house.line("SHOP-1", 1).await.site_id.unwrap().to_string();
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
    let bought = house.requests("POST", "/").len();
    postgres("pg_restore", &["--clean", "--if-exists", "--exit-on-error", "--dbname", &url, file]);
    std::fs::remove_file(&dump).unwrap();
    assert_eq!(house.line_status("SHOP-1", 0).await, "pending");
    // A volume that was set back shows nothing of it: a person says so.
    let unnoticed = "UPDATE provisor.timeline SET ledger = 'provisor.effects'::regclass";
    house.world.run(unnoticed).await;
    let stats = async || provisor(&["queue", "stats", "--json"], &env).await.json();
    assert_eq!(stats().await["timeline"]["restored"], json!(false));
    let words = ["queue", "pause", "--restored", "--by", "test", "--why", "a volume was set back"];
    let paused = house.done(&words).await;
    assert!(paused.stdout.starts_with("Paused: lane place"), "{paused:?}");
    assert!(house.done(&words).await.stdout.starts_with("Nothing to do"));
    assert_eq!(stats().await["timeline"]["restored"], json!(true));
    let told = "SELECT detail ->> 'why' FROM provisor.operator_events WHERE event = 'restore_told'";
    assert_eq!(house.world.value::<String>(told).await, "a volume was set back");

    // Held against LJPc, as ever.
    let wrong = ["order", "resolve", "SHOP-1", "--line", "1", "--upstream-order", &order, "--yes"];
    house.refused(&wrong, 1, &["bears another line's tag: SHOP-1/0"]).await;
    for [line, what, id] in [["0", "--upstream-order", &order], ["1", "--site", &site]] {
        let words = ["order", "resolve", "SHOP-1", "--line", line, what, id, "--yes"];
        house.done(&words).await;
        let again = house.done(&words).await;
        assert!(again.stdout.starts_with("Nothing to do"), "{again:?}");
    }
    house.done(&["queue", "resume", "--by", "test", "--yes"]).await;
    let mut daemon = Process::start(&["run"], &env);
    daemon.until_ready().await;
    house.until_order("SHOP-1", "completed").await;
    // By its own endpoint, so there is no number: the name is looked for, and so is the contact of its customer.
    house.until_order("SHOP-2", "completed").await;
    assert_eq!(house.requests("POST", "/").len(), bought, "nothing is bought again");
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}
