//! The only SQL.
//!
//! Architecture invariant: nothing here waits for anything but the database, and every call has a deadline: sqlx has no
//! TCP keepalive, so that after a silent cut of the network a read would hang for ever.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, Executor as _, PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

pub mod audit;
pub mod contacts;
pub mod customers;
pub mod domains;
pub mod emails;
mod error;
pub mod gauges;
pub mod guests;
pub mod house;
pub mod lines;
pub mod listen;
pub mod operators;
mod processes;
pub mod records;
pub mod reports;
pub mod schema;
pub mod wakes;

pub use error::DbError;

use crate::host::is_this_machine;

/// How long one call may take, connecting included.
const CALL_MAX: Duration = Duration::from_secs(15);

/// How long it may take to tell whether the database can be connected to.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// A pool of connections, every call on which has a deadline.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
    purpose: Purpose,
    sessions: Sessions,
}

/// What stands between this process and the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sessions {
    /// A connection is a session of the server's: what is prepared on it stays.
    Own,
    /// A pooler lends the server's sessions for one transaction each (`PgBouncer`, `pool_mode = transaction`). Nothing may
    /// outlive a transaction, and nothing may be done in pieces outside of one: between two of them, the session may be
    /// another client's.
    Lent,
}

/// A connection that has been idle for so long is tried before it is used.
const TESTED_AFTER: Duration = Duration::from_secs(1);

/// How the server treats our sessions, whatever a role's or a database's defaults are.
///
/// - Every statement here is written for this level, and at a stricter one any of them may fail beside a shop's transaction.
/// - None of them is worth to be compiled, however dear the planner takes it for.
const OURS: &str = "SET default_transaction_isolation = 'read committed'; SET jit = off";

/// In addition, for the sessions of [`Purpose::Queue`]. Each of their statements has one good plan: claims and looks go by
/// the index of what is due, in its order, claims then by ctid, and parks by the ids, in the order given. It is made once:
/// to plan takes longer than to claim a few, and another plan, made while the table was small, would be kept for too long.
const OF_QUEUE: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                        SET enable_bitmapscan = off; SET enable_sort = off; SET enable_hashjoin = off; \
                        SET enable_mergejoin = off";

/// What a pool's sessions are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// For everything. Each commit is waited for until it is on the disk.
    General,
    /// For claims, looks at what is due next, and parks. A claim alone does not wait for the disk: a lost one is made again,
    /// and the fence covers it.
    Queue,
}

impl Purpose {
    /// How many connections a daemon's pool of this purpose has at the most.
    #[must_use]
    pub const fn connections_max(self) -> u32 {
        match self {
            // LISTEN, the group commits, the heartbeat, the probes and the scrapes beside each other.
            Self::General => 6,
            // One fetcher, and two groups of parks.
            Self::Queue => 3,
        }
    }
}

impl Database {
    /// Prepares a pool of at most `connections_max`; nothing is connected yet. The URL is `postgres://…`, as libpq's, but for
    /// `sslmode`: to another machine it is `verify-full`, unless it is `disable`.
    pub fn new(url: &str, connections_max: u32, purpose: Purpose) -> Result<Self, DbError> {
        Self::over(Sessions::Own, url, connections_max, purpose)
    }

    /// The same, behind what lends its sessions or does not.
    pub fn over(
        sessions: Sessions,
        url: &str,
        connections_max: u32,
        purpose: Purpose,
    ) -> Result<Self, DbError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| DbError::sql("reading the database's URL", error))?
            .application_name("provisor")
            // Nothing here reads a float, and poolers refuse startup parameters that they don't know.
            .extra_float_digits(None);
        let options = verified(options, says_clear_text(url));
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(CALL_MAX)
            .idle_timeout(Duration::from_mins(5))
            // A connection that was just used is there; to ask before each call would double what a call takes.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    // What is lent is left as it was found: there, each call is a transaction that says it itself.
                    if sessions == Sessions::Own {
                        connection.execute(OURS).await?;
                        if purpose == Purpose::Queue {
                            connection.execute(OF_QUEUE).await?;
                        }
                    }
                    Ok(())
                })
            })
            .before_acquire(|connection, used| {
                Box::pin(async move {
                    if used.idle_for >= TESTED_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, purpose, sessions })
    }

    /// Connects once, outside the pool, and so tells why that can't be done: the pool tries on until its time is up, and
    /// then knows only that.
    pub async fn probe(&self) -> Result<(), DbError> {
        let options = self.pool.connect_options();
        let is_verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
        let what = if is_verified { "connecting with sslmode=verify-full" } else { "connecting" };
        let connecting = PgConnection::connect_with(&options);
        match tokio::time::timeout(PROBE_MAX, connecting).await {
            Ok(connected) => {
                let connection = connected.map_err(|error| DbError::sql(what, error))?;
                connection.close().await.map_err(|error| DbError::sql(what, error))
            }
            Err(_) => Err(DbError::Deadline { what, limit: PROBE_MAX }),
        }
    }

    /// The pool itself, for what brings its own deadline: migrations, LISTEN.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Runs `call` on one connection. A connection that misses the deadline is closed and not used again.
    async fn call<T>(
        &self,
        what: &'static str,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbError> {
        let mut connection =
            self.pool.acquire().await.map_err(|error| DbError::sql("connecting", error))?;
        let called = async {
            match self.sessions {
                Sessions::Own => call(&mut connection).await,
                Sessions::Lent => in_one_transaction(&mut connection, call).await,
            }
        };
        if let Ok(result) = tokio::time::timeout(CALL_MAX, called).await {
            return result.map_err(|error| DbError::sql(what, error));
        }
        drop(connection.detach());
        Err(DbError::Deadline { what, limit: CALL_MAX })
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Begins a transaction, or within one a savepoint. Each of its statements sees what was committed before it, whatever a
/// role's or a database's default is: an order's status is derived by a statement after the one that waited for the
/// order's lock, and on an older snapshot it would miss the lines that have ended meanwhile.
async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    if connection.is_in_transaction() {
        connection.begin().await
    } else {
        connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await
    }
}

/// Runs `call` in a transaction that leaves nothing behind on the server's session, which is another client's afterwards.
/// What `call` begins itself becomes a savepoint.
///
/// The driver prepares under a name and executes in a second exchange: outside of a transaction a pooler may send the two
/// to different sessions, and a name that is left behind is met again by the next client, who counts from one as well.
async fn in_one_transaction<T>(
    connection: &mut PgConnection,
    call: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut transaction = begin(connection).await?;
    let called = call(&mut transaction).await;
    // Closing a statement is understood in a transaction that has failed, too.
    let closed = transaction.clear_cached_statements().await;
    let result = called?;
    closed?;
    transaction.commit().await?;
    Ok(result)
}

/// Microseconds, as the statements take durations.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// To another machine the server's certificate is verified in full, unless the URL asks for clear text in so many words.
/// What libpq does if nothing is said, `prefer`, leaves the choice to whoever stands in between; and what `PGSSLMODE` says,
/// which sqlx takes for its default, may be about another program.
fn verified(options: PgConnectOptions, is_clear: bool) -> PgConnectOptions {
    let host = options.get_host();
    let is_here = options.get_socket().is_some() || host.starts_with('/') || is_this_machine(host);
    if is_here || is_clear { options } else { options.ssl_mode(PgSslMode::VerifyFull) }
}

/// Whether the URL itself says `sslmode=disable`.
fn says_clear_text(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| matches!(pair, "sslmode=disable" | "ssl-mode=disable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_is_verified_unless_clear_text_is_asked_for() {
        let mode = |url: &str| {
            let options = PgConnectOptions::from_str(url).unwrap();
            let options = verified(options, says_clear_text(url));
            format!("{:?}", options.get_ssl_mode())
        };
        for (url, expected) in [
            ("postgres://u@db.example.nl/x", "VerifyFull"),
            ("postgres://u@192.0.2.7/x?sslmode=require", "VerifyFull"),
            ("postgres://u@db.example.nl/x?sslmode=prefer", "VerifyFull"),
            ("postgres://u@db.example.nl/x?sslmode=verify-full", "VerifyFull"),
            ("postgres://u@db.example.nl/x?sslmode=disable", "Disable"),
            ("postgres:///x?host=db.example.nl", "VerifyFull"),
            ("postgres://u@localhost.example.nl/x", "VerifyFull"),
            ("postgres://u@localhost/x", "Prefer"),
            ("postgres://u@127.0.0.1/x", "Prefer"),
            ("postgres://u@[::1]/x", "Prefer"),
            ("postgres:///x?host=/run/postgresql", "Prefer"),
        ] {
            assert_eq!(mode(url), expected, "{url}");
        }
        // As sqlx has it by PGSSLMODE=disable, where the URL says nothing.
        let url = "postgres://u@db.example.nl/x";
        let options = PgConnectOptions::from_str(url).unwrap().ssl_mode(PgSslMode::Disable);
        let options = verified(options, says_clear_text(url));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
    }
}
