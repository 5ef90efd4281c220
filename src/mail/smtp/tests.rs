mod server;

use std::sync::atomic::Ordering;

use tokio::{net::TcpStream, time::timeout};

use self::server::{Act, EHLO, Script, Server, crowded, hello, mail, quit, rset, say};
use super::*;
use crate::mail::{Address, Rendered, compose};

fn letter() -> Composed {
    let from: Address = "noreply@example.com".parse().unwrap();
    let to = Address::new(Some("Bob Brown"), "bob@example.nl").unwrap();
    let rendered = Rendered {
        subject: "Ready".to_owned(),
        text: "Beste Bob,\n\n.een punt vooraan\n.\n".to_owned(),
        html: "<p>Beste Bob</p>\n".to_owned(),
    };
    let date = "2026-11-14T09:12:03Z".parse().unwrap();
    compose(&from, &to, &rendered, "0192d6a0-0000-7000-8000-000000000001", date).unwrap()
}

/// Long enough for a busy machine: nothing in these tests waits for them.
const PATIENT: Deadlines = Deadlines {
    connect: Duration::from_secs(10),
    command: Duration::from_secs(10),
    final_dot: Duration::from_secs(10),
    before_body: Duration::from_secs(15),
};

/// For tests in which the server says nothing.
const HASTY: Deadlines = Deadlines {
    command: Duration::from_millis(150),
    final_dot: Duration::from_millis(150),
    ..PATIENT
};

fn pool(url: &str, deadlines: Deadlines) -> SmtpPool {
    SmtpPool::new(url.parse().unwrap(), "shop.example", deadlines).unwrap()
}

fn mailer(port: u16, deadlines: Deadlines) -> Mailer {
    Mailer::Smtp(pool(&format!("smtp://127.0.0.1:{port}"), deadlines))
}

fn mailer_with_login(port: u16, deadlines: Deadlines) -> Mailer {
    Mailer::Smtp(pool(&format!("smtp://shop:s3cret@127.0.0.1:{port}"), deadlines))
}

#[tokio::test]
async fn a_mail_is_handed_over_as_it_is() {
    let server = Server::start(vec![[hello(), mail(), quit()].concat()]).await;
    let mailer = mailer(server.port, PATIENT);
    let letter = letter();
    let receipt = mailer.send(&letter).await.unwrap();
    assert_eq!(receipt.answer, "2.0.0 Ok: queued as 4F1C2 for <[address]>");
    assert!(!receipt.reused_connection);
    mailer.close().await;

    let received = server.finish().await.remove(0);
    let (commands, rest) = received.split_once("DATA\r\n").unwrap();
    assert_eq!(
        commands,
        "EHLO shop.example\r\nMAIL FROM:<noreply@example.com>\r\nRCPT TO:<bob@example.nl>\r\n"
    );
    let (body, after) = rest.split_once("\r\n.\r\n").unwrap();
    assert_eq!(after, "QUIT\r\n");
    assert!(body.contains("\r\n..een punt vooraan\r\n..\r\n"), "{body}");
    assert_eq!(body.replace("\r\n..", "\r\n.") + "\r\n", String::from_utf8(letter.bytes).unwrap());
}

#[tokio::test]
async fn a_large_mail_arrives_whole() {
    let server = Server::start(vec![[hello(), mail()].concat()]).await;
    let letter = letter();
    let large = Composed {
        bytes: [&*letter.bytes, &*b"0123456789abcdef.\r\n.\r\n".repeat(20_000)].concat(),
        ..letter
    };
    mailer(server.port, PATIENT).send(&large).await.unwrap();
    let received = server.finish().await.remove(0);
    let body = received.split_once("DATA\r\n").unwrap().1.replace("\r\n..", "\r\n.");
    assert_eq!(body.strip_suffix(".\r\n").unwrap().as_bytes(), large.bytes);
}

/// The conversation with a login, and how a refusal at each of its points is read.
fn points() -> Vec<(&'static str, Script, Phase, [Kind; 2])> {
    use Kind::{Permanent, Temporary};
    let login = vec![("AUTH PLAIN ", say("235 2.7.0 Welcome"))];
    let whole = [hello(), login, mail()].concat();
    let phases = [
        (Phase::Hello, [Temporary, Temporary]),
        (Phase::Hello, [Temporary, Temporary]),
        (Phase::Auth, [Temporary, Temporary]),
        (Phase::Envelope, [Temporary, Temporary]),
        (Phase::Envelope, [Temporary, Permanent]),
        (Phase::Data, [Temporary, Permanent]),
        (Phase::AfterDot, [Temporary, Permanent]),
    ];
    assert_eq!(whole.len(), phases.len());
    phases
        .into_iter()
        .enumerate()
        .map(|(n, (phase, kinds))| (whole[n].0, whole[..n].to_vec(), phase, kinds))
        .collect()
}

/// What comes of it when the server does this at this point.
async fn outcome(
    expected: &'static str,
    before: &Script,
    act: Act,
    deadlines: Deadlines,
) -> SendError {
    let server = Server::start(vec![[before.clone(), vec![(expected, act)]].concat()]).await;
    let mailer = mailer_with_login(server.port, deadlines);
    let error = mailer.send(&letter()).await.unwrap_err();
    drop(mailer);
    server.finish().await;
    let shown = format!("{error} {error:?}");
    for secret in ["bob", "s3cret", "example.nl"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

#[tokio::test]
async fn a_refusal_is_read_by_the_point_at_which_it_comes() {
    for (expected, before, phase, kinds) in points() {
        for (code, kind) in [(451, kinds[0]), (554, kinds[1]), (421, Kind::Temporary)] {
            // Whom a server was told of, it may also name without his domain.
            let name =
                if matches!(expected, "RCPT TO:<bob@example.nl>" | ".") { "bob" } else { "" };
            let answer = format!("{code}-5.7.1 not today,\r\n{code} 5.7.1 <bob@example.nl> {name}");
            let error = outcome(expected, &before, Act::Say(answer), PATIENT).await;
            assert_eq!((error.phase, error.kind), (phase, kind), "{expected} {code}: {error}");
            assert_eq!(error.code, Some(code), "{expected}");
            assert!(error.detail.contains("not today, "), "{error}");
        }
    }
}

#[tokio::test]
async fn a_lost_connection_is_a_doubt_only_after_the_final_dot() {
    for (expected, before, phase, _) in points() {
        let kind = if phase == Phase::AfterDot { Kind::InDoubt } else { Kind::Temporary };
        for act in [Act::Drop, say("nonsense"), say("2"), say("250-half of an answer")] {
            let error = outcome(expected, &before, act.clone(), PATIENT).await;
            assert_eq!((error.phase, error.kind), (phase, kind), "{expected} {act:?}: {error}");
            assert_eq!(error.code, None, "{expected}");
        }
    }
}

#[tokio::test]
async fn silence_is_a_doubt_only_after_the_final_dot() {
    for (expected, before, phase, _) in points() {
        let kind = if phase == Phase::AfterDot { Kind::InDoubt } else { Kind::Temporary };
        let error = outcome(expected, &before, Act::Hang, HASTY).await;
        assert_eq!((error.phase, error.kind), (phase, kind), "{expected}: {error}");
        assert_eq!(error.detail, "no answer within the deadline");
    }
}

#[tokio::test]
async fn a_connection_lost_within_the_body_leaves_no_doubt() {
    let server = Server::start(vec![[hello(), mail()[..3].to_vec()].concat()]).await;
    let letter = letter();
    // More than the system's buffers take, so that the body can't be written to its end.
    let large = Composed { bytes: b"0123456789abcde\r\n".repeat(2_000_000), ..letter };
    let error = mailer(server.port, PATIENT).send(&large).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Data, Kind::Temporary), "{error}");
}

#[tokio::test]
async fn an_answer_of_the_wrong_class_is_none() {
    for (n, answer, phase, kind) in [
        (2, "334 go on", Phase::Auth, Kind::Temporary),
        (3, "354 go on", Phase::Envelope, Kind::Temporary),
        (4, "354 go on", Phase::Envelope, Kind::Temporary),
        (5, "250 ok", Phase::Data, Kind::Temporary),
        (6, "354 go on", Phase::AfterDot, Kind::InDoubt),
    ] {
        let (expected, before, ..) = points().remove(n);
        let error = outcome(expected, &before, say(answer), PATIENT).await;
        assert_eq!((error.phase, error.kind), (phase, kind), "{answer}: {error}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let endless_line = say(&"x".repeat(1_000_000));
    let endless_lines = say(&"250-x\r\n".repeat(200_000));
    for act in [endless_line, endless_lines] {
        let error = outcome("", &Vec::new(), act, PATIENT).await;
        assert_eq!((error.phase, error.kind), (Phase::Hello, Kind::Temporary));
        assert!(error.detail.contains("no end"), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_a_login_gets_no_mail() {
    let greeting = ("", say("220 mail.example.com"));
    let server =
        Server::start(vec![vec![greeting, ("EHLO", say("250 mail.example.com")), ("", Act::Hang)]])
            .await;
    let mailer = mailer_with_login(server.port, PATIENT);
    let error = mailer.send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Auth, Kind::Temporary));
    drop(mailer);
    assert_eq!(server.finish().await, ["EHLO shop.example\r\n"]);
}

#[tokio::test]
async fn nobody_there_is_temporary() {
    let unused = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let error = mailer(port, PATIENT).send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Connect, Kind::Temporary), "{error}");
}

#[tokio::test]
async fn a_server_that_is_too_busy_to_connect_is_temporary() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let _nobody_accepts = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    let connect = || timeout(Duration::from_millis(200), TcpStream::connect(address));
    while let Ok(connected) = connect().await {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 16, "a queue of one has an end");
    }
    let deadlines = Deadlines { connect: Duration::from_millis(200), ..PATIENT };
    let error = mailer(address.port(), deadlines).send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Connect, Kind::Temporary), "{error}");
    assert_eq!(error.detail, "no connection within the deadline");
}

#[tokio::test]
async fn clear_text_for_this_machine_reaches_no_other() {
    let settings = SmtpSettings {
        host: "192.0.2.1".to_owned(),
        port: 25,
        encryption: Encryption::ClearToLoopback,
        credentials: None,
    };
    let pool = SmtpPool::new(settings, "shop.example", PATIENT).unwrap();
    let error = Mailer::Smtp(pool).send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Connect, Kind::Temporary));
    assert!(error.detail.contains("this machine only"), "{error}");
}

#[tokio::test]
async fn an_address_beyond_ascii_needs_a_server_that_knows_it() {
    let letter = |to: &str| {
        let from: Address = "noreply@example.com".parse().unwrap();
        let to = to.parse().unwrap();
        let rendered =
            Rendered {
                subject: "Zoë".to_owned(), text: "Zoë".to_owned(), html: "Zoë".to_owned()
            };
        compose(&from, &to, &rendered, "1", "2026-11-14T09:12:03Z".parse().unwrap()).unwrap()
    };
    let able = "250-mail.example.com\r\n250 SMTPUTF8";
    let ascii = ("MAIL FROM:<noreply@example.com>\r\n", say("250 Ok"));
    let utf8 = ("MAIL FROM:<noreply@example.com> SMTPUTF8 BODY=8BITMIME\r\n", say("250 Ok"));
    let rest = |to| vec![(to, say("250 Ok")), ("DATA", say("354 go on")), (".", say("250 Ok"))];
    let greeting = vec![("", say("220 mail.example.com"))];
    let server = Server::start(vec![
        [greeting.clone(), vec![("EHLO", say(EHLO)), ("", Act::Hang)]].concat(),
        [greeting.clone(), vec![("EHLO", say(able)), utf8], rest("RCPT TO:<zoë@example.nl>")]
            .concat(),
        [greeting, vec![("EHLO", say(EHLO)), ascii], rest("RCPT TO:<zoe@xn--")].concat(),
    ])
    .await;
    let error = mailer(server.port, PATIENT).send(&letter("zoë@example.nl")).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Envelope, Kind::Permanent), "{error}");
    mailer(server.port, PATIENT).send(&letter("zoë@example.nl")).await.unwrap();
    mailer(server.port, PATIENT).send(&letter("zoe@bücher.example")).await.unwrap();
    server.finish().await;
}

#[tokio::test]
async fn a_connection_carries_several_mails() {
    let refused = vec![("MAIL", say("250 Ok")), ("RCPT", say("550 5.1.1 no such user"))];
    let script =
        [hello(), mail(), rset(), mail(), rset(), refused, rset(), mail(), quit()].concat();
    let server = Server::start(vec![script]).await;
    let mailer = mailer(server.port, PATIENT);
    assert!(!mailer.send(&letter()).await.unwrap().reused_connection);
    assert!(mailer.send(&letter()).await.unwrap().reused_connection);
    assert_eq!(mailer.send(&letter()).await.unwrap_err().kind, Kind::Permanent);
    assert!(mailer.send(&letter()).await.unwrap().reused_connection);
    mailer.close().await;
    server.finish().await;
}

#[tokio::test]
async fn an_idle_connection_that_died_is_replaced_without_a_failure() {
    let deaths: [Script; 6] = [
        Vec::new(),
        vec![("RSET", Act::Drop)],
        vec![("RSET", say("421 4.3.0 too long idle"))],
        vec![("RSET", say("500 what?"))],
        [rset(), vec![("MAIL", Act::Drop)]].concat(),
        [rset(), vec![("MAIL", say("421 4.3.0 restarting"))]].concat(),
    ];
    for death in deaths {
        let first = [hello(), mail(), death.clone()].concat();
        let server = Server::start(vec![first, [hello(), mail()].concat()]).await;
        let mailer = mailer(server.port, PATIENT);
        mailer.send(&letter()).await.unwrap();
        let receipt = mailer.send(&letter()).await.unwrap();
        assert!(!receipt.reused_connection, "{death:?}");
        drop(mailer);
        server.finish().await;
    }
}

#[tokio::test]
async fn an_idle_connection_that_went_silent_is_replaced_too() {
    let first = [hello(), mail(), vec![("RSET", Act::Hang)]].concat();
    let server = Server::start(vec![first, [hello(), mail()].concat()]).await;
    let mailer = mailer(server.port, Deadlines { command: Duration::from_secs(1), ..PATIENT });
    mailer.send(&letter()).await.unwrap();
    assert!(!mailer.send(&letter()).await.unwrap().reused_connection);
    server.finish().await;
}

#[tokio::test]
async fn a_reused_connection_is_replaced_before_mail_was_answered_and_not_later() {
    let first =
        [hello(), mail(), rset(), vec![("MAIL", say("250 Ok")), ("RCPT", Act::Drop)]].concat();
    let server = Server::start(vec![first]).await;
    let mailer = mailer(server.port, PATIENT);
    mailer.send(&letter()).await.unwrap();
    let error = mailer.send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Envelope, Kind::Temporary));
    server.finish().await;
}

#[tokio::test]
async fn a_replacement_is_made_once() {
    let first = [hello(), mail(), vec![("RSET", Act::Drop)]].concat();
    let second = [hello(), vec![("MAIL", Act::Drop)]].concat();
    let server = Server::start(vec![first, second]).await;
    let mailer = mailer(server.port, PATIENT);
    mailer.send(&letter()).await.unwrap();
    let error = mailer.send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Envelope, Kind::Temporary));
    server.finish().await;
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_left() {
    // The server's script ends only when QUIT has come, which no call of ours provokes.
    let server =
        Server::start(vec![[hello(), mail(), quit()].concat(), [hello(), mail(), quit()].concat()])
            .await;
    let pool = pool(&format!("smtp://127.0.0.1:{}", server.port), PATIENT)
        .with_idle_for(Duration::from_millis(20));
    let mailer = Mailer::Smtp(pool);
    let letter = letter();
    let (first, second) = tokio::join!(mailer.send(&letter), mailer.send(&letter));
    first.unwrap();
    second.unwrap();
    server.finish().await;
}

#[tokio::test]
async fn a_connection_is_left_after_a_hundred_mails() {
    let mut first = [hello(), mail()].concat();
    for _ in 1..100 {
        first.extend([rset(), mail()].concat());
    }
    first.extend(quit());
    let server = Server::start(vec![first, [hello(), mail()].concat()]).await;
    let mailer = mailer(server.port, PATIENT);
    for n in 0..=100 {
        let receipt = mailer.send(&letter()).await.unwrap();
        assert_eq!(receipt.reused_connection, !matches!(n, 0 | 100), "{n}");
    }
    server.finish().await;
}

#[tokio::test]
async fn no_more_than_four_connections_are_open_at_once() {
    let (port, peak) = crowded(4).await;
    let mailer = mailer(port, PATIENT);
    let letter = letter();
    let sends = (0..12).map(|_| mailer.send(&letter));
    for outcome in futures_util::future::join_all(sends).await {
        outcome.unwrap();
    }
    assert_eq!(peak.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_required() {
    let offered = "250-mail.example.com\r\n250-AUTH PLAIN\r\n250 STARTTLS";
    let greeting = ("", say("220 mail.example.com"));
    for (ehlo, after, code) in [
        (EHLO, vec![("", Act::Hang)], None),
        (offered, vec![("STARTTLS", say("454 not now"))], Some(454)),
        (offered, vec![("STARTTLS", say("554 never"))], Some(554)),
        (offered, vec![("STARTTLS", Act::Drop)], None),
        (offered, vec![("STARTTLS", say("nonsense"))], None),
        (offered, vec![("STARTTLS", say("220 go")), ("", Act::Drop)], None),
    ] {
        let script = [vec![greeting.clone(), ("EHLO", say(ehlo))], after].concat();
        let server = Server::start(vec![script]).await;
        let url = format!("smtp://shop:s3cret@127.0.0.1:{}?tls=required", server.port);
        let mailer = Mailer::Smtp(pool(&url, PATIENT));
        let error = mailer.send(&letter()).await.unwrap_err();
        assert_eq!((error.phase, error.kind), (Phase::Tls, Kind::Temporary), "{error}");
        assert_eq!(error.code, code, "{error}");
        drop(mailer);
        let received = server.finish().await.remove(0);
        assert!(!received.contains("AUTH") && !received.contains("MAIL"), "{received}");
    }
}

#[tokio::test]
async fn what_is_smuggled_in_behind_starttls_never_counts_as_encrypted() {
    let greeting = ("", say("220 mail.example.com"));
    let ehlo = ("EHLO", say("250-mail.example.com\r\n250 STARTTLS"));
    let smuggled = "220 go\r\n250-mail.example.com\r\n250 AUTH PLAIN";
    let script = vec![greeting, ehlo, ("STARTTLS", say(smuggled)), ("", Act::Drop)];
    let server = Server::start(vec![script]).await;
    let url = format!("smtp://127.0.0.1:{}?tls=required", server.port);
    let error = Mailer::Smtp(pool(&url, PATIENT)).send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Tls, Kind::Temporary));
    // The handshake met the smuggled bytes; had they been kept for later, it would have met none.
    assert!(error.detail.contains("corrupt message"), "{error}");
}

#[tokio::test]
async fn smtps_to_a_server_without_tls_fails_in_that_phase() {
    let server = Server::start(vec![vec![("", say("220 mail.example.com"))]]).await;
    let mailer = Mailer::Smtp(pool(&format!("smtps://127.0.0.1:{}", server.port), PATIENT));
    let error = mailer.send(&letter()).await.unwrap_err();
    assert_eq!((error.phase, error.kind), (Phase::Tls, Kind::Temporary), "{error}");
}

#[tokio::test]
async fn a_probe_goes_as_far_as_the_login_and_leaves() {
    let login = vec![("AUTH PLAIN ", say("235 2.7.0 Welcome"))];
    let server = Server::start(vec![[hello(), login, quit()].concat()]).await;
    mailer_with_login(server.port, PATIENT).probe().await.unwrap();
    server.finish().await;
    let refused = vec![("AUTH PLAIN ", say("535 5.7.8 wrong"))];
    let server = Server::start(vec![[hello(), refused].concat()]).await;
    let error = mailer_with_login(server.port, PATIENT).probe().await.unwrap_err();
    assert_eq!((error.phase, error.code), (Phase::Auth, Some(535)));
}

#[tokio::test]
async fn memory_keeps_what_it_is_given() {
    let (mailer, mailbox) = Mailer::memory();
    mailer.probe().await.unwrap();
    mailer.send(&letter()).await.unwrap();
    mailer.close().await;
    assert_eq!(*mailbox.lock().unwrap(), [letter()]);
}

#[test]
fn a_greeting_name_is_a_name() {
    for name in ["", "shop example", "shop.example\r\nMAIL FROM:<>", "[127.0.0.1]"] {
        let settings = "smtp://localhost".parse().unwrap();
        assert!(
            matches!(SmtpPool::new(settings, name, PATIENT), Err(SettingsError::HelloName)),
            "{name:?}"
        );
    }
}

#[test]
fn nothing_shows_the_password() {
    let mailer = mailer_with_login(2525, PATIENT);
    let shown = format!("{mailer:?}");
    assert!(shown.contains("127.0.0.1:2525") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_send_takes_no_longer_than_is_said() {
    assert_eq!(Deadlines::default().send_max(), Duration::from_mins(2));
}
