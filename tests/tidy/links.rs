//! Links of the pages: each leads to a file that there is, and to a heading in it. What is elsewhere is not asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::tree::{Tree, Violation};

/// Each relative link of a page leads somewhere.
pub(crate) fn links_lead_somewhere(tree: &Tree) -> Vec<Violation> {
    let pages = tree.files.iter().filter(|file| file.extension() == "md");
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        pages.clone().map(|page| (page.path.as_str(), anchors(&page.text))).collect();
    let mut violations = Vec::new();
    for page in pages {
        for (line, link) in links(&page.text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.path.clone() } else { from(&page.path, path) };
            if !is_there(tree, &target) {
                let rule = format!("the link {link} leads to {target}, which is not there");
                violations.push(page.violation(line, rule));
            } else if !anchor.is_empty()
                && anchors.get(target.as_str()).is_some_and(|all| !all.contains(anchor))
            {
                violations.push(page.violation(line, format!("{target} has no heading #{anchor}")));
            }
        }
    }
    violations
}

/// A file of the tree, a folder, or a picture, which is no text.
fn is_there(tree: &Tree, path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    let is_known =
        tree.files.iter().any(|file| file.path == path || file.path.starts_with(&folder));
    is_known || Path::new(env!("CARGO_MANIFEST_DIR")).join(path).is_file()
}

/// A path that stands in a page, from the root.
fn from(page: &str, path: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The lines outside of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of `[…](target)`, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let of_line = |(number, line): (usize, &str)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| (number, target.to_owned())).collect::<Vec<_>>()
    };
    prose(text).flat_map(of_line).collect()
}

/// The anchors of a page's headings, as they are made where the pages are shown.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let heading = line.trim_start_matches('#');
        if heading == line || !heading.starts_with(' ') {
            continue;
        }
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
        let slug: String = heading.trim().to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let same = (1..1000).map(|n| format!("{slug}-{n}")).find(|it| !anchors.contains(it));
        if anchors.contains(&slug) {
            anchors.extend(same);
        } else {
            anchors.insert(slug);
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{File, assert_found};

    #[test]
    fn links_to_nothing_are_found() {
        let tree = Tree {
            files: vec![
                File::new(
                    "docs/a.md",
                    "# The `a.b`, and more\n## Twice\n## Twice\n[x](b.md) [y](../README.md#the-end)\n\
                     [z](#twice-1) [w](#the-ab-and-more)\n```\n[code](nowhere.md)\n```\n\
                     [gone](c.md)\n[no](#never) and [far](https://example.nl/x)\n[src](../src)\n",
                ),
                File::new("docs/b.md", "text\n"),
                File::new("README.md", "# The end\n[up](docs/a.md#twice-2)\n"),
                File::new("src/lib.rs", ""),
            ],
        };
        assert_found(
            &links_lead_somewhere(&tree),
            &[
                "docs/a.md:9: the link c.md leads to docs/c.md, which is not there",
                "docs/a.md:10: docs/a.md has no heading #never",
                "README.md:2: docs/a.md has no heading #twice-2",
            ],
        );
    }
}
