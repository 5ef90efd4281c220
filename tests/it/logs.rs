//! What the daemon logs: one JSON object a line, with the order's reference and line, and nothing of anybody's.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    binary::{Process, get, provisor},
    house::{House, eventually, hosting, in_time},
};

const KEY: &str = "marker-key-0b5e";
const USER: &str = "marker-user-77aa";
const PASSWORD: &str = "marker-password-93cd";
/// The sandbox's Leanstack takes no other.
const TOKEN: &str = "sandbox-token";
const DATABASE_PASSWORD: &str = "marker-database-51fe";

/// An upstream that repeats what it was told.
pub(crate) const ECHO: &str = "Marker-Zaphod of Marker-Street 42 is unknown";

/// A customer of whom every value can be recognised.
pub(crate) fn customer() -> Value {
    json!({
        "reference": "C-77",
        "first_name": "Marker-Zaphod",
        "last_name": "Marker-Beeblebrox",
        "organization": "Marker-Heart-of-Gold",
        "email": "marker.mailbox@example.com",
        "phone": "+31698765432",
        "address": "Marker-Street 42",
        "postal_code": "9876ZX",
        "city": "Marker-City",
        "country": "NL",
    })
}

/// What must not stand in any line, as it is or as it is written to the wire.
pub(crate) fn private() -> Vec<String> {
    let mut private: Vec<String> =
        [KEY, USER, PASSWORD, DATABASE_PASSWORD, TOKEN].map(str::to_owned).into();
    let customer = customer();
    let fields = ["first_name", "last_name", "organization", "email", "phone", "address", "city"];
    private.extend(fields.iter().map(|field| customer[field].as_str().unwrap().to_owned()));
    private.push("98765432".to_owned());
    private.push("9876ZX".to_owned());
    // AUTH PLAIN sends NUL user NUL password in base64; AUTH LOGIN each by itself.
    private.push("AG1hcmtlci11c2VyLTc3YWEAbWFya2VyLXBhc3N3b3JkLTkzY2Q=".to_owned());
    private.push("bWFya2VyLXBhc3N3b3JkLTkzY2Q=".to_owned());
    private
}

/// A mail server that takes every login and every mail.
async fn mail_server() -> (std::net::SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mails) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move { take_mail(stream, &sender).await });
        }
    });
    (address, mails)
}

async fn take_mail(
    stream: TcpStream,
    mails: &tokio::sync::mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut login = false;
    write.write_all(b"220 mail.example.com ready\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250-mail.example.com\r\n250 AUTH PLAIN\r\n",
            "AUTH" => {
                login = true;
                "235 welcome\r\n"
            }
            "MAIL" | "RCPT" | "RSET" | "NOOP" if login => "250 well\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail.push_str(&line);
                    mail.push('\n');
                }
                let _ = mails.send(mail);
                "250 taken\r\n"
            }
            "QUIT" => return write.write_all(b"221 bye\r\n").await,
            _ => "503 log in first\r\n",
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// What is kept for operators. For hosting LJPc is not told who the customer is, so what it says of a person is an invention
/// of its own, and stands in reasons as it was said; what it repeats of a contact is masked (`names::secrets`).
async fn kept_for_operators(house: &House) -> Vec<String> {
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT to_jsonb(e)::text FROM provisor.events e UNION ALL SELECT to_jsonb(f)::text FROM provisor.findings f
         UNION ALL SELECT to_jsonb(r)::text FROM provisor.audit_runs r
         UNION ALL SELECT to_jsonb(c)::text FROM provisor.circuits c",
    )
    .fetch_all(&house.world.pool)
    .await
    .unwrap();
    assert!(kept.len() > 10, "{kept:?}");
    kept.iter().map(|row| row.replace(ECHO, "")).collect()
}

#[tokio::test]
async fn logs_at_their_most_talkative_hold_nothing_private() {
    let house = House::with(|options| KEY.clone_into(&mut options.api_key)).await;
    let leanstack = format!("http://{}", house.sandbox.leanstack_addr());
    let (smtp, mut mails) = mail_server().await;
    let smtp = format!("smtp://{USER}:{PASSWORD}@{smtp}");
    // The server trusts whoever comes by its socket, and asks for no password; it is in the settings all the same.
    let mut database = url::Url::parse(&house.world.url()).unwrap();
    database.query_pairs_mut().append_pair("password", DATABASE_PASSWORD);
    let changes = [
        ("DATABASE__URL", database.as_str()),
        ("LJPC__API_KEY", KEY),
        ("EMAIL__SMTP_URL", &smtp),
        ("EMAIL__DISABLED", ""),
        ("LOG__FILTER", "trace"),
        ("LEANSTACK__ENABLED", "true"),
        ("LEANSTACK__BASE_URL", &leanstack),
        ("LEANSTACK__ACCESS_TOKEN", TOKEN),
    ];
    let environment = house.environment(&changes);
    let mut daemon = Process::start(&["run"], &environment);
    let address = daemon.until_ready().await;
    // Delivered, refused, in doubt, failed: each has its own words.
    for (reference, fault) in [
        ("SHOP-2", json!({ "fault": "status", "status": 422, "message": ECHO })),
        ("SHOP-3", json!({ "fault": "process_then_drop" })),
        ("SHOP-4", json!({ "fault": "html" })),
        ("SHOP-5", json!({ "fault": "status", "status": 500, "message": ECHO })),
    ] {
        let mut fault = fault;
        fault["endpoint"] = json!("POST /api/v1/orders");
        fault["match"] = json!({ "reference": reference });
        house.sandbox.state().add_fault(&fault).unwrap();
    }
    for n in 1..=5 {
        let document = json!({ "reference": format!("SHOP-{n}"), "customer": customer(),
                               "lines": [hosting(&format!("example-{n}.nl"))] });
        house.world.submit(&document).await.unwrap();
    }
    for (n, status) in
        [(1, "completed"), (2, "failed"), (3, "attention"), (4, "attention"), (5, "attention")]
    {
        house.until_order(&format!("SHOP-{n}"), status).await;
    }
    house.until_emailed().await;
    eventually("Leanstack knows the customer", async || {
        let known = "SELECT count(*) FROM provisor.customers WHERE leanstack_at IS NOT NULL";
        house.world.value::<i64>(known).await == 1
    })
    .await;
    let audited = provisor(&["audit", "run"], &environment).await;
    assert_eq!(audited.code, Some(0), "{audited:?}");
    house.until_emailed().await;
    let (_, metrics) = get(address, "/metrics").await;
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());

    // It was really there to be logged: the mails hold it, and the server has taken the login.
    let mail = in_time("a mail comes", mails.recv()).await.unwrap();
    assert!(
        mail.contains("Marker-Zaphod") && mail.contains("marker.mailbox@example.com"),
        "{mail}"
    );
    let lines = daemon.printed();
    for library in ["sqlx::query", "hyper_util::client"] {
        let talks = lines.iter().any(|line| line.contains(&format!("\"target\":\"{library}")));
        assert!(talks, "{library} says nothing: is the filter in force?");
    }
    for line in &lines {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
    }
    let kept = kept_for_operators(&house).await;
    let mut told: Vec<String> = Vec::new();
    let audit = [audited.stdout, audited.stderr, metrics];
    for private in private() {
        let all = lines.iter().chain(&audit).chain(&kept);
        told.extend(all.filter(|it| it.contains(&private)).map(|it| format!("{private}: {it}")));
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[tokio::test]
async fn what_happens_to_a_line_is_logged_with_its_reference() {
    let house = House::new().await;
    let mut daemon = Process::start(&["run"], &house.environment(&[]));
    daemon.until_ready().await;
    house.submit("SHOP-1", json!([hosting("example.nl")])).await;
    house.until_order("SHOP-1", "completed").await;
    for message in ["sending", "accepted"] {
        let event = daemon.until_logged(message).await;
        assert_eq!(event["spans"][0]["reference"], "SHOP-1", "{event}");
        assert_eq!(event["spans"][0]["line"], 0, "{event}");
        assert!(event["spans"][0]["run_token"].as_i64().is_some_and(|token| token > 0), "{event}");
        assert_eq!(event["tag"], "SHOP-1/0", "{event}");
    }
    daemon.signal("TERM").await;
    assert!(daemon.ended().await.success());
}
