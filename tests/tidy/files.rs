//! Rules for every file: white space, words that don't belong, scripts, migrations, snapshots.

use crate::tree::{File, Tree, Violation};

/// Files whose white space is ours to keep; what is quoted from elsewhere (snapshots, emails, plain
/// texts) keeps its own.
const CLEAN: &[&str] = &[
    "rs",
    "sql",
    "md",
    "toml",
    "sh",
    "yml",
    "yaml",
    "json",
    "html",
    "css",
    "service",
    "gitignore",
];
/// Files in which a tab is a mistake.
const NO_TABS: &[&str] = &["rs", "sql", "md"];
/// The longest line, in characters; a line with an address may be longer. rustfmt keeps code to 100: the rest is prose.
const LINE_CHARS_MAX: &[(&str, usize)] = &[("rs", 125), ("sql", 125)];

/// Words that are only fit for a draft, and the cure. Put together here, lest they be found here.
const DRAFT_WORDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
/// Paths of somebody's workplace.
const WORKPLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("/fa", "rm/"), concat!("/tmp", "/h-")];
/// Hosts of package registries, which the ordinary clients know by themselves.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("pypi", ".org"),
    concat!("registry.", "npmjs.org"),
    concat!("deb.", "debian.org"),
];

/// White space, line ends and lengths.
pub(crate) fn lines_are_clean(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| is_clean_kind(file)) {
        let extension = file.extension();
        let limit = LINE_CHARS_MAX.iter().find(|(name, _)| *name == extension).map(|(_, max)| *max);
        for (index, line) in file.text.split('\n').enumerate() {
            let mut found = |rule: String| violations.push(file.violation(index + 1, rule));
            if line.ends_with(char::is_whitespace) {
                found("white space at the end of the line: take it away".to_owned());
            }
            if line.contains('\t') && NO_TABS.contains(&extension) {
                found("a tab: use spaces (in a string, \\t)".to_owned());
            }
            let chars = line.chars().count();
            // A statement for pgbench has to be one line where it uses \gset.
            let exempt = line.contains("://") || file.path.starts_with("benches/");
            if let Some(limit) = limit.filter(|limit| chars > *limit && !exempt) {
                found(format!("{chars} characters, at most {limit}: break the line"));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            violations.push(file.violation(0, "no line end at the end: add it"));
        }
    }
    violations
}

fn is_clean_kind(file: &File) -> bool {
    CLEAN.contains(&file.extension()) || is_script(file)
}

fn is_script(file: &File) -> bool {
    file.path.starts_with("script/") || file.path.starts_with(".ci/")
}

/// The project speaks of itself, finished and alone.
pub(crate) fn words_belong(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            let mut found = |rule: String| violations.push(file.violation(index + 1, rule));
            for word in DRAFT_WORDS.iter().filter(|word| has_word(line, word)) {
                found(format!("no {word}: do it, or write it into the tracker"));
            }
            for path in WORKPLACES.iter().filter(|path| has_path(line, path)) {
                found(format!(
                    "{path} is a path of one workplace: name it from the project's root"
                ));
            }
            for host in REGISTRY_HOSTS.iter().filter(|host| line.contains(**host)) {
                found(format!("{host} is a registry's host: name the package, not the place"));
            }
        }
    }
    violations
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|part| part == word)
}

/// Whether an absolute path begins so; `homework/x` and an address do not.
fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}/".contains(c))
    })
}

/// Every script can be run, and stops at the first thing that goes wrong.
pub(crate) fn scripts_are_strict(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| is_script(file)) {
        let shebang = file.text.lines().next().filter(|line| line.starts_with("#!"));
        if !file.executable {
            violations.push(file.violation(0, "not executable: chmod +x"));
        }
        if shebang.is_none() {
            violations.push(file.violation(1, "no shebang: begin with #!/usr/bin/env bash"));
        }
        let is_shell = shebang.is_none_or(|line| line.ends_with("sh"));
        if is_shell && !file.text.lines().any(|line| line == "set -euo pipefail") {
            violations.push(file.violation(0, "an error would go unseen: add set -euo pipefail"));
        }
    }
    violations
}

/// Migrations are numbered without a gap and known by their folder alone.
pub(crate) fn migrations_are_numbered(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut expected = 1;
    let mut names = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with("migrations/")) {
        if file.path == "migrations/README.md" {
            continue;
        }
        if !is_migration_name(file) {
            violations.push(file.violation(0, "not named NNNN_what_it_does.sql: rename it"));
            continue;
        }
        let number = format!("{expected:04}_");
        if !file.name().starts_with(&number) {
            let rule = format!("the next number is {number}…: no gaps, none twice");
            violations.push(file.violation(0, rule));
        }
        expected += 1;
        names.push(file.name());
    }
    // Documents may point at one; code and scripts must not list them.
    let lists = |file: &&File| !file.path.starts_with("migrations/") && file.extension() != "md";
    for file in tree.files.iter().filter(lists) {
        for (index, line) in file.text.lines().enumerate() {
            for name in names.iter().filter(|name| line.contains(**name)) {
                let rule = format!("{name} is listed: the folder is the list, so read the folder");
                violations.push(file.violation(index + 1, rule));
            }
        }
    }
    violations
}

fn is_migration_name(file: &File) -> bool {
    let Some((number, name)) =
        file.name().strip_suffix(".sql").and_then(|name| name.split_once('_'))
    else {
        return false;
    };
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    number.len() == 4
        && number.chars().all(|c| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_word)
        && file.path.matches('/').count() == 1
}

/// Every snapshot belongs to an assertion that exists: its header names the test's file, which
/// names the snapshot, as a string or by the test function that it takes its name from.
pub(crate) fn snapshots_are_referenced(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| file.extension() == "snap") {
        let mut header = file.text.lines().take_while(|line| !line.is_empty());
        let source = header.find_map(|line| line.strip_prefix("source: "));
        let Some(source) = tree.files.iter().find(|test| Some(test.path.as_str()) == source) else {
            violations
                .push(file.violation(0, "the test that made this snapshot is gone: delete it"));
            continue;
        };
        let name = snapshot_name(file.name());
        let named = [format!("\"{name}\""), format!("fn {name}("), format!("fn test_{name}(")];
        if !named.iter().any(|named| source.text.contains(named.as_str())) {
            violations.push(file.violation(
                0,
                format!(
                    "{} names no snapshot {name:?}: delete this one, or, if the test puts the name \
                     together, let it name the snapshot literally and vary insta's snapshot_suffix",
                    source.path
                ),
            ));
        }
    }
    violations
}

/// `it__emails__order_failed@nl-2.snap` → `order_failed`.
fn snapshot_name(file: &str) -> &str {
    let name = file.strip_suffix(".snap").unwrap_or(file);
    let name = name.rsplit_once("__").map_or(name, |(_, name)| name);
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once('-') {
        Some((name, number)) if number.chars().all(|c| c.is_ascii_digit()) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::assert_found;

    #[test]
    fn unclean_lines_are_found() {
        let long = "x".repeat(130);
        let tree = Tree::of(&[
            ("src/a.rs", "fn a() {} \n\tlet b;\n"),
            ("src/b.rs", &format!("// {long}\n// https://example.com/{long}\n")),
            ("migrations/0001_a.sql", &format!("-- {long}\n-- short\n")),
            ("README.md", "no end"),
            ("tests/snapshots/a.snap", "kept \t \n"),
        ]);
        assert_found(
            &lines_are_clean(&tree),
            &[
                "src/a.rs:1: white space at the end",
                "src/a.rs:2: a tab",
                "src/b.rs:1: 133 characters, at most 125",
                "migrations/0001_a.sql:1: 133 characters, at most 125",
                "README.md: no line end at the end",
            ],
        );
    }

    #[test]
    fn words_that_do_not_belong_are_found() {
        let text = [
            format!("// {}: later", DRAFT_WORDS[0]),
            format!("my{}s homework/x https://example.com{}x", DRAFT_WORDS[0], WORKPLACES[0]),
            format!("see `{}main`", WORKPLACES[0]),
            format!("https://{}/x", REGISTRY_HOSTS[2]),
        ];
        let tree = Tree::of(&[("docs/a.md", &text.join("\n"))]);
        assert_found(
            &words_belong(&tree),
            &["docs/a.md:1: no TO", "docs/a.md:3: /wo", "docs/a.md:4: pypi"],
        );
    }

    #[test]
    fn careless_scripts_are_found() {
        let mut tree = Tree::of(&[
            ("script/good", "#!/usr/bin/env bash\n# What for.\nset -euo pipefail\n"),
            ("script/lax", "#!/bin/sh\nset -e\n"),
            ("script/chart", "#!/usr/bin/env python3\n"),
            ("script/bare", "set -euo pipefail\n"),
            (".ci/run", "#!/usr/bin/env bash\nset -euo pipefail\n"),
        ]);
        assert_found(
            &scripts_are_strict(&tree),
            &[
                "script/lax: an error would go unseen",
                "script/bare:1: no shebang",
                ".ci/run: not executable",
            ],
        );
        tree.files.retain(|file| file.path == "script/good");
        assert_found(&scripts_are_strict(&tree), &[]);
    }

    #[test]
    fn misnumbered_migrations_are_found() {
        let tree = Tree::of(&[
            ("migrations/0001_made_up.sql", ""),
            ("migrations/0003_gap.sql", ""),
            ("migrations/0003_twice.sql", ""),
            ("migrations/12_short.sql", ""),
            ("migrations/README.md", ""),
            ("src/db/mod.rs", "\nconst A: &str = include_str!(\"0001_made_up.sql\");"),
        ]);
        assert_found(
            &migrations_are_numbered(&tree),
            &[
                "migrations/0003_gap.sql: the next number is 0002_",
                "migrations/12_short.sql: not named NNNN_what_it_does.sql",
                "src/db/mod.rs:2: 0001_made_up.sql is listed",
            ],
        );
    }

    #[test]
    fn orphaned_snapshots_are_found() {
        let of = |source: &str| format!("---\nsource: {source}\nexpression: text\n---\nHello\n");
        let here = of("tests/it/emails.rs");
        let tree = Tree::of(&[
            ("tests/it/emails.rs", "fn greets() { assert_snapshot!(x); }\nf(\"order_failed\");"),
            ("tests/it/snapshots/it__emails__greets.snap", &here),
            ("tests/it/snapshots/it__emails__greets-2.snap", &here),
            ("tests/it/snapshots/it__emails__order_failed@nl.snap", &here),
            ("tests/it/snapshots/it__emails__removed.snap", &here),
            ("tests/it/snapshots/it__gone__greets.snap", &of("tests/it/gone.rs")),
        ]);
        assert_found(
            &snapshots_are_referenced(&tree),
            &[
                "it__emails__removed.snap: tests/it/emails.rs names no snapshot \"removed\"",
                "it__gone__greets.snap: the test that made this snapshot is gone",
            ],
        );
    }
}
