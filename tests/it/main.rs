//! The whole, tested on a real PostgreSQL, real HTTP and real SMTP. `script/test` brings the server along.

mod house;
mod lines;
mod world;
