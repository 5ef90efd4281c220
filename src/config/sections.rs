//! Each section's keys, their types and their bounds.

use std::path::PathBuf;

use super::address::Mailbox;
use super::keys::KEYS;
use super::layers::Raw;
use super::reader::Reader;
use super::settings::{
    Audit, Database, Email, Explained, Http, Leanstack, LeanstackContract, Ljpc, Log, LogFormat,
    Poll, Queue, Settings, Trace,
};
use super::urls::{check_database_url, check_smtp_url, parse_base_url};
use super::{EMAIL_TEMPLATES, Origin, Secret, checks};
use crate::audit::Schedule;

/// Reads *every* field before it gives up on the first that is wrong, so that all mistakes are recorded.
macro_rules! read_all {
    ($section:ident { $($field:ident: $read:expr),+ $(,)? }) => {{
        $(let $field = $read;)+
        Some($section { $($field: $field?,)+ })
    }};
}

/// All sections; `None` if the reader has recorded why not.
pub(super) fn read(reader: &mut Reader) -> Option<Settings> {
    let settings: Option<Settings> = read_all!(Settings {
        database: database(reader),
        ljpc: ljpc(reader),
        leanstack: leanstack(reader),
        email: email(reader),
        poll: poll(reader),
        queue: queue(reader),
        audit: audit(reader),
        http: http(reader),
        log: log(reader),
        trace: trace(reader),
        explained: Some(explain(reader)),
    });
    checks::durations(reader);
    settings
}

fn database(r: &mut Reader) -> Option<Database> {
    const CURE: &str = "write postgres://user:password@host:5432/name";
    read_all!(Database {
        url: r.optional("database.url", |r, key| r.secret(key, CURE, check_database_url)),
    })
}

fn ljpc(r: &mut Reader) -> Option<Ljpc> {
    let http_beyond = r.boolean("ljpc.allow_http");
    read_all!(Ljpc {
        base_url: base_url(r, "ljpc.base_url", http_beyond),
        api_key: r.optional("ljpc.api_key", header_secret),
        allow_http: http_beyond,
        timeout: r.duration("ljpc.timeout"),
        requests_per_second: r.integer("ljpc.requests_per_second", 1..=10_000),
        max_in_flight: r.integer("ljpc.max_in_flight", 1..=1_000),
        in_doubt_grace: r.duration("ljpc.in_doubt_grace"),
        evidence_interval: r.duration("ljpc.evidence_interval"),
        order_id_probe: r.boolean("ljpc.order_id_probe"),
        circuit_probe_interval: r.duration("ljpc.circuit_probe_interval"),
    })
}

fn leanstack(r: &mut Reader) -> Option<Leanstack> {
    const CONTRACTS: &[(&str, LeanstackContract)] =
        &[("seed", LeanstackContract::Seed), ("2022", LeanstackContract::Edition2022)];
    let http_beyond = r.boolean("leanstack.allow_http");
    read_all!(Leanstack {
        enabled: r.boolean("leanstack.enabled"),
        base_url: base_url(r, "leanstack.base_url", http_beyond),
        access_token: r.optional("leanstack.access_token", header_secret),
        allow_http: http_beyond,
        contract: r.choice("leanstack.contract", CONTRACTS),
    })
}

fn email(r: &mut Reader) -> Option<Email> {
    const SMTP: &str = "write smtps://user:password@host:465, smtp://host:587?tls=required, or \
                        for clear text beyond this machine ?tls=none";
    const FROM: &str = "write shop@example.com, or Shop <shop@example.com>";
    const OPS: &str = "write addresses such as ops@example.com";
    const DISABLED: &str = "name templates such as order_received";
    read_all!(Email {
        smtp_url: r.optional("email.smtp_url", |r, key| r.secret(key, SMTP, check_smtp_url)),
        from: r.optional("email.from", |r, key| r.parsed(key, FROM, Mailbox::parse)),
        ops_to: r.parsed_list("email.ops_to", OPS, Mailbox::parse),
        disabled: r.parsed_list("email.disabled", DISABLED, template),
        retry_initial: r.duration("email.retry_initial"),
        retry_max: r.duration("email.retry_max"),
        give_up_after: r.duration("email.give_up_after"),
        templates_dir: r.text("email.templates_dir").map(folder),
    })
}

fn poll(r: &mut Reader) -> Option<Poll> {
    read_all!(Poll {
        initial_interval: r.duration("poll.initial_interval"),
        multiplier: r.factor("poll.multiplier", 1.0..=10.0),
        max_interval: r.duration("poll.max_interval"),
        transfer_max_interval: r.duration("poll.transfer_max_interval"),
        failed_recheck: r.duration("poll.failed_recheck"),
        site_id_wait: r.duration("poll.site_id_wait"),
        progress_after: r.duration("poll.progress_after"),
        overdue_after: r.duration("poll.overdue_after"),
    })
}

fn queue(r: &mut Reader) -> Option<Queue> {
    read_all!(Queue {
        concurrency: r.integer("queue.concurrency", 1..=10_000),
        lease: r.duration("queue.lease"),
        poll_interval: r.duration("queue.poll_interval"),
        listen: r.boolean("queue.listen"),
        shutdown_grace: r.duration("queue.shutdown_grace"),
    })
}

fn audit(r: &mut Reader) -> Option<Audit> {
    const CRON: &str = "write minute, hour, day of the month, month, day of the week: 0 6 * * *";
    const ZONE: &str = "write a name such as Europe/Amsterdam, or UTC";
    read_all!(Audit {
        cron: r.parsed("audit.cron", CRON, cron),
        timezone: r.parsed("audit.timezone", ZONE, timezone),
        reminder_days: reminder_days(r, "audit.reminder_days"),
        apply_auto_renew: r.boolean("audit.apply_auto_renew"),
    })
}

fn http(r: &mut Reader) -> Option<Http> {
    const LISTEN: &str = "write an IP address and a port: 127.0.0.1:9464, or [::1]:9464";
    let socket = |text: &str| text.trim().parse().map_err(|_| "is not a socket address");
    read_all!(Http { listen: r.parsed("http.listen", LISTEN, socket) })
}

fn log(r: &mut Reader) -> Option<Log> {
    const FORMATS: &[(&str, LogFormat)] = &[("json", LogFormat::Json), ("text", LogFormat::Text)];
    const FILTER: &str = "write a level, or levels by module: info,provisor::queue=debug";
    read_all!(Log {
        format: r.choice("log.format", FORMATS),
        filter: r.parsed("log.filter", FILTER, filter),
    })
}

fn trace(r: &mut Reader) -> Option<Trace> {
    const CURE: &str = "write the base of the collector's OTLP over HTTP: http://127.0.0.1:4318";
    // No secret goes there: headers for it are OTEL_EXPORTER_OTLP_HEADERS.
    let parse = |text: &str| parse_base_url(text, true);
    read_all!(Trace {
        otlp_endpoint: r.optional("trace.otlp_endpoint", |r, key| r.parsed(key, CURE, parse)),
    })
}

fn explain(reader: &Reader) -> Vec<Explained> {
    let explain_key = |key: &super::keys::Key| match reader.entry(key.name) {
        Some(entry) => {
            let shown =
                if key.secret { Secret::new(String::new()).to_string() } else { shown(&entry.raw) };
            Explained { key: key.name, value: Some(shown), origin: entry.origin.clone() }
        }
        None => Explained { key: key.name, value: None, origin: Origin::NotSet },
    };
    KEYS.iter().map(explain_key).collect()
}

fn shown(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) | Raw::String(text) => text.clone(),
        Raw::Integer(number) => number.to_string(),
        Raw::Float(number) => number.to_string(),
        Raw::Boolean(value) => value.to_string(),
        Raw::List(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        Raw::Other => String::new(),
    }
}

fn base_url(r: &mut Reader, key: &str, http_beyond: Option<bool>) -> Option<url::Url> {
    const CURE: &str = "write https://host; http is for this machine, unless allow_http says more";
    // Whether allow_http is well formed is told under its own name.
    r.parsed(key, CURE, |text| parse_base_url(text, http_beyond.unwrap_or(true)))
}

/// Goes into a header: what a header can't carry is refused here, where its key is still known.
fn header_secret(r: &mut Reader, key: &str) -> Option<Secret> {
    r.secret(key, "copy the key alone, without spaces and line breaks", |text| {
        if text.chars().all(|c| c.is_ascii_graphic()) {
            Ok(())
        } else {
            Err("holds white space or a character beyond ASCII")
        }
    })
}

fn template(name: &str) -> Result<String, &'static str> {
    if EMAIL_TEMPLATES.contains(&name) { Ok(name.to_owned()) } else { Err("is not a template") }
}

fn folder(text: String) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn cron(text: &str) -> Result<String, &'static str> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "*,-/".contains(c);
    if fields.len() != 5 {
        return Err("does not have five fields");
    }
    if !fields.iter().all(|field| field.chars().all(allowed)) {
        return Err("holds a character that no such field can have");
    }
    let text = fields.join(" ");
    match Schedule::parse(&text, "UTC") {
        Ok(_) => Ok(text),
        Err(_) => Err("is no schedule"),
    }
}

fn timezone(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err("is not a name of a time zone");
    }
    match Schedule::parse("0 6 * * *", text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not a name of the time zone database"),
    }
}

fn reminder_days(r: &mut Reader, key: &str) -> Option<Vec<i32>> {
    const CURE: &str = "write 1 to 20 different whole numbers from -365 to 365";
    const ENTRIES_MAX: usize = 20;
    let parse = |text: &str| match text.parse::<i32>() {
        Ok(days) if (-365..=365).contains(&days) => Ok(days),
        Ok(_) => Err("is out of range"),
        Err(_) => Err("is not a whole number"),
    };
    let days = r.parsed_list(key, CURE, parse)?;
    let mut distinct = days.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if days.is_empty() || days.len() > ENTRIES_MAX {
        r.refuse(key, format!("has {} entries", days.len()), CURE);
        return None;
    }
    if distinct.len() < days.len() {
        r.refuse(key, "names a day twice", CURE);
        return None;
    }
    Some(days)
}

fn filter(text: &str) -> Result<String, &'static str> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is not a filter of tracing"),
    }
}
