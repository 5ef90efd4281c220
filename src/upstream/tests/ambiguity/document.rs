//! The table as a document.

use std::fmt::Write as _;

use super::{
    calls::Call,
    table::{Class, Row, Section},
};

const HEAD: &str = "\
# How an outcome is read

What can become of a request that has an effect, and how each is read: the contract's paragraph, case by case. This page is
printed from a test (`src/upstream/tests/ambiguity/`) that does every case on a wire, to every call that it concerns, and
that fails if the page says something else; `PROVISOR_WRITE_AMBIGUITY=1 cargo test --lib ambiguity` prints it anew.

The rule behind it: only LJPc's application itself can say that it has declined, in its own envelope. What stands in
between (a proxy, a firewall, a cut line) proves nothing, and neither does a status alone. What is in doubt is never sent
again blindly.

| class | the ledger learns | then |
|---|---|---|
";

const TAIL: &str = "
\"Everything\" stands for all seven calls with an effect: ";

/// The whole page.
pub(super) fn print(sections: &[Section]) -> String {
    let mut page = HEAD.to_owned();
    for (class, name, then) in [
        (Class::NotSent, "not sent", "no byte has left, or it provably had no effect; tried again"),
        (Class::Accepted, "accepted", "the line goes on by it"),
        (Class::Rejected, "rejected", "refused, for good"),
        (
            Class::RateLimited(5),
            "rate limited",
            "waited for as long as told, 1 s to 1 h, 5 s unless told; tried again",
        ),
        (Class::KeyRefused, "unauthorised", "the upstream's circuit opens; no order fails by it"),
        (
            Class::EndpointRefused,
            "unauthorised for the endpoint",
            "the endpoint's circuit opens; no order fails by it",
        ),
        (
            Class::InDoubt,
            "**in doubt**",
            "evidence is looked for, then a person decides; a setting is read back",
        ),
    ] {
        line(&mut page, format_args!("| {name} | `{}` | {then} |", class.learnt().as_str()));
    }
    let calls: Vec<_> = Call::ALL
        .iter()
        .map(|call| format!("{} (`{}`)", call.noun(), call.endpoint().name))
        .collect();
    line(&mut page, format_args!("{TAIL}{}.", calls.join(", ")));
    for section in sections {
        line(
            &mut page,
            format_args!("\n## {}\n\n| outcome | of | class |\n|---|---|---|", section.title),
        );
        for row in &section.rows {
            line(
                &mut page,
                format_args!("| {} | {} | {} |", row.what, whose(row), row.class.word()),
            );
        }
    }
    page
}

fn whose(row: &Row) -> String {
    if row.calls == Call::ALL {
        return "everything".to_owned();
    }
    let nouns: Vec<_> = row.calls.iter().map(|call| call.noun()).collect();
    nouns.join(", ")
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").unwrap();
}
