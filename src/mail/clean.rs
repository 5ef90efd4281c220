//! Text from outside, made fit for a header, for a line of a mail, and for a log.

/// The longest header value that is made of somebody's words, in characters.
pub const HEADER_CHARS_MAX: usize = 200;

/// A text fit for a header: on one line, without characters that steer, and not too long.
///
/// A line break in a name would begin a header of its own (lettre panics on it), and a bidirectional
/// or invisible character shows a reader another name than is there.
#[must_use]
pub fn clean_header(text: &str) -> String {
    clean(text, HEADER_CHARS_MAX)
}

/// As [`clean_header`], with at most `chars_max` characters.
#[must_use]
pub fn clean(text: &str, chars_max: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(chars_max));
    let mut chars_left = chars_max;
    let mut gap = false;
    for c in text.chars() {
        // A control character parts words as a line break does; an invisible one parts nothing.
        if c.is_whitespace() || c.is_control() {
            gap = !cleaned.is_empty();
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        let needed = if gap { 2 } else { 1 };
        if chars_left < needed {
            break;
        }
        chars_left -= needed;
        if gap {
            cleaned.push(' ');
            gap = false;
        }
        cleaned.push(c);
    }
    cleaned
}

/// Characters that have no shape of their own: bidirectional controls, joiners, fillers, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_out_what_steers_and_keeps_what_is_written() {
        for (raw, cleaned) in [
            ("Bob Brown", "Bob Brown"),
            ("  Bob \t Brown\u{00A0} ", "Bob Brown"),
            ("Bob\r\nBcc: eve@example.com", "Bob Bcc: eve@example.com"),
            ("Bob\0Brown\u{0085}\u{009B}31m", "Bob Brown 31m"),
            ("\u{202E}nworB\u{202C} \u{2066}boB\u{2069}", "nworB boB"),
            ("\u{FEFF}Bo\u{200B}b\u{200F}", "Bob"),
            ("Zoë Łukasz 王芳 🦆", "Zoë Łukasz 王芳 🦆"),
            ("\r\n\0", ""),
            ("", ""),
        ] {
            assert_eq!(clean_header(raw), cleaned, "{raw:?}");
        }
    }

    #[test]
    fn ends_at_a_character_not_within_one() {
        assert_eq!(clean_header(&"🦆".repeat(1000)), "🦆".repeat(200));
        assert_eq!(clean("ab cd", 4), "ab c");
        assert_eq!(clean("ab cd", 3), "ab");
        assert_eq!(clean("ab", 0), "");
    }

    proptest! {
        #[test]
        fn whatever_comes_leaves_one_short_visible_line(raw in any::<String>(), max in 0..300_usize) {
            let cleaned = clean(&raw, max);
            prop_assert!(cleaned.chars().count() <= max);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() || is_invisible(c)));
            prop_assert!(!cleaned.contains("  "));
            prop_assert_eq!(cleaned.trim(), cleaned.as_str());
            prop_assert_eq!(clean(&cleaned, max), cleaned);
        }
    }
}
