//! A message between DATA and the dot.

use std::{io, time::Duration};

use tokio::io::AsyncBufRead;

use super::line::{Line, read_line};

/// RFC 5321, 4.5.3.1.6.
const TEXT_LINE_MAX: usize = 1_000;
/// A message that is too big is read to its end, but not for ever: up to so many times the limit.
const PATIENCE: usize = 4;

/// What came between DATA and the dot.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Body {
    /// A message, its leading dots unstuffed.
    Whole(Vec<u8>),
    /// One that is refused for this reason, with this code. It has been read to its end.
    Refused(u16, &'static str),
    /// One after which the session can't go on; the last word.
    Hopeless(&'static str),
    /// The client has gone.
    Gone,
}

/// Reads a message of at most `max` bytes.
pub(super) async fn read_body<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    max: usize,
    eight_bit: bool,
    idle: Duration,
) -> io::Result<Body> {
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    let mut refused = None;
    loop {
        // One dot more than the limit: it is not counted (4.5.3.1.6), since it goes away again.
        let mut line = match read_line(reader, TEXT_LINE_MAX.saturating_add(1), idle).await? {
            Line::Whole(line) => line,
            Line::TooLong => {
                refused.get_or_insert((554, "5.6.0 a line is longer than 1000 bytes"));
                continue;
            }
            Line::Bare => return Ok(Body::Hopeless("554 5.6.0 a lone CR or LF in the message")),
            Line::Gone => return Ok(Body::Gone),
            Line::Idle => return Ok(Body::Hopeless("421 4.4.2 silent for too long")),
        };
        if line == b"." {
            return Ok(match refused {
                Some((code, why)) => Body::Refused(code, why),
                None => Body::Whole(kept),
            });
        }
        if line.first() == Some(&b'.') {
            line.remove(0);
        } else if line.len().saturating_add(2) > TEXT_LINE_MAX {
            refused.get_or_insert((554, "5.6.0 a line is longer than 1000 bytes"));
        }
        if !eight_bit && !line.is_ascii() {
            refused.get_or_insert((554, "5.6.1 bytes beyond ASCII need BODY=8BITMIME"));
        }
        seen = seen.saturating_add(line.len()).saturating_add(2);
        if seen > max {
            refused.get_or_insert((552, "5.3.4 the message is too big"));
        }
        if seen > max.saturating_mul(PATIENCE) {
            return Ok(Body::Hopeless("552 5.3.4 the message is far too big"));
        }
        if refused.is_none() {
            kept.append(&mut line);
            kept.extend_from_slice(b"\r\n");
        }
    }
}

/// The value of a header, unfolded.
pub(super) fn header(message: &[u8], name: &str) -> Option<String> {
    let mut found: Option<String> = None;
    for line in message.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some(value) = &mut found {
                value.push_str(line);
            }
            continue;
        }
        if found.is_some() {
            break;
        }
        found = line
            .split_once(':')
            .filter(|(key, _)| key.trim_end().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_start().to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(mut input: &[u8], max: usize, eight_bit: bool) -> Body {
        read_body(&mut input, max, eight_bit, Duration::from_secs(5)).await.unwrap()
    }

    #[tokio::test]
    async fn dots_are_unstuffed_and_the_lone_one_ends() {
        let read = body(b"Subject: x\r\n\r\n..a\r\n...\r\n.\r\nNOOP\r\n", 100, false).await;
        assert_eq!(read, Body::Whole(b"Subject: x\r\n\r\n.a\r\n..\r\n".to_vec()));
    }

    #[tokio::test]
    async fn no_other_end_of_line_smuggles_a_second_message() {
        for input in [&b"a\n.\nMAIL FROM:<>\r\n"[..], b"a\n.\r\n", b"a\r.\r\n", b"a\r\n.\n"] {
            assert!(matches!(body(input, 100, false).await, Body::Hopeless(_)), "{input:?}");
        }
    }

    #[tokio::test]
    async fn a_message_may_be_just_as_big_as_it_may() {
        assert!(matches!(body(b"12345678\r\n.\r\n", 10, false).await, Body::Whole(_)));
        assert!(matches!(body(b"123456789\r\n.\r\n", 10, false).await, Body::Refused(552, _)));
        let endless = b"123456789\r\n".repeat(10);
        assert!(matches!(body(&endless, 10, false).await, Body::Hopeless(_)));
    }

    #[tokio::test]
    async fn a_text_line_may_be_just_as_long_as_it_may() {
        for (length, stuffed, fits) in [
            (998, false, true),
            (999, false, false),
            (998, true, true),
            (999, true, false),
            (5_000, false, false),
        ] {
            let mut input = if stuffed { b".".to_vec() } else { Vec::new() };
            input.extend(vec![if stuffed { b'.' } else { b'x' }; length]);
            input.extend_from_slice(b"\r\n.\r\n");
            let read = body(&input, 100_000, false).await;
            assert_eq!(matches!(read, Body::Whole(_)), fits, "{length} {stuffed}");
            assert_eq!(matches!(read, Body::Refused(554, _)), !fits, "{length} {stuffed}");
        }
    }

    #[tokio::test]
    async fn eight_bits_must_be_announced() {
        let input = "é\r\n.\r\n".as_bytes();
        assert!(matches!(body(input, 100, false).await, Body::Refused(554, _)));
        assert!(matches!(body(input, 100, true).await, Body::Whole(_)));
        assert_eq!(body(b"cut of", 100, true).await, Body::Gone);
    }

    #[test]
    fn headers_are_found_and_unfolded() {
        let message = b"From: a\r\nSUBJECT: one\r\n two\r\nMessage-ID: <1@x>\r\n\r\nTo: body\r\n";
        assert_eq!(header(message, "Subject").as_deref(), Some("one two"));
        assert_eq!(header(message, "message-id").as_deref(), Some("<1@x>"));
        assert_eq!(header(message, "To"), None);
    }
}
