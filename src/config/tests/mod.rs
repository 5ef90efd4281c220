//! The settings as a whole: layers, sources, bounds, and that secrets stay in.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::files::VALUE_BYTES_MAX;
use super::keys::KEYS;
use super::*;

const CANARY: &str = "hunter2-canary";

/// The keys of the contract's table.
const CONTRACT: &str = "database.url ljpc.base_url ljpc.api_key ljpc.allow_http \
    leanstack.allow_http ljpc.timeout ljpc.requests_per_second ljpc.max_in_flight \
    ljpc.in_doubt_grace ljpc.evidence_interval ljpc.order_id_probe ljpc.circuit_probe_interval \
    leanstack.enabled leanstack.base_url leanstack.access_token leanstack.contract email.smtp_url \
    email.from email.ops_to email.disabled email.retry_initial email.retry_max \
    email.give_up_after email.templates_dir poll.initial_interval poll.multiplier \
    poll.max_interval poll.transfer_max_interval poll.failed_recheck poll.site_id_wait \
    poll.progress_after poll.overdue_after queue.concurrency queue.lease queue.poll_interval \
    queue.listen queue.shutdown_grace audit.cron audit.timezone audit.reminder_days \
    audit.apply_auto_renew http.listen log.format log.filter";

/// A folder of this test's own, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("provisor-config-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn env(pairs: &[(&str, &str)]) -> Sources {
    let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { env, config_file: None }
}

fn load_env(pairs: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    load(&env(pairs), &[])
}

fn load_toml(text: &str) -> Result<Settings, ConfigErrors> {
    let folder = Folder::new();
    let config_file = Some(folder.file("given.toml", text));
    load(&Sources { config_file, ..Sources::default() }, &[])
}

/// The one error that this environment gives.
fn error_of(pairs: &[(&str, &str)]) -> String {
    let errors = load_env(pairs).expect_err("must be refused");
    assert_eq!(errors.iter().count(), 1, "{errors}");
    errors.to_string()
}

#[test]
fn default_toml_and_the_contract_and_the_code_know_the_same_keys() {
    // What the contract does not name, it does not forbid: traces are asked for elsewhere.
    let known = CONTRACT.split_whitespace().chain(["trace.otlp_endpoint"]);
    let contract: BTreeSet<String> = known.map(str::to_owned).collect();
    let code: BTreeSet<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    let (mut set, mut commented, mut section) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for line in DEFAULT_TOML.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((name, _)) = line.split_once(" = ")
            && !line.starts_with("# ")
        {
            let into = if line.starts_with('#') { &mut commented } else { &mut set };
            into.insert(format!("{section}.{}", name.trim_start_matches('#')));
        }
    }
    assert_eq!(set.union(&commented).cloned().collect::<BTreeSet<_>>(), contract);
    assert_eq!(code, contract);
    let with_default: BTreeSet<String> =
        KEYS.iter().filter(|key| key.has_default).map(|key| key.name.to_owned()).collect();
    assert_eq!(set, with_default);
}

#[test]
fn every_key_of_default_toml_is_explained() {
    let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
    // A comment stands above each key, or above the group of keys in which it stands.
    for block in lines.split(|line| line.is_empty()) {
        let first_key =
            block.iter().position(|line| !line.starts_with("# ") && line.contains(" = "));
        if let Some(at) = first_key {
            assert!(block[..at].iter().any(|line| line.starts_with("# ")), "{block:?}");
        }
    }
}

#[test]
fn the_defaults_are_the_contracts() {
    let settings = load_env(&[]).unwrap();
    assert!(settings.database.url.is_none());
    assert_eq!(settings.ljpc.base_url.as_str(), "https://ljpc-hosting.nl/");
    assert!(settings.ljpc.api_key.is_none());
    assert!(!settings.ljpc.allow_http && !settings.leanstack.allow_http);
    assert_eq!(settings.ljpc.timeout, Duration::from_secs(30));
    assert_eq!((settings.ljpc.requests_per_second, settings.ljpc.max_in_flight), (10, 8));
    assert_eq!(settings.ljpc.in_doubt_grace, Duration::from_mins(15));
    assert_eq!(settings.ljpc.evidence_interval, Duration::from_secs(30));
    assert!(!settings.ljpc.order_id_probe);
    assert_eq!(settings.ljpc.circuit_probe_interval, Duration::from_secs(10));
    assert!(!settings.leanstack.enabled);
    assert_eq!(settings.leanstack.base_url.as_str(), "https://api.leanstack.co/");
    assert_eq!(settings.leanstack.contract, LeanstackContract::Seed);
    let email = settings.email;
    assert!(email.smtp_url.is_none() && email.from.is_none() && email.ops_to.is_empty());
    assert_eq!(email.disabled, ["order_received"]);
    assert_eq!(email.retry_initial, Duration::from_secs(30));
    assert_eq!(email.retry_max, Duration::from_hours(1));
    assert_eq!(email.give_up_after, Duration::from_hours(5 * 24));
    assert_eq!(email.templates_dir, None);
    let poll = settings.poll;
    assert_eq!(poll.initial_interval, Duration::from_secs(2));
    assert_eq!(poll.multiplier.to_string(), "1.5");
    assert_eq!(poll.max_interval, Duration::from_mins(5));
    assert_eq!(poll.transfer_max_interval, Duration::from_hours(1));
    assert_eq!(poll.failed_recheck, Duration::from_mins(15));
    assert_eq!(poll.site_id_wait, Duration::from_mins(10));
    assert_eq!(poll.progress_after, Duration::from_hours(1));
    assert_eq!(poll.overdue_after, Duration::from_hours(24));
    let queue = settings.queue;
    assert_eq!((queue.concurrency, queue.lease), (32, Duration::from_mins(1)));
    assert_eq!(queue.poll_interval, Duration::from_secs(1));
    assert!(queue.listen);
    assert_eq!(queue.shutdown_grace, Duration::from_secs(40));
    let audit = settings.audit;
    assert_eq!((audit.cron.as_str(), audit.timezone.as_str()), ("0 6 * * *", "Europe/Amsterdam"));
    assert_eq!(audit.reminder_days, [60, 30, 7, -3]);
    assert!(audit.apply_auto_renew);
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:9464");
    assert_eq!((settings.log.format, settings.log.filter.as_str()), (LogFormat::Json, "info"));
}

#[test]
fn later_layers_win_and_each_value_knows_its_source() {
    let folder = Folder::new();
    folder.file(
        "production.toml",
        "[queue]\nconcurrency = 2\nlease = \"2m\"\nlisten = false\nshutdown_grace = \"2m\"\n",
    );
    let given = folder
        .file("given.toml", "[queue]\nlease = \"3m\"\nlisten = true\nshutdown_grace = \"3m\"");
    let mut sources = env(&[
        ("PROVISOR_ENV", "production"),
        ("PROVISOR_CONFIG_DIR", folder.path()),
        ("PROVISOR_QUEUE__SHUTDOWN_GRACE", "4m"),
    ]);
    sources.config_file = Some(given.clone());
    let settings = load(&sources, &[]).unwrap();
    let queue = &settings.queue;
    assert_eq!((queue.concurrency, queue.listen), (2, true));
    assert_eq!(
        (queue.lease, queue.shutdown_grace),
        (Duration::from_mins(3), Duration::from_mins(4))
    );
    let origin =
        |key: &str| settings.explain().iter().find(|e| e.key == key).unwrap().origin.to_string();
    assert_eq!(origin("queue.poll_interval"), "default");
    assert_eq!(origin("queue.concurrency"), format!("file {}/production.toml", folder.path()));
    assert_eq!(origin("queue.lease"), format!("file {}", given.display()));
    assert_eq!(origin("queue.shutdown_grace"), "environment PROVISOR_QUEUE__SHUTDOWN_GRACE");
    assert_eq!(origin("email.from"), "not set");
}

#[test]
fn the_environments_file_may_be_absent_but_the_given_one_may_not() {
    let folder = Folder::new();
    let mut sources = env(&[("PROVISOR_ENV", "staging"), ("PROVISOR_CONFIG_DIR", folder.path())]);
    assert!(load(&sources, &[]).is_ok());
    sources.config_file = Some(folder.0.join("missing.toml"));
    let errors = load(&sources, &[]).unwrap_err().to_string();
    assert!(errors.starts_with("--config (file ") && errors.contains("does not exist"), "{errors}");
}

#[test]
fn the_environments_name_can_not_lead_out_of_its_folder() {
    let error = error_of(&[("PROVISOR_ENV", "../../etc/passwd")]);
    assert!(error.starts_with("PROVISOR_ENV (environment PROVISOR_ENV): must be letters"));
}

#[test]
fn variables_without_levels_are_no_keys() {
    let injected = [
        ("PROVISOR_PORT", "tcp://192.0.2.7:9464"),
        ("PROVISOR_SERVICE_HOST", "192.0.2.7"),
        ("PROVISOR_PORT_9464_TCP_ADDR", "192.0.2.7"),
    ];
    assert!(load_env(&injected).is_ok());
}

#[test]
fn every_type_can_be_written_in_the_environment() {
    let settings = load_env(&[
        ("PROVISOR_LJPC__ORDER_ID_PROBE", "true"),
        ("PROVISOR_LJPC__MAX_IN_FLIGHT", "3"),
        ("PROVISOR_POLL__MULTIPLIER", "2"),
        ("PROVISOR_POLL__INITIAL_INTERVAL", "500ms"),
        ("PROVISOR_AUDIT__REMINDER_DAYS", "14, 1,-1,"),
        ("PROVISOR_EMAIL__OPS_TO", "ops@example.com, Bob <bob@example.com>"),
        ("PROVISOR_EMAIL__DISABLED", ""),
        ("PROVISOR_EMAIL__TEMPLATES_DIR", "/etc/provisor/templates"),
        ("PROVISOR_HTTP__LISTEN", "[::1]:0"),
        ("PROVISOR_LOG__FORMAT", "text"),
        ("PROVISOR_LEANSTACK__CONTRACT", "2022"),
    ])
    .unwrap();
    assert!(settings.ljpc.order_id_probe);
    assert_eq!(settings.ljpc.max_in_flight, 3);
    assert_eq!(settings.poll.multiplier.to_string(), "2");
    assert_eq!(settings.poll.initial_interval, Duration::from_millis(500));
    assert_eq!(settings.audit.reminder_days, [14, 1, -1]);
    let ops_to: Vec<String> = settings.email.ops_to.iter().map(Mailbox::to_string).collect();
    assert_eq!(ops_to, ["ops@example.com", "Bob <bob@example.com>"]);
    assert!(settings.email.disabled.is_empty());
    assert_eq!(settings.email.templates_dir, Some(PathBuf::from("/etc/provisor/templates")));
    assert_eq!(settings.http.listen.port(), 0);
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.leanstack.contract, LeanstackContract::Edition2022);
}

#[test]
fn toml_lists_may_be_arrays_or_texts() {
    for days in ["[5, -5]", "\"5,-5\""] {
        let settings = load_toml(&format!("[audit]\nreminder_days = {days}\n")).unwrap();
        assert_eq!(settings.audit.reminder_days, [5, -5]);
    }
}

#[test]
fn toml_values_must_be_of_their_own_type() {
    let wrong = [
        "[ljpc]\ntimeout = 30",
        "[ljpc]\nallow_http = \"false\"",
        "[ljpc]\nmax_in_flight = \"8\"",
        "[ljpc]\nmax_in_flight = 8.0",
        "[ljpc]\nbase_url = 1",
        "[poll]\nmultiplier = \"1.5\"",
        "[poll]\nmultiplier = nan",
        "[audit]\nreminder_days = 7",
        "[audit]\nreminder_days = [7.5]",
        "[email]\nops_to = [true]",
        "[log]\nformat = [\"json\"]",
        "[log.filter]\nx = 1",
    ];
    for text in wrong {
        let errors = load_toml(text).expect_err(text);
        assert_eq!(errors.iter().count(), 1, "{text}: {errors}");
    }
}

#[test]
fn what_is_out_of_range_is_refused() {
    let wrong = [
        ("LJPC__TIMEOUT", "0s"),
        ("LJPC__TIMEOUT", "30"),
        ("POLL__OVERDUE_AFTER", "9999d"),
        ("LJPC__REQUESTS_PER_SECOND", "0"),
        ("LJPC__MAX_IN_FLIGHT", "-1"),
        ("LJPC__MAX_IN_FLIGHT", "4294967297"),
        ("QUEUE__CONCURRENCY", "0"),
        ("QUEUE__CONCURRENCY", "many"),
        ("QUEUE__LISTEN", "yes"),
        ("QUEUE__LEASE", "30s"),
        ("QUEUE__SHUTDOWN_GRACE", "30s"),
        ("POLL__MULTIPLIER", "0.9"),
        ("POLL__MULTIPLIER", "NaN"),
        ("POLL__MULTIPLIER", "inf"),
        ("POLL__TRANSFER_MAX_INTERVAL", "1s"),
        ("EMAIL__RETRY_MAX", "1s"),
        ("EMAIL__FROM", "shop"),
        ("EMAIL__OPS_TO", "ops@example.com,ops"),
        ("EMAIL__DISABLED", "order_recieved"),
        ("AUDIT__REMINDER_DAYS", ""),
        ("AUDIT__REMINDER_DAYS", "7,7"),
        ("AUDIT__REMINDER_DAYS", "366"),
        ("AUDIT__REMINDER_DAYS", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21"),
        ("AUDIT__CRON", "0 6 * *"),
        ("AUDIT__CRON", "0 6 * * $"),
        ("AUDIT__CRON", "0 25 * * *"),
        ("AUDIT__TIMEZONE", "Europe/Amsterdam; DROP"),
        ("AUDIT__TIMEZONE", "Europe/Nowhere"),
        ("HTTP__LISTEN", "localhost:9464"),
        ("LOG__FORMAT", "xml"),
        ("LOG__FILTER", "info,=,=="),
        ("LEANSTACK__CONTRACT", "2023"),
    ];
    for (name, value) in wrong {
        let name = format!("PROVISOR_{name}");
        let error = error_of(&[(&name, value)]);
        assert!(error.contains(&format!("(environment {name})")), "{value}: {error}");
    }
}

#[test]
fn a_list_has_a_limit() {
    let error = error_of(&[("PROVISOR_EMAIL__OPS_TO", &"a@example.com,".repeat(101))]);
    assert!(error.contains("more than 100 items"), "{error}");
}

#[test]
fn a_lease_must_outlive_a_request_whichever_was_set() {
    let timeout = ("PROVISOR_LJPC__TIMEOUT", "60s");
    let grace = ("PROVISOR_QUEUE__SHUTDOWN_GRACE", "61s");
    let lease = ("PROVISOR_QUEUE__LEASE", "60s");
    assert_eq!(
        error_of(&[timeout, grace]),
        "ljpc.timeout (environment PROVISOR_LJPC__TIMEOUT): must be shorter than queue.lease; \
         shorten it, or lengthen queue.lease"
    );
    assert_eq!(
        error_of(&[timeout, grace, lease]),
        "queue.lease (environment PROVISOR_QUEUE__LEASE): must be longer than ljpc.timeout; \
         lengthen it, or shorten ljpc.timeout"
    );
}

#[test]
fn clear_text_goes_to_this_machine_or_where_it_was_asked_for() {
    let url = "PROVISOR_LJPC__BASE_URL";
    for fine in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:1", "https://example.nl/x"]
    {
        assert!(load_env(&[(url, fine)]).is_ok(), "{fine}");
    }
    for wrong in [
        "http://example.nl",
        "http://127.0.0.1.example.nl",
        "ftp://localhost",
        "example.nl",
        "https://user:hunter2@example.nl",
        "https://example.nl/?x=1",
    ] {
        error_of(&[(url, wrong)]);
    }
    assert!(load_env(&[(url, "http://example.nl"), ("PROVISOR_LJPC__ALLOW_HTTP", "true")]).is_ok());
    // Each upstream has a permission of its own.
    error_of(&[
        ("PROVISOR_LEANSTACK__BASE_URL", "http://example.nl"),
        ("PROVISOR_LJPC__ALLOW_HTTP", "true"),
    ]);
}

#[test]
fn smtp_urls() {
    let url = "PROVISOR_EMAIL__SMTP_URL";
    for fine in [
        "smtps://user:p%40ss@mail.example.com:465",
        "smtp://mail.example.com?tls=required",
        "smtp://mail.example.com?tls=none",
        "smtp://127.0.0.1:2525",
        "smtp://localhost",
        "smtp://[::1]:2525",
    ] {
        assert!(load_env(&[(url, fine)]).is_ok(), "{fine}");
    }
    for wrong in [
        "smtp://mail.example.com",
        "smtp://mail.example.com?tls=opportunistic",
        "smtp://mail.example.com?tls=none&tls=required",
        "smtp://mail.example.com?tls=none&x=y",
        "smtps://mail.example.com?tls=none",
        "smtp://127.0.0.1.example.com",
        "smtp:mail",
        "http://mail.example.com",
        "mail.example.com",
    ] {
        error_of(&[(url, wrong)]);
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let folder = Folder::new();
    let given = folder.file("given.toml", "[queue]\nconcurency = 2\n[poll]\nmultiplier = 0.5\n");
    let mut sources = env(&[("PROVISOR_LJPC__TIMEOUT", "30"), ("PROVISOR_LJPC__APIKEY", CANARY)]);
    sources.config_file = Some(given.clone());
    let errors = load(&sources, &[Need::Database, Need::Email]).unwrap_err();
    let expected = format!(
        "\
database.url (not set): is missing, and this command needs it; set PROVISOR_DATABASE__URL, or \
DATABASE_URL, or database.url in a file of settings
email.from (not set): is missing, and this command needs it; set PROVISOR_EMAIL__FROM, or \
email.from in a file of settings
email.smtp_url (not set): is missing, and this command needs it; set PROVISOR_EMAIL__SMTP_URL, or \
email.smtp_url in a file of settings
ljpc.apikey (environment PROVISOR_LJPC__APIKEY): is not a known key; did you mean ljpc.api_key, or \
PROVISOR_LJPC__API_KEY?
ljpc.timeout (environment PROVISOR_LJPC__TIMEOUT): \"30\" is no duration: it needs a unit: ms, s, \
m, h or d; write a duration, such as 500ms, 30s, 15m, 24h or 5d
poll.multiplier (file {0}): 0.5 is out of range; write a number from 1 to 10
queue.concurency (file {0}): is not a known key; did you mean queue.concurrency, or \
PROVISOR_QUEUE__CONCURRENCY?",
        given.display()
    );
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn what_no_mistake_concerns_can_be_looked_at() {
    let despite = |pairs: &[(&str, &str)]| {
        let (sources, needs) = (env(pairs), [Need::Email]);
        let errors = load(&sources, &needs).unwrap_err();
        assert!(errors.concern("email.from") && !errors.concern("email.smtp_url"), "{errors}");
        load_despite(&sources, &errors)
    };
    let smtp = ("PROVISOR_EMAIL__SMTP_URL", "smtps://mail.example.com");
    let wrong = ("PROVISOR_LJPC__TIMEOUT", "forever");
    let settings = despite(&[smtp, wrong, ("PROVISOR_LJPC__API_KEY", "key")]).unwrap();
    assert_eq!(settings.ljpc.timeout, Duration::from_secs(30));
    assert!(settings.email.smtp_url.is_some() && settings.ljpc.api_key.is_some());
    assert!(despite(&[smtp, ("PROVISOR_LJPC__BASE_URI", "https://example.nl")]).is_none());
}

#[test]
fn each_need_names_its_keys() {
    let missing = |pairs: &[(&str, &str)], need: Need| -> Vec<String> {
        match load(&env(pairs), &[need]) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.key.clone()).collect(),
        }
    };
    let enabled = [("PROVISOR_LEANSTACK__ENABLED", "true")];
    assert_eq!(missing(&[], Need::Database), ["database.url"]);
    assert_eq!(missing(&[], Need::Ljpc), ["ljpc.api_key"]);
    assert_eq!(missing(&[], Need::Email), ["email.from", "email.smtp_url"]);
    assert!(missing(&[], Need::Leanstack).is_empty());
    assert_eq!(missing(&enabled, Need::Leanstack), ["leanstack.access_token"]);
    assert_eq!(missing(&[], Need::LeanstackToken), ["leanstack.access_token"]);
    // An empty variable sets nothing.
    assert_eq!(missing(&[("PROVISOR_LJPC__API_KEY", "")], Need::Ljpc), ["ljpc.api_key"]);
    // What is there but wrong is told of once.
    assert_eq!(missing(&[("PROVISOR_LJPC__API_KEY", "a b")], Need::Ljpc), ["ljpc.api_key"]);
    assert!(missing(&[("PROVISOR_LJPC__API_KEY", "k")], Need::Ljpc).is_empty());
}

#[test]
fn database_url_is_only_the_fallback() {
    let url = |pairs: &[(&str, &str)]| {
        load(&env(pairs), &[Need::Database]).unwrap().database.url.unwrap().expose().to_owned()
    };
    let fallback = ("DATABASE_URL", "postgres:///fallback?host=/run/postgresql");
    assert_eq!(url(&[fallback]), fallback.1);
    assert_eq!(url(&[fallback, ("PROVISOR_DATABASE__URL", "")]), fallback.1);
    let own = ("PROVISOR_DATABASE__URL", "postgresql://localhost/own");
    assert_eq!(url(&[fallback, own]), own.1);
    for weak in ["allow", "prefer", "require", "verify-ca"] {
        let here = format!("postgres://localhost/x?sslmode={weak}");
        assert_eq!(url(&[("DATABASE_URL", &here)]), here);
        for there in [
            format!("postgres://u@db.example.nl/x?sslmode={weak}"),
            format!("postgres:///x?host=db.example.nl&sslmode={weak}"),
            format!("postgres://u@db.example.nl/x?ssl-mode={weak}"),
        ] {
            let error = error_of(&[("DATABASE_URL", &there)]);
            assert!(error.contains("sslmode=verify-full"), "{error}");
        }
    }
    let meant = "postgres://u@db.example.nl/x?sslmode=disable";
    assert_eq!(url(&[("DATABASE_URL", meant)]), meant);
    let error = error_of(&[("DATABASE_URL", "mysql://localhost/x")]);
    assert!(error.starts_with("database.url (environment DATABASE_URL): does not begin with"));
}

#[test]
fn a_value_may_come_from_a_file_or_a_credential() {
    let folder = Folder::new();
    let credentials = Folder::new();
    let key = folder.file("key", "from-file\r\n");
    credentials.file("leanstack.access_token", "from-credentials\n");
    credentials.file("somebody-elses", "x");
    let settings = load_env(&[
        ("PROVISOR_LJPC__API_KEY_FILE", key.to_str().unwrap()),
        ("CREDENTIALS_DIRECTORY", credentials.path()),
    ])
    .unwrap();
    assert_eq!(settings.ljpc.api_key.as_ref().unwrap().expose(), "from-file");
    assert_eq!(settings.leanstack.access_token.as_ref().unwrap().expose(), "from-credentials");
    let explained: Vec<_> = settings
        .explain()
        .iter()
        .filter(|e| e.key.contains("_key") || e.key.contains("_token"))
        .collect();
    assert_eq!(explained[0].origin.to_string(), "environment PROVISOR_LJPC__API_KEY_FILE");
    assert_eq!(explained[1].origin.to_string(), "credentials leanstack.access_token");
    assert!(explained.iter().all(|e| e.value.as_deref() == Some("********")));
}

#[test]
fn two_ways_for_one_key_are_a_mistake() {
    let folder = Folder::new();
    let file = folder.file("ljpc.api_key", "k");
    let (value, file, credentials) = (
        ("PROVISOR_LJPC__API_KEY", "k"),
        ("PROVISOR_LJPC__API_KEY_FILE", file.to_str().unwrap()),
        ("CREDENTIALS_DIRECTORY", folder.path()),
    );
    for two in [[value, file], [value, credentials], [file, credentials]] {
        let error = error_of(&two);
        assert!(error.starts_with("ljpc.api_key (") && error.contains(" is given by "), "{error}");
    }
    for one in [value, file, credentials] {
        assert!(load_env(&[one]).is_ok());
    }
}

#[test]
fn files_of_values_are_bounded_and_must_be_readable_text() {
    let folder = Folder::new();
    let bound = usize::try_from(VALUE_BYTES_MAX).unwrap();
    let cases = [
        (folder.file("fits", "x".repeat(bound)), None),
        (folder.file("long", "x".repeat(bound + 1)), Some("is longer than 65536 bytes")),
        (folder.file("binary", b"\xff\xfe"), Some("is not UTF-8")),
        (folder.0.join("missing"), Some("does not exist")),
        (folder.0.clone(), Some("can't be read")),
    ];
    for (path, problem) in cases {
        let pairs = [("PROVISOR_LJPC__API_KEY_FILE", path.to_str().unwrap())];
        match problem {
            None => assert!(load_env(&pairs).is_ok()),
            Some(problem) => assert!(error_of(&pairs).contains(problem), "{problem}"),
        }
    }
    let error = error_of(&[("CREDENTIALS_DIRECTORY", "/nonexistent/provisor")]);
    assert!(error.starts_with("CREDENTIALS_DIRECTORY (environment "), "{error}");
}

#[test]
fn a_file_of_settings_is_bounded() {
    let errors = load_toml(&format!("# {}", "x".repeat(256 * 1024))).unwrap_err().to_string();
    assert!(errors.contains("is longer than 262144 bytes"), "{errors}");
}

#[test]
fn a_misspelt_credential_is_told_of() {
    let folder = Folder::new();
    folder.file("ljpc.apikey", CANARY);
    let error = error_of(&[("CREDENTIALS_DIRECTORY", folder.path())]);
    assert!(error.starts_with("ljpc.apikey (credentials ljpc.apikey): is not a known key"));
}

#[test]
fn sections_and_dotted_names_are_no_keys() {
    let cases = [
        ("ljpc = 5", "ljpc (file", "is a section, not a key"),
        ("\"ljpc.timeout\" = \"1s\"", "ljpc\".\"timeout (file", "is not a known key"),
        ("[nonsense]\na = 1", "nonsense (file", "is not a known key"),
        ("[ljpc.timeout]\na = 1", "ljpc.timeout (file", "is not a duration"),
    ];
    for (text, start, problem) in cases {
        let errors = load_toml(text).unwrap_err().to_string();
        assert!(errors.starts_with(start) && errors.contains(problem), "{text}: {errors}");
    }
}

#[test]
fn no_error_ever_shows_a_secret() {
    // Broken TOML, of which the parser would quote the line.
    let broken = [
        format!("[ljpc]\napi_key = \"{CANARY}"),
        format!("[ljpc]\napi_key = {CANARY}"),
        format!("[ljpc]\napi_key = \"{CANARY}\"\napi_key = \"{CANARY}\""),
        format!("[ljpc]\napi_kye = \"{CANARY}\""),
        format!("[ljpc]\napi_key = [\"{CANARY}\"]"),
        format!("[ljpc]\napi_key = {{ {CANARY} = 1 "),
        format!("[database]\nurl = \"mysql://{CANARY}@localhost/\""),
        format!("[email]\nsmtp_url = \"smtp://u:{CANARY}@mail.example.com\""),
        format!("[ljpc]\nbase_url = \"https://u:{CANARY}@example.nl\""),
    ];
    for text in broken {
        let errors = load_toml(&text).expect_err(&text);
        assert!(!format!("{errors} {errors:?}").contains(CANARY), "{errors}");
    }
    for name in ["LJPC__API_KEY", "LEANSTACK__ACCESS_TOKEN", "DATABASE__URL", "EMAIL__SMTP_URL"] {
        let (name, value) = (format!("PROVISOR_{name}"), format!("{CANARY} with a space"));
        assert!(!error_of(&[(&name, &value)]).contains(CANARY), "{name}");
        // The secret itself in the place of its file's name.
        assert!(!error_of(&[(&format!("{name}_FILE"), CANARY)]).contains(CANARY), "{name}");
    }
}

#[test]
fn a_broken_file_names_the_line() {
    let errors = load_toml("[ljpc]\ntimeout = \n").unwrap_err().to_string();
    assert!(
        errors.starts_with("TOML (file ") && errors.contains(" at line 2, column "),
        "{errors}"
    );
}

#[test]
fn neither_sources_nor_settings_show_secrets() {
    let sources = env(&[
        ("PROVISOR_LJPC__API_KEY", CANARY),
        ("PROVISOR_LEANSTACK__ACCESS_TOKEN", CANARY),
        ("PROVISOR_DATABASE__URL", &format!("postgres://u:{CANARY}@localhost/x")),
        ("PROVISOR_EMAIL__SMTP_URL", &format!("smtps://u:{CANARY}@mail.example.com")),
    ]);
    let settings = load(&sources, &[Need::Database, Need::Ljpc]).unwrap();
    assert!(!format!("{sources:?} {settings:?}").contains(CANARY));
    let masked = settings.explain().iter().filter(|e| e.value.as_deref() == Some("********"));
    assert_eq!(masked.count(), 4);
}

#[test]
fn explanations_follow_the_order_of_default_toml() {
    let settings = load_env(&[("PROVISOR_AUDIT__REMINDER_DAYS", "9,8")]).unwrap();
    let keys: Vec<&str> = settings.explain().iter().map(|e| e.key).collect();
    assert_eq!(keys, KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
    let value = |key: &str| settings.explain().iter().find(|e| e.key == key).unwrap().value.clone();
    assert_eq!(value("audit.reminder_days").as_deref(), Some("9,8"));
    assert_eq!(value("email.disabled").as_deref(), Some("order_received"));
    assert_eq!(value("poll.multiplier").as_deref(), Some("1.5"));
    assert_eq!(value("email.from"), None);
    let json = serde_json::to_value(settings.explain()).unwrap();
    let first = serde_json::json!({"key": "database.url", "value": null, "origin": "not set"});
    assert_eq!(json[0], first);
}
