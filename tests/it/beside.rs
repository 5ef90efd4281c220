//! An older release beside this one, by script/beside; in CI, which compiles no other, this one beside itself.

use std::time::Duration;

use serde_json::json;

use crate::{
    binary::{Process, get, provisor},
    house::{House, hosting},
    world::World,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_older_binary_works_on_while_the_schema_is_migrated_and_beside_the_newer_one() {
    let older = std::env::var("PROVISOR_OLDER");
    let older = older.unwrap_or_else(|_| env!("CARGO_BIN_EXE_provisor").to_owned());
    let mut house = House::with(|options| options.delay = Duration::from_millis(500)).await;
    house.world = World::empty().await;
    let env = house.environment(&[]);
    let migrated = Process::start_other(&older, &["migrate"], &env).ended().await;
    assert!(migrated.success(), "{migrated:?}");
    let mut old = Process::start_other(&older, &["run"], &env);
    let address = old.until_ready().await;

    let mut number = 0;
    let mut some = async |house: &House| {
        for _ in 0..40 {
            number += 1;
            let line = hosting(&format!("example-{number}.nl"));
            house.submit(&format!("SHOP-{number}"), json!([line])).await;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        number
    };
    some(&house).await;
    assert_eq!(provisor(&["migrate"], &env).await.code, Some(0));
    some(&house).await;
    let mut new = Process::start(&["run"], &env);
    new.until_ready().await;
    let last = some(&house).await;
    for n in 1..=last {
        house.until_order(&format!("SHOP-{n}"), "completed").await;
    }
    assert_eq!(get(address, "/readyz").await.0, 200, "it serves on");
    for (name, process) in [("the older", &mut old), ("the newer", &mut new)] {
        let placed = process.printed().iter().filter(|line| line.contains("\"accepted\"")).count();
        assert!(placed > 0, "{name} one has placed nothing");
        process.signal("TERM").await;
        assert!(process.ended().await.success(), "{name}");
    }
    let bought = house.sandbox.state().summary();
    assert_eq!((bought.orders, bought.most_per_tag), (last, 1));
}
