//! Faults of the database and of the mail server: whatever breaks, nothing is bought twice, every line ends or is visibly in
//! doubt, and every email that is owed is sent once, or again under the same Message-ID.
//!
//! Each test breaks a PostgreSQL server of its own, so these need the server's programs, not `DATABASE_URL`:
//!
//!     cargo test --test faults
//!
//! - `server.rs`: a server that may be broken. `proxy.rs`: the way to it, which may be cut. `world.rs`: both, with a
//!   database in them. `verdict.rs`: what must hold when all is over.
//! - `restarts.rs`, `refusals.rs`, `commits.rs`, `cuts.rs`, `full.rs`: what breaks. `failover.rs`: a standby is promoted.
//!   `bouncer.rs`: the real PgBouncer between. `letters.rs`: the mail server, by `postman.rs`.

// Under cfg(test) each, as clippy then knows that helpers may unwrap too.
#[cfg(test)]
mod commits;
#[cfg(test)]
mod cuts;
#[cfg(test)]
#[path = "../it/house.rs"]
mod house;
#[cfg(test)]
#[path = "../it/look.rs"]
#[expect(dead_code, reason = "shared with tests/it, which looks at more")]
mod look;
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
