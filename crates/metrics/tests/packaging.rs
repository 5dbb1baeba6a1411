//! The dashboard and the alert rules only use metrics and labels from the contract.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;

use postern_metrics::{FAMILIES, Family, Kind};

fn read(name: &str) -> String {
    fs::read_to_string(format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// All series names in a text, each with the text in braces after it.
fn series(text: &str) -> Vec<(&str, &str)> {
    let is_name = |octet: char| octet.is_ascii_alphanumeric() || octet == '_';
    let mut found = Vec::new();
    for prefix in ["postern_", "process_"] {
        for (at, _) in text.match_indices(prefix) {
            if text[..at].ends_with(is_name) {
                continue;
            }
            let rest = &text[at..];
            let end = rest.find(|octet| !is_name(octet)).unwrap_or(rest.len());
            let matched = rest[end..]
                .strip_prefix('{')
                .and_then(|inner| inner.split('}').next());
            found.push((&rest[..end], matched.unwrap_or_default()));
        }
    }
    found
}

fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|family| match family.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|end| name.strip_suffix(end) == Some(family.name)),
        Kind::Counter | Kind::Gauge => name == family.name,
    })
}

#[test]
fn what_dashboard_and_rules_name_is_in_the_contract() {
    for file in [
        "packaging/grafana/postern.json",
        "packaging/prometheus/postern.rules.yml",
        "packaging/prometheus/postern.tests.yml",
    ] {
        let text = read(file).replace("\\\"", "\"");
        let found = series(&text);
        assert!(found.len() > 10, "{file}: {found:?}");
        for (name, matched) in found {
            let family = family(name).unwrap_or_else(|| panic!("{file}: there is no {name}"));
            for label in matched.split(',').filter(|part| !part.is_empty()) {
                let label = label.split(['=', '!']).next().unwrap();
                // Labels that Prometheus adds itself.
                let known = ["instance", "job", "le"].contains(&label)
                    || family.labels.iter().any(|known| known.name == label);
                assert!(known, "{file}: {name} has no label {label}");
            }
        }
    }
}

#[test]
fn the_dashboard_shows_all_that_is_counted_about_mail() {
    let text = read("packaging/grafana/postern.json");
    let shown: BTreeSet<&str> = series(&text)
        .into_iter()
        .filter_map(|(name, _)| Some(family(name)?.name))
        .collect();
    let not_shown: Vec<&str> = FAMILIES
        .iter()
        .map(|family| family.name)
        .filter(|name| !shown.contains(name))
        .collect();
    assert_eq!(
        not_shown,
        [
            "postern_recipients_accepted_total",
            "postern_messages_discarded_total",
            "postern_queue_recipients",
            "postern_token_expiry_timestamp_seconds",
            "process_open_fds",
            "process_max_fds",
        ]
    );
}

/// `cargo run -p postern -- metrics-reference > docs/metrics.md` fixes a failure.
#[test]
fn the_document_is_up_to_date() {
    assert!(
        read("docs/metrics.md") == postern_metrics::reference(),
        "docs/metrics.md is out of date: make it anew with `postern metrics-reference`"
    );
}
