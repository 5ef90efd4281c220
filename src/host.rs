//! Whether a host is this machine: where clear text may go.

use std::net::IpAddr;

/// Whether a host, as a URL or a setting names it, is this machine whatever the name service says: a loopback address, with
/// or without the brackets of a URL, or `localhost`.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for here in
            ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "::ffff:127.0.0.1"]
        {
            assert!(is_this_machine(here), "{here}");
        }
        for there in [
            "",
            "192.0.2.7",
            "0.0.0.0",
            "localhost.example.nl",
            "x.localhost",
            "::",
            "[2001:db8::1]",
        ] {
            assert!(!is_this_machine(there), "{there}");
        }
    }
}
