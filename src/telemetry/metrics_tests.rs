//! The text that Prometheus reads, line by line.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const KNOWN: KnownLabels<'static> = KnownLabels {
    job_kinds: &["hosting", "email"],
    lanes: &["place", "retry"],
    endpoints: &[
        ("ljpc", &["POST /api/v1/orders", "GET /api/v1/orders/{id}"]),
        ("leanstack", &["POST /v1/enterprise/add_customer"]),
    ],
    templates: &["order_completed", "ops_audit"],
    finding_kinds: &["site_missing", "line_stuck"],
};

/// The contract, section 5: name, type, labels, and how many series these labels make.
const CONTRACT: &[(&str, &str, &[&str], usize)] = &[
    ("provisor_build_info", "gauge", &["version"], 1),
    ("provisor_orders_total", "counter", &["status"], 4),
    ("provisor_lines", "gauge", &["status"], 5),
    ("provisor_order_duration_seconds", "histogram", &[], 1),
    ("provisor_pickup_seconds", "histogram", &[], 1),
    ("provisor_jobs_total", "counter", &["kind", "outcome"], 2 * 6),
    ("provisor_job_duration_seconds", "histogram", &["kind"], 2),
    ("provisor_queue_depth", "gauge", &["lane", "state"], 2 * 3),
    ("provisor_queue_oldest_due_seconds", "gauge", &["lane"], 2),
    ("provisor_upstream_requests_total", "counter", &["endpoint", "outcome", "provider"], 3 * 6),
    ("provisor_upstream_request_duration_seconds", "histogram", &["endpoint", "provider"], 3),
    ("provisor_upstream_circuit_open", "gauge", &["endpoint", "provider"], 3 + 2),
    ("provisor_emails_total", "counter", &["outcome", "template"], 2 * 4),
    ("provisor_outbox_oldest_seconds", "gauge", &[], 1),
    ("provisor_in_doubt_lines", "gauge", &[], 1),
    ("provisor_audit_findings", "gauge", &["kind", "severity"], 2 * 3),
    ("provisor_audit_last_success_timestamp_seconds", "gauge", &[], 1),
    ("provisor_ready", "gauge", &[], 1),
    ("provisor_purchases_held", "gauge", &[], 1),
];

fn metrics() -> Metrics {
    Metrics::new(&KNOWN, "1.2.3").unwrap()
}

/// Series and value, of every line that is no comment.
fn samples(metrics: &Metrics) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for line in metrics.encode().unwrap().lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let duplicate = found.insert(series.to_owned(), value.parse().unwrap());
        assert!(duplicate.is_none(), "{series} stands twice");
    }
    found
}

/// `name{a="x",b="y"}` taken apart.
fn parts(series: &str) -> (&str, Vec<(&str, &str)>) {
    let Some((name, labels)) = series.split_once('{') else { return (series, Vec::new()) };
    let labels = labels.strip_suffix("\"}").unwrap();
    let pairs = labels.split("\",").map(|pair| pair.split_once("=\"").unwrap()).collect();
    (name, pairs)
}

#[test]
fn names_types_and_labels_are_the_contracts() {
    let text = metrics().encode().unwrap();
    let types: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let helped: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# HELP ")?.split_once(' ')?.0))
        .collect();
    let contract: BTreeMap<&str, &str> =
        CONTRACT.iter().map(|(name, kind, _, _)| (*name, *kind)).collect();
    assert_eq!(types, contract);
    assert_eq!(helped, contract.keys().copied().collect());
}

#[test]
fn every_known_series_exists_from_the_start() {
    let samples = samples(&metrics());
    let mut of_contract = 0;
    for (name, kind, labels, count) in CONTRACT {
        let counted =
            if *kind == "histogram" { format!("{name}_count") } else { (*name).to_owned() };
        let series: Vec<_> =
            samples.keys().map(|series| parts(series)).filter(|(n, _)| *n == counted).collect();
        assert_eq!(series.len(), *count, "{name}");
        for (_, pairs) in &series {
            let names: Vec<&str> = pairs.iter().map(|(label, _)| *label).collect();
            assert_eq!(names, *labels, "{name}");
        }
        of_contract += series.len();
    }
    let histogram_parts = |series: &&String| {
        let (name, _) = parts(series);
        name.ends_with("_bucket") || name.ends_with("_sum")
    };
    assert_eq!(of_contract + samples.keys().filter(histogram_parts).count(), samples.len());
    for (series, value) in &samples {
        let expected = if series.starts_with("provisor_build_info") { "1" } else { "0" };
        assert_eq!(value.to_string(), expected, "{series}");
    }
    assert!(samples.contains_key("provisor_build_info{version=\"1.2.3\"}"));
    let whole = "provisor_upstream_circuit_open{endpoint=\"\",provider=\"ljpc\"}";
    assert!(samples.contains_key(whole));
}

/// What has changed since the start, without the buckets.
fn changed(metrics: &Metrics) -> Vec<(String, String)> {
    let before = samples(&self::metrics());
    let changed = samples(metrics).into_iter().filter(|(series, value)| {
        !series.contains("_bucket")
            && before.get(series).map(f64::to_string) != Some(value.to_string())
    });
    changed.map(|(series, value)| (series, value.to_string())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(series, value): &(&str, &str)| ((*series).to_owned(), (*value).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn what_happens_is_counted() {
    let metrics = metrics();
    let half = Duration::from_millis(500);
    metrics.order_ended("partial", half);
    metrics.order_picked_up(half);
    metrics.job_ended("email", "retry", half);
    metrics.job_ended("email", "retry", half);
    metrics.upstream_answered("ljpc", "POST /api/v1/orders", "in_doubt", half);
    metrics.email_ended("ops_audit", "sent");
    let endpoint = "endpoint=\"POST /api/v1/orders\"";
    let request =
        format!("provisor_upstream_request_duration_seconds_count{{{endpoint},provider=\"ljpc\"}}");
    let request_sum = request.replace("_count", "_sum");
    let answered = format!(
        "provisor_upstream_requests_total{{{endpoint},outcome=\"in_doubt\",provider=\"ljpc\"}}"
    );
    let expected = pairs(&[
        ("provisor_emails_total{outcome=\"sent\",template=\"ops_audit\"}", "1"),
        ("provisor_job_duration_seconds_count{kind=\"email\"}", "2"),
        ("provisor_job_duration_seconds_sum{kind=\"email\"}", "1"),
        ("provisor_jobs_total{kind=\"email\",outcome=\"retry\"}", "2"),
        ("provisor_order_duration_seconds_count", "1"),
        ("provisor_order_duration_seconds_sum", "0.5"),
        ("provisor_orders_total{status=\"partial\"}", "1"),
        ("provisor_pickup_seconds_count", "1"),
        ("provisor_pickup_seconds_sum", "0.5"),
        (&request, "1"),
        (&request_sum, "0.5"),
        (&answered, "1"),
    ]);
    assert_eq!(changed(&metrics), expected);
}

#[test]
fn gauges_tell_the_last_reading_and_nothing_older() {
    let metrics = metrics();
    metrics.replace_lines([("held", 3), ("pending", 1)]);
    metrics.replace_queue_depth([("place", "due", 7), ("place", "leased", 2)]);
    metrics.replace_queue_oldest_due([("retry", Duration::from_millis(2_500))]);
    metrics.replace_audit_findings([("line_stuck", "critical", 4)]);
    metrics.set_circuit_open("ljpc", None, true);
    metrics.set_circuit_open("leanstack", Some("POST /v1/enterprise/add_customer"), true);
    metrics.set_outbox_oldest(Duration::from_secs(9));
    metrics.set_in_doubt_lines(2);
    metrics.set_audit_last_success(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let circuit = "provisor_upstream_circuit_open{endpoint=\"POST /v1/enterprise/add_customer\",\
                   provider=\"leanstack\"}";
    let expected = pairs(&[
        ("provisor_audit_findings{kind=\"line_stuck\",severity=\"critical\"}", "4"),
        ("provisor_audit_last_success_timestamp_seconds", "1800000000"),
        ("provisor_in_doubt_lines", "2"),
        ("provisor_lines{status=\"held\"}", "3"),
        ("provisor_lines{status=\"pending\"}", "1"),
        ("provisor_outbox_oldest_seconds", "9"),
        ("provisor_queue_depth{lane=\"place\",state=\"due\"}", "7"),
        ("provisor_queue_depth{lane=\"place\",state=\"leased\"}", "2"),
        ("provisor_queue_oldest_due_seconds{lane=\"retry\"}", "2.5"),
        ("provisor_upstream_circuit_open{endpoint=\"\",provider=\"ljpc\"}", "1"),
        (circuit, "1"),
    ]);
    assert_eq!(changed(&metrics), expected);

    metrics.replace_lines([]);
    metrics.replace_queue_depth([]);
    metrics.replace_queue_oldest_due([]);
    metrics.replace_audit_findings([]);
    metrics.set_circuit_open("ljpc", None, false);
    metrics.set_circuit_open("leanstack", Some("POST /v1/enterprise/add_customer"), false);
    metrics.set_outbox_oldest(Duration::ZERO);
    metrics.set_in_doubt_lines(0);
    metrics.set_audit_last_success(DateTime::UNIX_EPOCH);
    assert_eq!(changed(&metrics), pairs(&[]));
}

#[test]
fn strangers_make_one_series_however_many_they_are() {
    let metrics = metrics();
    for stranger in 0..1_000 {
        let path = format!("GET /api/v1/orders/{stranger}");
        metrics.job_ended(&path, "ok", Duration::ZERO);
        metrics.upstream_answered("ljpc", &path, "ok", Duration::ZERO);
        metrics.replace_queue_oldest_due([(path.as_str(), Duration::from_secs(5))]);
    }
    let request = "endpoint=\"other\",provider=\"ljpc\"}";
    let expected = pairs(&[
        ("provisor_job_duration_seconds_count{kind=\"other\"}", "1000"),
        ("provisor_job_duration_seconds_sum{kind=\"other\"}", "0"),
        ("provisor_jobs_total{kind=\"other\",outcome=\"ok\"}", "1000"),
        ("provisor_queue_oldest_due_seconds{lane=\"other\"}", "5"),
        (&format!("provisor_upstream_request_duration_seconds_count{{{request}"), "1000"),
        (&format!("provisor_upstream_request_duration_seconds_sum{{{request}"), "0"),
        (
            "provisor_upstream_requests_total{endpoint=\"other\",outcome=\"ok\",provider=\"ljpc\"}",
            "1000",
        ),
    ]);
    assert_eq!(changed(&metrics), expected);
    // Once they are gone, so is what was told of them.
    metrics.replace_queue_oldest_due([]);
    assert!(
        changed(&metrics)
            .contains(&("provisor_queue_oldest_due_seconds{lane=\"other\"}".into(), "0".into()))
    );
}

#[test]
fn buckets_rise_and_fit_what_they_measure() {
    for bounds in [ORDER_SECONDS, PICKUP_SECONDS, JOB_SECONDS, REQUEST_SECONDS] {
        assert!(bounds.is_sorted_by(|a, b| a < b));
    }
    let metrics = metrics();
    metrics.order_picked_up(Duration::from_micros(400));
    let first = "provisor_pickup_seconds_bucket{le=\"0.0005\"}";
    assert_eq!(samples(&metrics)[first].to_string(), "1");
}
