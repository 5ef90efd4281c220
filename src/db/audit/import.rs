//! Assets that were sold before Provisor came.

#![expect(
    clippy::as_conversions,
    reason = "sqlx's macros take the type of a nullable array by `as`"
)]

use serde_json::{Value, json};

use super::readings::{AssetKind, ListedAsset};
use crate::db::{Database, DbError, begin, operators::pauses::Deed};

/// An owner, as an order's customer (contract, "The order document"), with a reference.
#[derive(Clone)]
pub struct ImportedOwner(pub Value);

impl std::fmt::Debug for ImportedOwner {
    /// Personal data stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedOwner").finish_non_exhaustive()
    }
}

/// An asset that upstream shows, and whose it is.
#[derive(Clone, Debug)]
pub struct ImportedAsset {
    /// What it is.
    pub kind: AssetKind,
    /// As the listing shows it.
    pub listed: ListedAsset,
    /// Whose it is.
    pub owner: ImportedOwner,
    /// Whether it shall renew by itself; none: that is left as it is.
    pub auto_renew: Option<bool>,
}

/// What became of an asset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Importing {
    /// It is known from now on.
    Imported,
    /// It was this customer's already.
    Known,
    /// It is another customer's.
    Foreign,
}

impl Database {
    /// Which of these assets somebody is known to have, each with the reference of who has it.
    pub async fn owners_of(
        &self,
        kind: AssetKind,
        keys: &[String],
    ) -> Result<Vec<(String, Option<String>)>, DbError> {
        self.call("looking for owners", async |connection| {
            let rows = sqlx::query!(
                r#"SELECT d.domain AS "key!", c.reference
                   FROM provisor.domains d JOIN provisor.customers c ON c.id = d.customer_id
                   LEFT JOIN provisor.order_lines l ON l.id = d.line_id
                   WHERE $1 = 'domain' AND d.domain = ANY ($2)
                     AND coalesce(l.status NOT IN ('failed', 'cancelled'), true)
                   UNION ALL
                   SELECT lpad(s.site_id::text, 20, '0'), c.reference
                   FROM provisor.sites s JOIN provisor.customers c ON c.id = s.customer_id
                   WHERE $1 = 'site'
                     AND s.site_id = ANY (ARRAY (SELECT k::bigint FROM unnest($2::text[]) AS k WHERE $1 = 'site'))"#,
                kind.as_str(),
                keys,
            )
            .fetch_all(connection)
            .await?;
            Ok(rows.into_iter().map(|row| (row.key, row.reference)).collect())
        })
        .await
    }

    /// Nobody is known to have this asset any more: it is neither missed nor looked after, and nobody is reminded of it.
    /// `false`: nobody was known to have it. The timeline of what operators have done tells who said so, and why.
    pub async fn disown(
        &self,
        kind: AssetKind,
        key: &str,
        deed: Deed<'_>,
    ) -> Result<bool, DbError> {
        let subject = match kind {
            AssetKind::Domain => json!({ "domain": key }),
            AssetKind::Site => json!({ "site_id": key.trim_start_matches('0') }),
        };
        self.call("disowning an asset", async |connection| {
            let mut transaction = begin(connection).await?;
            let disowned = match kind {
                AssetKind::Domain => sqlx::query!(
                    "UPDATE provisor.domains d
                     SET customer_id = NULL, auto_renew_wished = NULL, auto_renew_line_id = NULL, auto_renew_before = NULL,
                         transfer_lock_wished = NULL
                     WHERE d.domain = $1 AND d.customer_id IS NOT NULL
                       -- What a line still brings is its own.
                       AND NOT EXISTS (SELECT FROM provisor.order_lines l
                                       WHERE l.id = d.line_id AND l.status NOT IN ('completed', 'failed', 'cancelled'))",
                    key,
                ),
                AssetKind::Site => sqlx::query!(
                    "UPDATE provisor.sites SET customer_id = NULL
                     WHERE site_id = $1::text::bigint AND customer_id IS NOT NULL",
                    key,
                ),
            };
            let is_so = disowned.execute(&mut *transaction).await?.rows_affected() == 1;
            if is_so {
                deed.write(&mut transaction, "disowned", &subject).await?;
            }
            transaction.commit().await?;
            Ok(is_so)
        })
        .await
    }

    /// Takes assets over, all of them or none, and tells who did it. Without a deed it is only tried. Answers for each what
    /// became of it, or would.
    pub async fn import_assets(
        &self,
        assets: &[ImportedAsset],
        deed: Option<Deed<'_>>,
    ) -> Result<Vec<Importing>, DbError> {
        let kinds: Vec<String> = assets.iter().map(|it| it.kind.as_str().to_owned()).collect();
        let keys: Vec<String> = assets.iter().map(|it| it.listed.key.clone()).collect();
        let owners: Vec<Value> = assets.iter().map(|it| it.owner.0.clone()).collect();
        let seen: Vec<Value> = assets.iter().map(|it| to_seen(&it.listed)).collect();
        let wishes: Vec<Option<bool>> = assets.iter().map(|it| it.auto_renew).collect();
        let answers = self
            .call("importing assets", async |connection| {
                let mut transaction = begin(connection).await?;
                let answers = sqlx::query_scalar!(
                    r#"SELECT provisor.import_asset(a.kind, a.key, a.owner, a.seen, a.wished) AS "answer!"
                       FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::boolean[]) WITH ORDINALITY
                                AS a (kind, key, owner, seen, wished, n)
                       ORDER BY n"#,
                    &kinds,
                    &keys,
                    &owners,
                    &seen,
                    &wishes as &[Option<bool>],
                )
                .fetch_all(&mut *transaction)
                .await?;
                let Some(deed) = deed else {
                    transaction.rollback().await?;
                    return Ok(answers);
                };
                if let Some(told) = to_told(assets, &answers) {
                    deed.write(&mut transaction, "assets_imported", &told).await?;
                }
                transaction.commit().await?;
                Ok(answers)
            })
            .await?;
        let read = |answer: String| match answer.as_str() {
            "imported" => Importing::Imported,
            "known" => Importing::Known,
            _ => Importing::Foreign,
        };
        Ok(answers.into_iter().map(read).collect())
    }
}

/// What an import has changed, if anything: assets are taken over, and of those that were their owners' already the wish.
fn to_told(assets: &[ImportedAsset], answers: &[String]) -> Option<Value> {
    let count = |is_meant: &dyn Fn(&ImportedAsset, &str) -> bool| {
        assets.iter().zip(answers).filter(|(asset, answer)| is_meant(asset, answer)).count()
    };
    let of_kind = |kind| count(&|asset, answer| answer == "imported" && asset.kind == kind);
    let (domains, sites) = (of_kind(AssetKind::Domain), of_kind(AssetKind::Site));
    let wishes = count(&|asset, answer| answer != "foreign" && asset.auto_renew.is_some());
    let told = json!({ "domains": domains, "sites": sites, "auto_renew_wishes": wishes });
    (domains + sites + wishes > 0).then_some(told)
}

fn to_seen(listed: &ListedAsset) -> Value {
    serde_json::json!({
        "status": listed.status,
        "expires_at": listed.expires_at,
        "auto_renew": listed.auto_renew,
        "transfer_lock": listed.transfer_lock,
        "domain": listed.domain,
    })
}
