//! Foreign text, made fit for a log line, a database column and a person's eyes.

/// The most characters of a foreign message that are kept.
pub(super) const MESSAGE_CHARS_MAX: usize = 500;

/// The most characters of an answer's `jti` that are kept; a UUID has 36.
pub(super) const JTI_CHARS_MAX: usize = 64;

/// `text` on one line, without characters that control a terminal or turn the direction of writing, and of at most
/// `chars_max` characters.
pub(super) fn clean(text: &str, chars_max: usize) -> String {
    let mut kept = String::new();
    for word in text.split(|c: char| c.is_whitespace() || is_unfit(c)).filter(|w| !w.is_empty()) {
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(word);
    }
    if let Some((end, _)) = kept.char_indices().nth(chars_max) {
        kept.truncate(end);
    }
    kept
}

/// Control characters, and the marks that reorder what stands around them.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_keeps_one_line_of_plain_text() {
        for (text, cleaned) in [
            ("Domain already exists", "Domain already exists"),
            ("  two\r\nlines\tand\u{0}more ", "two lines and more"),
            ("\u{1b}[31mred\u{202e}der", "[31mred der"),
            ("", ""),
        ] {
            assert_eq!(clean(text, MESSAGE_CHARS_MAX), cleaned);
        }
    }

    #[test]
    fn clean_is_bounded_in_characters_not_in_bytes() {
        assert_eq!(clean(&"é".repeat(900), MESSAGE_CHARS_MAX), "é".repeat(500));
        assert_eq!(clean(&"é".repeat(500), MESSAGE_CHARS_MAX), "é".repeat(500));
    }
}
