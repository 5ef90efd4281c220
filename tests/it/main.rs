//! The whole, tested on a real PostgreSQL, real HTTP and real SMTP: one binary, so that its template database is made once.
//! `script/test` brings the server along.

// Under cfg(test) each, as clippy then knows that helpers may unwrap too.
#[cfg(test)]
mod after_intake;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod beside;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod checking;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod emails_owed;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod house;
#[cfg(test)]
mod intake;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod lines;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod look;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod names;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod order_show;
#[cfg(test)]
mod placement;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod polling;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod resolving;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod shop_sql;
#[cfg(test)]
mod storefront;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod upstream_commands;
#[cfg(test)]
mod withdrawn;
#[cfg(test)]
mod world;
