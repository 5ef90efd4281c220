//! Everything that can go wrong at once, to orders of all kinds, and a verdict.
//!
//! `script/chaos` plays it at length, `cargo test` for two minutes. All that is drawn is drawn from one seed, in streams
//! (`chance.rs`), so that an order and what befalls it is the same each time; the moments at which they meet are the
//! machine's.
//!
//! - `goods.rs`: what is ordered. `shop.rs`: who orders it, and who changes their mind.
//! - `weather.rs`: what goes wrong at LJPc and at the mail server. `blows.rs`: what befalls workers and database.
//! - `house.rs`: database and sandbox. `pipe.rs`: the way to the database, which can be cut.
//! - `watch.rs`: what LJPc was really asked. `progress.rs`: how far it is.
//! - `verdict/`: what must hold when all is over.

mod blows;
mod goods;
mod house;
mod pipe;
mod progress;
mod shop;
mod verdict;
mod watch;
mod weather;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use self::{
    house::House,
    shop::Shop,
    verdict::{Evidence, Rows, Verdict},
    watch::Watched,
    weather::Weather,
};
use crate::trial;

/// So long the faults go on after the last order, which shall meet them too.
const AFTERMATH: Duration = Duration::from_secs(8);

/// How long nothing must happen until it is quiet: longer than a lease, and than the longest pause between two looks.
const QUIET_S: u32 = 10;

/// How long a doubt is given, after its grace, to be settled by evidence.
const EVIDENCE_S: u32 = 15;

/// How long it may take until it is quiet, once the faults have ended. A circuit's ramp takes a minute; what takes longest
/// is to look for an order by its number, twenty of them a second, four thousand at most.
const PATIENCE: Duration = Duration::from_mins(10);

/// For how long orders are submitted where somebody waits for the tests.
const SELLING_IN_CI: Duration = Duration::from_secs(80);

/// How a run shall be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) orders: u64,
    pub(crate) seed: u64,
    /// When the last order is submitted at the latest.
    pub(crate) selling_max: Duration,
}

impl Plan {
    /// As `script/chaos` has it; else so many orders, or as many as there is time for in CI.
    pub(crate) fn chosen(usual: u32) -> Self {
        let number = |name: &str| {
            let chosen = std::env::var(name).ok()?;
            Some(chosen.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        let orders = number("PROVISOR_ORDEAL_ORDERS");
        let is_long = orders.is_some() || std::env::var_os("PROVISOR_LONG").is_some();
        let minutes = number("PROVISOR_ORDEAL_MINUTES").unwrap_or(600);
        let long = Duration::from_secs(minutes.saturating_mul(60));
        Self {
            orders: orders.unwrap_or_else(|| trial::orders(usual).into()),
            seed: trial::seed(),
            selling_max: if is_long { long } else { SELLING_IN_CI },
        }
    }
}

/// Lets the orders through, prints the table, and fails with all that is wrong.
pub(crate) async fn undergo(plan: Plan) {
    let Plan { orders, seed, .. } = plan;
    let house = House::build(seed).await;
    println!(
        "{orders} orders, seed {seed} (repeat with script/chaos --orders {orders} --seed {seed}); \
         logs, mails and database are in {}",
        house.folder().display()
    );
    let began = Instant::now();
    let weather = Weather::new(house.sandbox.state(), seed);
    let shop = Shop::default();
    let (calm, end) = (CancellationToken::new(), CancellationToken::new());
    let course = async {
        shop.sell(&house, &weather, plan, began + plan.selling_max).await;
        tokio::time::sleep(AFTERMATH).await;
        calm.cancel();
        let mails = weather.clear();
        let unrest = until_quiet(&house).await;
        end.cancel();
        (mails, unrest)
    };
    let ((mails, unrest), havoc, watched, (), ()) = tokio::join!(
        course,
        blows::fall(&house, seed, calm.clone(), end.clone()),
        Watched::follow(house.sandbox.state(), end.clone()),
        weather.blow(calm.clone()),
        progress::show(&house, &shop, orders, calm.clone(), end.clone()),
    );
    let rows = Rows::read(&house).await;
    let evidence = Evidence {
        house: &house,
        shop: &shop,
        watched: &watched,
        havoc: &havoc,
        mails: &mails,
        rows: &rows,
    };
    let mut verdict = Verdict::reach(&evidence).await;
    verdict.add_wrongs(unrest);
    println!("\n{}", verdict.table(&evidence, began.elapsed()));
    let (is_good, told) = (verdict.is_good(), verdict.told());
    let hint = if is_good { String::new() } else { house.explain(&verdict.references()).await };
    house.leave(!is_good).await;
    assert!(is_good, "\n{told}\n{hint}repeat with script/chaos --orders {orders} --seed {seed}");
}

/// Waits until nothing moves any more; answers what still does when patience is at an end.
async fn until_quiet(house: &House) -> Option<String> {
    let began = Instant::now();
    let unrest = format!(
        "SELECT * FROM (
             SELECT o.reference || '/' || l.line || ' is ' || l.status AS what
             FROM provisor.order_lines l JOIN provisor.orders o ON o.id = l.order_id
             WHERE l.status = 'placing'
                OR l.status = 'in_doubt' AND l.in_doubt_at > now() - interval '{EVIDENCE_S} s'
                OR l.status IN ('pending', 'provisioning') AND NOT EXISTS (
                       SELECT FROM provisor.order_lines p
                       WHERE (p.domain = l.domain OR p.order_id = l.order_id) AND p.id <> l.id
                         AND p.status IN ('in_doubt', 'held'))
             UNION ALL SELECT dedupe_key || ' is queued' FROM provisor.email_outbox WHERE status = 'queued'
             UNION ALL SELECT 'the wish for ' || d.domain || ' is open'
             FROM provisor.domains d JOIN provisor.order_lines l ON l.id = d.line_id
             JOIN provisor.wakes w ON w.id = d.id * 16 + 4
             WHERE w.due_at < 'infinity' AND l.status IN ('completed', 'failed', 'cancelled')
             UNION ALL SELECT 'an event at ' || max(at) FROM provisor.events
             HAVING max(at) > now() - interval '{QUIET_S} s') AS unrest (what) LIMIT 20"
    );
    loop {
        let found: Vec<(String,)> = house.rows(&unrest).await;
        if found.is_empty() {
            return None;
        }
        if began.elapsed() >= PATIENCE {
            let found: Vec<String> = found.into_iter().map(|(what,)| what).collect();
            return Some(format!("not quiet within {PATIENCE:?}: {}", found.join("; ")));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
