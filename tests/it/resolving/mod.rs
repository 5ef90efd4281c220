//! `order retry` and `order resolve`: a person decides about a line that is held or in doubt.

mod asked;
mod held;
mod orders;
mod races;
mod statuses;

use serde_json::{Value, json};

use crate::{
    binary::{Ended, provisor},
    house::{House, hosting},
};

const POST: &str = "POST /api/v1/orders";

/// The sites are not listed anew while a test lasts: what became of an order is a person's to find.
const BLIND: &[(&str, &str)] = &[("LJPC__EVIDENCE_INTERVAL", "1h")];

impl House {
    /// Says something of a line of this order, without being asked: `resolve`, `retry`, and their options.
    pub(crate) async fn say(&self, verb: &str, reference: &str, options: &[&str]) -> Ended {
        let mut args = vec!["order", verb, reference, "--line", "0", "--yes", "--by", "alice"];
        args.extend(options);
        provisor(&args, &self.environment(&[])).await
    }

    /// Says something that is done.
    pub(crate) async fn say_well(&self, verb: &str, reference: &str, options: &[&str]) -> Ended {
        let ended = self.say(verb, reference, options).await;
        assert_eq!(ended.code, Some(0), "{options:?}: {ended:?}");
        ended
    }

    /// Says something that is refused with these words.
    pub(crate) async fn say_in_vain(
        &self,
        verb: &str,
        reference: &str,
        options: &[&str],
        words: &[&str],
    ) {
        let ended = self.say(verb, reference, options).await;
        assert_eq!(ended.code, Some(1), "{options:?}: {ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "{options:?} {word}: {ended:?}");
        }
    }

    /// The details of an order's events of this name.
    pub(crate) async fn details(&self, reference: &str, event: &str) -> Vec<Value> {
        sqlx::query_scalar(
            "SELECT detail FROM provisor.order_events WHERE reference = $1 AND event = $2 ORDER BY id",
        )
        .bind(reference)
        .bind(event)
        .fetch_all(&self.world.pool)
        .await
        .expect("events can be read")
    }

    /// Step, placement, state and order of all of a line's placements.
    async fn ledger(&self, line_id: i64) -> Vec<(i32, String, bool, Option<i64>)> {
        sqlx::query_as(
            "SELECT n, state, live, upstream_order_id FROM provisor.effects WHERE line_id = $1 ORDER BY n",
        )
        .bind(line_id)
        .fetch_all(&self.world.pool)
        .await
        .expect("the ledger can be read")
    }

    /// All that a refused command must leave as it is.
    async fn all_of_it(&self) -> String {
        self.world
            .value(
                "SELECT concat((SELECT string_agg(l::text, ' ' ORDER BY id) FROM provisor.order_lines l),
                               (SELECT string_agg(o::text, ' ' ORDER BY id) FROM provisor.orders o),
                               (SELECT string_agg(e::text, ' ' ORDER BY id) FROM provisor.effects e),
                               (SELECT string_agg(e::text, ' ' ORDER BY id) FROM provisor.events e),
                               (SELECT string_agg(s::text, ' ' ORDER BY site_id) FROM provisor.sites s),
                               (SELECT string_agg(m::text, ' ' ORDER BY id) FROM provisor.email_outbox m),
                               (SELECT string_agg(w::text, ' ' ORDER BY id) FROM provisor.wakes w))",
            )
            .await
    }
}

/// A house with a hosting order in doubt, of which a person has been told: what the upstream did with it is the fault's to
/// say. No daemon runs any more.
async fn in_doubt(fault: &str) -> House {
    let house = House::new().await;
    house.fault(&json!({ "endpoint": POST, "fault": fault }));
    let daemon = house.daemon(BLIND);
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "attention").await;
    house.until_emailed().await;
    daemon.stop().await;
    house
}

/// The id of the one order upstream that bears this tag.
fn only_order(house: &House, tag: &str) -> String {
    let orders = house.upstream_orders(tag);
    assert_eq!(orders.len(), 1, "{tag}");
    orders[0].0.to_string()
}
