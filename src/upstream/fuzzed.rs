//! What `fuzz/` and the property tests below throw anything at: the readers of the upstreams' answers.
//!
//! Each takes whatever bytes there are, and panics if something that must always hold does not.

#![expect(
    clippy::missing_panics_doc,
    reason = "to panic where something does not hold is what they are for"
)]

use std::time::Duration;

use chrono::DateTime;

use super::{Answer, leanstack, ljpc, retry_after::retry_after};

/// An answer of LJPc's, read as every call of it would: three digits of a status, then a body.
pub fn ljpc_answer(input: &[u8]) {
    if let Some(answer) = answer(input) {
        ljpc::fuzzed::read_as_everything(&answer);
    }
}

/// The same of Leanstack's.
pub fn leanstack_answer(input: &[u8]) {
    if let Some(answer) = answer(input) {
        leanstack::read_as_everything(&answer);
    }
}

/// Two headers of a 429, a line each: `Retry-After`, and the `Date` that it is counted from.
pub fn retry_after_header(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let wait = retry_after(lines.next(), lines.next(), DateTime::UNIX_EPOCH);
    assert!((Duration::from_secs(1)..=Duration::from_hours(1)).contains(&wait), "{wait:?}");
}

/// A telephone number on its way to Leanstack.
pub fn phone(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some(phone) = leanstack::Phone::parse(&text) else { return };
    let digits = phone.expose();
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
    let again = leanstack::Phone::parse(&format!("+{digits}"));
    assert_eq!(again.as_ref().map(leanstack::Phone::expose), Some(digits));
}

/// The answer that an input stands for; `None` for one that names no status.
fn answer(input: &[u8]) -> Option<Answer> {
    let (status, body) = input.split_at_checked(3)?;
    let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
    let head = http::Response::builder().status(status).body(()).ok()?.into_parts().0;
    Some(Answer::new(&head, Ok(body.to_vec().into()), Vec::new()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The samples of a document, each with a status.
    fn samples(folder: &str) -> Vec<Vec<u8>> {
        let folder = format!("{}/tests/fixtures/{folder}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let bodies: Vec<Vec<u8>> = files.map(|path| std::fs::read(path).unwrap()).collect();
        assert!(bodies.len() > 4);
        ["200", "201", "422"]
            .into_iter()
            .flat_map(|status| bodies.iter().map(move |body| [status.as_bytes(), body].concat()))
            .collect()
    }

    /// A sample with some of its bytes replaced, doubled or gone.
    fn damaged(folder: &str) -> impl Strategy<Value = Vec<u8>> {
        let harm = (any::<prop::sample::Index>(), 0..3, any::<u8>());
        (prop::sample::select(samples(folder)), prop::collection::vec(harm, 0..6)).prop_map(
            |(mut sample, harms)| {
                for (at, how, byte) in harms {
                    let at = at.index(sample.len());
                    match how {
                        0 => sample[at] = byte,
                        1 => sample.insert(at, byte),
                        _ => drop(sample.remove(at)),
                    }
                }
                sample
            },
        )
    }

    proptest! {
        #[test]
        fn ljpc_may_answer_anything(input in prop_oneof![any::<Vec<u8>>(), damaged("ljpc")]) {
            ljpc_answer(&input);
        }

        #[test]
        fn leanstack_may_answer_anything(input in prop_oneof![any::<Vec<u8>>(), damaged("leanstack")]) {
            leanstack_answer(&input);
        }

        #[test]
        fn a_429_may_ask_for_anything(
            input in prop_oneof![
                any::<Vec<u8>>(),
                "[0-9]{0,25}".prop_map(String::into_bytes),
                "(Sun|Mon), [0-3][0-9] Nov [0-9]{4} [0-9]{2}:00:00 GMT(\n.{0,30})?".prop_map(String::into_bytes),
            ],
        ) {
            retry_after_header(&input);
        }

        #[test]
        fn a_phone_may_be_anything(input in "\\+?[0-9 ().+x-]{0,20}") {
            phone(input.as_bytes());
        }
    }
}
