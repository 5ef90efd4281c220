//! The schema: bringing it up to date, and telling whether it serves this binary; and what we are to the server.

use super::{Database, DbError};

/// Whether the schema serves this binary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SchemaState {
    /// It does.
    Serves,
    /// It does, although a newer release has migrated it: up to this migration, which this binary does not know.
    ServesStill(i64),
    /// It does not, or is not there; what to do about it.
    Lacking(String),
}

/// Who is connected, and to what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The server's version, as it says it.
    pub version: String,
    /// The server only reads: it follows another one.
    pub is_standby: bool,
    /// As whom.
    pub user: String,
    /// Whether he may do what the daemon does. Nothing, if nobody may yet: there is neither the role nor the schema.
    pub may_work: Option<bool>,
}

/// Migrating failed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The user may not create roles, and they are missing.
    #[error("{message}\n\nAs a superuser, run this once, then migrate again:\n\n{sql}")]
    Roles {
        /// What the server said.
        message: String,
        /// The statements to run.
        sql: String,
    },
    /// Anything else.
    #[error("a migration failed")]
    Failed(#[source] sqlx::migrate::MigrateError),
}

/// Where sqlx keeps what it has applied: in our schema, so that the shop's own migrations don't meet ours.
const APPLIED: &str = "provisor.schema_migrations";

/// SQLSTATE `undefined_table`.
const UNDEFINED_TABLE: &str = "42P01";

impl Database {
    /// Applies the migrations that are missing. Several processes may do this at once: they wait for each other.
    ///
    /// Migrations of a newer release are let be: whether the schema still serves this binary, the schema itself says
    /// ([`Self::schema_state`]), and the release that was gone back to must come to its end by the same commands.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let mut migrator = sqlx::migrate!("./migrations");
        migrator.create_schema("provisor");
        migrator.dangerous_set_table_name(APPLIED);
        migrator.set_ignore_missing(true);
        migrator
            .run(&self.pool)
            .await
            .map_err(|error| roles_hint(&error).unwrap_or(MigrateError::Failed(error)))
    }

    /// Asks who is connected, and to what.
    pub async fn standing(&self) -> Result<Standing, DbError> {
        self.call("asking for the server and the user", async |connection| {
            // USAGE and not MEMBER: nobody here says SET ROLE, so a membership without INHERIT gives him no right. And the
            // schema's owner needs none.
            sqlx::query_as!(
                Standing,
                r#"SELECT current_setting('server_version') AS "version!", pg_is_in_recovery() AS "is_standby!",
                          current_user::text AS "user!",
                          (SELECT bool_or(pg_has_role(current_user, r.oid, 'USAGE')) FROM pg_roles AS r
                           WHERE r.rolname = 'provisor_worker'
                              OR r.oid = (SELECT n.nspowner FROM pg_namespace AS n
                                          WHERE n.nspname = 'provisor')) AS "may_work?""#
            )
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// Tells whether the schema serves this binary.
    pub async fn schema_state(&self) -> Result<SchemaState, DbError> {
        let known = sqlx::migrate!("./migrations").iter().map(|migration| migration.version).max();
        // One statement, since each process asks every few seconds; and one of the tables is sqlx's own, so that it is not
        // there when the queries are checked.
        let read = self
            .call("reading the schema's version", async |connection| {
                sqlx::query_as::<_, (String, Option<i64>)>(
                    "SELECT oldest_binary, (SELECT max(version) FROM provisor.schema_migrations WHERE success)
                     FROM provisor.schema_info",
                )
                .fetch_one(connection)
                .await
            })
            .await;
        let (oldest, applied) = match read {
            Ok(read) => read,
            Err(error) if error.sqlstate().as_deref() == Some(UNDEFINED_TABLE) => {
                return Ok(SchemaState::Lacking(
                    "the database has no schema `provisor`: run `provisor migrate`".to_owned(),
                ));
            }
            Err(error) => return Err(error),
        };
        if applied < known {
            return Ok(SchemaState::Lacking(format!(
                "the schema is at migration {}, this binary needs {}: run `provisor migrate`",
                applied.unwrap_or(0),
                known.unwrap_or(0)
            )));
        }
        let this = env!("CARGO_PKG_VERSION");
        if version(this) < version(&oldest) {
            return Ok(SchemaState::Lacking(format!(
                "the schema serves Provisor {oldest} and newer, this is {this}: install a newer one"
            )));
        }
        Ok(applied
            .filter(|_| applied > known)
            .map_or(SchemaState::Serves, SchemaState::ServesStill))
    }
}

/// A version's numbers, as they compare.
fn version(text: &str) -> Vec<u64> {
    text.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

fn roles_hint(error: &sqlx::migrate::MigrateError) -> Option<MigrateError> {
    let (sqlx::migrate::MigrateError::Execute(source)
    | sqlx::migrate::MigrateError::ExecuteMigration(source, _)) = error
    else {
        return None;
    };
    let server =
        source.as_database_error()?.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    let sql = server.hint().filter(|_| server.code() == "42501")?;
    Some(MigrateError::Roles { message: server.message().to_owned(), sql: sql.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert!(version("1.0.0") > version("0.99.0"));
        assert_eq!(version("0.1.0"), version("0.1.0"));
    }
}
