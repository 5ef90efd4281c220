//! A mail read as a mail reader would read it, as far as these tests need it.

/// A header's name, in lower case, and its value, unfolded.
type Header = (String, String);

/// A mail taken apart.
pub(super) struct Eml {
    pub(super) headers: Vec<Header>,
    /// The text part, decoded.
    pub(super) text: String,
    /// The HTML part, decoded.
    pub(super) html: String,
}

impl Eml {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let (headers, body) = split(bytes);
        let kind = value(&headers, "content-type").expect("a type");
        let (_, rest) = kind.split_once("boundary=\"").expect("a boundary");
        let boundary = format!("--{}", rest.split('"').next().expect("its end"));
        let body = std::str::from_utf8(body).expect("ASCII, as no server was asked for more");
        let parts: Vec<&str> = body.split(boundary.as_str()).collect();
        assert_eq!(parts.len(), 4, "what comes before, two parts, and the end");
        let decoded = |n: usize| {
            let (headers, body) = split(parts[n].trim_start().as_bytes());
            let encoding = value(&headers, "content-transfer-encoding").unwrap_or("7bit");
            String::from_utf8(decode(encoding, body)).expect("UTF-8")
        };
        Self { text: decoded(1), html: decoded(2), headers }
    }

    /// The one value of a header that may stand once.
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> &str {
        let found: Vec<_> = self.headers.iter().filter(|(known, _)| known == name).collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        &found[0].1
    }
}

fn value<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn split(bytes: &[u8]) -> (Vec<Header>, &[u8]) {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head and a body");
    let head = std::str::from_utf8(&bytes[..end]).expect("ASCII").replace("\r\n ", " ");
    let headers = head
        .split("\r\n")
        .map(|line| {
            let (name, value) =
                line.split_once(':').unwrap_or_else(|| panic!("a header: {line:?}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    (headers, &bytes[end + 4..])
}

fn decode(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding {
        "7bit" => body.to_vec(),
        "quoted-printable" => quoted_printable(body),
        "base64" => base64(body),
        other => panic!("an encoding that is not expected: {other}"),
    }
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            decoded.push(byte);
            continue;
        }
        let (pair, after) = rest.split_at(2);
        rest = after;
        if pair != b"\r\n" {
            let hex = std::str::from_utf8(pair).expect("two digits");
            decoded.push(u8::from_str_radix(hex, 16).expect("two digits"));
        }
    }
    decoded
}

fn base64(body: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut decoded, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in body.iter().filter_map(|byte| DIGITS.iter().position(|digit| digit == byte)) {
        bits = (bits << 6) | u32::try_from(digit).expect("64 digits");
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push(u8::try_from((bits >> held) & 0xff).expect("eight bits"));
        }
    }
    decoded
}

/// The encoded words of a header (RFC 2047, base64 ones), decoded.
pub(super) fn words(header: &str) -> String {
    let mut decoded = String::new();
    for word in header.split(' ') {
        let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
        if let Some(encoded) = encoded {
            decoded.push_str(&String::from_utf8(base64(encoded.as_bytes())).expect("UTF-8"));
        } else {
            decoded.push(' ');
            decoded.push_str(word);
        }
    }
    decoded.trim().to_owned()
}

#[test]
fn encodings_are_read() {
    assert_eq!(quoted_printable(b"a=3D=\r\nb=C3=A9"), "a=b\u{e9}".as_bytes());
    assert_eq!(base64(b"SGVs\r\nbG8="), b"Hello");
    assert_eq!(words("=?utf-8?b?SGVs?= =?utf-8?b?bG8=?= <a@b>"), "Hello <a@b>");
}
