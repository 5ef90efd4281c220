//! How long, how many, and which words of Rust: what keeps a file readable.

use std::collections::BTreeMap;

use crate::tree::{Tree, Violation};

/// Lines of a file of src/, without its test module. About 200 is good.
const FILE_LINES_MAX: usize = 400;
/// Lines of any other Rust file: a test may tell a longer story.
const TEST_FILE_LINES_MAX: usize = 650;
/// Rust files in one folder of src/.
const FOLDER_FILES_MAX: usize = 15;
/// Lines of a function that are neither blank nor comment. About 70 is much.
const FUNCTION_LINES_MAX: usize = 80;

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] =
    &["common", "core", "helper", "helpers", "manager", "misc", "util", "utils"];

/// Code that is not finished or that nobody sees fail, and the cure.
const UNFINISHED: &[(&str, &str)] = &[
    ("todo!", "write it"),
    ("unimplemented!", "write it, or make the case impossible by its type"),
    ("dbg!", "take it out; what an operator should see goes through tracing"),
    ("#[ignore", "mend or remove the test; a long one takes its bounds from PROVISOR_LONG"),
    ("#[allow(", "write #[expect(lint, reason = \"…\")], which speaks up when it is needless"),
    ("#![allow(", "write #![expect(lint, reason = \"…\")], which speaks up when it is needless"),
];

/// No file grows beyond what one reads in a sitting.
pub(crate) fn files_are_short(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources() {
        let is_test = file.path.ends_with("tests.rs") || file.path.contains("/tests/");
        let limit = if file.path.starts_with("src/") && !is_test {
            FILE_LINES_MAX
        } else {
            TEST_FILE_LINES_MAX
        };
        let lines = source.lines_without_tests();
        if lines > limit {
            violations.push(file.violation(
                0,
                format!("{lines} lines without tests, at most {limit}: make two rooms of it"),
            ));
        }
    }
    violations
}

/// No folder of src/ holds more files than one takes in at a glance.
pub(crate) fn folders_are_small(tree: &Tree) -> Vec<Violation> {
    let mut folders = BTreeMap::new();
    for (file, _) in tree.sources().filter(|(file, _)| file.path.starts_with("src/")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_insert_with(Vec::new).push(file);
    }
    let full = folders.into_iter().filter(|(_, files)| files.len() > FOLDER_FILES_MAX);
    full.filter_map(|(folder, files)| {
        let rule = format!(
            "{folder} holds {} Rust files, at most {FOLDER_FILES_MAX}: give a group of them \
             a folder",
            files.len()
        );
        Some(files.first()?.violation(0, rule))
    })
    .collect()
}

/// No function is longer than a screen.
pub(crate) fn functions_are_short(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources() {
        for (offset, name, body) in source.functions() {
            let code = source.code.get(body).unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
            if lines > FUNCTION_LINES_MAX {
                violations.push(file.violation(
                    source.line(offset),
                    format!(
                        "fn {name} has {lines} lines of code, at most {FUNCTION_LINES_MAX}: give \
                         its parts names"
                    ),
                ));
            }
        }
    }
    violations
}

/// Nothing half done, and no lint silenced for good.
pub(crate) fn nothing_is_unfinished(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources() {
        for (what, cure) in UNFINISHED {
            for (offset, _) in source.code.match_indices(what) {
                let begins = source.code.get(..offset).unwrap_or_default().chars().next_back();
                if !begins.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    let rule = format!("no {what}…: {cure}");
                    violations.push(file.violation(source.line(offset), rule));
                }
            }
        }
    }
    violations
}

/// A module's name says what is in it.
pub(crate) fn modules_are_named(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources() {
        let rule = |name: &str| format!("no module named {name}: name it after what it does");
        let parts = file.path.trim_end_matches(".rs").split('/');
        for name in parts.filter(|part| EMPTY_NAMES.contains(part)) {
            violations.push(file.violation(0, rule(name)));
        }
        for (offset, name) in source.words().filter(|(_, word)| EMPTY_NAMES.contains(word)) {
            let before = source.before(offset);
            let inline = source.after(offset + name.len()).trim_start().starts_with('{');
            if inline && (before == "mod" || before.ends_with(" mod") || before.ends_with("\nmod"))
            {
                violations.push(file.violation(source.line(offset), rule(name)));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::assert_found;

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    call();\n".repeat(lines.saturating_sub(2)))
    }

    #[test]
    fn long_files_are_found() {
        let lines = |count: usize| "// a line\n".repeat(count);
        let tests = |count: usize| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(count));
        let tree = Tree::of(&[
            ("src/order/a.rs", &lines(400)),
            ("src/order/b.rs", &lines(401)),
            ("src/order/c.rs", &format!("{}{}", lines(400), tests(300))),
            ("src/order/tests.rs", &lines(650)),
            ("tests/it/d.rs", &lines(650)),
            ("tests/it/e.rs", &lines(651)),
        ]);
        assert_found(
            &files_are_short(&tree),
            &[
                "src/order/b.rs: 401 lines without tests, at most 400",
                "tests/it/e.rs: 651 lines without tests, at most 650",
            ],
        );
    }

    #[test]
    fn full_folders_are_found() {
        let paths: Vec<_> = (0..16).map(|n| format!("src/db/f{n:02}.rs")).collect();
        let files: Vec<_> = paths.iter().map(|path| (path.as_str(), "")).collect();
        assert_found(&folders_are_small(&Tree::of(&files)), &["src/db holds 16 Rust files"]);
        assert_found(&folders_are_small(&Tree::of(files.split_last().unwrap().1)), &[]);
    }

    #[test]
    fn long_functions_are_found() {
        let padded = function(80).replacen('\n', "\n\n    // why\n", 1);
        let tree = Tree::of(&[
            ("src/a.rs", &padded),
            ("src/b.rs", &format!("\n{}", function(81))),
            ("tests/it/c.rs", &format!("mod m {{ {} }}", function(90))),
        ]);
        assert_found(
            &functions_are_short(&tree),
            &[
                "src/b.rs:2: fn long has 81 lines of code, at most 80",
                "tests/it/c.rs:1: fn long has 90 lines",
            ],
        );
    }

    #[test]
    fn unfinished_code_is_found() {
        let tree = Tree::of(&[
            (
                "src/a.rs",
                "fn a() {\n    todo!()\n}\n#[allow(dead_code)]\nfn b() { unimplemented!() }",
            ),
            ("tests/it/b.rs", "#![allow(x)]\n#[ignore = \"slow\"]\nfn c() { dbg!(1); }"),
            ("src/c.rs", "// todo!\n#[expect(x)]\nfn d() { \"#[allow(\"; my_todo!() }"),
        ]);
        let mut violations = nothing_is_unfinished(&tree);
        violations.sort();
        assert_found(
            &violations,
            &[
                "src/a.rs:2: no todo!…: write it",
                "src/a.rs:4: no #[allow(…: write #[expect",
                "src/a.rs:5: no unimplemented!",
                "tests/it/b.rs:1: no #![allow(",
                "tests/it/b.rs:2: no #[ignore",
                "tests/it/b.rs:3: no dbg!",
            ],
        );
    }

    #[test]
    fn empty_names_are_found() {
        let tree = Tree::of(&[
            ("src/db/utils.rs", ""),
            ("src/jobs/helpers/mod.rs", ""),
            ("src/app.rs", "use core::fmt;\nmod common { }\nfn manager() {}"),
        ]);
        assert_found(
            &modules_are_named(&tree),
            &[
                "src/db/utils.rs: no module named utils",
                "src/jobs/helpers/mod.rs: no module named helpers",
                "src/app.rs:2: no module named common",
            ],
        );
    }
}
