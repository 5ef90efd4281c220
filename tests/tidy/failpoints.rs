//! The failpoints: each place has a name of its own, and the one table has them all.

use std::collections::BTreeMap;

use crate::source::Source;
use crate::tree::{File, Tree, Violation};

/// Where the table is, and what it begins with.
const TABLE: &str = "src/failpoints.rs";
const TABLE_BEGINS: &str = "const NAMES: &[&str] = &[";

/// So many are the least: fewer would leave boundaries of the work out.
const NAMES_MIN: usize = 40;

/// The strings of the table, each with its offset.
fn listed(source: &Source) -> Vec<(usize, &str)> {
    let Some(begin) = source.code.find(TABLE_BEGINS) else { return Vec::new() };
    let end = source.code.get(begin..).and_then(|rest| rest.find("];")).unwrap_or(0) + begin;
    let strings = source.strings.iter().filter(|(at, _)| (begin..end).contains(at));
    strings.map(|(at, name)| (*at, name.as_str())).collect()
}

/// The places of a file, each with the name that it bears.
fn places(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.code.match_indices("failpoint!(").filter_map(|(at, opening)| {
        let name = source.strings.iter().find(|(start, _)| *start == at + opening.len() + 1);
        name.map(|(_, name)| (at, name.as_str()))
    })
}

/// Each failpoint is in the table, once, and each name of the table has its place.
pub(crate) fn failpoints_are_listed(tree: &Tree) -> Vec<Violation> {
    let Some((table, source)) = tree.sources().find(|(file, _)| file.path == TABLE) else {
        return vec![Violation::new(TABLE, 0, "the table of failpoints is missing".to_owned())];
    };
    let mut violations = Vec::new();
    let mut seen: BTreeMap<&str, (&File, usize)> = BTreeMap::new();
    let names = listed(source);
    for (file, source) in tree.sources().filter(|(file, _)| file.path.starts_with("src/")) {
        for (at, name) in places(source) {
            let line = source.line(at);
            if !names.iter().any(|(_, listed)| *listed == name) {
                let rule = format!("{name} is not in NAMES: add it there");
                violations.push(file.violation(line, rule));
            }
            if let Some((other, line_there)) = seen.insert(name, (file, line)) {
                let rule = format!("{name} is also at {}:{line_there}: name one anew", other.path);
                violations.push(file.violation(line, rule));
            }
        }
    }
    for (at, name) in names.iter().filter(|(_, name)| !seen.contains_key(name)) {
        let rule = format!("{name} has no place: take it out of NAMES");
        violations.push(table.violation(source.line(*at), rule));
    }
    if names.len() < NAMES_MIN {
        let rule = format!("{} failpoints, at least {NAMES_MIN}", names.len());
        violations.push(table.violation(0, rule));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::assert_found;

    #[test]
    fn places_and_table_are_compared() {
        let names: Vec<String> = (0..40).map(|n| format!("\"a.n{n}\"")).collect();
        let table = format!("pub const NAMES: &[&str] = &[{}];", names.join(", "));
        let place = |n: u32| format!("fn f{n}() {{ failpoint!(\"a.n{n}\"); }}\n");
        let mut places: String = (0..39).map(place).collect();
        places.push_str("// failpoint!(\"a.comment\");\nfn g() { failpoint!(\"b.new\"); }");
        let tree = Tree::of(&[
            (TABLE, &table),
            ("src/a.rs", &places),
            ("src/b.rs", "fn h() { failpoint!(\"a.n0\"); }"),
        ]);
        let mut violations = failpoints_are_listed(&tree);
        violations.sort();
        assert_found(
            &violations,
            &[
                "src/a.rs:41: b.new is not in NAMES",
                "src/b.rs:1: a.n0 is also at src/a.rs:1",
                "src/failpoints.rs:1: a.n39 has no place",
            ],
        );
        let few = "pub const NAMES: &[&str] = &[];";
        assert_found(&failpoints_are_listed(&Tree::of(&[(TABLE, few)])), &["0 failpoints"]);
        assert_found(
            &failpoints_are_listed(&Tree::of(&[])),
            &["the table of failpoints is missing"],
        );
    }
}
