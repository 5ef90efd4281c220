//! Nothing is held, kept or told that should not be.

use provisor::sandbox::SandboxOptions;

use super::{Evidence, Verdict};
use crate::{
    house::{CUSTOMER_DOMAIN, CUSTOMER_NAME},
    ordeal::goods::AUTH_CODE,
};

/// What there must be none of, each by a query for its names.
const NONE_OF: [(&str, &str); 6] = [
    ("a wake is held, though all workers have drained", "SELECT id::text FROM provisor.wakes WHERE lease_until > now()"),
    (
        "a wake of what has ended would be looked at again",
        // An order's may be: the alarm of one that went on for an hour rings for nothing.
        "SELECT w.id::text FROM provisor.wakes w
         WHERE w.due_at < 'infinity'
           AND (w.id % 16 = 2 OR w.id % 16 = 1 AND EXISTS (
                    SELECT FROM provisor.order_lines l
                    WHERE l.id = w.id / 16 AND l.status IN ('completed', 'failed', 'cancelled')))",
    ),
    (
        "a wake of what has not ended would never be looked at again",
        "SELECT o.reference || '/' || l.line || ' ' || l.status FROM provisor.order_lines l
         JOIN provisor.orders o ON o.id = l.order_id LEFT JOIN provisor.wakes w ON w.id = l.id * 16 + 1
         WHERE l.status IN ('placing', 'provisioning') AND coalesce(w.due_at, 'infinity') = 'infinity'
           AND NOT EXISTS (SELECT FROM provisor.order_lines p WHERE p.domain = l.domain AND p.id <> l.id
                                   AND p.status IN ('in_doubt', 'held'))",
    ),
    (
        "the auth code of a line that has ended is kept",
        "SELECT o.reference || '/' || l.line FROM provisor.transfer_secrets s
         JOIN provisor.order_lines l ON l.id = s.line_id JOIN provisor.orders o ON o.id = l.order_id
         WHERE l.status IN ('completed', 'failed', 'cancelled')",
    ),
    (
        "a placement is being sent, though nobody is there to send it",
        "SELECT tag || ' ' || step FROM provisor.effects WHERE state = 'sending'",
    ),
    ("a circuit is open, though all is well", "SELECT provider || ' ' || endpoint FROM provisor.circuits"),
];

impl Verdict {
    pub(super) async fn judge_remains(&mut self, evidence: &Evidence<'_>) {
        for (what, sql) in NONE_OF {
            for (found,) in evidence.house.rows::<(String,)>(sql).await {
                self.wrongs.push(format!("{found}: {what}"));
            }
        }
        for table in ["orders", "order_lines", "events", "effects", "attempts", "email_outbox"] {
            let sql = format!(
                "SELECT count(*) FROM provisor.{table} t WHERE t::text LIKE '%{AUTH_CODE}%'"
            );
            let found: i64 = evidence.house.value(&sql).await;
            if found > 0 {
                self.wrongs.push(format!("{found} rows of {table} hold an auth code"));
            }
        }
        self.judge_logs(evidence);
    }

    /// No panic, no secret, nobody's data.
    fn judge_logs(&mut self, evidence: &Evidence<'_>) {
        let key = SandboxOptions::default().api_key;
        let unsaid = ["\"panicked\"", CUSTOMER_NAME, CUSTOMER_DOMAIN, AUTH_CODE, key.as_str()];
        for log in std::fs::read_dir(evidence.house.logs()).expect("the folder is there") {
            let log = std::fs::read_to_string(log.expect("listed").path()).expect("logs are text");
            for what in unsaid {
                if let Some(line) = log.lines().find(|line| line.contains(what)) {
                    self.wrongs.push(format!("logged {what}: {line}"));
                }
            }
        }
    }
}
