//! What the status says, with and without the application's own envelope.

use super::{
    super::*,
    calls::Call,
    table::{
        Class::{Accepted, EndpointRefused, InDoubt, KeyRefused, RateLimited, Rejected},
        Deed, PAGE, Row, envelope, row, says, says_json,
    },
};

/// Each of these statuses with each of these bodies.
fn each(statuses: impl IntoIterator<Item = u16>, bodies: &[&str]) -> Vec<Deed> {
    statuses
        .into_iter()
        .flat_map(|status| {
            bodies.iter().flat_map(move |body| says_json(&format!("{status} X"), body))
        })
        .collect()
}

/// The statuses by which LJPc refuses for good.
const REFUSING: [u16; 4] = [400, 404, 409, 422];

pub(super) fn success() -> Vec<Row> {
    vec![
        row("the documented answer", Accepted, |call| says_json(call.good().0, &call.good().1)),
        row("200, 201, 202, 203, 206 or 299 with the documented body", Accepted, |call| {
            each([200, 201, 202, 203, 206, 299], &[&call.good().1])
        }),
        row("200, 201, 202 or 204 without a body", InDoubt, |_| each([200, 201, 202, 204], &[""])),
        row("205 with the documented body", Accepted, |call| each([205], &[&call.good().1])),
        row("200, 201 or 202 with LJPc's error envelope", InDoubt, |_| {
            each([200, 201, 202], &[&envelope("no")])
        }),
        row("200 or 201 with a proxy's page", InDoubt, |_| each([200, 201], &[PAGE])),
    ]
}

pub(super) fn refusals() -> Vec<Row> {
    let shown: &[Call] = &[Call::Order, Call::Register, Call::Transfer, Call::UpdateDomain];
    vec![
        row("400, 404, 409 or 422 with LJPc's error envelope", Rejected, |_| {
            each(REFUSING, &[&envelope("The country field must be 2 characters.")])
        }),
        row("the same, said to be HTML", Rejected, |_| {
            says(answer("422 X", "Content-Type: text/html\r\n", &envelope("no")))
        }),
        row("422 \"Domain already exists\": looked at before it is believed", Rejected, |_| {
            says_json("422 X", &fixture("post_domain_names_422"))
        })
        .of(&[Call::Register]),
        row("422 \"No changes to apply\": as good as done", Rejected, |_| {
            says_json("422 X", &envelope("No changes to apply"))
        })
        .of(&[Call::UpdateDomain]),
        row("409 of a zone that LJPc's panel manages", Rejected, |_| {
            says_json("409 X", &fixture("put_dns_zones_domain_records_409"))
        })
        .of(&[Call::ReplaceRecords]),
        row("403 with the message that the document shows", Rejected, |call| {
            says_json("403 X", &envelope(call.shown_403().unwrap()))
        })
        .of(shown),
        row("400, 404, 409 or 422 without a body, or with a proxy's page", InDoubt, |_| {
            each(REFUSING, &["", PAGE])
        }),
        row(
            "the same with half an envelope: no `success`, `success` true or in quotes, no `message`, one that is no text",
            InDoubt,
            |_| {
                each(
                    REFUSING,
                    &[
                        r#"{"message": "no"}"#,
                        r#"{"success": true, "message": "no"}"#,
                        r#"{"success": "false", "message": "no"}"#,
                        r#"{"success": false}"#,
                        r#"{"success": false, "message": null}"#,
                        r#"{"success": false, "message": {"text": "no"}}"#,
                    ],
                )
            },
        ),
        row("the same with an envelope twice, with a key twice, or as an array", InDoubt, |_| {
            let once = envelope("no");
            let twice = once.replace("\"success\":false", "\"success\":false,\"success\":false");
            each(REFUSING, &[&once.repeat(2), &twice, r#"[false, "0f8c2d5e", "no"]"#])
        }),
        row("422 with an envelope that is cut off", InDoubt, |_| {
            let body = envelope("no");
            let head = format!("HTTP/1.1 422 X\r\nContent-Length: {}\r\n\r\n", body.len() + 9);
            says(format!("{head}{body}"))
        }),
    ]
}

pub(super) fn keys_and_limits() -> Vec<Row> {
    let mut rows = vec![
        row("401 in any form", KeyRefused, |_| each([401], &["", PAGE, "{", &envelope("no")])),
        row(
            "403 without a body, with a proxy's page, with any other message",
            EndpointRefused,
            |_| each([403], &["", PAGE, &envelope("This key lacks a permission")]),
        ),
        row(
            "403 with the message that the document shows of another call",
            EndpointRefused,
            |call| {
                let other = if call == Call::Order { Call::Register } else { Call::Order };
                let other = other.shown_403().unwrap();
                says_json("403 X", &envelope(other))
            },
        ),
        row("403 with the shown message, but not in an envelope", EndpointRefused, |call| {
            each([403], &[call.shown_403().unwrap()])
        })
        .of(&[Call::Order, Call::Register, Call::Transfer, Call::UpdateDomain]),
    ];
    rows.extend(limits());
    rows
}

fn limits() -> Vec<Row> {
    let limited = |headers: &'static str| {
        move |_| {
            ["", PAGE, &envelope("Too Many Attempts.")]
                .into_iter()
                .flat_map(|body| says(answer("429 Too Many Requests", headers, body)))
                .collect::<Vec<_>>()
        }
    };
    vec![
        row("429 in any form", RateLimited(5), limited("")),
        row("429, `Retry-After: 7`", RateLimited(7), limited("Retry-After: 7\r\n")),
        row("429, `Retry-After: 0`", RateLimited(1), limited("Retry-After: 0\r\n")),
        row("429, `Retry-After: 86400`", RateLimited(3600), limited("Retry-After: 86400\r\n")),
        row(
            "429, `Retry-After` with a date, half a minute after the answer's own",
            RateLimited(30),
            limited(
                "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2026 12:00:30 GMT\r\n",
            ),
        ),
        row("429, `Retry-After: soon`, or a negative one", RateLimited(5), |_| {
            ["soon", "-3", "1.5"]
                .into_iter()
                .flat_map(|wait| says(answer("429 X", &format!("Retry-After: {wait}\r\n"), "")))
                .collect()
        }),
        row("429 whose body is cut off", RateLimited(9), |_| {
            says("HTTP/1.1 429 X\r\nRetry-After: 9\r\nContent-Length: 900\r\n\r\n{")
        }),
    ]
}

pub(super) fn others() -> Vec<Row> {
    let any_form = |statuses: &'static [u16]| {
        move |call: Call| {
            each(statuses.iter().copied(), &["", PAGE, &envelope("no"), &call.good().1])
        }
    };
    vec![
        row("3xx, with a place to go to: it is not gone to", InDoubt, |_| {
            [300, 301, 302, 303, 304, 307, 308]
                .into_iter()
                .flat_map(|status| {
                    let elsewhere = "Location: http://192.0.2.1/api/v1/orders\r\n";
                    says(answer(&format!("{status} X"), elsewhere, ""))
                })
                .collect()
        }),
        row("402, 405, 406, 407 in any form", InDoubt, any_form(&[402, 405, 406, 407])),
        row("408 in any form", InDoubt, any_form(&[408])),
        row(
            "410 to 418 in any form",
            InDoubt,
            any_form(&[410, 411, 412, 413, 414, 415, 416, 417, 418]),
        ),
        row(
            "419 (a session's end), 421, 423, 424 in any form",
            InDoubt,
            any_form(&[419, 421, 423, 424]),
        ),
        row("425 Too Early in any form", InDoubt, any_form(&[425])),
        row("426, 428, 431, 451 in any form", InDoubt, any_form(&[426, 428, 431, 451])),
        row("499 (the client went away) in any form", InDoubt, any_form(&[499])),
        row("500, 501 in any form", InDoubt, any_form(&[500, 501])),
        row("502, 503, 504 in any form", InDoubt, any_form(&[502, 503, 504])),
        row("503 with `Retry-After`", InDoubt, |_| {
            says(answer("503 X", "Retry-After: 3\r\n", &envelope("down for maintenance")))
        }),
        row("505, 507, 508, 509, 511 in any form", InDoubt, any_form(&[505, 507, 508, 509, 511])),
        row(
            "520 to 527, 530 (a CDN's own) in any form",
            InDoubt,
            any_form(&[520, 521, 522, 523, 524, 525, 526, 527, 530]),
        ),
        row("598, 599, 600, 999 in any form", InDoubt, any_form(&[598, 599, 600, 999])),
    ]
}
