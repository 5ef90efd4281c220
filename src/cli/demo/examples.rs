//! The orders of the demo, and what the sandbox must hold and do for them.

use serde_json::json;

use crate::sandbox::Sandbox;

/// One example order.
pub(super) struct Example {
    /// As a shop submits it.
    pub(super) document: &'static str,
    /// The status that it shall reach.
    pub(super) ends: &'static str,
}

macro_rules! example {
    ($file:literal, $ends:literal) => {
        Example { document: include_str!(concat!("../../../examples/orders/", $file)), ends: $ends }
    };
}

/// All of them: each kind of line, and each way for an order to end but by a person.
pub(super) const EXAMPLES: &[Example] = &[
    example!("01-hosting.json", "completed"),
    example!("02-three-packages.json", "completed"),
    example!("03-own-space.json", "completed"),
    example!("04-refused.json", "partial"),
    example!("05-too-dear.json", "attention"),
    example!("06-in-doubt.json", "attention"),
    example!("07-register.json", "completed"),
    example!("08-register-by-order.json", "completed"),
    example!("09-transfer.json", "completed"),
    example!("10-update.json", "completed"),
    example!("11-dns.json", "completed"),
    example!("12-all-together.json", "completed"),
    example!("13-taken.json", "failed"),
    example!("14-premium.json", "attention"),
];

/// The order whose answer the sandbox loses: it must become in doubt, and never be sent again.
pub(super) const DOUBTFUL: &str = "DEMO-1006";

/// Makes the sandbox ready: one answer will be lost, and the names that are to be changed are there.
pub(super) fn prepare(sandbox: &Sandbox) -> anyhow::Result<()> {
    let state = sandbox.state();
    state.add_fault(&json!({
        "endpoint": "POST /api/v1/orders",
        "fault": "process_then_drop",
        "match": { "reference": DOUBTFUL },
    }))?;
    for ours in ["example.de", "example.be"] {
        state.put_domain(&json!({ "domain": ours }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use serde_json::Value;

    use super::*;

    fn documents() -> Vec<Value> {
        EXAMPLES.iter().map(|example| serde_json::from_str(example.document).unwrap()).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_submitted_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/orders");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        let submitted: BTreeSet<String> =
            EXAMPLES.iter().map(|example| example.document.to_owned()).collect();
        assert_eq!(submitted, files);
        assert_eq!(submitted.len(), EXAMPLES.len());
    }

    #[test]
    fn every_kind_of_line_is_shown() {
        let documents = documents();
        let lines = documents.iter().flat_map(|order| order["lines"].as_array().unwrap());
        let kinds: BTreeSet<&str> = lines.map(|line| line["kind"].as_str().unwrap()).collect();
        let all = [
            "dns",
            "domain_register",
            "domain_transfer",
            "domain_update",
            "hosting",
            "hosting_own",
        ];
        assert_eq!(kinds, BTreeSet::from(all));
    }
}
