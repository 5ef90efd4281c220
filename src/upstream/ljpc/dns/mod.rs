//! /api/hosting/v1/dns/zones/{domain}/records: the records of an owned domain, of the types that are managed. Those of type
//! NS are neither shown nor touched.

mod replace;

use serde::{Deserialize, Serialize};

pub use replace::{ReplaceRecords, ReplacedRecords};

#[cfg(any(test, fuzzing))]
pub(super) use self::replace::read as read_replaced;
use super::{Ljpc, by_name::is_written, endpoints, envelope::payload, wire::lenient};
use crate::{
    order::{domain::Record, name::DomainName},
    upstream::{Answer, UpstreamError, answer::LISTING_BYTES_MAX},
};

/// A domain's zone.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Zone {
    /// Who manages it, as upstream says it: `manual`.
    pub source: Option<String>,
    /// All its managed records.
    pub records: Vec<Record>,
}

#[derive(Deserialize)]
struct Shown {
    zone: Named,
    records: Vec<Record>,
}

/// What a zone is known by.
#[derive(Deserialize)]
struct Named {
    domain: String,
    #[serde(default, deserialize_with = "lenient")]
    source: Option<String>,
}

impl Ljpc {
    /// A domain's zone; `None` if it has none yet, which counts as one without records (LJPc answers with 404 then).
    pub async fn zone(&self, domain: &DomainName) -> Result<Option<Zone>, UpstreamError> {
        let endpoint = &endpoints::GET_RECORDS;
        let read = |answer: &Answer| read(domain, answer);
        self.get(endpoint, &endpoint.path_of_name(domain), LISTING_BYTES_MAX, read).await
    }
}

/// One record that can't be read spoils the zone: whoever writes it back without that record deletes it.
pub(super) fn read(domain: &DomainName, answer: &Answer) -> Result<Option<Zone>, UpstreamError> {
    let payload = match payload(&endpoints::GET_RECORDS, answer) {
        Err(UpstreamError::Rejected { status: 404, .. }) => return Ok(None),
        other => other?,
    };
    let Shown { zone, records } = payload.parse()?;
    if !is_written(domain, &zone.domain) {
        return Err(payload.broken("the answer is about another zone"));
    }
    Ok(Some(Zone { source: zone.source, records }))
}
