//! What is shipped for operators: alert rules that fire and keep silent, a runbook for each, and figures that exist.

#![cfg(test)]

mod kubernetes;

use std::{collections::BTreeSet, path::Path, process::Command};

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const UNIT: &str = "deploy/systemd/provisor.service";
const ALERTS_TEST: &str = "deploy/prometheus/alerts_test.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a program, or a script of ours, at the root: what it said on standard output, or all that it said if it failed.
fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let ended = Command::new(root().join(program)).args(args).current_dir(root()).output();
    let ended = ended.unwrap_or_else(|error| panic!("{program}: {error}"));
    let [out, err] =
        [ended.stdout, ended.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    if ended.status.success() { Ok(out) } else { Err(out + &err) }
}

/// The values of a key, wherever it stands in a YAML of our own, whose every key is on a line of its own or in braces.
fn values<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let key = format!("{key}: ");
    let line = |line: &'a str| line.split_once(&key).map(|(_, value)| value.trim());
    yaml.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(line).collect()
}

/// A rule of the file, by its name: its lines up to the next rule.
fn rules() -> Vec<(String, String)> {
    let yaml = read(ALERTS);
    let rule = |text: &str| {
        let (name, rest) = text.split_once('\n').expect("a rule has lines");
        (name.trim().to_owned(), rest.to_owned())
    };
    yaml.split("- alert: ").skip(1).map(rule).collect()
}

/// The names of series in a text.
fn series(text: &str) -> BTreeSet<String> {
    let is_part = |it: char| it.is_ascii_lowercase() || it == '_';
    let words = text.split(|it| !is_part(it)).filter(|word| word.starts_with("provisor_"));
    words
        .map(|word| {
            ["_bucket", "_count", "_sum"].iter().fold(word, |it, end| it.trim_end_matches(end))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn migrations_hold_nobody_up_and_break_no_older_binary() {
    assert_eq!(run("script/check-migrations", &[]).err(), None);
    // It would be told.
    let bad = concat!(env!("CARGO_TARGET_TMPDIR"), "/9999_bad.sql");
    std::fs::write(bad, "ALTER TABLE provisor.orders DROP COLUMN document;\n").expect("a file");
    let said = run("script/check-migrations", &[bad]).expect_err("it is bad");
    assert!(said.contains("ban-drop-column") && said.contains("require-lock-timeout"), "{said}");
}

#[test]
fn each_alert_fires_where_it_shall_and_only_there() {
    let promtool = run("script/promtool-bin", &[]).expect("it is found");
    for args in [["check", "rules", ALERTS], ["test", "rules", ALERTS_TEST]] {
        assert_eq!(run(promtool.trim(), &args).err(), None, "promtool {args:?}");
    }
}

#[test]
fn each_alert_has_a_case_for_and_one_against_it() {
    let cases = read(ALERTS_TEST);
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for (name, _) in rules() {
        let block = format!("alertname: {name}\n");
        if cases.match_indices(&block).any(|(at, _)| {
            let rest = &cases[at + block.len()..];
            rest.trim_start().starts_with("exp_alerts:\n")
        }) {
            fires.insert(name.clone());
        }
        if cases.contains(&format!("alertname: {name}, exp_alerts: [] }}")) {
            silent.insert(name);
        }
    }
    let all: BTreeSet<String> = rules().into_iter().map(|(name, _)| name).collect();
    assert!(all.len() >= 10, "{all:?}");
    assert_eq!(fires, all, "cases in which it fires");
    assert_eq!(silent, all, "cases in which it must not");
}

#[test]
fn each_alert_says_what_it_is_and_leads_to_its_runbook() {
    let runbook = read("docs/OPERATIONS.md");
    let sections: BTreeSet<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(' ', "-"))
        .collect();
    for (name, rule) in rules() {
        let urls = values(&rule, "runbook_url");
        let [url] = *urls else { panic!("{name}: one runbook_url, not {urls:?}") };
        let (file, section) = url.split_once('#').expect("it leads to a section");
        assert_eq!((file, section), ("docs/OPERATIONS.md", &*name.to_lowercase()), "{name}");
        assert!(sections.contains(section), "{name}: docs/OPERATIONS.md has no section {section}");
        for key in ["summary", "description", "expr"] {
            assert_eq!(values(&rule, key).len(), 1, "{name} has one {key}");
        }
        let severities = values(&rule, "severity");
        assert!(matches!(*severities, ["page }" | "ticket }"]), "{name}: {severities:?}");
    }
}

#[test]
fn what_is_watched_is_what_is_told() {
    let told = series(&read("src/telemetry/metrics.rs"));
    for path in [ALERTS, ALERTS_TEST, "deploy/grafana/provisor.json"] {
        let watched = series(&read(path));
        let unknown: Vec<&String> = watched.difference(&told).collect();
        assert!(unknown.is_empty(), "{path} names what no Provisor tells: {unknown:?}");
    }
    // And nothing that is told is left out of the picture.
    let shown = series(&read("deploy/grafana/provisor.json"));
    let unseen: Vec<&String> = told.difference(&shown).collect();
    assert!(unseen.is_empty(), "deploy/grafana/provisor.json does not show {unseen:?}");
}

/// The values of a directive of the unit.
fn directives<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// A duration that is written in seconds: `40s`.
fn seconds(text: &str) -> u32 {
    text.trim()
        .trim_matches('"')
        .strip_suffix('s')
        .and_then(|it| it.parse().ok())
        .unwrap_or_else(|| panic!("{text} is written in seconds"))
}

/// A key's default, in `config/default.toml`.
fn default_of(section: &str, key: &str) -> String {
    let toml = read("config/default.toml");
    let (_, section) = toml.split_once(&format!("\n[{section}]\n")).expect("a section");
    let section = section.split("\n[").next().expect("its lines");
    let start = format!("{key} = ");
    let value = section.lines().find_map(|line| line.strip_prefix(&*start)).expect("a key");
    value.trim().to_owned()
}

#[test]
fn the_unit_is_understood() {
    let analyze = run("script/tool-bin", &["systemd-analyze", "systemd"]).expect("it is found");
    // It is not installed here.
    let missing = "Command /usr/bin/provisor is not executable: No such file or directory";
    let verified = |unit: &str| {
        let args = ["verify", "--man=no", unit];
        let ended = Command::new(analyze.trim()).args(args).current_dir(root()).output();
        let said = String::from_utf8(ended.expect("it runs").stderr).expect("a text");
        // What it says of the machine's own units is not about ours.
        let is_ours = |line: &&str| line.contains("provisor.service") && !line.ends_with(missing);
        said.lines().filter(is_ours).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(verified(UNIT), Vec::<String>::new());
    // It would be told; so is what stands there as a comment.
    let changed = concat!(env!("CARGO_TARGET_TMPDIR"), "/provisor.service");
    std::fs::write(changed, switched_on(&read(UNIT))).expect("a file");
    assert_eq!(verified(changed), Vec::<String>::new());
    std::fs::write(changed, read(UNIT) + "Restrat=always\n").expect("a file");
    let said = verified(changed);
    assert!(matches!(&*said, [one] if one.contains("Restrat")), "{said:?}");
}

/// A file with what stands in it as a comment, for whoever wants it: a `#` without a space behind it.
fn switched_on(text: &str) -> String {
    let line = |line: &str| {
        let written = line.trim_start();
        match written.strip_prefix('#') {
            Some(entry) if !entry.is_empty() && !entry.starts_with(' ') => {
                let indentation = line.len() - written.len();
                format!("{}{entry}\n", " ".repeat(indentation))
            }
            Some(_) | None => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

#[test]
fn leanstack_is_switched_on_by_what_stands_there_as_a_comment() {
    const KEY: &str = "leanstack.access_token";
    let overlay = "deploy/kubernetes/overlays/example";
    let credential = format!("\nLoadCredential={KEY}:/etc/provisor/credentials/{KEY}\n");
    let kustomization = [
        format!("\n      - {KEY}=secrets/{KEY}\n"),
        format!("          value: /run/secrets/provisor/{KEY}\n"),
        "          name: PROVISOR_LEANSTACK__ACCESS_TOKEN_FILE\n".to_owned(),
    ];
    let compose = [
        "\n      PROVISOR_LEANSTACK__ENABLED: \"true\"\n".to_owned(),
        format!("\n      PROVISOR_LEANSTACK__ACCESS_TOKEN_FILE: /run/secrets/{KEY}\n"),
        format!("\n      - {KEY}\n"),
        format!("\n  {KEY}:\n    file: secrets/{KEY}\n"),
    ];
    let enabled = "\n[leanstack]\nenabled = true\n".to_owned();
    for (path, wanted) in [
        (UNIT.to_owned(), vec![credential]),
        ("deploy/debian/production.toml".to_owned(), vec![enabled.clone()]),
        (format!("{overlay}/provisor.toml"), vec![enabled]),
        (format!("{overlay}/kustomization.yaml"), kustomization.to_vec()),
        ("deploy/compose.yaml".to_owned(), compose.to_vec()),
    ] {
        let text = read(&path);
        for wanted in wanted {
            assert!(!text.contains(&wanted), "{path}: it is off as shipped: {wanted}");
            assert!(switched_on(&text).contains(&wanted), "{path} lacks the comment {wanted}");
        }
    }
}

#[test]
fn a_doubt_wakes_nobody_before_its_grace_is_over() {
    let (_, rule) =
        rules().into_iter().find(|(name, _)| name == "ProvisorInDoubt").expect("a rule");
    let minutes = |text: &str| -> u32 {
        let number = text.trim_matches('"').strip_suffix('m').and_then(|it| it.parse().ok());
        number.unwrap_or_else(|| panic!("{text} is written in minutes"))
    };
    let patience = values(&rule, "for").first().map(|it| minutes(it)).expect("a time");
    assert!(patience > minutes(&default_of("ljpc", "in_doubt_grace")));
}

#[test]
fn the_unit_is_exposed_to_little() {
    let analyze = run("script/tool-bin", &["systemd-analyze", "systemd"]).expect("it is found");
    // In tenths: 1.2.
    let args = ["security", "--offline=yes", "--no-pager", "--threshold=12", UNIT];
    let said = run(analyze.trim(), &args).unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[test]
fn the_units_graces_and_credentials_agree_with_the_settings() {
    let unit = read(UNIT);
    let one = |name: &str| {
        let values = directives(&unit, name);
        let [value] = *values else { panic!("one {name}, not {values:?}") };
        value
    };
    let grace = seconds(&default_of("queue", "shutdown_grace"));
    assert!(seconds(one("TimeoutStopSec")) >= grace + 15, "it is killed before its grace is over");
    // The process takes itself for stuck after 30 s (src/app/mod.rs).
    assert!(seconds(one("WatchdogSec")) > 30);
    assert_eq!((one("Type"), one("Restart")), ("notify", "always"));
    // A wrong configuration (src/cli/mod.rs) is no better two seconds later.
    assert_eq!(one("RestartPreventExitStatus"), "2");
    let keys = read("src/config/keys.rs");
    let credentials = directives(&unit, "LoadCredential");
    assert!(credentials.len() >= 3, "{credentials:?}");
    for credential in credentials {
        let (key, path) = credential.split_once(':').expect("a name and a path");
        assert!(keys.contains(&format!("\"{key}\"")), "{key} is a key of the configuration");
        assert_eq!(path, format!("/etc/provisor/credentials/{key}"));
    }
}
