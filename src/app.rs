//! The only wiring: builds each part and hands it what it needs.
