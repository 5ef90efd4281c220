//! The floors of ARCHITECTURE.md: who may import whom, and who may use which crate.

use crate::source::Source;
use crate::tree::{File, Tree, Violation};

/// What a floor may import beside itself.
enum May {
    Import(&'static [&'static str]),
    /// All that stands before it in the table.
    ImportAllBelow,
}
use May::{Import, ImportAllBelow};

/// Each floor (a folder or a file of src/), from the lowest up: none imports what stands after it.
const FLOORS: &[(&str, May)] = &[
    // A macro that is nothing in what is shipped: whoever has a failpoint imports nothing for it.
    ("failpoints", Import(&[])),
    ("order", Import(&[])),
    ("audit", Import(&["order"])),
    ("clock", Import(&[])),
    ("causes", Import(&[])),
    ("trace", Import(&[])),
    ("host", Import(&[])),
    // The schedule of the audit is read where it is configured.
    ("config", Import(&["audit", "host"])),
    ("telemetry", Import(&[])),
    ("db", Import(&["order", "audit", "clock", "causes", "trace", "host"])),
    ("upstream", Import(&["order", "clock", "causes"])),
    ("mail", Import(&["order", "clock", "causes", "host"])),
    // The engine knows no order words, so that it can be judged, and measured, alone.
    ("queue", Import(&["db", "clock", "causes"])),
    ("http", Import(&["telemetry", "clock", "causes"])),
    ("sandbox", Import(&["order", "clock", "causes"])),
    // Not config: a job gets the few settings that it needs, in a struct of its own.
    (
        "jobs",
        Import(&["queue", "db", "upstream", "mail", "audit", "order", "clock", "causes", "trace"]),
    ),
    ("lifecycle", ImportAllBelow),
    ("app", ImportAllBelow),
    ("cli", ImportAllBelow),
    ("lib", Import(&[])),
    ("main", Import(&["cli"])),
];

/// Crates that belong to one place: what is outside it says what it wants in our own words. Test
/// modules may use them.
const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["src/db/"]),
    ("reqwest", &["src/upstream/", "src/telemetry/traces.rs"]),
    // http/ serves by hyper itself, since axum's own server has no limits.
    ("hyper", &["src/upstream/", "src/http/", "src/sandbox/"]),
    ("hyper_util", &["src/upstream/", "src/http/", "src/sandbox/"]),
    ("axum", &["src/http/", "src/sandbox/"]),
    ("lettre", &["src/mail/"]),
    ("minijinja", &["src/mail/"]),
    ("opentelemetry", &["src/telemetry/traces.rs", "src/trace.rs"]),
    ("tracing_opentelemetry", &["src/telemetry/traces.rs", "src/trace.rs"]),
    // Unmaintained (deny.toml), hence behind one module.
    ("backoff", &["src/queue/backoff.rs"]),
];

/// What the pure floor may not name: crate or module, and what below it (empty: all of it).
const IMPURE: &[(&str, &[&str])] =
    &[("tokio", &[]), ("std", &["env", "fs", "io", "net", "os", "process", "thread"])];

/// Types that read a clock.
const CLOCKS: &[&str] = &["Instant", "SystemTime"];

/// Strings that begin so are SQL.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "UPDATE ",
    "DELETE FROM ",
    "WITH ",
    "CREATE ",
    "ALTER ",
    "DROP ",
    "LISTEN ",
    "NOTIFY ",
    "TRUNCATE ",
    "COPY ",
    "LOCK ",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
];

/// The floor of a file below src/, and how deep its module lies below the crate's root.
fn place(file: &File) -> Option<(&str, usize)> {
    let path = file.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let floor = path.split('/').next()?;
    let depth = if matches!(path, "lib" | "main") { 0 } else { path.split('/').count() };
    Some((floor, depth))
}

/// What the floor may import by the table; nothing for a floor that is not in it.
fn permitted(floor: &str) -> Vec<&'static str> {
    let row = FLOORS.iter().position(|(name, _)| *name == floor);
    match row.and_then(|row| Some((row, FLOORS.get(row)?))) {
        Some((_, (_, Import(floors)))) => floors.to_vec(),
        Some((row, (_, ImportAllBelow))) => {
            FLOORS.iter().take(row).map(|(name, _)| *name).collect()
        }
        None => Vec::new(),
    }
}

/// The table names the floors that there are, from the lowest to the highest.
pub(crate) fn table_matches_tree(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let here = |rule| Violation::new("tests/tidy/floors.rs", 0, rule);
    for (row, (floor, _)) in FLOORS.iter().enumerate() {
        if !tree.files.iter().any(|file| place(file).is_some_and(|(name, _)| name == *floor)) {
            violations.push(here(format!("src/ has no floor {floor}: take it out of FLOORS")));
        }
        for import in permitted(floor) {
            if !FLOORS.iter().take(row).any(|(lower, _)| *lower == import) {
                violations.push(here(format!(
                    "{floor} may import {import}, which stands after it in FLOORS: floors import \
                     downwards only"
                )));
            }
        }
    }
    for file in &tree.files {
        if let Some((floor, _)) = place(file)
            && !FLOORS.iter().any(|(known, _)| *known == floor)
        {
            let rule = format!("{floor} is no floor: use one, or add it to FLOORS, and say why");
            violations.push(file.violation(0, rule));
        }
    }
    violations
}

/// No floor imports what its row of the table does not name; test modules included.
pub(crate) fn floors_import_downwards(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources() {
        let Some((floor, depth)) = place(file) else { continue };
        let permitted = permitted(floor);
        let list =
            if permitted.is_empty() { "nothing of ours".to_owned() } else { permitted.join(", ") };
        let root = if floor == "main" { "provisor" } else { "crate" };
        let named = source.named_below(root).into_iter().chain(source.named_by_super(depth));
        for (offset, name) in named.filter(|(_, name)| name != floor) {
            if !permitted.contains(&name.as_str()) {
                violations.push(file.violation(
                    source.line(offset),
                    format!(
                        "{floor} may not import {name}; it may import {list}. Move the code to the \
                         floor that may, or pass in what is needed"
                    ),
                ));
            }
        }
    }
    violations
}

/// Whether a file is of the product itself, and no file of tests beside it.
fn is_product(file: &File) -> bool {
    let is_test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    file.path.starts_with("src/") && !is_test
}

/// Each crate of the table is named in its place alone.
pub(crate) fn crates_stay_in_their_floor(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources().filter(|(file, _)| is_product(file)) {
        for (name, places) in CRATES {
            if places.iter().any(|place| file.path.starts_with(place)) || declares(source, name) {
                continue;
            }
            for (offset, word) in source.words() {
                if word == *name && names_crate(source, offset, word) && !source.is_test(offset) {
                    violations.push(file.violation(
                        source.line(offset),
                        format!(
                            "only {} may use {name}. Give that place a function or type for what \
                             is wanted here",
                            places.join(" and ")
                        ),
                    ));
                }
            }
        }
    }
    violations
}

/// Whether the file has a module of this name, so that the name means the module.
fn declares(source: &Source, name: &str) -> bool {
    source.words().any(|(at, word)| word == name && source.before(at).ends_with(" mod"))
        || source.code.starts_with(&format!("mod {name}"))
}

/// Whether this word names a crate: as the root of a path, in a `use`, or as an attribute.
fn names_crate(source: &Source, offset: usize, word: &str) -> bool {
    let before = source.before(offset);
    let after = source.after(offset + word.len()).trim_start();
    let is_root = !before.ends_with("::") || before.ends_with("{::") || before.ends_with(" ::");
    is_root
        && (after.starts_with("::")
            || before.ends_with("use")
            || before.ends_with("extern crate")
            || before.ends_with("#["))
}

/// No statement outside db/, not even in a string.
pub(crate) fn sql_stays_in_db(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources() {
        if !is_product(file) || file.path.starts_with("src/db/") {
            continue;
        }
        for (offset, string) in &source.strings {
            let is_sql = SQL.iter().any(|word| string.trim_start().starts_with(word));
            if is_sql && !source.is_test(*offset) {
                violations.push(file.violation(
                    source.line(*offset),
                    "SQL stands in src/db/ alone. Give it a function there",
                ));
            }
        }
    }
    violations
}

/// The pure floors do nothing and know no time but what they are told.
pub(crate) fn order_is_pure(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let is_pure = |path: &str| ["src/order/", "src/audit/"].iter().any(|it| path.starts_with(it));
    for (file, source) in tree.sources().filter(|(file, _)| is_pure(&file.path)) {
        let named = IMPURE.iter().flat_map(|(root, parts)| {
            let named = source.named_below(root).into_iter();
            named
                .filter(|(_, part)| parts.is_empty() || parts.contains(&part.as_str()))
                .map(move |(offset, part)| (offset, format!("{root}::{part}")))
        });
        let clocks = source.words().filter(|(_, word)| CLOCKS.contains(word));
        for (offset, what) in named.chain(clocks.map(|(offset, word)| (offset, word.to_owned()))) {
            violations.push(file.violation(
                source.line(offset),
                format!(
                    "order/ and audit/ are pure and may not use {what}: do it on a floor above, and pass in \
                     what came of it"
                ),
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::assert_found;

    #[test]
    fn upward_imports_are_found() {
        let tree = Tree::of(&[
            ("src/order/decide.rs", "use crate::db::lines;\nuse crate::order::Money;"),
            ("src/queue/claim.rs", "use crate::{\n    clock,\n    order::{ids, Money},\n};"),
            ("src/jobs/place.rs", "fn f() {\n    crate::config::load();\n}"),
            ("src/db/mod.rs", "use super::jobs;\nmod tests { use super::*; }"),
            ("src/http/mod.rs", "use crate::*;"),
            ("src/main.rs", "use provisor::app;\nfn main() { provisor::cli::run() }"),
            ("src/cli/mod.rs", "use crate::{app, db, order};"),
            ("src/mail/mod.rs", "//! Like [`crate::jobs`].\n// use crate::db;"),
            ("tests/it/main.rs", "use provisor::db;"),
        ]);
        assert_found(
            &floors_import_downwards(&tree),
            &[
                "src/order/decide.rs:1: order may not import db; it may import nothing of ours",
                "src/queue/claim.rs:3: queue may not import order; it may import db, clock",
                "src/jobs/place.rs:2: jobs may not import config",
                "src/db/mod.rs:1: db may not import jobs",
                "src/http/mod.rs:1: http may not import *",
                "src/main.rs:1: main may not import app",
            ],
        );
    }

    #[test]
    fn unknown_floors_are_found() {
        let tree = Tree::of(&[("src/extra/x.rs", ""), ("src/order/mod.rs", "")]);
        let violations = table_matches_tree(&tree);
        let listed: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert!(listed.iter().any(|v| v.starts_with("src/extra/x.rs: extra is no floor")));
        assert!(listed.iter().any(|v| v.contains("src/ has no floor db")));
        assert!(!listed.iter().any(|v| v.contains("src/ has no floor order")));
    }

    #[test]
    fn crates_out_of_place_are_found() {
        let tree = Tree::of(&[
            ("src/jobs/a.rs", "fn f(pool: &sqlx::PgPool) {}"),
            ("src/jobs/b.rs", "#[sqlx(transparent)]\nstruct A;\nuse {reqwest::Client};"),
            ("src/queue/mod.rs", "mod backoff;\npub use backoff::Schedule;"),
            ("src/queue/claim.rs", "use crate::queue::backoff::Schedule;\nlet backoff = 1;"),
            ("src/queue/other.rs", "use ::backoff::ExponentialBackoff;"),
            ("src/db/mod.rs", "use sqlx::PgPool;\nuse lettre as mail;"),
            (
                "src/app.rs",
                "// sqlx::x\nfn f() { \"sqlx::x\"; }\n#[cfg(test)]\nmod t { use sqlx::x; }",
            ),
            ("src/sandbox/mod.rs", "use axum::Router;"),
            ("src/upstream/mod.rs", "use reqwest::Client; use hyper::body; use axum::Router;"),
        ]);
        assert_found(
            &crates_stay_in_their_floor(&tree),
            &[
                "src/jobs/a.rs:1: only src/db/ may use sqlx",
                "src/jobs/b.rs:1: only src/db/ may use sqlx",
                "src/jobs/b.rs:3: only src/upstream/ and src/telemetry/traces.rs may use reqwest",
                "src/queue/other.rs:1: only src/queue/backoff.rs may use backoff",
                "src/db/mod.rs:2: only src/mail/ may use lettre",
                "src/upstream/mod.rs:1: only src/http/ and src/sandbox/ may use axum",
            ],
        );
    }

    #[test]
    fn sql_out_of_place_is_found() {
        let tree = Tree::of(&[
            ("src/jobs/a.rs", "\nlet q = \"\n  SELECT 1\";\nlet t = \"Selected lines\";"),
            ("src/db/a.rs", "let q = \"SELECT 1\";"),
            ("src/cli/a.rs", "let hint = \"psql -c 'SELECT 1'\";"),
        ]);
        assert_found(&sql_stays_in_db(&tree), &["src/jobs/a.rs:2: SQL stands in src/db/ alone"]);
    }

    #[test]
    fn impurity_is_found() {
        let tree = Tree::of(&[
            ("src/order/a.rs", "use std::{fmt, fs::File};\nfn f() { tokio::spawn(x) }"),
            ("src/order/b.rs", "use std::time::{Duration, Instant};"),
            ("src/clock.rs", "use std::time::Instant;"),
        ]);
        assert_found(
            &order_is_pure(&tree),
            &[
                "src/order/a.rs:2: order/ and audit/ are pure and may not use tokio::spawn",
                "src/order/a.rs:1: order/ and audit/ are pure and may not use std::fs",
                "order/ and audit/ are pure and may not use Instant",
            ],
        );
    }
}
