//! The whole, tested on a real PostgreSQL, real HTTP and real SMTP: one binary, so that its template database is made once.
//! `script/test` brings the server along.

mod after_intake;
mod documents;
mod house;
mod intake;
mod lines;
mod roles;
mod world;
