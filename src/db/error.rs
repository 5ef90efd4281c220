//! What can go wrong with the database.

use std::{sync::Arc, time::Duration};

use crate::order::UnknownName;

/// A call to the database that did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DbError {
    /// No answer within the deadline. The connection was dropped; a change may or may not have been made.
    #[error("the database did not answer within {limit:?} ({what})")]
    Deadline {
        /// What was asked.
        what: &'static str,
        /// The deadline.
        limit: Duration,
    },
    /// The database, or the way to it, reported an error.
    #[error("{what} failed in the database")]
    Sql {
        /// What was asked.
        what: &'static str,
        /// Its error. Shared, since one statement serves many callers.
        source: Arc<sqlx::Error>,
    },
    /// A stored value that this binary does not know.
    #[error("the database holds something that this version can't read")]
    Stored(#[from] UnknownName),
}

impl DbError {
    pub(super) fn sql(what: &'static str, source: sqlx::Error) -> Self {
        Self::Sql { what, source: Arc::new(source) }
    }

    /// The SQLSTATE, where the server sent one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<String> {
        match self {
            Self::Sql { source, .. } => source
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .map(Into::into),
            Self::Deadline { .. } | Self::Stored(_) => None,
        }
    }

    /// The server's own words, where it sent some.
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        match self {
            Self::Sql { source, .. } => {
                source.as_database_error().map(sqlx::error::DatabaseError::message)
            }
            Self::Deadline { .. } | Self::Stored(_) => None,
        }
    }

    /// What the server said of it beside that, where it did.
    #[must_use]
    pub fn server_detail(&self) -> Option<&str> {
        match self {
            Self::Sql { source, .. } => source
                .as_database_error()
                .and_then(|error| error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>())
                .and_then(sqlx::postgres::PgDatabaseError::detail),
            Self::Deadline { .. } | Self::Stored(_) => None,
        }
    }

    /// Whether the server has provably changed nothing: it gave up waiting for a lock, or chose this one to end a deadlock
    /// or a conflict of serialization. Other refusals may come of a COMMIT that had its effect.
    #[must_use]
    pub fn was_rolled_back(&self) -> bool {
        self.sqlstate().is_some_and(|code| ["55P03", "40P01", "40001"].contains(&code.as_str()))
    }

    /// Whether the values are to blame, and not the database or the way to it: another try would fail alike.
    #[must_use]
    pub fn is_data_error(&self) -> bool {
        match self {
            // Class 22: data exception; 23: integrity constraint violation.
            Self::Sql { source, .. } => {
                let unreadable = matches!(
                    source.as_ref(),
                    sqlx::Error::Decode(_)
                        | sqlx::Error::ColumnDecode { .. }
                        | sqlx::Error::Protocol(_)
                );
                let refused = |code: String| code.starts_with("22") || code.starts_with("23");
                unreadable || self.sqlstate().is_some_and(refused)
            }
            Self::Stored(_) => true,
            Self::Deadline { .. } => false,
        }
    }
}
