//! Being a good guest: one budget, one pace and one row of failures for all processes, and polls that make room.

mod outage;
mod pace;
mod polls;

use std::{sync::Arc, time::Duration};

use provisor::{
    app,
    db::{Database, guests::UpstreamState},
    jobs::guest::{CircuitObserver, Guest, GuestLimits, NotNow},
    queue::{Alarm, Budget},
    upstream::{Observer, UpstreamError},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{doubt::database, house::House};

/// The endpoint that most requests of these tests are about.
const GET: &str = "GET /api/v1/products";

/// Requests a second of all processes of these tests.
const RATE: u32 = 1000;

/// Trials are due when a test says so ([`Neighbours::trial_is_due`]).
const PROBE_INTERVAL: Duration = Duration::from_hours(1);

struct Unheard;

impl Observer for Unheard {
    fn request(&self, _: &'static str, _: &'static str, _: &'static str, _: Duration) {}
}

impl CircuitObserver for Unheard {
    fn circuit(&self, _: &'static str, _: &str, _: bool) {}
}

/// A process' way to LJPc, without its engine.
struct Process {
    guest: Guest,
    budget: Budget,
}

/// Two processes on one database, beside one sandbox.
struct Neighbours {
    house: House,
    db: Database,
    one: Process,
    two: Process,
    stop: CancellationToken,
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Neighbours {
    async fn new() -> Self {
        let house = House::new().await;
        let stop = CancellationToken::new();
        let (one, two) = (process(&house, &stop), process(&house, &stop));
        Self { db: database(&house), house, one, two, stop }
    }

    async fn state(&self) -> UpstreamState {
        self.db.upstream_state("ljpc").await.expect("the state can be read")
    }

    /// The thousandths of the rate in force.
    async fn pace(&self) -> i32 {
        self.state().await.pace.0
    }

    /// As if so much time had passed since the pace was last lowered.
    async fn after(&self, seconds: u32) {
        self.house
            .world
            .run(&format!(
                "UPDATE provisor.upstream_budgets SET pace_at = clock_timestamp() - interval '{seconds} s'"
            ))
            .await;
    }

    /// As if the pace had just been lowered, and no time passed.
    async fn no_time_passes(&self) {
        self.house
            .world
            .run("UPDATE provisor.upstream_budgets SET pace_at = clock_timestamp() + interval '1 minute'")
            .await;
    }

    async fn trial_is_due(&self) {
        self.house.world.run("UPDATE provisor.circuits SET probe_at = clock_timestamp()").await;
    }

    /// Both look at the circuits, at the same time.
    async fn look(&self) {
        let (one, two) = tokio::join!(self.one.guest.look(), self.two.guest.look());
        one.and(two).expect("the circuits can be looked at");
    }

    /// The open circuits: endpoint and cause.
    async fn circuits(&self) -> Vec<(String, String)> {
        sqlx::query_as("SELECT endpoint, cause FROM provisor.circuits ORDER BY endpoint")
            .fetch_all(&self.house.world.pool)
            .await
            .expect("circuits can be read")
    }

    /// How many emails the operator was owed about circuits.
    async fn told(&self) -> i64 {
        told(&self.house).await
    }

    /// How often LJPc was asked whether it is there.
    fn trials(&self) -> usize {
        self.house.requests("GET", "/api/hosting/v1/tlds").len()
    }
}

impl Process {
    async fn learns(&self, endpoint: &str, answer: Result<(), UpstreamError>) {
        self.guest.learn(endpoint, &answer).await;
    }

    async fn may_ask(&self, endpoint: &str) -> Result<(), NotNow> {
        self.guest.permit(endpoint, &mut false).await.map(drop)
    }
}

fn process(house: &House, stop: &CancellationToken) -> Process {
    let (db, alarm) = (database(house), Alarm::default());
    let tasks = TaskTracker::new();
    let budget = Budget::start(&tasks, stop.clone(), db.clone(), "ljpc", RATE, alarm.clone());
    let settings = house.settings(&[]);
    let ljpc = app::connect_ljpc(&settings, Arc::new(Unheard)).expect("the settings are good");
    let limits = GuestLimits { max_in_flight: 8, probe_interval: PROBE_INTERVAL };
    let guest = Guest::new(ljpc, db, budget.clone(), limits, Arc::new(Unheard), alarm);
    Process { guest, budget }
}

async fn told(house: &House) -> i64 {
    house
        .world
        .value(
            "SELECT count(*) FROM provisor.email_outbox
             WHERE template = 'ops_attention' AND context ->> 'about' = 'circuit_open'",
        )
        .await
}

fn rate_limited(after: Duration) -> Result<(), UpstreamError> {
    Err(UpstreamError::RateLimited { after })
}
