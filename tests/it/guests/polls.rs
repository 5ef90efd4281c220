//! Many open polls: they stretch, so that they leave half of the budget to what is new.

use provisor::db::{Database, Purpose};
use serde_json::json;

use crate::{
    house::{House, eventually, hosting},
    world::World,
};

/// Lines that are polled and not due, in the table of the queue alone.
async fn crowd(world: &World, first: i64, count: i64, tries: i32) {
    world
        .run(&format!(
            "INSERT INTO provisor.wakes (id, lane, due_at, tries)
             SELECT n * 16 + 1, 2, clock_timestamp() + interval '1 day', {tries}
             FROM generate_series({first}, {first} + {count} - 1) AS n"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_among_ten_thousand_comes_less_often_and_one_among_old_ones_does_not() {
    // (how often the others were polled, whether this one's intervals stretch)
    for (tries, stretched) in [(1, true), (40, false)] {
        let house = House::with(|options| options.delay = std::time::Duration::from_hours(1)).await;
        crowd(&house.world, 1_000_000, 10_000, tries).await;
        // Ten thousand at 100 to 500 ms would take 20,000 to 100,000 requests a second, of 1,000.
        let daemon = house.daemon(&[]);
        house.submit("SHOP-1", json!([hosting("example.nl")])).await;
        house.until_line("SHOP-1", 0, "provisioning").await;
        let id = house.line("SHOP-1", 0).await.id;
        let polls = || house.requests("GET", "/api/v1/orders/").len();
        if stretched {
            let wait = format!(
                "SELECT due_at > clock_timestamp() + interval '5 s' FROM provisor.wakes WHERE id = {id} * 16 + 1"
            );
            eventually("its next poll is far", async || house.world.value::<bool>(&wait).await)
                .await;
            assert!(polls() <= 2, "{} polls", polls());
        } else {
            eventually("it is polled again and again", async || polls() > 5).await;
        }
        daemon.stop().await;
    }
}

#[tokio::test]
async fn polls_are_counted_by_their_tries() {
    let world = World::new().await;
    let db = Database::new(&world.url(), 1, Purpose::General).expect("a database URL");
    assert_eq!(db.open_polls().await.expect("a count").by_tries, []);
    crowd(&world, 1, 7, 3).await;
    crowd(&world, 100, 5, 9).await;
    // What rests is polled no more, and what waits in another lane is no poll.
    world
        .run(
            "INSERT INTO provisor.wakes (id, lane, due_at)
             VALUES (1, 2, 'infinity'), (2, 1, clock_timestamp()), (3, 3, clock_timestamp())",
        )
        .await;
    let mut polls = db.open_polls().await.expect("a count");
    polls.by_tries.sort_unstable();
    assert_eq!(polls.by_tries, [(3, 7), (9, 5)]);
    // Beyond 100,000 they are estimated, from so small a table by all of it.
    crowd(&world, 1_000, 100_001, 1).await;
    let mut polls = db.open_polls().await.expect("a count");
    polls.by_tries.sort_unstable();
    assert_eq!(polls.by_tries, [(1, 100_001), (3, 7), (9, 5)]);
}
