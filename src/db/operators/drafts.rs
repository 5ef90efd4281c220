//! An order that is not there yet, read as a worker would read it: what a plan is made of. Nothing is written.

use std::{collections::HashSet, str::FromStr};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    db::{Database, DbError, contacts},
    order::{
        ContactHandle, CustomerId, LineKind, LineStatus, Money, Reference,
        domain::Registrant,
        facts::{Facts, NameFacts, Progress},
        name::DomainName,
        wish::Wish,
    },
};

/// An order that is not there yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its lines as they would be loaded first. None of them knows of the others yet.
    pub lines: Vec<Facts>,
    /// An order with its reference is there already.
    pub is_submitted: bool,
}

struct Row {
    kind: String,
    wish: Value,
    rival: Option<String>,
}

struct Head {
    now: DateTime<Utc>,
    is_submitted: bool,
    customer_id: Option<i64>,
}

impl Database {
    /// Reads a document that was found well formed.
    pub async fn draft_order(&self, document: &Value) -> Result<Draft, DbError> {
        let reference = text(document, "reference").unwrap_or_default();
        let customer = document.get("customer").cloned().unwrap_or_default();
        let known_as = text(&customer, "reference");
        let domains: Vec<String> = lines_of(document).map(domain_of).collect();
        let (head, rows) = self
            .call("reading what an order would do", async |connection| {
                let head = sqlx::query_as!(
                    Head,
                    r#"SELECT clock_timestamp() AS "now!",
                              EXISTS (SELECT FROM provisor.orders o WHERE o.reference = $1) AS "is_submitted!",
                              (SELECT c.id FROM provisor.customers c WHERE c.reference = $2) AS customer_id"#,
                    reference,
                    known_as,
                )
                .fetch_one(&mut *connection)
                .await?;
                let rows = sqlx::query_as!(
                    Row,
                    r#"SELECT w.wish ->> 'kind' AS "kind!", w.wish AS "wish!",
                              (SELECT ro.reference || '/' || r.line
                               FROM provisor.order_lines r JOIN provisor.orders ro ON ro.id = r.order_id
                               WHERE r.domain = d.domain AND ro.reference <> $3
                                 AND r.kind IN ('domain_register', 'domain_transfer')
                                 AND r.status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held')
                               ORDER BY r.id LIMIT 1) AS rival
                       FROM jsonb_array_elements(jsonb_strip_nulls($1) -> 'lines') WITH ORDINALITY AS l (line, n)
                       JOIN unnest($2::text[]) WITH ORDINALITY AS d (domain, n) USING (n)
                       CROSS JOIN LATERAL (SELECT provisor.wish_of(l.line) AS wish) AS w
                       ORDER BY n"#,
                    document,
                    &domains,
                    reference,
                )
                .fetch_all(connection)
                .await?;
                Ok((head, rows))
            })
            .await?;
        let mut lines = Vec::new();
        for (line, (row, domain)) in (0..).zip(rows.into_iter().zip(domains)) {
            let mut facts = into_facts(line, &reference, &customer, row, domain, head.now)?;
            let registrant = facts.name.registrant.as_ref();
            if let (Some(id), Some(registrant)) = (head.customer_id, registrant) {
                let key = contacts::key(CustomerId(id), registrant);
                facts.name.contact_handle = self.known_contact(&key).await?;
            }
            lines.push(facts);
        }
        wish_renewals(&mut lines);
        Ok(Draft { lines, is_submitted: head.is_submitted })
    }

    async fn known_contact(&self, key: &str) -> Result<Option<ContactHandle>, DbError> {
        let keys = [key.to_owned()];
        let handles = self
            .call("looking for a WHOIS contact", async |connection| {
                contacts::select(connection, &keys).await
            })
            .await?;
        Ok(handles.into_values().next())
    }

    /// Which of these WHOIS contacts are some customer's already.
    pub async fn claimed_contacts(
        &self,
        handles: &[ContactHandle],
    ) -> Result<HashSet<ContactHandle>, DbError> {
        let handles: Vec<String> = handles.iter().map(|handle| handle.0.clone()).collect();
        let claimed = self
            .call("looking for WHOIS contacts", async |connection| {
                sqlx::query_scalar!(
                    "SELECT handle FROM provisor.contacts WHERE handle = ANY ($1)",
                    &handles
                )
                .fetch_all(connection)
                .await
            })
            .await?;
        Ok(claimed.into_iter().map(ContactHandle).collect())
    }
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn lines_of(document: &Value) -> impl Iterator<Item = &Value> {
    document.get("lines").and_then(Value::as_array).into_iter().flatten()
}

/// The line's name in its one spelling, as other lines bear it; empty where it has none.
fn domain_of(line: &Value) -> String {
    let written = text(line, "domain").unwrap_or_default();
    DomainName::parse(&written)
        .map_or_else(|_| written.to_ascii_lowercase(), |name| name.as_str().to_owned())
}

fn into_facts(
    line: i32,
    reference: &str,
    customer: &Value,
    row: Row,
    domain: String,
    now: DateTime<Utc>,
) -> Result<Facts, DbError> {
    let kind: LineKind = row.kind.parse()?;
    let wish = Wish::parse(kind, &row.wish).map_err(|error| error.to_string());
    let registrant = match &wish {
        Ok(Wish::CreateContact(registrant)) => Some(registrant.clone()),
        Ok(Wish::Register(name) | Wish::Transfer(name)) if name.contact_handle.is_none() => {
            Registrant::of_customer(customer)
        }
        Ok(_) | Err(_) => None,
    };
    let auto_renew_wished = row.wish.get("auto_renew").and_then(Value::as_bool);
    let is_allowed = row.wish.get("allow_premium").and_then(Value::as_bool);
    let domain = (!domain.is_empty()).then_some(domain);
    Ok(Facts {
        reference: Reference(reference.to_owned()),
        line,
        kind,
        wish,
        cost_limit: text(&row.wish, "max_cost").and_then(|limit| Money::from_str(&limit).ok()),
        progress: Progress::new(LineStatus::Pending, domain),
        allow_premium: is_allowed.unwrap_or(false),
        placements: Vec::new(),
        lines: Vec::new(),
        name: NameFacts { rival: row.rival, auto_renew_wished, registrant, ..NameFacts::default() },
        submitted_at: now,
        is_older_than_restore: false,
        now,
    })
}

/// The wish for renewal is the name's: a line of the order that changes it has the last word from the order's submission on.
fn wish_renewals(lines: &mut [Facts]) {
    let changes: Vec<(Option<String>, bool)> = lines
        .iter()
        .filter(|line| line.kind == LineKind::DomainUpdate)
        .filter_map(|line| Some((line.progress.domain.clone(), line.name.auto_renew_wished?)))
        .collect();
    for (domain, wished) in changes {
        for line in lines.iter_mut().filter(|line| line.progress.domain == domain) {
            line.name.auto_renew_wished = Some(wished);
        }
    }
}
