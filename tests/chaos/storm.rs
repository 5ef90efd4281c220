//! Who is stopped when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use provisor::clock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{chance::Chance, daemon::Daemon, house::House};

/// Daemons beside each other.
const DAEMONS: usize = 2;

/// The mean time between two stops; each is up to a quarter shorter or longer.
const STOP_INTERVAL_MS: u64 = 1_000;

/// How daemons are stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// SIGKILL.
    Kill,
    /// SIGTERM, and they may take their time.
    Drain,
}

/// Stops a daemon every second and starts another in its place. Dropped, it ends, and all daemons with it.
pub(crate) struct Storm {
    calm: CancellationToken,
    /// Answers when a daemon was stopped.
    blowing: Option<JoinHandle<Vec<DateTime<Utc>>>>,
}

impl Storm {
    pub(crate) fn start(house: &House, manner: Manner, seed: u64) -> Self {
        let (env, logs) = (house.environment(), house.logs());
        let lives =
            (1..).map(move |life: u32| Daemon::start(&env, logs.join(format!("{life}.log"))));
        let calm = CancellationToken::new();
        let blowing = tokio::spawn(blow(lives, manner, Chance::new(seed), calm.clone()));
        Self { calm, blowing: Some(blowing) }
    }

    /// Ends the storm and drains the daemons that are left. Answers when daemons were stopped during it.
    pub(crate) async fn end(mut self) -> Vec<DateTime<Utc>> {
        self.calm.cancel();
        let blowing = self.blowing.take().expect("a storm ends once");
        blowing.await.expect("daemons end only when they are told to")
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        if let Some(blowing) = &self.blowing {
            blowing.abort();
        }
    }
}

async fn blow(
    mut lives: impl Iterator<Item = Daemon>,
    manner: Manner,
    mut chance: Chance,
    calm: CancellationToken,
) -> Vec<DateTime<Utc>> {
    let mut daemons: Vec<Daemon> = lives.by_ref().take(DAEMONS).collect();
    let mut stops = Vec::new();
    loop {
        let jitter = chance.below(STOP_INTERVAL_MS / 2);
        let pause = Duration::from_millis(STOP_INTERVAL_MS * 3 / 4 + jitter);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = calm.cancelled() => break,
        }
        // One of the two.
        let victim = usize::from(chance.below(2) == 1);
        let another = lives.next().expect("there are always more");
        let daemon = std::mem::replace(&mut daemons[victim], another);
        match manner {
            Manner::Kill => daemon.kill().await,
            Manner::Drain => daemon.drain().await,
        }
        stops.push(clock::now());
    }
    for daemon in daemons {
        daemon.drain().await;
    }
    stops
}
