//! The commands that buy or change something, and `order plan`: the binary, beside a sandbox and a daemon.

mod asking;
mod contacts;
mod customers;
mod deeds;
mod emails;
mod leanstack;
mod names;
mod pauses;
mod plans;
mod zones;

use serde_json::{Value, json};

use crate::{
    binary::{Ended, Environment, provisor, provisor_reading},
    house::{Daemon, House},
    order_show::redact,
};

impl House {
    /// The environment of an operator's command.
    fn operator(&self) -> Environment {
        self.environment(&[])
    }

    /// A daemon that looks again soon.
    fn operators_daemon(&self) -> Daemon {
        self.daemon(&[
            ("POLL__TRANSFER_MAX_INTERVAL", "500ms"),
            ("LJPC__EVIDENCE_INTERVAL", "200ms"),
        ])
    }

    /// Runs a command to a good end.
    pub(crate) async fn done(&self, args: &[&str]) -> Ended {
        self.done_reading(args, "").await
    }

    /// The same with something on standard input.
    async fn done_reading(&self, args: &[&str], input: &str) -> Ended {
        let ended = provisor_reading(args, &self.operator(), input).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended
    }

    /// Runs a command that must end with this status, and say these words on standard error.
    pub(crate) async fn refused(&self, args: &[&str], code: i32, words: &[&str]) -> Ended {
        let ended = provisor(args, &self.operator()).await;
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "{args:?} {word}: {ended:?}");
        }
        ended
    }

    /// What was sent to LJPc that is no GET: method, path, body.
    fn sent(&self) -> Vec<(String, Value)> {
        let journal = self.sandbox.state().journal(0);
        let changing = journal.iter().filter(|entry| entry.method != "GET");
        changing
            .map(|entry| {
                let body = serde_json::from_str(entry.body.as_str()).unwrap_or(Value::Null);
                (format!("{} {}", entry.method, entry.path), body)
            })
            .collect()
    }

    /// The same without the bodies.
    fn sent_paths(&self) -> Vec<String> {
        self.sent().into_iter().map(|(request, _)| request).collect()
    }

    /// How many orders there are.
    async fn orders(&self) -> i64 {
        self.world.value("SELECT count(*) FROM provisor.orders").await
    }

    /// A name of ours upstream.
    fn put_name(&self, name: &str) {
        let domain = json!({ "domain": name, "status": "active", "auto_renew": true });
        self.sandbox.state().put_domain(&domain).expect("a domain");
    }

    /// Everything that is stored about orders, as text, to look for what must not be there.
    async fn told(&self) -> String {
        self.world
            .value(
                "SELECT concat((SELECT string_agg(e::text, ' ') FROM provisor.events e),
                               (SELECT string_agg(a::text, ' ') FROM provisor.attempts a),
                               (SELECT string_agg(l.reason, ' ') FROM provisor.order_lines l),
                               (SELECT string_agg(m.context::text, ' ') FROM provisor.email_outbox m))",
            )
            .await
    }
}

/// What a person sees of a command, without what differs from run to run: the emails may be sent by then or not.
fn seen(ended: &Ended) -> String {
    let stdout = ended.stdout.split("\nEmails").next().unwrap_or_default();
    redact(&format!("{}\n{stdout}", ended.stderr))
}

/// A file with this content, for as long as the test runs.
struct Paper(std::path::PathBuf);

impl Paper {
    fn new(content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("provisor-it-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).expect("a file can be written");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for Paper {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The customer file of Bob's.
fn bob() -> Paper {
    let bob = json!({
        "reference": "C-77", "first_name": "Bob", "last_name": "Brown", "email": "bob@example.com",
        "phone": "+31612345678", "address": "Teststreet 1", "postal_code": "1234AB", "city": "Testcity",
        "country": "NL" });
    Paper::new(&bob.to_string())
}
