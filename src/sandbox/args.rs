//! The arguments of `provisor sandbox`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{Probability, SandboxOptions};

/// Stands in for the upstreams, so that a shop can be tried out without buying anything.
///
/// Once started it prints the settings that point Provisor at it. While it runs, `GET /_sandbox/orders`, `…/sites`,
/// `…/domains`, `…/contacts`, `…/customers`, `…/mails`, `…/journal` and `…/summary` tell what happened; `POST
/// /_sandbox/faults` makes the next requests go wrong on purpose; `POST /_sandbox/orders/ID`, `…/sites` and `…/domains`
/// put one where you want it.
/// Nothing is kept: it starts empty each time, but for the mails' files.
///
/// Some names mean something: `taken.TLD` and `taken-….TLD` can't be registered, `premium….TLD` is a dear one, and a
/// transfer with the auth code `wrong` is rejected. Names registered here are taken from then on.
#[derive(Args, Clone, Debug)]
pub struct SandboxArgs {
    /// Where the simulated LJPc API listens. Everybody who reaches the address may use it, so leave it on loopback
    /// unless the network is yours. Port 0 takes any free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9480")]
    pub listen: SocketAddr,

    /// Where the simulated Leanstack API listens, with the token `sandbox-token`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9481")]
    pub leanstack_listen: SocketAddr,

    /// Where the mail catcher listens (SMTP without TLS or login). It delivers nothing to anybody.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9425")]
    pub smtp_listen: SocketAddr,

    /// The folder that gets one .eml file for each mail caught. It is made if it is missing; any mail program opens
    /// such a file.
    #[arg(long, value_name = "DIR", default_value = "sandbox-mail")]
    pub mail_dir: PathBuf,

    /// How long an order, or a transfer of a domain, takes, such as 500ms, 3s or 2m. An order is pending at first, and
    /// processing from half of it on. 0s delivers at once; long times show how a shop copes with waiting.
    #[arg(long, value_name = "D", default_value = "3s", value_parser = parse_duration)]
    pub delay: Duration,

    /// The share of orders whose delivery fails, from 0 to 1: 0.02 fails one in fifty. The same ones on every run.
    #[arg(long, value_name = "F", default_value = "0")]
    pub failure_rate: Probability,
}

impl SandboxArgs {
    /// The options that these arguments ask for.
    #[must_use]
    pub fn into_options(self) -> SandboxOptions {
        SandboxOptions {
            listen: self.listen,
            leanstack_listen: self.leanstack_listen,
            smtp_listen: self.smtp_listen,
            mail_dir: self.mail_dir,
            delay: self.delay,
            failure_rate: self.failure_rate,
            ..SandboxOptions::default()
        }
    }
}

/// What was given as a duration and is none.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a duration: write a whole number and its unit, as in 500ms, 30s, 15m or 24h")]
pub struct NotADuration(String);

/// Reads a duration as Provisor's configuration writes it: `500ms`, `30s`, `15m`, `24h`.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let refused = || NotADuration(text.chars().take(40).collect());
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (digits, unit) = text.split_at(unit_at);
    let n: u64 = digits.parse().map_err(|_| refused())?;
    let ms_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(refused()),
    };
    n.checked_mul(ms_per_unit)
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(refused)
}

/// Ten years: what is longer is a slip, and would overflow a point in time.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SandboxArgs,
    }

    #[test]
    fn durations_are_read_as_the_configuration_writes_them() {
        for (text, ms) in
            [("0s", 0), ("500ms", 500), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in
            ["", "3", "s", "1.5s", "-1s", "3 s", "3d", "99999999999999999999s", "999999999h"]
        {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains("500ms"), "{error}");
        }
    }

    #[test]
    fn without_arguments_the_defaults_are_those_of_the_options() {
        let options = Cli::parse_from(["sandbox"]).args.into_options();
        let default = SandboxOptions::default();
        assert_eq!(options.listen, default.listen);
        assert_eq!(options.leanstack_listen, default.leanstack_listen);
        assert_eq!(options.smtp_listen, default.smtp_listen);
        assert_eq!(options.mail_dir, default.mail_dir);
        assert_eq!(options.delay, default.delay);
        assert_eq!(options.failure_rate, default.failure_rate);
    }

    #[test]
    fn arguments_reach_the_options() {
        let options = Cli::parse_from([
            "sandbox",
            "--listen=127.0.0.1:0",
            "--leanstack-listen=127.0.0.1:1",
            "--smtp-listen=[::1]:0",
            "--mail-dir=here",
            "--delay=2m",
            "--failure-rate=0.02",
        ])
        .args
        .into_options();
        assert_eq!(options.listen, "127.0.0.1:0".parse().unwrap());
        assert_eq!(options.leanstack_listen, "127.0.0.1:1".parse().unwrap());
        assert_eq!(options.smtp_listen, "[::1]:0".parse().unwrap());
        assert_eq!(options.mail_dir, PathBuf::from("here"));
        assert_eq!(options.delay, Duration::from_mins(2));
        assert_eq!(options.failure_rate.parts_per_million(), 20_000);
        assert!(Cli::try_parse_from(["sandbox", "--failure-rate=2"]).is_err());
    }
}
