//! What a daemon does now and then for the tables themselves.

use std::time::{Duration, Instant};

use super::{Database, DbError};

/// The most wakes forgotten by one statement, which looks at ten times as many.
const FORGOTTEN_MAX: i32 = 10_000;

/// How many such statements there are at most each time the house is kept: ten million wakes are gone through in ten rounds.
const STEPS: usize = 10;

/// After so long no further one is begun: the next round goes on from there, and all of it must fit into the wake's lease.
const FORGETTING_MAX: Duration = Duration::from_secs(10);

impl Database {
    /// Sees to it that the schedules have their wakes. `wake_ids` are due at once where they are new.
    pub async fn ensure_schedules(&self, wake_ids: &[i64]) -> Result<(), DbError> {
        self.call("setting up the schedules", async |connection| {
            // Another process may do so in the same moment, which a stricter default of the database would call a failure.
            let mut transaction = super::begin(connection).await?;
            sqlx::query!(
                "INSERT INTO provisor.wakes (id, lane, due_at)
                 SELECT id, 4, clock_timestamp() FROM unnest($1::bigint[]) AS s (id) ORDER BY id
                 ON CONFLICT (id) DO NOTHING",
                wake_ids,
            )
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await
        })
        .await
    }

    /// Makes a wake due at once, and says so to its handler, should it be under way.
    pub async fn poke(&self, wake_id: i64) -> Result<(), DbError> {
        self.call("poking a wake", async |connection| {
            let mut transaction = super::begin(connection).await?;
            sqlx::query!("SELECT provisor.poke($1)", wake_id).execute(&mut *transaction).await?;
            transaction.commit().await
        })
        .await
    }

    /// Makes the history's next partitions, drops the oldest, and forgets wakes whose subjects have long ended. Answers how
    /// many it forgot.
    pub async fn keep_house(&self) -> Result<i32, DbError> {
        self.call("keeping the partitions", async |connection| {
            sqlx::query!("SELECT provisor.maintain_partitions()").execute(connection).await
        })
        .await?;
        let (began, mut forgotten) = (Instant::now(), 0);
        for _ in 0..STEPS {
            let step = self
                .call("forgetting what has ended", async |connection| {
                    sqlx::query!(
                        r#"SELECT forgotten AS "forgotten!", is_through AS "is_through!" FROM provisor.forget_ended($1)"#,
                        FORGOTTEN_MAX,
                    )
                    .fetch_one(connection)
                    .await
                })
                .await?;
            forgotten += step.forgotten;
            if step.is_through || began.elapsed() > FORGETTING_MAX {
                break;
            }
        }
        Ok(forgotten)
    }
}
