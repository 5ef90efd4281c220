//! The upstreams: the only HTTP client.
