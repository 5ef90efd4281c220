//! Telling the other processes that this one lives, and releasing early what dead ones held.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::alarm::Alarm;
use crate::db::Database;

/// How often a process tells that it lives.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// A process that was silent for so long is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// A process that could not tell for so long makes no irreversible request: others may be about to take it for dead.
const SILENT_MAX: Duration = Duration::from_secs(8);

/// This process, as the others see it. A random id: a host's name is used again by the next one there.
#[derive(Clone, Debug)]
pub struct Presence {
    owner: Uuid,
    told_at: Arc<Mutex<Instant>>,
}

impl Default for Presence {
    fn default() -> Self {
        Self { owner: Uuid::new_v4(), told_at: Arc::new(Mutex::new(Instant::now())) }
    }
}

impl Presence {
    /// The process' id.
    #[must_use]
    pub const fn owner(&self) -> Uuid {
        self.owner
    }

    /// Whether the others know that this process lives.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.told_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < SILENT_MAX
    }

    /// Tells once. Must succeed before anything is claimed. Answers whether another process seems to be dead.
    pub async fn tell(&self, db: &Database) -> Result<bool, crate::db::DbError> {
        let began = Instant::now();
        let any_dead = db.heartbeat(self.owner, DEAD_AFTER).await?;
        *self.told_at.lock().unwrap_or_else(PoisonError::into_inner) = began;
        Ok(any_dead)
    }

    /// Tells again and again until stopped, which is after the drain: a process that still works still lives.
    pub async fn keep_telling(
        &self,
        db: &Database,
        sending_kind: u8,
        alarm: &Alarm,
        stop: CancellationToken,
    ) {
        loop {
            failpoint!("presence.before_telling");
            // Who can't tell that it lives looks after nobody else either.
            let any_dead = self.tell(db).await.unwrap_or_else(|error| {
                tracing::warn!(
                    error = %crate::causes::causes(&error),
                    "the heartbeat was not recorded"
                );
                false
            });
            failpoint!("presence.told");
            let released = if any_dead {
                db.release_dead_owners(DEAD_AFTER, sending_kind).await
            } else {
                Ok(0)
            };
            match released {
                Ok(0) => {}
                Ok(released) => {
                    tracing::info!(released, "took over what a dead process held");
                    alarm.ring();
                }
                Err(error) => {
                    tracing::warn!(
                        error = %crate::causes::causes(&error),
                        "dead processes were not looked for"
                    );
                }
            }
            failpoint!("presence.released");
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
                () = stop.cancelled() => break,
            }
        }
        failpoint!("presence.before_leaving");
        if let Err(error) = db.leave(self.owner, sending_kind).await {
            tracing::debug!(error = %crate::causes::causes(&error), "took no leave");
        }
        failpoint!("presence.left");
    }
}
