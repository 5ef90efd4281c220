//! The zones that were written through the API.

use std::collections::HashMap;

use super::record::DnsRecord;
use crate::{order::name::DomainName, sandbox::ljpc::input::Refused};

/// All zones with `source` `manual`.
#[derive(Debug)]
pub(in crate::sandbox) struct Zones {
    written: HashMap<DomainName, Vec<DnsRecord>>,
    /// Records of all zones together; an empty zone weighs one.
    weight: usize,
    weight_max: usize,
}

impl Zones {
    pub(in crate::sandbox::ljpc) fn new(weight_max: usize) -> Self {
        Self { written: HashMap::new(), weight: 0, weight_max }
    }

    /// The records of a zone, if it was ever written.
    pub(in crate::sandbox) fn get(&self, name: &DomainName) -> Option<&[DnsRecord]> {
        self.written.get(name).map(Vec::as_slice)
    }

    /// Replaces all records of a zone; the first time makes it.
    pub(super) fn replace(
        &mut self,
        name: &DomainName,
        records: Vec<DnsRecord>,
    ) -> Result<(), Refused> {
        let before = self.written.get(name).map_or(0, |records| weight(records));
        let after = self.weight.saturating_sub(before).saturating_add(weight(&records));
        if after > self.weight_max {
            return Err(Refused::full("DNS records", self.weight_max));
        }
        self.weight = after;
        self.written.insert(name.clone(), records);
        Ok(())
    }
}

fn weight(records: &[DnsRecord]) -> usize {
    records.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_records_is_bounded_over_all_zones() {
        let record = DnsRecord {
            kind: "A".into(),
            name: "@".into(),
            content: "192.0.2.1".into(),
            ttl: 60,
            prio: None,
        };
        let name = |text: &str| DomainName::parse(text).unwrap();
        let mut zones = Zones::new(5);
        zones.replace(&name("a.nl"), vec![record.clone(); 4]).unwrap();
        zones.replace(&name("b.nl"), Vec::new()).unwrap();
        let refused = zones.replace(&name("b.nl"), vec![record.clone(); 2]).unwrap_err();
        assert_eq!(refused.status, http::StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(zones.get(&name("b.nl")).map(<[_]>::len), Some(0), "what was there stays");
        zones.replace(&name("a.nl"), vec![record.clone()]).unwrap();
        zones.replace(&name("b.nl"), vec![record; 4]).unwrap();
        assert!(zones.get(&name("c.nl")).is_none());
    }
}
