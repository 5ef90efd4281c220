//! Just enough of a Rust lexer for the rules: code without comments and the contents of literals,
//! the literals themselves, the test modules, the paths that are named.

use std::ops::Range;

/// A Rust file, taken apart.
pub(crate) struct Source {
    /// The text, byte for byte as long: comments are spaces, the contents of literals underscores.
    pub(crate) code: String,
    /// The contents of string literals, each with the offset of its first byte.
    pub(crate) strings: Vec<(usize, String)>,
    /// Where items under `#[cfg(test)]` are, as offsets.
    tests: Vec<Range<usize>>,
}

impl Source {
    /// Takes a file's text apart. What is no Rust gives a wrong answer, not a panic.
    pub(crate) fn parse(text: &str) -> Self {
        let mut lexer = Lexer { text, at: 0, code: Vec::new(), strings: Vec::new() };
        lexer.run();
        let code = String::from_utf8_lossy(&lexer.code).into_owned();
        let tests = test_items(&code);
        Self { code, strings: lexer.strings, tests }
    }

    /// The number of the line, from 1, on which this byte is.
    pub(crate) fn line(&self, offset: usize) -> usize {
        1 + self.code.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// Whether this byte belongs to a test module.
    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The lines outside test modules.
    pub(crate) fn lines_without_tests(&self) -> usize {
        let all = self.code.lines().count();
        let tests =
            self.tests.iter().map(|range| self.line(range.end) - self.line(range.start) + 1);
        all.saturating_sub(tests.sum())
    }

    /// The identifiers and keywords, each with its offset.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        self.code.split(|c: char| !is_word(c)).filter_map(move |word| {
            let start = at;
            // Each separator is one character, and a separator of several bytes is none of ours.
            at += word.len() + self.separator_len(at + word.len());
            (!word.is_empty()).then_some((start, word))
        })
    }

    fn separator_len(&self, offset: usize) -> usize {
        self.after(offset).chars().next().map_or(0, char::len_utf8)
    }

    /// The code before this offset, without the white space at its end.
    pub(crate) fn before(&self, offset: usize) -> &str {
        self.code.get(..offset).unwrap_or_default().trim_end()
    }

    /// The code from this offset on.
    pub(crate) fn after(&self, offset: usize) -> &str {
        self.code.get(offset..).unwrap_or_default()
    }

    /// What is named directly below `root` (`crate`, `std`, …): `use root::{a::b, c as d}` and
    /// `root::a::b()` give `a` and `c`; a glob gives `*`.
    pub(crate) fn named_below(&self, root: &str) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        for (offset, word) in self.words() {
            if word == root && !self.before(offset).ends_with("::") {
                self.first_segments(offset + word.len(), &mut named);
            }
        }
        named
    }

    /// What a chain of `super::` names, if the chain leads out of all modules to the crate's root.
    /// `depth` is how deep the file's own module lies.
    pub(crate) fn named_by_super(&self, depth: usize) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        let mut chain = 0;
        for (offset, word) in self.words().filter(|(_, word)| *word == "super") {
            chain = if self.before(offset).ends_with("super::") { chain + 1 } else { 1 };
            if chain == depth + self.inline_modules_around(offset) {
                self.first_segments(offset + word.len(), &mut named);
            }
        }
        named
    }

    fn inline_modules_around(&self, offset: usize) -> usize {
        let modules = self.words().take_while(|(at, _)| *at < offset).filter(|(at, word)| {
            *word == "mod" && item_end(&self.code, *at).is_some_and(|end| end > offset)
        });
        modules.count()
    }

    /// Collects the first segments after a root that ends at `offset`: `::a::b`, `::{a, b::c}`.
    fn first_segments(&self, offset: usize, named: &mut Vec<(usize, String)>) {
        let rest = self.after(offset);
        let Some(rest) = rest.trim_start().strip_prefix("::").map(str::trim_start) else { return };
        let start = self.code.len() - rest.len();
        let items = if rest.starts_with('{') {
            let end = closing(&self.code, start).unwrap_or(self.code.len());
            let group = self.code.get(start + 1..end.saturating_sub(1)).unwrap_or_default();
            split_group(group).into_iter().map(|(at, item)| (start + 1 + at, item)).collect()
        } else {
            vec![(start, rest)]
        };
        named.extend(items.into_iter().map(|(at, item)| {
            let segment: String = item.chars().take_while(|c| is_word(*c)).collect();
            (at, if segment.is_empty() { "*".to_owned() } else { segment })
        }));
    }

    /// The functions that have a body: offset of `fn`, name, and the body's range.
    pub(crate) fn functions(&self) -> Vec<(usize, String, Range<usize>)> {
        let mut functions = Vec::new();
        for (offset, word) in self.words() {
            if word != "fn" {
                continue;
            }
            let name: String =
                self.after(offset + 2).trim_start().chars().take_while(|c| is_word(*c)).collect();
            if !name.is_empty()
                && let Some(end) = item_end(&self.code, offset)
                && self.code.get(..end).is_some_and(|item| item.ends_with('}'))
            {
                functions.push((offset, name, offset..end));
            }
        }
        functions
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The comma-separated items of a `use` group, each with its offset, nested groups left whole.
fn split_group(group: &str) -> Vec<(usize, &str)> {
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let item = group.get(start..at).unwrap_or_default();
                let trimmed = item.trim_start();
                if !trimmed.trim_end().is_empty() {
                    items.push((start + item.len() - trimmed.len(), trimmed.trim_end()));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// The offset behind the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The offset behind an item that begins at `start`: its closing brace, or its semicolon.
fn item_end(code: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' if depth == 0 => return closing(code, at),
            b';' if depth == 0 => return Some(at + 1),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// The items under an attribute `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        if items.last().is_some_and(|last| last.contains(&start)) {
            continue;
        }
        let Some(end) = closing(code, start + 1) else { continue };
        let condition = code.get(start..end).unwrap_or_default();
        let is_test = condition.split(|c: char| !is_word(c)).any(|word| word == "test");
        if is_test
            && !condition.contains("not(")
            && let Some(item_end) = item_end(code, end)
        {
            items.push(start..item_end);
        }
    }
    items
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    code: Vec<u8>,
    strings: Vec<(usize, String)>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(next) = self.rest().chars().next() {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.blank(rest.find('\n').unwrap_or(rest.len()));
            } else if rest.starts_with("/*") {
                self.blank(block_comment_len(rest));
            } else if let Some(hashes) = raw_string_hashes(rest) {
                self.raw_string(hashes);
            } else if next == '"' {
                self.string();
            } else if next == '\'' {
                self.quote();
            } else {
                // A whole word at once, lest the `r` of `for` be taken for a raw string's.
                let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                self.copy(word.max(next.len_utf8()));
            }
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn copy(&mut self, len: usize) {
        let end = (self.at + len).min(self.text.len());
        self.code.extend(self.text.bytes().take(end).skip(self.at));
        self.at = end;
    }

    /// Puts `by` in the place of all but line ends.
    fn replace(&mut self, len: usize, by: u8) {
        let end = (self.at + len).min(self.text.len());
        let bytes = self.text.bytes().take(end).skip(self.at);
        self.code.extend(bytes.map(|byte| if byte == b'\n' { byte } else { by }));
        self.at = end;
    }

    fn blank(&mut self, len: usize) {
        self.replace(len, b' ');
    }

    fn literal(&mut self, len: usize) {
        let content = self.rest().get(..len).unwrap_or_default().to_owned();
        self.strings.push((self.at, content));
        self.replace(len, b'_');
    }

    fn raw_string(&mut self, hashes: usize) {
        let opening = self.rest().find('"').map_or(0, |quote| quote + 1);
        self.copy(opening);
        let end = format!("\"{}", "#".repeat(hashes));
        let len = self.rest().find(&end).unwrap_or(self.rest().len());
        self.literal(len);
        self.copy(end.len());
    }

    fn string(&mut self) {
        self.copy(1);
        let mut escaped = false;
        let end = self.rest().find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        self.literal(end.unwrap_or(self.rest().len()));
        self.copy(1);
    }

    /// A character, or the beginning of a lifetime.
    fn quote(&mut self) {
        self.copy(1);
        let mut chars = self.rest().chars();
        let len = match (chars.next(), chars.next()) {
            (Some('\\'), Some(escaped)) => {
                let tail = self.rest().get(1 + escaped.len_utf8()..).unwrap_or_default();
                tail.find('\'').map(|end| 1 + escaped.len_utf8() + end)
            }
            (Some(c), Some('\'')) => Some(c.len_utf8()),
            _ => None,
        };
        if let Some(len) = len {
            self.replace(len, b'_');
            self.copy(1);
        }
    }
}

fn block_comment_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// How many `#` a raw string has that begins here; `None` if none does.
fn raw_string_hashes(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or(text.strip_prefix("cr")).or(text.strip_prefix('r'))?;
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    rest.get(hashes..)?.starts_with('"').then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(code: &str, root: &str) -> Vec<String> {
        Source::parse(code).named_below(root).into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let source = Source::parse(concat!(
            "// crate::a\n/* crate::b /* nested */ crate::c */ let s = \"crate::d \\\" // x\";\n",
            "let r = r#\"crate::e \" still\"#; let b = br\"crate::f\";\n",
            "let c = '\"'; let q = '\\'';\n",
            "fn f<'a>(x: &'a str) -> char { 'é' } // crate::g\ncrate::h!(); let r#type = b'\\\\';",
        ));
        assert_eq!(source.named_below("crate"), [(source.code.find("h!").unwrap(), "h".into())]);
        let strings: Vec<_> = source.strings.iter().map(|(_, string)| string.as_str()).collect();
        assert_eq!(strings, ["crate::d \\\" // x", "crate::e \" still", "crate::f"]);
        assert!(source.code.contains("r#type = b'__'"), "{}", source.code);
    }

    #[test]
    fn paths_are_found_in_groups_and_inline() {
        assert_eq!(below("use crate::db::lines;", "crate"), ["db"]);
        assert_eq!(
            below("use crate::{\n db::{a, b::{c}},\n order::Money as M,\n};", "crate"),
            ["db", "order"]
        );
        assert_eq!(
            below("fn f() -> crate::mail::Out { crate :: jobs::f() }", "crate"),
            ["mail", "jobs"]
        );
        assert_eq!(below("use crate::*; pub(crate) fn f() {}", "crate"), ["*"]);
        assert_eq!(below("use other::crate_x; use std::{fmt, io::{self}};", "std"), ["fmt", "io"]);
        assert_eq!(below("$crate::db::x!()", "crate"), ["db"]);
    }

    #[test]
    fn super_is_followed_to_the_root() {
        let named = |code: &str, depth| -> Vec<String> {
            Source::parse(code).named_by_super(depth).into_iter().map(|(_, name)| name).collect()
        };
        assert_eq!(named("use super::db;", 1), ["db"]);
        assert_eq!(named("use super::db;", 2), Vec::<String>::new());
        assert_eq!(named("use super::super::{db, jobs::x};", 2), ["db", "jobs"]);
        assert_eq!(named("mod tests { use super::*; }", 1), Vec::<String>::new());
        assert_eq!(named("mod tests { use super::super::jobs; }", 1), ["jobs"]);
    }

    #[test]
    fn test_modules_are_known() {
        let source = Source::parse(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { { } }\n}\nfn c() {}\n",
        );
        assert_eq!(source.lines_without_tests(), 2);
        assert!(source.is_test(source.code.find("fn b").unwrap()));
        assert!(!source.is_test(source.code.find("fn c").unwrap()));
        let not = Source::parse("#[cfg(not(test))]\nfn a() {}\n");
        assert_eq!(not.lines_without_tests(), 2);
    }

    #[test]
    fn functions_end_where_their_body_does() {
        let source = Source::parse(
            "trait T { fn none(&self) -> [u8; 4]; }\nfn one<F: Fn()>(f: fn(i32) -> i32) { \"}\"; }",
        );
        let names: Vec<_> = source.functions().into_iter().map(|(_, name, _)| name).collect();
        assert_eq!(names, ["one"]);
    }

    #[test]
    fn what_is_no_rust_does_no_harm() {
        for text in
            ["\"open", "/* open", "r#\"open", "'", "'\\", "fn f( { ) }", "use crate::{a", "é'"]
        {
            let source = Source::parse(text);
            assert_eq!(source.code.len(), text.len(), "{text}");
            let _ = (source.functions(), source.named_below("crate"), source.named_by_super(1));
        }
    }
}
