//! The mail catcher, through lettre's connection as Provisor's own mailer uses it, and by hand.

use std::net::SocketAddr;

use lettre::{
    Address,
    address::Envelope,
    transport::smtp::{
        Error,
        client::AsyncSmtpConnection,
        commands::{Data, Mail as MailCommand, Rcpt},
        extension::{ClientId, Extension},
    },
};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::*;
use crate::sandbox::{
    Sandbox, start,
    tests::{Folder, options},
};

const MESSAGE: &[u8] =
    b"From: shop@example.com\r\nTo: bob@example.com\r\nMessage-ID: <1@example.com>\r\n\
      Subject: Your order\r\n SHOP-1\r\n\r\nHello\r\n.dot";

async fn connect(address: SocketAddr) -> Result<AsyncSmtpConnection, Error> {
    let timeout = Some(Duration::from_secs(20));
    let name = ClientId::Domain("shop.example.com".into());
    AsyncSmtpConnection::connect_tokio1(address, timeout, &name, None, None).await
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn envelope(to: &[&str]) -> Envelope {
    let to = to.iter().map(|to| address(to)).collect();
    Envelope::new(Some(address("shop@example.com")), to).unwrap()
}

async fn send(sandbox: &Sandbox) -> Result<(), Error> {
    let mut connection = connect(sandbox.smtp_addr()).await?;
    connection.send(&envelope(&["bob@example.com"]), MESSAGE).await?;
    connection.quit().await?;
    Ok(())
}

#[tokio::test]
async fn a_mail_is_caught_whole() {
    let folder = Folder::new();
    let sandbox = start(options(&folder)).await.unwrap();
    let mut connection = connect(sandbox.smtp_addr()).await.unwrap();
    for extension in [Extension::EightBitMime, Extension::SmtpUtfEight] {
        assert!(connection.server_info().supports_feature(extension));
    }
    let both = envelope(&["bob@example.com", "eve@example.com"]);
    connection.send(&both, MESSAGE).await.unwrap();
    connection.send(&envelope(&["böb@example.com"]), MESSAGE).await.unwrap();
    connection.send(&both, "Subject: é\r\n\r\né\r\n".as_bytes()).await.unwrap();
    connection.quit().await.unwrap();

    let mails = sandbox.state().mails();
    assert_eq!(mails.len(), 3);
    let first = &mails[0];
    assert_eq!(first.recipients, ["bob@example.com", "eve@example.com"]);
    assert_eq!(first.from, "shop@example.com");
    assert_eq!(first.message_id.as_deref(), Some("<1@example.com>"));
    assert_eq!(first.subject.as_deref(), Some("Your order SHOP-1"));
    assert_eq!(first.path, folder.path().join("mail/000001-bob@example.com.eml"));
    assert_eq!(std::fs::read(&first.path).unwrap(), [MESSAGE, b"\r\n"].concat());
    assert_eq!(mails[1].path, folder.path().join("mail/000002-b_b@example.com.eml"));
    let listed = sandbox.get("/_sandbox/mails").await.json();
    assert_eq!(listed["mails"][2]["subject"], "é");
    sandbox.stop().await;
}

/// What the mailer met, and how many mails were caught.
async fn under(fault: Value) -> (Result<(), Error>, usize) {
    let folder = Folder::new();
    let sandbox = start(options(&folder)).await.unwrap();
    sandbox.fault(&fault);
    let met = send(&sandbox).await;
    let caught = sandbox.state().mails().len();
    assert_eq!(sandbox.state().clear_faults(), 0, "{fault}: it struck");
    send(&sandbox).await.unwrap();
    assert_eq!(sandbox.state().mails().len(), caught + 1, "{fault}: the next is as usual");
    sandbox.stop().await;
    (met, caught)
}

const PHASES: [&str; 6] =
    ["SMTP connect", "SMTP EHLO", "SMTP MAIL", "SMTP RCPT", "SMTP DATA", "SMTP final"];

#[tokio::test]
async fn each_phase_can_be_refused() {
    for phase in PHASES {
        for code in [451_u16, 550] {
            let fault = json!({"endpoint": phase, "fault": "status", "status": code, "times": 1});
            if phase == "SMTP EHLO" {
                // lettre answers a refused EHLO by nothing but its error, too.
                let (met, caught) = under(fault).await;
                assert!(met.is_err());
                assert_eq!(caught, 0);
                continue;
            }
            let (met, caught) = under(fault).await;
            let error = met.unwrap_err();
            assert_eq!(error.status().map(u16::from), Some(code), "{phase}");
            assert_eq!((error.is_permanent(), caught), (code == 550, 0), "{phase}");
        }
    }
}

#[tokio::test]
async fn each_phase_can_be_cut() {
    for phase in PHASES {
        let (met, caught) = under(json!({"endpoint": phase, "fault": "drop"})).await;
        let error = met.unwrap_err();
        assert_eq!((error.status(), caught), (None, 0), "{phase}");
    }
}

#[tokio::test]
async fn each_phase_can_be_slow() {
    for phase in PHASES {
        let before = std::time::Instant::now();
        let (met, caught) =
            under(json!({"endpoint": phase, "fault": "slow", "delay_ms": 30})).await;
        met.unwrap();
        assert_eq!(caught, 1, "{phase}");
        assert!(before.elapsed() >= Duration::from_millis(30), "{phase}");
    }
}

#[tokio::test]
async fn cut_after_the_dot_the_mail_is_there_all_the_same() {
    let (met, caught) =
        under(json!({"endpoint": "SMTP final", "fault": "process_then_drop"})).await;
    assert_eq!((met.unwrap_err().status(), caught), (None, 1));
}

#[tokio::test]
async fn a_fault_may_be_meant_for_one_recipient() {
    let folder = Folder::new();
    let sandbox = start(options(&folder)).await.unwrap();
    sandbox.fault(&json!({"endpoint": "SMTP RCPT", "fault": "status", "status": 550,
        "match": {"recipient": "eve@"}}));
    let mut connection = connect(sandbox.smtp_addr()).await.unwrap();
    let sender = Some(address("shop@example.com"));
    connection.command(MailCommand::new(sender, vec![])).await.unwrap();
    connection.command(Rcpt::new(address("bob@example.com"), vec![])).await.unwrap();
    let refused = connection.command(Rcpt::new(address("eve@example.com"), vec![])).await;
    assert!(refused.unwrap_err().is_permanent());
    connection.command(Data).await.unwrap();
    connection.message(MESSAGE).await.unwrap();
    assert_eq!(sandbox.state().mails()[0].recipients, ["bob@example.com"]);
    sandbox.stop().await;
}

/// A server with limits of its own.
async fn server(limits: Limits) -> (SocketAddr, Arc<World>, Folder) {
    let folder = Folder::new();
    let world = Arc::new(World::new(&options(&folder)));
    let store = Store::open(&folder.path().join("mail")).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::clone(&world), store, limits));
    (address, world, folder)
}

/// The codes of all replies to these lines, sent at once, until the server closes. Lines of one reply count once.
async fn codes(address: SocketAddr, lines: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    drop(stream.write_all(lines).await);
    let mut replies = String::new();
    drop(stream.read_to_string(&mut replies).await);
    replies
        .lines()
        .filter(|line| line.as_bytes()[3] == b' ')
        .map(|line| line[..3].parse().unwrap())
        .collect()
}

#[tokio::test]
async fn commands_come_in_their_order() {
    let (address, _world, _folder) = server(Limits::USUAL).await;
    let lines = b"MAIL FROM:<a@example.com>\r\nEHLO x\r\nRCPT TO:<b@example.com>\r\nDATA\r\n\
        MAIL FROM:<a@example.com>\r\nMAIL FROM:<a@example.com>\r\nDATA\r\n\
        RCPT TO:<b\xc3\xb6b@example.com>\r\nRCPT TO:<b@example.com>\r\nRSET\r\nDATA\r\n\
        VRFY b\r\nHELO x\r\nSTARTTLS\r\nQUIT\r\n";
    assert_eq!(
        codes(address, lines).await,
        [220, 503, 250, 503, 503, 250, 503, 503, 553, 250, 250, 503, 252, 250, 502, 221]
    );
}

#[tokio::test]
async fn a_long_line_is_refused_and_the_session_goes_on() {
    let (address, _world, _folder) = server(Limits::USUAL).await;
    let mut lines = b"EHLO ".to_vec();
    lines.extend(vec![b'x'; 5_000]);
    lines.extend_from_slice(b"\r\nNOOP\r\nQUIT\r\n");
    assert_eq!(codes(address, &lines).await, [220, 500, 250, 221]);
    assert_eq!(codes(address, b"NOOP\nQUIT\r\n").await, [220, 500], "a lone LF ends it");
}

#[tokio::test]
async fn messages_recipients_and_commands_have_limits() {
    let limits = Limits { message_bytes: 20, recipients: 2, commands: 9, ..Limits::USUAL };
    let (address, world, _folder) = server(limits).await;
    let begin = "EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n";
    let rcpt = "RCPT TO:<b@example.com>\r\n";
    let quit = "QUIT\r\n";
    for (lines, expected) in [
        (format!("{begin}{rcpt}{rcpt}{quit}"), vec![220, 250, 250, 250, 250, 452, 221]),
        (
            format!("{begin}DATA\r\nfar more than twenty bytes\r\n.\r\n{quit}"),
            vec![220, 250, 250, 250, 354, 552, 221],
        ),
        (
            format!("EHLO x\r\nMAIL FROM:<a@example.com> SIZE=21\r\n{quit}"),
            vec![220, 250, 552, 221],
        ),
        (
            format!("{begin}DATA\r\n{}\r\n.\r\n{quit}", "x".repeat(1_001)),
            vec![220, 250, 250, 250, 354, 554, 221],
        ),
        ("NOOP\r\n".repeat(12), [vec![220], vec![250; 9], vec![421]].concat()),
    ] {
        let got = codes(address, lines.as_bytes()).await;
        assert_eq!(got, expected, "{lines}");
    }
    assert_eq!(world.mails.all().len(), 0);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let limits = Limits { connections: 1, ..Limits::USUAL };
    let (address, world, _folder) = server(limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'2');
    assert_eq!(codes(address, b"").await, [421]);
    world.stopping.cancel();
}

#[tokio::test]
async fn a_silent_client_is_dismissed() {
    let limits = Limits { idle: Duration::from_millis(20), ..Limits::USUAL };
    let (address, _world, _folder) = server(limits).await;
    assert_eq!(codes(address, b"").await, [220, 421]);
}
