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
    /// A statement changed fewer or more rows than it must.
    #[error("{what} changed {changed} rows instead of {expected}")]
    Count {
        /// What was asked.
        what: &'static str,
        /// How many rows it changed.
        changed: u64,
        /// How many it had to change.
        expected: u64,
    },
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
            Self::Deadline { .. } | Self::Stored(_) | Self::Count { .. } => None,
        }
    }

    /// The server's own words, where it sent some.
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        match self {
            Self::Sql { source, .. } => {
                source.as_database_error().map(sqlx::error::DatabaseError::message)
            }
            Self::Deadline { .. } | Self::Stored(_) | Self::Count { .. } => None,
        }
    }

    /// Whether the values are to blame, and not the database or the way to it: another try would fail alike.
    #[must_use]
    pub fn is_data_error(&self) -> bool {
        match self {
            // Class 22: data exception; 23: integrity constraint violation.
            Self::Sql { .. } => {
                self.sqlstate().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            Self::Stored(_) | Self::Count { .. } => true,
            Self::Deadline { .. } => false,
        }
    }
}
