//! What befalls the workers and the database: killed, stopped past the lease, drained, cut off, crashed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use provisor::clock;
use tokio_util::sync::CancellationToken;

use super::house::{House, LEASE};
use crate::{chance::Chance, daemon::Daemon};

/// Workers beside each other.
const WORKERS: usize = 3;

/// The stream of chance.
const BLOWS: u64 = 4;

/// The mean time between two blows.
const BLOW_MS: u64 = 2_000;

/// How often is looked whether a worker must go on, or has ended by itself.
const LOOK: Duration = Duration::from_millis(100);

/// Nothing gets on while the database is away: crashes and long cuts are no closer.
const GONE_AFTER: Duration = Duration::from_secs(25);

/// What can befall.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Blow {
    /// SIGKILL, and another worker in its place.
    Kill,
    /// SIGTERM, and another in its place.
    Drain,
    /// SIGSTOP, and SIGCONT, mostly after the lease.
    Stop,
    /// `pg_terminate_backend` for some connections.
    Terminate,
    /// A process of the server is killed, so that it throws everybody out and recovers.
    Crash,
    /// The connections to the database are cut, with whatever is under way on them.
    Cut,
    /// They are cut, and none can be made for some seconds.
    Away,
}

const LIKELIHOODS: [(u64, Blow); 7] = [
    (5, Blow::Kill),
    (2, Blow::Drain),
    (3, Blow::Stop),
    (3, Blow::Terminate),
    (1, Blow::Crash),
    (3, Blow::Cut),
    (1, Blow::Away),
];

/// For how long the database may be out of reach: a process that can't tell of itself for 8 s is taken for dead.
const AWAY_MS: [u64; 2] = [1_000, 12_000];

impl Blow {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL",
            Self::Drain => "SIGTERM",
            Self::Stop => "SIGSTOP",
            Self::Terminate => "backends terminated",
            Self::Crash => "database crashed",
            Self::Cut => "connections cut",
            Self::Away => "database out of reach",
        }
    }
}

/// A blow that fell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fallen {
    pub(crate) blow: Blow,
    /// The worker's life, if it was for one.
    pub(crate) life: Option<u32>,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

/// What the blows came to.
#[derive(Default)]
pub(crate) struct Havoc {
    pub(crate) fallen: Vec<Fallen>,
    /// Workers that ended though nobody told them to.
    pub(crate) wrongs: Vec<String>,
    pub(crate) lives: u32,
}

impl Havoc {
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for fallen in &self.fallen {
            *counts.entry(fallen.blow.name()).or_default() += 1;
        }
        counts
    }
}

struct Worker {
    daemon: Daemon,
    life: u32,
    /// Stopped: since when, and until when.
    stopped: Option<(DateTime<Utc>, Instant)>,
}

struct Field<'a> {
    house: &'a House,
    env: Vec<(String, String)>,
    workers: Vec<Worker>,
    chance: Chance,
    /// When the database was last away.
    gone: Instant,
    havoc: Havoc,
}

/// Keeps the workers running, with blows until there is calm, and drains them in the end.
pub(crate) async fn fall(
    house: &House,
    seed: u64,
    calm: CancellationToken,
    end: CancellationToken,
) -> Havoc {
    let mut field = Field {
        house,
        env: house.environment(),
        workers: Vec::new(),
        chance: Chance::stream(seed, BLOWS, 0),
        gone: Instant::now(),
        havoc: Havoc::default(),
    };
    for _ in 0..WORKERS {
        let worker = field.start();
        field.workers.push(worker);
    }
    let mut next = Instant::now() + Duration::from_secs(2);
    while !end.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = end.cancelled() => {}
        }
        field.continue_stopped(calm.is_cancelled()).await;
        field.replace_ended();
        if Instant::now() >= next && !calm.is_cancelled() {
            field.strike().await;
            next = Instant::now()
                + Duration::from_millis(field.chance.between(BLOW_MS / 2, BLOW_MS * 3 / 2));
        }
    }
    field.continue_stopped(true).await;
    for worker in std::mem::take(&mut field.workers) {
        if let Err(wrong) = worker.daemon.end().await {
            field.havoc.wrongs.push(format!("worker {}: {wrong}", worker.life));
        }
    }
    field.havoc
}

impl Field<'_> {
    fn start(&mut self) -> Worker {
        self.havoc.lives += 1;
        let life = self.havoc.lives;
        let log = self.house.logs().join(format!("{life}.log"));
        Worker { daemon: Daemon::start(&self.env, log), life, stopped: None }
    }

    async fn strike(&mut self) {
        let mut blow = self.chance.weigh(&LIKELIHOODS);
        if matches!(blow, Blow::Crash | Blow::Away) {
            if self.gone.elapsed() < GONE_AFTER {
                blow = Blow::Cut;
            } else {
                self.gone = Instant::now();
            }
        }
        let victim = self.chance.place(WORKERS);
        self.replace_ended();
        let from = clock::now();
        let (mut life, mut lasts) = (None, Duration::ZERO);
        match blow {
            Blow::Kill => life = Some(self.replace(victim, true).await),
            Blow::Drain if self.workers[victim].stopped.is_none() => {
                life = Some(self.replace(victim, false).await);
            }
            Blow::Stop if self.workers[victim].stopped.is_none() => {
                return self.stop(victim).await;
            }
            // It is stopped already.
            Blow::Drain | Blow::Stop => return,
            Blow::Terminate => self.terminate().await,
            Blow::Crash => self.crash().await,
            Blow::Cut => self.house.pipe.cut(Duration::ZERO),
            Blow::Away => {
                lasts = Duration::from_millis(self.chance.between(AWAY_MS[0], AWAY_MS[1]));
                self.house.pipe.cut(lasts);
            }
        }
        self.havoc.fallen.push(Fallen { blow, life, from, until: clock::now() + lasts });
    }

    /// Ends a worker and starts another in its place; answers which life it was.
    async fn replace(&mut self, victim: usize, kill: bool) -> u32 {
        let another = self.start();
        let worker = std::mem::replace(&mut self.workers[victim], another);
        let life = worker.life;
        if let Some((from, _)) = worker.stopped {
            let stopped = Fallen { blow: Blow::Stop, life: Some(life), from, until: clock::now() };
            self.havoc.fallen.push(stopped);
        }
        if kill {
            worker.daemon.kill().await;
        } else if let Err(wrong) = worker.daemon.end().await {
            self.havoc.wrongs.push(format!("worker {life}: {wrong}"));
        }
        life
    }

    async fn stop(&mut self, victim: usize) {
        // Two of three times longer than the lease, which is when another may take over.
        let lease = u64::try_from(LEASE.as_millis()).expect("short");
        let ms = self.chance.between(lease / 2, lease * 2);
        let worker = &mut self.workers[victim];
        worker.daemon.until_started().await;
        worker.daemon.signal("STOP").await;
        worker.stopped = Some((clock::now(), Instant::now() + Duration::from_millis(ms)));
    }

    async fn continue_stopped(&mut self, all: bool) {
        for worker in &mut self.workers {
            let Some((from, due)) = worker.stopped else { continue };
            if all || Instant::now() >= due {
                worker.daemon.signal("CONT").await;
                worker.stopped = None;
                let (life, until) = (Some(worker.life), clock::now());
                self.havoc.fallen.push(Fallen { blow: Blow::Stop, life, from, until });
            }
        }
    }

    /// Whoever ends by itself is started anew, as its supervisor would; but none should.
    fn replace_ended(&mut self) {
        for victim in 0..self.workers.len() {
            if let Some(status) = self.workers[victim].daemon.ended() {
                let life = self.workers[victim].life;
                self.havoc.wrongs.push(format!("worker {life} has ended by itself: {status}"));
                self.workers[victim] = self.start();
            }
        }
    }

    async fn terminate(&mut self) {
        let share = self.chance.between(10, 100);
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid % 100 < {share}"
        );
        let _: i64 = self.house.value(&sql).await;
    }

    async fn crash(&mut self) {
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
                   AND pid <> pg_backend_pid() AND backend_type = 'client backend' LIMIT 1";
        if let Some((pid,)) = self.house.rows::<(i32,)>(sql).await.first() {
            let pid = pid.to_string();
            // It may have ended by itself meanwhile.
            let killed = tokio::process::Command::new("sh")
                .args(["-c", "kill -s KILL \"$0\"", &pid])
                .stderr(std::process::Stdio::null())
                .status();
            killed.await.expect("sh runs");
        }
    }
}
