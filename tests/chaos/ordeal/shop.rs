//! Shops that submit, and customers who change their minds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use provisor::order::name::DomainName;
use serde_json::json;

use super::{
    Plan,
    goods::{Deed, Goods, mailbox, new_mailbox},
    house::House,
    weather::Weather,
};
use crate::chance::Chance;

/// The stream of chance.
const PAUSES: u64 = 5;

/// Shops that submit at the same time.
const SHOPS: u64 = 6;

/// How long a shop pauses between two orders: together they sell about ten in a second, while blows fall.
const PAUSE_MS: [u64; 2] = [200, 1_000];

/// So many orders may be open before a shop waits: each shall meet the weather.
const OPEN_MAX: i64 = 120;

/// What the shops know afterwards.
#[derive(Default)]
pub(crate) struct Shop {
    /// Orders that were submitted, by their references: the lines of each.
    pub(crate) submitted: Mutex<BTreeMap<String, usize>>,
    /// Those that were withdrawn, as `cancel_order` answered.
    pub(crate) withdrawn: Mutex<BTreeSet<String>>,
    /// The last wish for each name's renewal.
    wishes: Mutex<BTreeMap<String, bool>>,
    /// The last mailbox of each customer who has moved.
    moved: Mutex<BTreeSet<u64>>,
    pub(crate) deeds: AtomicU64,
    next: AtomicU64,
}

impl Shop {
    /// Submits so many orders, or as many as there is time for.
    pub(crate) async fn sell(&self, house: &House, weather: &Weather, plan: Plan, closes: Instant) {
        let shops = (0..SHOPS).map(async |shop| {
            let mut chance = Chance::stream(plan.seed, PAUSES, shop);
            loop {
                let pause = chance.between(PAUSE_MS[0], PAUSE_MS[1]);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                self.until_there_is_room(house, closes).await;
                let n = self.next.fetch_add(1, Ordering::Relaxed);
                if n >= plan.orders || Instant::now() >= closes {
                    return;
                }
                self.serve(house, weather, &Goods::draw(plan.seed, n)).await;
            }
        });
        futures_util::future::join_all(shops).await;
    }

    async fn until_there_is_room(&self, house: &House, closes: Instant) {
        let sql = "SELECT count(*) FROM provisor.orders
                   WHERE finished_at IS NULL AND status <> 'attention'";
        while Instant::now() < closes && house.value::<i64>(sql).await >= OPEN_MAX {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn serve(&self, house: &House, weather: &Weather, goods: &Goods) {
        for name in &goods.held_names {
            let wish = json!({ "domain": name, "status": "active", "auto_renew": true });
            house.sandbox.state().put_domain(&wish).expect("a domain");
        }
        weather.befall(goods);
        let id = submit(house, goods).await;
        let lines = goods.lines().len();
        self.submitted.lock().expect("no panic").insert(goods.reference.clone(), lines);
        for deed in &goods.deeds {
            self.do_deed(house, goods, id, deed).await;
        }
    }

    async fn do_deed(&self, house: &House, goods: &Goods, id: i64, deed: &Deed) {
        self.deeds.fetch_add(1, Ordering::Relaxed);
        match deed {
            Deed::Wait { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Deed::SubmitAgain => {
                assert_eq!(submit(house, goods).await, id, "{}: another id", goods.reference);
            }
            Deed::Cancel => {
                let cancelled: String = house
                    .repeat("cancel_order", async || {
                        sqlx::query_scalar("SELECT provisor.cancel_order($1)")
                            .bind(&goods.reference)
                            .fetch_one(&house.pool)
                            .await
                    })
                    .await;
                if cancelled == "cancelled" {
                    let reference = goods.reference.clone();
                    self.withdrawn.lock().expect("no panic").insert(reference);
                }
            }
            Deed::Move => {
                let customer = goods.customer;
                // Whoever orders again tells the old mailbox again.
                self.moved.lock().expect("no panic").insert(customer);
                let told =
                    json!({ "reference": format!("C-{customer}"), "email": new_mailbox(customer) });
                house
                    .repeat("update_customer", async || {
                        sqlx::query("SELECT provisor.update_customer($1)")
                            .bind(&told)
                            .execute(&house.pool)
                            .await
                    })
                    .await;
            }
            Deed::AutoRenew { domain, wished } => {
                house
                    .repeat("set_auto_renew", async || {
                        sqlx::query("SELECT provisor.set_auto_renew($1, $2)")
                            .bind(domain)
                            .bind(wished)
                            .execute(&house.pool)
                            .await
                    })
                    .await;
                self.wishes.lock().expect("no panic").insert(domain.clone(), *wished);
            }
        }
    }

    /// The last wish for the renewal of each name, in the name's one spelling.
    pub(crate) fn wishes(&self) -> BTreeMap<String, bool> {
        let wishes = self.wishes.lock().expect("no panic");
        let spelt = |name: &str| DomainName::parse(name).expect("a name").as_str().to_owned();
        wishes.iter().map(|(name, wished)| (spelt(name), *wished)).collect()
    }

    /// Whether a customer gets mail there.
    pub(crate) fn knows(&self, customer: u64, address: &str) -> bool {
        address == mailbox(customer)
            || (address == new_mailbox(customer)
                && self.moved.lock().expect("no panic").contains(&customer))
    }
}

async fn submit(house: &House, goods: &Goods) -> i64 {
    house
        .repeat(&goods.reference, async || {
            sqlx::query_scalar("SELECT provisor.submit_order($1)")
                .bind(&goods.document)
                .fetch_one(&house.pool)
                .await
        })
        .await
}
