//! Faults of the database: whatever breaks, nothing is bought twice, every line ends or is visibly in
//! doubt, and every email that is owed is sent once, or again under the same Message-ID.
//!
//! Each test breaks a PostgreSQL server of its own, so these need the server's programs, not `DATABASE_URL`:
//!
//!     cargo test --features failpoints --test faults -- --test-threads=12
//!
//! - `server.rs`: a server that may be broken. `proxy.rs`: the way to it, which may be cut. `world.rs`: both, with a
//!   database in them. `verdict.rs`: what must hold when all is over.
//! - `restarts.rs`, `refusals.rs`, `commits.rs`, `cuts.rs`, `full.rs`: what breaks. `failover.rs`: a standby is promoted.
//!   `lent.rs`: behind the real `PgBouncer` (`pooler.rs`). What a mail server may do is in `tests/it/letters`.

// Under cfg(test) each, as clippy then knows that helpers may unwrap too.
#[cfg(test)]
mod commits;
#[cfg(test)]
mod cuts;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod full;
#[cfg(test)]
#[path = "../it/house.rs"]
#[expect(dead_code, reason = "shared with tests/it, which does more")]
mod house;
#[cfg(test)]
mod lent;
#[cfg(test)]
#[path = "../it/look.rs"]
#[expect(dead_code, reason = "shared with tests/it, which looks at more")]
mod look;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod server;
#[cfg(test)]
mod verdict;
#[cfg(test)]
mod world;
