//! Simulated upstreams, a mail catcher and a private PostgreSQL, for trying an integration out.
