//! The account's sites as LJPc lists them, and what is looked for among them and among the order ids.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::db::{Database, DbError, micros};
use crate::order::{LineId, SiteId, doubt::probe::Probe, effect::EffectStep, facts::SitesReading};

/// A site of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedSite {
    /// Its id.
    pub id: SiteId,
    /// Its name, in A-labels; as LJPc writes it where it is no name.
    pub domain: Option<String>,
}

/// What the kept listing says of an order in doubt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SitesSeen {
    /// As it is decided by.
    pub reading: SitesReading,
    /// How many sites the last listing shows.
    pub listed: i64,
    /// It is older than was asked for.
    pub is_stale: bool,
}

impl Database {
    /// The database's time.
    pub async fn time(&self) -> Result<DateTime<Utc>, DbError> {
        self.call("reading the time", async |connection| {
            sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await
        })
        .await
    }

    /// Keeps a whole listing that was begun at `begun_at`, by the database's time. A site that is gone stays known, so that
    /// one that comes back is not called new.
    pub async fn keep_listing(
        &self,
        begun_at: DateTime<Utc>,
        sites: &[ListedSite],
    ) -> Result<(), DbError> {
        let ids: Vec<i64> = sites.iter().map(|site| site.id.0).collect();
        let domains: Vec<String> =
            sites.iter().map(|site| site.domain.clone().unwrap_or_default()).collect();
        self.call("keeping the list of sites", async |connection| {
            sqlx::query!(
                "WITH kept AS (
                     INSERT INTO provisor.listed_sites AS known (site_id, domain, first_at, last_at)
                     SELECT s.id, nullif(s.domain, ''), $3, $3
                     FROM unnest($1::bigint[], $2::text[]) AS s (id, domain) ORDER BY s.id
                     ON CONFLICT (site_id) DO UPDATE
                     SET domain = excluded.domain, first_at = least(known.first_at, excluded.first_at),
                         last_at = greatest(known.last_at, excluded.last_at)),
                 old AS (
                     DELETE FROM provisor.site_listings
                     WHERE ended_at < clock_timestamp() - interval '60 days')
                 INSERT INTO provisor.site_listings (begun_at, ended_at, sites) VALUES ($3, clock_timestamp(), $4)
                 ON CONFLICT DO NOTHING",
                &ids,
                &domains,
                begun_at,
                i64::try_from(ids.len()).unwrap_or(i64::MAX),
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// When a site was first seen in a listing, where it was.
    pub async fn site_first_listed_at(
        &self,
        site: SiteId,
    ) -> Result<Option<DateTime<Utc>>, DbError> {
        self.call("looking for a site's first listing", async |connection| {
            sqlx::query_scalar!(
                "SELECT first_at FROM provisor.listed_sites WHERE site_id = $1",
                site.0
            )
            .fetch_optional(connection)
            .await
        })
        .await
    }

    /// The sites for a line's name that no listing older than its intent shows, that the last one does, and that no line
    /// holds. There must be a listing from shortly before the intent, by the schedule of listings: else a site that somebody
    /// made by hand would do.
    pub async fn new_sites(
        &self,
        (line, n): (LineId, i32),
        domain: &str,
        intended_at: DateTime<Utc>,
        age_max: Duration,
    ) -> Result<SitesSeen, DbError> {
        let row = self
            .call("looking for a new site", async |connection| {
                sqlx::query!(
                    r#"WITH last AS (SELECT max(begun_at) AS at, max(ended_at - begun_at) AS took, max(sites) AS sites
                                     FROM (SELECT * FROM provisor.site_listings ORDER BY begun_at DESC LIMIT 1) l)
                       SELECT last.at AS listed_at,
                              EXISTS (SELECT FROM provisor.site_listings
                                      WHERE ended_at BETWEEN $3::timestamptz - interval '3 hours' AND $3)
                                  AS "was_listed_before!",
                              coalesce(last.at < clock_timestamp() - greatest(20 * last.took,
                                           $4::bigint * interval '1 microsecond'), true) AS "is_stale!",
                              coalesce(last.sites, 0) AS "listed!",
                              -- One that has ended long ago, without a site, brings none any more.
                              EXISTS (SELECT FROM provisor.effects e JOIN provisor.order_lines l ON l.id = e.line_id
                                      WHERE e.domain = $2 AND e.claims_site AND e.site_id IS NULL
                                        AND (e.line_id <> $1 OR e.n <> $5)
                                        AND e.state NOT IN ('rejected', 'not_sent')
                                        AND (l.status NOT IN ('completed', 'failed', 'cancelled')
                                             OR e.intended_at > $3::timestamptz - interval '30 days'))
                                  AS "others_wait!",
                              ARRAY (SELECT s.site_id FROM provisor.listed_sites s
                                     WHERE s.domain = $2 AND s.first_at > $3 AND s.last_at = last.at
                                       AND NOT EXISTS (SELECT FROM provisor.effects e WHERE e.site_id = s.site_id)
                                       AND NOT EXISTS (SELECT FROM provisor.sites t
                                                       WHERE t.site_id = s.site_id AND t.line_id IS NOT NULL)
                                     ORDER BY s.site_id LIMIT 10) AS "sites!"
                       FROM last"#,
                    line.0,
                    domain,
                    intended_at,
                    micros(age_max),
                    n,
                )
                .fetch_one(connection)
                .await
            })
            .await?;
        let reading = match row.listed_at.filter(|_| row.was_listed_before) {
            Some(listed_at) => {
                let sites = row.sites.into_iter().map(SiteId).collect();
                SitesReading::New { sites, others_wait: row.others_wait, listed_at }
            }
            None => SitesReading::NothingBefore,
        };
        Ok(SitesSeen { reading, listed: row.listed, is_stale: row.is_stale })
    }

    /// Keeps how far an order was looked for by its number, unless its placement has been sent anew since.
    pub async fn keep_probe(
        &self,
        line: LineId,
        (n, intended_at): (i32, DateTime<Utc>),
        probe: &Probe,
    ) -> Result<(), DbError> {
        let stored = serde_json::to_value(probe).unwrap_or_default();
        self.call("keeping how far ids were read", async |connection| {
            sqlx::query!(
                "UPDATE provisor.effects SET probe = $4
                 WHERE line_id = $1 AND step = $2 AND n = $3 AND intended_at = $5",
                line.0,
                EffectStep::PlaceOrder.as_str(),
                n,
                stored,
                intended_at,
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }

    /// Notes what was looked at for a placement in doubt, and what was seen there: with the last time and how often.
    pub async fn note_look(
        &self,
        line: LineId,
        (step, n, intended_at): (EffectStep, i32, DateTime<Utc>),
        at: &str,
        seen: &str,
    ) -> Result<(), DbError> {
        self.call("noting what was looked at", async |connection| {
            sqlx::query!(
                "UPDATE provisor.effects
                 SET looks = looks || jsonb_build_object($4::text, jsonb_build_object(
                         'at', clock_timestamp(), 'seen', $5::text,
                         'times', coalesce((looks -> $4::text ->> 'times')::integer, 0) + 1))
                 WHERE line_id = $1 AND step = $2 AND n = $3 AND intended_at = $6",
                line.0,
                step.as_str(),
                n,
                at,
                seen,
                intended_at,
            )
            .execute(connection)
            .await
        })
        .await
        .map(drop)
    }
}
