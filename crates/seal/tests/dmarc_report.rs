//! Aggregate reports follow RFC 7489 appendix C: xmllint validates them against the schema.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use postern_seal::judge::report::{Policy, Report, Reporter, Row, Tally};
use postern_testkit::process::program;

fn row(source: &str, reason: Option<&str>, signatures: &[(&str, &str, &str)]) -> Row {
    let own = |text: &&str| (*text).to_owned();
    Row {
        source: source.parse().unwrap(),
        header_from: "site.example".to_owned(),
        envelope_from: "bounce.site.example".to_owned(),
        disposition: "quarantine".to_owned(),
        dkim_aligned: true,
        spf_aligned: false,
        reason: reason.map(str::to_owned),
        signatures: signatures
            .iter()
            .map(|(domain, selector, result)| (own(domain), own(selector), own(result)))
            .collect(),
        spf: (
            "bounce.site.example".to_owned(),
            "mfrom".to_owned(),
            "softfail".to_owned(),
        ),
    }
}

fn xml(rows: Vec<Row>, left_out: u64) -> String {
    let tally = Tally {
        day: 20_000,
        policy: Policy {
            domain: "site.example".to_owned(),
            strict_dkim: true,
            strict_spf: false,
            policy: "reject".to_owned(),
            below: "quarantine".to_owned(),
            percent: 50,
            failure_options: "1:d".to_owned(),
            reports: Vec::new(),
        },
        rows: rows.into_iter().zip(1_u64..).collect::<BTreeMap<_, _>>(),
        left_out,
    };
    let reporter = Reporter {
        organization: "Caird & Sons <\u{1}\"x\">".to_owned(),
        from: "reports@here.example".parse().unwrap(),
        receiver: "here.example".to_owned(),
    };
    let mut text = String::new();
    let report = Report::new(&tally, &reporter);
    GzDecoder::new(report.compressed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// What xmllint says about a report; nothing if it is valid.
fn faults(xml: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.xml");
    fs::write(&file, xml).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dmarc-report.xsd");
    let done = Command::new(program("/usr/bin/xmllint", "libxml2-utils"))
        .args(["--noout", "--nonet", "--schema"])
        .args([&schema, &file])
        .output()
        .unwrap();
    if done.status.success() {
        return String::new();
    }
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn reports_are_as_the_schema_has_them() {
    let all = [
        "none",
        "pass",
        "fail",
        "policy",
        "neutral",
        "temperror",
        "permerror",
    ];
    let signatures: Vec<_> = all
        .iter()
        .map(|result| ("site.example", "sel", *result))
        .collect();
    let rows = vec![
        row("192.0.2.1", None, &[]),
        row(
            "2001:db8::1",
            Some("trusted_forwarder"),
            &[("other.example", "", "pass")],
        ),
        row("192.0.2.2", Some("local_policy"), &signatures),
        row("192.0.2.3", Some("sampled_out"), &signatures[..1]),
    ];
    for left_out in [0, 7] {
        let text = xml(rows.clone(), left_out);
        assert_eq!(faults(&text), "", "{text}");
    }
    // The schema does reject wrong reports.
    let good = xml(rows, 0);
    for (from, to) in [
        ("<fo>1:d</fo>", ""),
        ("<pct>50</pct>", "<pct>-1</pct>"),
        ("<disposition>quarantine", "<disposition>mark"),
        ("<record>", "<error>x</error><record>"),
    ] {
        let broken = good.replacen(from, to, 1);
        assert!(broken != good && !faults(&broken).is_empty(), "{from}");
    }
}
