//! Phone numbers as registries write them: `+31.612345678`, the country code before the dot.

/// Country codes of one digit, and those of two (ITU E.164); all others have three.
const ONE_DIGIT: [&str; 2] = ["1", "7"];
const TWO_DIGITS: [&str; 44] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
    "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65",
    "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
];
/// Digits of a number, its country code included.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// The number with its dot, from either of the forms that the document allows.
pub(super) fn dotted(voice: &str) -> Option<String> {
    let number = voice.strip_prefix('+')?;
    let (code, rest) = match number.split_once('.') {
        Some(parts) => parts,
        None => number.split_at_checked(code_length(number))?,
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let sound = all_digits(code)
        && all_digits(rest)
        && !code.starts_with('0')
        && code.len() <= 3
        && DIGITS.contains(&(code.len() + rest.len()));
    sound.then(|| format!("+{code}.{rest}"))
}

fn code_length(number: &str) -> usize {
    let begins = |codes: &[&str]| codes.iter().any(|code| number.starts_with(code));
    if begins(&ONE_DIGIT) {
        1
    } else if begins(&TWO_DIGITS) {
        2
    } else {
        3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documented_forms_are_read() {
        for (given, dot) in [
            ("+31612345678", "+31.612345678"),
            ("+31.612345678", "+31.612345678"),
            ("+12025550100", "+1.2025550100"),
            ("+2349018191818", "+234.9018191818"),
        ] {
            assert_eq!(dotted(given).as_deref(), Some(dot));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for given in
            ["", "+", "0612345678", "31612345678", "+31 612345678", "+31.6.1234567", "+0612345678"]
        {
            assert_eq!(dotted(given), None, "{given}");
        }
        assert_eq!(dotted("+3161234"), None, "too short");
        assert_eq!(dotted("+3161234567890123"), None, "too long");
        assert_eq!(dotted("+316ü345678"), None);
    }
}
