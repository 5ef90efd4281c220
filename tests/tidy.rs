//! Keeps the house in order: which floor may import which, who may speak to the database, how long
//! a function may be, what no file may contain. Fast, and without a database or a network.
//!
//! All violations are listed at once, each with its rule and its cure. The rules stand in
//! `tests/tidy/`, one file per subject; what they allow is in the tables at the head of each.

#[path = "tidy/failpoints.rs"]
mod failpoints;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/logging.rs"]
mod logging;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/style.rs"]
mod style;
#[path = "tidy/tree.rs"]
mod tree;

use std::path::Path;

use tree::{Tree, Violation};

/// One subject's rules.
type Rules = fn(&Tree) -> Vec<Violation>;

const RULES: &[Rules] = &[
    floors::table_matches_tree,
    floors::floors_import_downwards,
    floors::crates_stay_in_their_floor,
    floors::sql_stays_in_db,
    floors::order_is_pure,
    style::files_are_short,
    style::folders_are_small,
    style::functions_are_short,
    style::nothing_is_unfinished,
    style::modules_are_named,
    failpoints::failpoints_are_listed,
    files::lines_are_clean,
    files::words_belong,
    files::scripts_are_strict,
    files::migrations_are_numbered,
    files::snapshots_are_referenced,
    links::links_lead_somewhere,
    logging::messages_are_listed,
];

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(tree.sources().count() > 10, "the tree was not read: {} files", tree.files.len());

    let mut violations: Vec<_> = RULES.iter().flat_map(|rules| rules(&tree)).collect();
    violations.sort();
    let listed: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(listed.is_empty(), "{} violations:\n{}", listed.len(), listed.join("\n"));
}
