//! The processes that share the queue: who lives, and what the dead have left.

use std::time::Duration;

use uuid::Uuid;

use super::{Database, DbError, micros};

impl Database {
    /// Tells that this process lives. Answers whether another one has been silent for `silent_for`.
    pub async fn heartbeat(&self, owner: Uuid, silent_for: Duration) -> Result<bool, DbError> {
        self.call("telling that this process lives", async |connection| {
            sqlx::query_scalar!(
                r#"INSERT INTO provisor.processes (owner) VALUES ($1)
                   ON CONFLICT (owner) DO UPDATE SET heartbeat_at = clock_timestamp()
                   RETURNING EXISTS (
                       SELECT FROM provisor.processes p
                       WHERE p.owner <> $1
                         AND p.heartbeat_at < clock_timestamp() - $2::bigint * interval '1 microsecond') AS "silent!""#,
                owner,
                micros(silent_for),
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// Takes leave: gives back at once what this process still holds, but for lines that may be in the middle of an
    /// irreversible request (see [`Self::release_dead_owners`]), and forgets the process if nothing is left of it: else the
    /// others, to whom it is dead soon, look after what it leaves.
    pub async fn leave(&self, owner: Uuid, sending_kind: u8) -> Result<(), DbError> {
        self.call("taking leave", async |connection| {
            sqlx::query!(
                "WITH held AS MATERIALIZED (
                     SELECT id FROM provisor.wakes
                     WHERE lane = ANY (ARRAY[0, 1, 2, 3, 4]::smallint[])
                       AND due_at <= now() AND due_at < 'infinity' AND lease_until > now() AND owner = $1
                     ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED),
                 released AS (
                     UPDATE provisor.wakes w
                     SET lease_until = '-infinity', due_at = clock_timestamp(), owner = NULL
                     WHERE w.id = ANY (ARRAY (SELECT id FROM held))
                       AND NOT EXISTS (SELECT FROM provisor.order_lines l
                                       WHERE w.id % 16 = $2 AND l.id = w.id / 16 AND l.status = 'placing')
                     RETURNING w.id)
                 DELETE FROM provisor.processes
                 WHERE owner = $1 AND (SELECT count(*) FROM held) = (SELECT count(*) FROM released)",
                owner,
                i64::from(sending_kind),
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// Makes the wakes of processes that are silent for `silent_for` due at once, and forgets those processes.
    ///
    /// A subject that may be in the middle of an irreversible request waits for its lease instead: `sending_kind` names
    /// the kind of such wakes, and a line that is `placing` is one. When its lease is over, it is released too: it was due
    /// long ago, so that otherwise only a full scan of its lane would find it.
    pub async fn release_dead_owners(
        &self,
        silent_for: Duration,
        sending_kind: u8,
    ) -> Result<u64, DbError> {
        self.call("releasing the wakes of dead processes", async |connection| {
            // A process is forgotten only when nothing of its is left under a lease.
            sqlx::query!(
                "WITH dead AS MATERIALIZED (
                     SELECT owner FROM provisor.processes
                     WHERE heartbeat_at < clock_timestamp() - $1::bigint * interval '1 microsecond'
                     LIMIT 100),
                 held AS MATERIALIZED (
                     SELECT w.id FROM provisor.wakes w
                     WHERE w.lane = ANY (ARRAY[0, 1, 2, 3, 4]::smallint[])
                       AND w.due_at <= now() AND w.due_at < 'infinity' AND w.lease_until > '-infinity'
                       AND w.owner = ANY (ARRAY (SELECT owner FROM dead))
                       -- A one-time filter: without a dead process nothing is scanned.
                       AND EXISTS (SELECT FROM dead)
                     ORDER BY w.id LIMIT 10000 FOR UPDATE SKIP LOCKED),
                 released AS (
                     UPDATE provisor.wakes w
                     -- Due from now on, and so above every watermark.
                     SET lease_until = '-infinity', due_at = clock_timestamp(), owner = NULL
                     WHERE w.id = ANY (ARRAY (SELECT id FROM held))
                       AND (w.lease_until <= now()
                            OR NOT EXISTS (SELECT FROM provisor.order_lines l
                                           WHERE w.id % 16 = $2 AND l.id = w.id / 16 AND l.status = 'placing'))
                     RETURNING w.id),
                 gone AS (
                     DELETE FROM provisor.processes p
                     WHERE p.owner = ANY (ARRAY (SELECT owner FROM dead))
                       AND NOT EXISTS (SELECT FROM held))
                 SELECT count(*) FROM released",
                micros(silent_for),
                i64::from(sending_kind),
            )
            .fetch_one(connection)
            .await
        })
        .await
        .map(|row| row.count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }
}
