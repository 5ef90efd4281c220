//! Messages of the log: docs/LOGGING.md has each that the daemon may write at INFO and above, under its level.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::source::{Source, closing, is_word};
use crate::tree::{Tree, Violation};

/// The page that lists them.
const PAGE: &str = "docs/LOGGING.md";
/// The macros, and the level that stands in the page's first column.
const LEVELS: &[(&str, &str)] = &[("info!", "INFO"), ("warn!", "WARN"), ("error!", "ERROR")];
/// What writes no log of `provisor run`: the sandbox has its own, and no failpoint is in what is shipped.
const NOT_OF_RUN: &[&str] = &["src/sandbox/", "src/failpoints.rs"];
/// Files whose message is put together elsewhere (`"{reason}"`): what the page says of it, nobody but a reader can compare.
const PUT_TOGETHER: &[&str] =
    &["src/jobs/ledger.rs", "src/db/records/doubled.rs", "src/db/records/ended.rs"];
/// So many are the least: fewer were not read.
const MESSAGES_MIN: usize = 60;

/// Each message in the sources stands in a row of the page, with its level.
pub(crate) fn messages_are_listed(tree: &Tree) -> Vec<Violation> {
    let Some(page) = tree.files.iter().find(|file| file.path == PAGE) else {
        return vec![Violation::new(PAGE, 0, "the list of messages is missing".to_owned())];
    };
    let listed = listed(&page.text);
    let mut violations = Vec::new();
    let mut read = 0;
    for (file, source) in tree.sources() {
        let is_of_run = file.path.starts_with("src/")
            && !NOT_OF_RUN.iter().any(|path| file.path.starts_with(path));
        for (at, level, message) in calls(source).filter(|_| is_of_run) {
            read += 1;
            let mut found = |rule| violations.push(file.violation(source.line(at), rule));
            match message {
                None => found("no message: write what happened, as a fixed sentence".to_owned()),
                Some(message) if message.contains('{') => {
                    if !PUT_TOGETHER.contains(&file.path.as_str()) {
                        let rule =
                            "is put together: write a fixed sentence, and a field for what varies";
                        found(format!("the message {message:?} {rule}"));
                    }
                }
                Some(message) if !listed.contains(&(level, message.as_str())) => {
                    found(format!("{PAGE} lacks the {level} {message:?}: add a row"));
                }
                Some(_) => {}
            }
        }
    }
    if read < MESSAGES_MIN {
        let rule = format!("{read} messages were read, at least {MESSAGES_MIN}");
        violations.push(Violation::new(PAGE, 0, rule));
    }
    violations
}

/// The messages of the page: what is quoted in the second column of a row whose first one is a level.
fn listed(page: &str) -> BTreeSet<(&str, &str)> {
    let row = |line| {
        let mut cells = str::split(line, " | ");
        let level = cells.next().and_then(|cell| cell.strip_prefix("| "));
        let quoted = cells.next().into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
        quoted.filter_map(move |message| Some((level?, message)))
    };
    page.lines().flat_map(row).collect()
}

/// The calls outside of tests: where each is, its level, and its message, if that is a literal.
fn calls(source: &Source) -> impl Iterator<Item = (usize, &'static str, Option<String>)> {
    let of = move |(name, level): &(&'static str, &'static str)| {
        let (length, level) = (name.len(), *level);
        let at = source.code.match_indices(*name).map(|(at, _)| at);
        // Another macro's name may end so.
        let is_whole = |at: usize| !source.code.get(..at).is_some_and(|it| it.ends_with(is_word));
        let is_call = move |at: &usize| is_whole(*at) && !source.is_test(*at);
        at.filter(is_call).filter_map(move |at| {
            let open = at + length;
            let end = closing(&source.code, open)?;
            Some((at, level, message(source, open + 1..end - 1)))
        })
    };
    LEVELS.iter().flat_map(of)
}

/// The last argument that is a literal; a field's value stands behind a `=`, and another call's argument within brackets.
fn message(source: &Source, arguments: Range<usize>) -> Option<String> {
    let is_argument = |at: usize| {
        let before = source.before(at - 1);
        let outside = source.code.get(arguments.start..at).unwrap_or_default();
        let depth = |open: [char; 3]| outside.matches(open).count();
        depth(['(', '[', '{']) == depth([')', ']', '}']) && before.ends_with(['(', ','])
    };
    let mut within = source.strings.iter().filter(|(at, _)| arguments.contains(at));
    let literal = within.rfind(|(at, _)| is_argument(*at)).map(|(_, text)| text.as_str())?;
    // As it is written into the log: a line that is broken in the source goes on in the next one.
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    Some(lines.fold(first, |text, line| text + line.trim_start()).replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{File, assert_found};

    #[test]
    fn messages_that_the_page_lacks_are_found() {
        let each = |row: &str| {
            (0..MESSAGES_MIN).map(|n| row.replace('#', &n.to_string())).collect::<String>()
        };
        let rows = each("| INFO | `done #` | | |\n");
        let page = format!(
            "text with `never listed`\n\n| level | message | own fields | means |\n|---|---|---|---|\n\
             {rows}| WARN | `waits`, `waits on` | `error` | not `a meaning` |\n| ERROR | `it's \"broken\"` | | |\n"
        );
        let done = each("tracing::info!(\"done #\");\n");
        let a = "fn a() {\n\
            tracing::warn!(error = %causes(\"x\"), lane = \"place\", \"waits\");\n\
            tracing::warn!(\n    ?why,\n    \"waits \\\n     on\"\n);\n\
            tracing::error!(version = env!(\"V\"), \"it's \\\"broken\\\"\");\n\
            tracing::info!(\"waits\");\n\
            return warn!(of, \"a meaning\");\n\
            tracing::error!(\n    lane = \"never listed\",\n    \"never listed\",\n);\n\
            tracing::error!(lane = \"place\", %error);\n\
            tracing::warn!(\"{reason}\");\n\
            // tracing::warn!(\"a comment\");\n}\n\
            #[cfg(test)]\nmod tests { fn t() { tracing::warn!(\"in a test\"); } }\n";
        let text = "fn b() { tracing::warn!(\"{reason}\"); }";
        let tree = Tree::of(&[
            (PAGE, &page),
            ("src/a.rs", a),
            ("src/done.rs", &done),
            (PUT_TOGETHER[0], text),
            (NOT_OF_RUN[1], "fn c() { tracing::warn!(\"reached\"); }"),
            ("tests/it/d.rs", "fn d() { tracing::warn!(\"elsewhere\"); }"),
        ]);
        let mut violations = messages_are_listed(&tree);
        violations.sort();
        assert_found(
            &violations,
            &[
                "src/a.rs:9: docs/LOGGING.md lacks the INFO \"waits\"",
                "src/a.rs:10: docs/LOGGING.md lacks the WARN \"a meaning\"",
                "src/a.rs:11: docs/LOGGING.md lacks the ERROR \"never listed\"",
                "src/a.rs:15: no message",
                "src/a.rs:16: the message \"{reason}\" is put together",
            ],
        );
        let none = Tree { files: vec![File::new(PAGE, "")] };
        assert_found(&messages_are_listed(&none), &["0 messages were read"]);
        assert_found(&messages_are_listed(&Tree::of(&[])), &["the list of messages is missing"]);
    }
}
