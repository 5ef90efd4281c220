//! What a 2xx says: it is an acceptance only with what the document promises.

use std::io::Write as _;

use super::{
    calls::Call,
    table::{
        Class::{Accepted, InDoubt},
        Deed, Row, changed, good_with, row, says,
    },
};

/// The documented answer with each of these replacements.
fn each(call: Call, from: &str, to: &[&str]) -> Vec<Deed> {
    to.iter().flat_map(|to| changed(call, from, to)).collect()
}

/// The documented status with these bytes.
fn bytes(call: Call, headers: &str, body: &[u8]) -> Vec<Deed> {
    let head =
        format!("HTTP/1.1 {}\r\n{headers}Content-Length: {}\r\n\r\n", call.good().0, body.len());
    says([head.as_bytes(), body].concat())
}

/// The documented body, a field put before all others.
fn with_field(call: Call, field: &str) -> Vec<Deed> {
    good_with(call, &call.good().1.replacen('{', &format!("{{{field}, "), 1))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Bytes as gzip writes them, without compression.
fn gzipped(text: &str) -> Vec<u8> {
    let mut packed = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    let length = u16::try_from(text.len()).unwrap();
    packed.write_all(&length.to_le_bytes()).unwrap();
    packed.write_all(&(!length).to_le_bytes()).unwrap();
    packed.write_all(text.as_bytes()).unwrap();
    packed
}

pub(super) fn envelopes() -> Vec<Row> {
    let mut rows = vec![
        row("no JSON: white space, `{`, a word, HTML", InDoubt, |call| {
            [" \n", "{", "OK", "<html>Created</html>"]
                .into_iter()
                .flat_map(|body| good_with(call, body))
                .collect()
        }),
        row("JSON, but no envelope: `{}`, `null`, `true`, `[]`, a text", InDoubt, |call| {
            ["{}", "null", "true", "[]", "\"created\""]
                .into_iter()
                .flat_map(|body| good_with(call, body))
                .collect()
        }),
        row("the envelope's values as an array", InDoubt, |call| {
            let body: serde_json::Value = serde_json::from_str(&call.good().1).unwrap();
            good_with(call, &serde_json::json!([true, "0f8c2d5e", null, body["data"]]).to_string())
        }),
        row("the payload without its envelope", InDoubt, |call| {
            let body: serde_json::Value = serde_json::from_str(&call.good().1).unwrap();
            good_with(call, &body["data"].to_string())
        }),
        row("`success` false, missing, null, 1, in quotes", InDoubt, |call| {
            let other = ["\"success\": false", "\"x\": 1", "\"success\": null", "\"success\": 1"];
            let mut deeds: Vec<_> = other
                .iter()
                .flat_map(|to| good_with(call, &call.good().1.replacen("\"success\": true", to, 1)))
                .collect();
            deeds.extend(good_with(
                call,
                &call.good().1.replacen("\"success\": true", "\"success\": \"true\"", 1),
            ));
            deeds
        }),
        row("`data` missing, null, empty, a text, an array, false", InDoubt, |call| {
            [
                "",
                r#", "data": null"#,
                r#", "data": {}"#,
                r#", "data": "ok""#,
                r#", "data": []"#,
                r#", "data": false"#,
            ]
            .into_iter()
            .flat_map(|data| good_with(call, &format!(r#"{{"success": true, "jti": "x"{data}}}"#)))
            .collect()
        }),
        row("`success` or `data` twice", InDoubt, |call| {
            let mut deeds = with_field(call, r#""success": true"#);
            deeds.extend(with_field(call, r#""data": {}"#));
            deeds
        }),
    ];
    rows.extend(encodings());
    rows
}

fn encodings() -> Vec<Row> {
    vec![
        row(
            "the documented body and something behind it: a second one, a letter",
            InDoubt,
            |call| {
                let body = call.good().1;
                ["x", &body]
                    .into_iter()
                    .flat_map(|more| good_with(call, &format!("{body}{more}")))
                    .collect()
            },
        ),
        row("a byte order mark, UTF-16, bytes that are no UTF-8", InDoubt, |call| {
            let body = call.good().1;
            let mut deeds = bytes(call, "", format!("\u{feff}{body}").as_bytes());
            deeds.extend(bytes(call, "", &utf16(&body)));
            deeds.extend(bytes(
                call,
                "",
                &body.as_bytes().iter().map(|b| b ^ 0x80).collect::<Vec<_>>(),
            ));
            deeds
        }),
        row("a body that is compressed, though nobody asked for it", InDoubt, |call| {
            bytes(call, "Content-Encoding: gzip\r\n", &gzipped(&call.good().1))
        }),
        row(
            "the documented body, said to be compressed, HTML, or of a strange encoding",
            Accepted,
            |call| {
                let body = call.good().1;
                [
                    "Content-Encoding: gzip\r\n",
                    "Content-Type: text/html\r\n",
                    "Content-Type: application/json; charset=utf-7\r\n",
                ]
                .into_iter()
                .flat_map(|headers| bytes(call, headers, body.as_bytes()))
                .collect()
            },
        ),
        row(
            "the documented body, `jti` missing, null, a number, or without end",
            Accepted,
            |call| {
                let good: serde_json::Value = serde_json::from_str(&call.good().1).unwrap();
                let jti = good["jti"].as_str().unwrap();
                let quoted = format!("\"jti\": \"{jti}\"");
                let mut deeds = each(call, &quoted, &["\"jti\": null", "\"jti\": 17", "\"x\": 1"]);
                deeds.extend(each(call, jti, &[&"x".repeat(100_000)]));
                deeds
            },
        ),
        row(
            "the documented body with fields that no document shows: deep, huge, hostile",
            Accepted,
            |call| {
                let deep = format!("\"x\": {}{}", "[".repeat(10_000), "]".repeat(10_000));
                let mut deeds = with_field(call, &deep);
                for field in [
                    r#""x": 1e999999"#,
                    r#""x": "\u0000\u202e""#,
                    r#""__proto__": {"success": false}"#,
                ] {
                    deeds.extend(with_field(call, field));
                }
                deeds
            },
        ),
    ]
}

pub(super) fn orders() -> Vec<Row> {
    let of: &[Call] = &[Call::Order];
    let summary = r#""summary": "SHOP-1001/1: Hosting 5 GB for example.nl","#;
    vec![
        row("id 0, negative", InDoubt, |call| each(call, "114", &["0", "-1"])),
        row("id of more than 63 bits", InDoubt, |call| {
            each(call, "114", &["9223372036854775808", "99999999999999999999"])
        }),
        row(
            "id that is no integer: in quotes, a fraction, an exponent, null, an object",
            InDoubt,
            |call| each(call, "114", &["\"114\"", "114.5", "114e0", "null", "{\"id\": 114}"]),
        ),
        row("id missing, or twice", InDoubt, |call| {
            each(call, "\"id\": 114", &["\"number\": 114", "\"id\": 114, \"id\": 115"])
        }),
        row("`order` missing, an array of values, an array of orders", InDoubt, |call| {
            let mut deeds = each(call, "\"order\"", &["\"orders\""]);
            for data in [r#"{"order": [114]}"#, r#"{"order": [{"id": 114}]}"#, "[{\"id\": 114}]"] {
                deeds.extend(good_with(call, &format!(r#"{{"success": true, "data": {data}}}"#)));
            }
            deeds
        }),
        row("the tag of another order, line or placement", InDoubt, |call| {
            each(
                call,
                "SHOP-1001/1:",
                &["SHOP-1002/1:", "SHOP-1001/2:", "SHOP-1001/1#2:", "shop-1001/1:"],
            )
        }),
        row("the greatest id there is", Accepted, |call| {
            each(call, "114", &["9223372036854775807"])
        }),
        row("no summary, or one that bears no tag", Accepted, move |call| {
            each(call, summary, &["", r#""summary": "New hosting","#, r#""summary": null,"#])
        }),
        row("prices and lines that can't be read", Accepted, |call| {
            each(call, "4.99", &["\"about five\"", "null", "-1", "1e400"])
        }),
    ]
    .into_iter()
    .map(|row| row.of(of))
    .collect()
}

pub(super) fn names() -> Vec<Row> {
    let named: &[Call] = &[Call::Register, Call::Transfer, Call::UpdateDomain];
    let begun: &[Call] = &[Call::Register, Call::Transfer];
    let word = |call| if call == Call::Register { "\"active\"" } else { "\"pending_transfer\"" };
    vec![
        row("another name, one that only begins so, an empty one", InDoubt, |call| {
            each(call, "\"example.nl\"", &["\"example.com\"", "\"example.nl.example.com\"", "\"\""])
        })
        .of(named),
        row("no name, null, an array, twice", InDoubt, |call| {
            each(
                call,
                "\"domain\": \"example.nl\"",
                &[
                    "\"x\": 1",
                    "\"domain\": null",
                    "\"domain\": [\"example.nl\"]",
                    "\"domain\": \"example.nl\", \"domain\": \"example.nl\"",
                ],
            )
        })
        .of(named),
        row("no status, an empty one, null, a number", InDoubt, move |call| {
            each(call, word(call), &["\"\"", "null", "7"])
        })
        .of(begun),
        row("the name in capitals", Accepted, |call| {
            each(call, "\"example.nl\"", &["\"EXAMPLE.nl\""])
        })
        .of(named),
        row("a status that no document shows, and no message", Accepted, move |call| {
            let mut deeds = each(call, word(call), &["\"queued,locked\""]);
            deeds.extend(each(call, "\"message\"", &["\"msg\""]));
            deeds
        })
        .of(begun),
    ]
}

pub(super) fn contacts_and_zones() -> Vec<Row> {
    let handle = "\"sandbox-owned-0002\"";
    vec![
        row(
            "handle missing, empty, blank, null, a number, control characters, of 256 characters",
            InDoubt,
            move |call| {
                let long = format!("\"{}\"", "h".repeat(256));
                let mut deeds = each(
                    call,
                    handle,
                    &["\"\"", "\" \"", "null", "7", "\"a\\u0000b\"", "\"a\\nb\"", &long],
                );
                deeds.extend(each(call, "\"handle\"", &["\"handles\""]));
                deeds
            },
        )
        .of(&[Call::CreateContact]),
        row("`data.success` false, missing, null, in quotes", InDoubt, |call| {
            ["{\"success\": false}", "{}", "{\"success\": null}", "{\"success\": \"true\"}"]
                .into_iter()
                .flat_map(|data| {
                    good_with(call, &format!("{{\"success\": true, \"data\": {data}}}"))
                })
                .collect()
        })
        .of(&[Call::UpdateContact]),
        row("another zone, none, an array in its place", InDoubt, |call| {
            let mut deeds = each(call, "\"example.nl\"", &["\"example.com\"", "null"]);
            deeds.extend(each(call, "\"zone\"", &["\"zones\""]));
            deeds.extend(good_with(
                call,
                r#"{"success": true, "data": {"zone": ["example.nl"], "records": []}}"#,
            ));
            deeds
        })
        .of(&[Call::ReplaceRecords]),
        row(
            "records that are missing or can't be read, `synced` missing or true: read back",
            Accepted,
            |call| {
                let mut deeds = each(call, "\"records\"", &["\"x\""]);
                deeds.extend(each(call, "3600", &["\"an hour\""]));
                deeds.extend(each(call, "\"synced\": false", &["\"synced\": true", "\"x\": 1"]));
                deeds
            },
        )
        .of(&[Call::ReplaceRecords]),
    ]
}
