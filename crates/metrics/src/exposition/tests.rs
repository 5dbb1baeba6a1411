//! From events to text.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use postern_events::{
    Accepted, Attempted, Committed, Connected, DirectoryAsked, FilterAsked, HandedOver, HopReached, LoggedIn,
    LoginRefused, Observers, Refused, TlsReached, TlsWanted, notice,
};
use postern_mail::FailureKind;
use postern_policy::Rule;

use crate::{ConfiguredNames, FAMILIES, Format, Kind, Metrics, Process, Snapshot};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn accepted(listener: &str) -> Accepted<'_> {
    Accepted {
        session: "1-1",
        queue: &"Q",
        listener,
        peer: PEER,
        login: Some("ann"),
        acts_as: None,
        rule: Rule::RelayLogin,
        reason: None,
        sender_rule: None,
        from: &"ann@example.org",
        recipients: 2,
        size: 1_000,
        message_id: None,
        milter: None,
        took: Some(Duration::from_millis(20)),
    }
}

fn refused(rule: Rule) -> Refused<'static> {
    Refused {
        session: None,
        listener: "mx",
        peer: PEER,
        login: None,
        acts_as: None,
        helo: "x",
        from: None,
        to: None,
        recipients: None,
        rule,
        milter: None,
        reply: None,
        reason: &"no",
    }
}

fn login_refused(rule: Rule) -> LoginRefused<'static> {
    LoginRefused {
        session: "1-1",
        listener: "mx",
        peer: Some(PEER),
        login: Some("ann"),
        mechanism: Some("PLAIN"),
        neighbour: None,
        rule,
        reply: &"535",
        reason: &"no",
    }
}

fn attempted(taken: Option<usize>, failure: FailureKind) -> Attempted<'static> {
    Attempted {
        queue: &"Q",
        session: None,
        destination: None,
        relay: &"host",
        proof: None,
        tls: None,
        recipients: 2,
        taken,
        status: None,
        failure: Some(failure),
        stage: None,
        reply: None,
        error: None,
    }
}

fn told() -> Arc<Metrics> {
    let metrics = Arc::new(Metrics::default());
    let observers = Observers::new(vec![Box::new(Arc::clone(&metrics))]);
    observers.tell(accepted("mx"));
    metrics.switch(true);
    metrics.expect(&ConfiguredNames {
        listeners: vec!["mx".into(), "submission".into()],
        directories: vec!["ldap 1".into()],
        milters: vec!["spam".into()],
    });
    observers.tell(Connected {
        session: "1-1",
        listener: "mx",
        peer: PEER,
    });
    observers.tell(accepted("mx"));
    observers.tell(accepted("unheard of"));
    observers.tell(refused(Rule::RelayDenied));
    observers.tell(login_refused(Rule::LoginDenied));
    observers.tell(login_refused(Rule::LoginDirectory));
    for directory in [Some("ldap 1"), None] {
        observers.tell(LoggedIn {
            session: "1-1",
            listener: "submission",
            peer: Some(PEER),
            login: "ann",
            acts_as: None,
            rule: None,
            mechanism: "EXTERNAL",
            directory,
            layer_bits: None,
            tls: None,
        });
    }
    observers.tell(DirectoryAsked {
        directory: "ldap 1",
        took: Duration::from_millis(3),
        failed: true,
    });
    observers.tell(FilterAsked {
        milter: "spam",
        stage: "content",
        took: Duration::from_millis(20),
        failed: false,
    });
    observers.tell(FilterAsked {
        milter: "spam",
        stage: "end",
        took: Duration::from_secs(70),
        failed: false,
    });
    observers.tell(HopReached {
        relay: &"host",
        tls_wanted: TlsWanted::Opportunistic,
        tls_reached: TlsReached::Encrypted,
        took: Duration::from_millis(30),
    });
    for taken in [2, 1] {
        observers.tell(HandedOver {
            queue: &"Q",
            session: None,
            relay: &"host",
            recipients: 2,
            taken,
            took: Duration::from_millis(30),
        });
    }
    observers.tell(attempted(Some(1), FailureKind::Refused));
    observers.tell(attempted(None, FailureKind::Unreachable));
    observers.tell(Committed {
        messages: 1,
        took: Duration::from_micros(200),
        error: None,
    });
    notice!(observers, Spool Error "disk full");
    metrics
}

/// The values in the text by name and labels.
fn values(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name, value.parse().unwrap())
        })
        .collect()
}

#[test]
fn what_is_told_is_counted_once_and_under_its_names() {
    let text = told().text(Snapshot::default(), Format::OpenMetrics);
    let values = values(&text);
    for (series, value) in [
        (r#"postern_connections_total{listener="mx"}"#, 1.0),
        (r#"postern_connections_total{listener="submission"}"#, 0.0),
        (
            r#"postern_messages_accepted_total{listener="mx",rule="relay.login"}"#,
            1.0,
        ),
        (
            r#"postern_messages_accepted_total{listener="other",rule="relay.login"}"#,
            1.0,
        ),
        (r#"postern_recipients_accepted_total{listener="mx"}"#, 2.0),
        (r#"postern_accepted_bytes_total{listener="mx"}"#, 1_000.0),
        (
            r#"postern_accept_duration_seconds_bucket{le="0.01",listener="mx"}"#,
            0.0,
        ),
        (
            r#"postern_accept_duration_seconds_bucket{le="0.025",listener="mx"}"#,
            1.0,
        ),
        (
            r#"postern_accept_duration_seconds_bucket{le="+Inf",listener="mx"}"#,
            1.0,
        ),
        (r#"postern_accept_duration_seconds_sum{listener="mx"}"#, 0.02),
        (
            r#"postern_refusals_total{listener="mx",rule="relay.denied"}"#,
            1.0,
        ),
        (
            r#"postern_refusals_total{listener="mx",rule="login.denied"}"#,
            1.0,
        ),
        (
            r#"postern_logins_total{mechanism="EXTERNAL",directory="ldap 1",outcome="accepted"}"#,
            1.0,
        ),
        (
            r#"postern_logins_total{mechanism="EXTERNAL",directory="none",outcome="accepted"}"#,
            1.0,
        ),
        (
            r#"postern_logins_total{mechanism="PLAIN",directory="none",outcome="refused"}"#,
            1.0,
        ),
        (
            r#"postern_logins_total{mechanism="PLAIN",directory="none",outcome="unavailable"}"#,
            1.0,
        ),
        (
            r#"postern_directory_questions_total{directory="ldap 1",result="failed"}"#,
            1.0,
        ),
        (
            r#"postern_milter_answer_duration_seconds_bucket{le="60.0",milter="spam",stage="end"}"#,
            0.0,
        ),
        (
            r#"postern_milter_answer_duration_seconds_count{milter="spam",stage="content"}"#,
            1.0,
        ),
        (
            r#"postern_milter_answer_duration_seconds_count{milter="spam",stage="end"}"#,
            1.0,
        ),
        (
            r#"postern_next_hop_connections_total{wanted="opportunistic",reached="encrypted"}"#,
            1.0,
        ),
        (r#"postern_attempts_total{outcome="taken",cause="none"}"#, 1.0),
        (r#"postern_attempts_total{outcome="partly",cause="refused"}"#, 1.0),
        (
            r#"postern_attempts_total{outcome="unreached",cause="unreachable"}"#,
            1.0,
        ),
        (r#"postern_sync_duration_seconds_count{result="done"}"#, 1.0),
        (r#"postern_events_total{area="spool",level="error"}"#, 1.0),
    ] {
        assert_eq!(values.get(series), Some(&value), "{series}\n{text}");
    }
    assert!(
        !text.contains("\"ann") && !text.contains("example.org"),
        "no login and no address: {text}"
    );
}

/// The text has the families of the contract, each once and with its type, and nothing else.
#[test]
fn the_text_is_what_the_contract_says() {
    let snapshot = Snapshot {
        process: Process::now(),
        certificates: vec![("mx.crt".into(), 1.8e9)],
        ..Snapshot::default()
    };
    let text = told().text(snapshot, Format::OpenMetrics);
    let types: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let contract: Vec<(&str, String)> = FAMILIES
        .iter()
        .map(|family| {
            let name = family.name.strip_suffix("_total").unwrap_or(family.name);
            (name, family.kind.to_string())
        })
        .collect();
    let mut expected: Vec<(&str, &str)> = contract.iter().map(|(name, kind)| (*name, &**kind)).collect();
    let mut found = types;
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let names = |suffix: &str| -> Vec<String> {
        let suffixes: &[&str] = match suffix {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        let of = FAMILIES
            .iter()
            .filter(|family| (family.kind == Kind::Histogram) == (suffix == "histogram"));
        of.flat_map(|family| suffixes.iter().map(move |end| format!("{}{end}", family.name)))
            .collect()
    };
    let known = [names("histogram"), names("other")].concat();
    for series in values(&text).keys() {
        let name = series.split('{').next().unwrap();
        assert!(known.iter().any(|known| known == name), "{series}");
    }
}

#[test]
fn who_does_not_ask_for_openmetrics_gets_the_older_format() {
    for (accept, format) in [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Prometheus),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5",
            Format::OpenMetrics,
        ),
    ] {
        assert_eq!(Format::for_accept(accept), format, "{accept}");
    }
    let text = told().text(Snapshot::default(), Format::Prometheus);
    assert!(
        text.contains("# TYPE postern_connections_total counter\n"),
        "{text}"
    );
    assert!(text.contains("# HELP postern_connections_total "), "{text}");
    assert!(text.contains("# TYPE postern_sessions gauge\n"), "{text}");
    assert!(!text.contains("EOF"), "{text}");
    let newer = told().text(Snapshot::default(), Format::OpenMetrics);
    assert_eq!(values(&text), values(&newer));
}
