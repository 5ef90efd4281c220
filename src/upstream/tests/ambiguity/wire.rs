//! What happens to the connection: before the first byte, after it, and in the middle of an answer.

use super::{
    super::*,
    calls::Call,
    table::{
        Class::{Accepted, InDoubt, NotSent},
        Deed, Row, row, says,
    },
};

/// The documented answer, without a length: it ends when the connection does.
fn until_closed(call: Call, headers: &str, body: &[u8]) -> Vec<u8> {
    [head(call, headers).as_bytes(), body].concat()
}

fn head(call: Call, headers: &str) -> String {
    format!("HTTP/1.1 {}\r\n{headers}\r\n", call.good().0)
}

fn whole(call: Call) -> Vec<u8> {
    let (status, body) = call.good();
    answer(status, "", &body)
}

/// The documented body in chunks of the given framing.
fn chunked(call: Call, extension: &str, end: &str) -> Vec<u8> {
    let body = call.good().1;
    let chunk = format!("{:x}{extension}\r\n{body}\r\n{end}", body.len());
    until_closed(call, "Transfer-Encoding: chunked\r\n", chunk.as_bytes())
}

fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() - 20].to_vec()
}

pub(super) fn before() -> Vec<Row> {
    let meanwhile = |says: &[u8], closes| vec![Deed::Meanwhile { says: says.to_vec(), closes }];
    vec![
        row("the host's name has no address", NotSent, |_| vec![Deed::NoAddress])
            .of(&[Call::Order]),
        row("nobody listens", NotSent, |_| vec![Deed::Refused]),
        row("the other side speaks no TLS", NotSent, |_| vec![Deed::NoTls]),
        row("the other side is silent where TLS was to be", NotSent, |_| vec![Deed::NoHandshake]),
        row("the connection is closed while the intent is committed", NotSent, move |_| {
            meanwhile(b"", true)
        }),
        row("a proxy says 408 meanwhile, and closes", NotSent, move |_| {
            meanwhile(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", true)
        }),
        row("an answer comes before there is a request", NotSent, move |call| {
            meanwhile(&whole(call), false)
        }),
        row("time is up before the first byte", NotSent, |_| vec![Deed::Late]),
    ]
}

pub(super) fn no_head() -> Vec<Row> {
    let mut rows = vec![
        row("the connection is reset", InDoubt, |_| vec![Deed::Wire(Act::Reset)]),
        row("the connection is closed without a word", InDoubt, |_| says("")),
        row("silence until the deadline", InDoubt, |_| vec![Deed::Silence(Act::Stall(vec![]))]),
        row("a head that stops midway: closed, reset, silent", InDoubt, |_| {
            let half = b"HTTP/1.1 201 Cre".to_vec();
            vec![
                Deed::Wire(Act::Answer(half.clone())),
                Deed::Wire(Act::ThenReset(half.clone())),
                Deed::Silence(Act::Stall(half)),
            ]
        }),
        row("a head that drips beyond the deadline", InDoubt, |call| {
            vec![Deed::Silence(Act::Drip(whole(call)))]
        }),
        row("a head without end", InDoubt, |call| {
            let begun = format!("HTTP/1.1 {}\r\n", call.good().0).into_bytes();
            vec![Deed::Wire(Act::Endless(begun, b"a: b\r\n".repeat(1000)))]
        }),
    ];
    rows.extend(no_http());
    rows.extend(informational());
    rows
}

fn no_http() -> Vec<Row> {
    vec![
        row(
            "something that is not HTTP: TLS, SMTP, HTTP/2, bare JSON, zero bytes",
            InDoubt,
            |call| {
                [
                    b"\x16\x03\x01\x00\x02\x02\x28".to_vec(),
                    b"220 mail.example.com ESMTP\r\n".to_vec(),
                    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00".to_vec(),
                    call.good().1.into_bytes(),
                    vec![0; 64],
                ]
                .into_iter()
                .flat_map(says)
                .collect()
            },
        ),
        row("a status that is none: two digits, four digits, letters, nothing", InDoubt, |call| {
            let body = call.good().1;
            ["20 OK", "2010 Created", "OK", ""]
                .into_iter()
                .flat_map(|status| says(answer(status, "", &body)))
                .collect()
        }),
        row(
            "a length that is none: negative, letters, two that differ, more than 64 bits",
            InDoubt,
            |call| {
                let body = call.good().1;
                [
                    "Content-Length: -1\r\n",
                    "Content-Length: many\r\n",
                    "Content-Length: 5\r\nContent-Length: 6\r\n",
                    "Content-Length: 99999999999999999999\r\n",
                ]
                .into_iter()
                .flat_map(|headers| says(until_closed(call, headers, body.as_bytes())))
                .collect()
            },
        ),
        row("headers that are none: no colon, a space in the name, a bare NUL", InDoubt, |call| {
            let body = call.good().1;
            ["no colon\r\n", "a b: c\r\n", "a: b\0c\r\n"]
                .into_iter()
                .flat_map(|headers| says(until_closed(call, headers, body.as_bytes())))
                .collect()
        }),
    ]
}

fn informational() -> Vec<Row> {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    vec![
        row("100 Continue, and nothing more: closed, silent", InDoubt, |_| {
            vec![
                Deed::Wire(Act::Answer(CONTINUE.to_vec())),
                Deed::Silence(Act::Stall(CONTINUE.to_vec())),
            ]
        }),
        row("100 Continue without end", InDoubt, |_| {
            vec![Deed::Silence(Act::Endless(CONTINUE.to_vec(), CONTINUE.repeat(100)))]
        }),
        row("101 Switching Protocols", InDoubt, |_| {
            says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        }),
        row("100, 102 or 103, and then the documented answer", Accepted, |call| {
            ["100 Continue", "102 Processing", "103 Early Hints"]
                .into_iter()
                .flat_map(|status| {
                    says([format!("HTTP/1.1 {status}\r\n\r\n").into_bytes(), whole(call)].concat())
                })
                .collect()
        }),
    ]
}

pub(super) fn broken_bodies() -> Vec<Row> {
    let mut rows = vec![
        row("half a body: closed, reset, silent", InDoubt, |call| {
            let half = half(&whole(call));
            vec![
                Deed::Wire(Act::Answer(half.clone())),
                Deed::Wire(Act::ThenReset(half.clone())),
                Deed::Silence(Act::Stall(half)),
            ]
        }),
        row("half a body whose end is the connection's", InDoubt, |call| {
            let body = call.good().1;
            says(until_closed(call, "", &half(body.trim_end().as_bytes())))
        }),
        row("a body of more than 1 MiB", InDoubt, |call| {
            let (status, body) = call.good();
            let huge = body.replacen('{', &format!("{{{}", " ".repeat(1024 * 1024)), 1);
            says(answer(status, "", &huge))
        }),
        row("a body without end", InDoubt, |call| {
            let chunk = [b"10000\r\n", " ".repeat(0x10000).as_bytes(), b"\r\n"].concat();
            let begun = head(call, "Transfer-Encoding: chunked\r\n").into_bytes();
            vec![Deed::Wire(Act::Endless(begun, chunk))]
        }),
        row("a length that is shorter than the body", InDoubt, |call| {
            let body = call.good().1;
            says(until_closed(call, "Content-Length: 40\r\n", body.as_bytes()))
        }),
        row("a whole body whose length promised more", InDoubt, |call| {
            let body = call.good().1;
            says(until_closed(call, "Content-Length: 100000\r\n", body.as_bytes()))
        }),
    ];
    rows.extend(chunks());
    rows
}

fn chunks() -> Vec<Row> {
    vec![
        row(
            "chunks that are none: no number, more than 64 bits, no line end, no last one",
            InDoubt,
            |call| {
                let body = call.good().1;
                let chunks = "Transfer-Encoding: chunked\r\n";
                let mut deeds = says(chunked(call, "", ""));
                for framed in [
                    format!("zz\r\n{body}\r\n0\r\n\r\n"),
                    format!("ffffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
                    format!("{:x}\r\n{body}0\r\n\r\n", body.len()),
                ] {
                    deeds.extend(says(until_closed(call, chunks, framed.as_bytes())));
                }
                deeds
            },
        ),
        row("the documented body in chunks, with extensions and trailers, too", Accepted, |call| {
            [("", "0\r\n\r\n"), (";a=b", "0\r\n\r\n"), ("", "0\r\nX-Sum: 1\r\n\r\n")]
                .into_iter()
                .flat_map(|(extension, end)| says(chunked(call, extension, end)))
                .collect()
        }),
        row(
            "the documented body, whose end is the connection's; and by HTTP/1.0",
            Accepted,
            |call| {
                let body = call.good().1;
                let bytes = until_closed(call, "", body.as_bytes());
                let older = String::from_utf8(bytes.clone()).unwrap().replacen("1.1", "1.0", 1);
                says(bytes).into_iter().chain(says(older)).collect()
            },
        ),
    ]
}
