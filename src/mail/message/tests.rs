use proptest::prelude::*;

use super::*;

const LEFT: &str = "0192d6a0-0000-7000-8000-000000000001";

fn from() -> Address {
    "Example Shop <noreply@example.com>".parse().unwrap()
}

fn date() -> DateTime<Utc> {
    "2026-11-14T09:12:03.5Z".parse().unwrap()
}

fn rendered(subject: &str) -> Rendered {
    Rendered {
        subject: subject.to_owned(),
        text: "Beste Zoë,\n\n.een punt\n".to_owned(),
        html: "<!DOCTYPE html>\n<p>Beste Zoë</p>\n".to_owned(),
    }
}

fn composed(name: Option<&str>, subject: &str) -> Composed {
    let to = Address::new(name, "bob@example.nl").unwrap();
    compose(&from(), &to, &rendered(subject), LEFT, date()).unwrap()
}

/// The names and unfolded values of a message's headers; its lines must all be well formed.
fn headers(mail: &Composed) -> Vec<(String, String)> {
    let text = std::str::from_utf8(&mail.bytes).unwrap();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "{text}");
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    head.replace("\r\n ", " ")
        .split("\r\n")
        .map(|line| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap())
        .collect()
}

#[test]
fn a_message_is_what_it_was_every_time() {
    let mail = composed(Some("Bob Brown"), "Uw bestelling is gereed");
    assert_eq!(mail, composed(Some("Bob Brown"), "Uw bestelling is gereed"));
    insta::assert_snapshot!(String::from_utf8(mail.bytes.clone()).unwrap().replace('\r', ""));
    assert_eq!(mail.message_id, format!("<{LEFT}@example.com>"));
    assert_eq!(mail.envelope_from.email(), "noreply@example.com");
    assert_eq!(mail.envelope_to.email(), "bob@example.nl");
}

#[test]
fn no_name_and_no_subject_adds_a_header() {
    let long = "x".repeat(1000);
    let hostile = [
        "Bob\r\nBcc: eve@example.com",
        "Bob\nX: y\r\n\r\n<html>",
        "\u{202E}bob\u{2066}",
        "\0",
        "Bob\0Brown",
        "🦆 Zoë 王",
        "<script>alert(1)</script>",
        "\"Bob\" <eve@example.com>, (x) \\",
        "a, b; c: d",
        "=?utf-8?q?=0D=0ABcc:?=",
        "",
        &long,
    ];
    for name in hostile {
        for subject in hostile {
            let mail = composed(Some(name), subject);
            let headers = headers(&mail);
            let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(
                names,
                [
                    "From",
                    "To",
                    "Subject",
                    "Message-ID",
                    "Date",
                    "Auto-Submitted",
                    "MIME-Version",
                    "Content-Type"
                ],
                "{name:?} {subject:?}"
            );
            let (_, to) = &headers[1];
            assert!(to.ends_with("<bob@example.nl>") || to == "bob@example.nl", "{to}");
            assert!(mail.bytes.is_ascii());
            assert!(mail.bytes.split(|&b| b == b'\n').all(|line| line.len() <= 999), "{name:?}");
        }
    }
}

#[test]
fn a_date_outside_of_the_calendar_is_brought_into_it() {
    let to = Address::new(None, "bob@example.nl").unwrap();
    for (date, year) in [(DateTime::<Utc>::MIN_UTC, "1970"), (DateTime::<Utc>::MAX_UTC, "9999")] {
        let mail = compose(&from(), &to, &rendered("Subject"), LEFT, date).unwrap();
        assert!(headers(&mail).iter().any(|(n, v)| n == "Date" && v.contains(year)));
    }
}

#[test]
fn addresses_that_mail_can_reach_are_taken() {
    for (written, email, name) in [
        ("bob@example.com", "bob@example.com", None),
        (" Bob Brown <bob@example.com> ", "bob@example.com", Some("Bob Brown")),
        ("\"Brown, Bob\" <bob+tag@example.com>", "bob+tag@example.com", Some("Brown, Bob")),
        ("<o'neil@mail.example.com>", "o'neil@mail.example.com", None),
        ("zoë@bücher.example", "zoë@xn--bcher-kva.example", None),
        ("Bob\u{202E}\r\n <bob@example.com>", "bob@example.com", Some("Bob")),
    ] {
        let address: Address = written.parse().unwrap();
        assert_eq!((address.email(), address.name()), (email, name), "{written:?}");
    }
}

#[test]
fn addresses_that_it_cannot_are_refused_and_not_told() {
    for email in [
        "",
        "@",
        "secret",
        "secret@b",
        "secret@",
        "@example.com",
        "secret@example..com",
        "secret@.example.com",
        "secret@example.com.",
        "secret @example.com",
        "secret@example.com\r\nRCPT TO:<eve@example.com>",
        "secret@example.com\0",
        "sec\u{200B}ret@example.com",
        "secret@192.0.2.1",
        "secret@[192.0.2.1]",
        "secret@[IPv6:2001:db8::1]",
        "\"sec ret\"@example.com",
        "secret@eve@example.com",
        "secret>@example.com",
        ".secret@example.com",
        &format!("{}@example.com", "secret".repeat(50)),
        &format!("{}@example.com", "s".repeat(65)),
    ] {
        let error = Address::new(None, email).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

#[test]
fn a_message_id_is_a_token() {
    let to = Address::new(None, "bob@example.nl").unwrap();
    for left in ["", "a b", "a@b", "a\r\nb", ".a", "a.", "a..b", "a\"b", "ä", &"a".repeat(61)] {
        let outcome = compose(&from(), &to, &rendered("Subject"), left, date());
        assert!(matches!(outcome, Err(MessageError::MessageId)), "{left:?}");
    }
}

#[test]
fn debug_shows_nobody() {
    let mail = composed(Some("Bob Brown"), "For Bob");
    let shown = format!("{mail:?} {:?}", mail.envelope_to);
    assert!(!shown.to_lowercase().contains("bob"), "{shown}");
}

proptest! {
    #[test]
    fn whatever_the_words_composing_neither_panics_nor_breaks(
        name in any::<String>(),
        subject in any::<String>(),
        text in any::<String>(),
        html in any::<String>(),
    ) {
        let to = Address::new(Some(&name), "bob@example.nl").unwrap();
        let mail = Rendered { subject, text, html };
        let mail = compose(&from(), &to, &mail, LEFT, date()).unwrap();
        prop_assert_eq!(headers(&mail).len(), 8);
        prop_assert!(mail.bytes.is_ascii());
    }

    #[test]
    fn whatever_the_address_it_is_judged(email in any::<String>()) {
        if let Ok(address) = Address::new(None, &email) {
            prop_assert!(address.domain().is_ascii() && address.domain().contains('.'));
        }
    }
}
