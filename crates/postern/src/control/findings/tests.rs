//! Tests.

use super::*;

fn well() -> Facts {
    Facts {
        state_dir: "/var/lib/postern".into(),
        sessions: 3,
        sessions_max: 100,
        disk_free: Some(50 << 30),
        directories: 2,
        certificates: vec![("mx.crt".into(), 60 * 86_400)],
        ..Facts::default()
    }
}

#[test]
fn each_fact_has_its_finding() {
    assert_eq!(judge(&well()), []);
    assert_eq!(verdict(&judge(&well())), Verdict::Ok);
    let filter = |on_failure| {
        vec![FailingMilter {
            name: "scan".into(),
            lasts: Duration::from_secs(65),
            reason: "gone".into(),
            on_failure,
        }]
    };
    let hook = |dropped| WebhookStatus {
        webhook: "alerts".into(),
        waiting: 3,
        dropped,
        failing: Some(postern_webhook::Failing {
            since: jiff::Timestamp::UNIX_EPOCH,
            failures: 4,
            reason: "status 500".into(),
        }),
        ..WebhookStatus::default()
    };
    let pair = |name: &str| vec![(name.to_owned(), "no answer".to_owned())];
    #[rustfmt::skip]
    let cases = [
        // what is the matter, how grave it is, what is said
        (Facts { no_mail: Some("the disk is full".into()), disk_free: Some(0), ..well() }, Verdict::Critical, "no mail is taken: the disk is full"),
        (Facts { disk_free: Some(1 << 29), ..well() },                  Verdict::Warning,  "512 MiB left"),
        (Facts { damaged: 1, ..well() },                                Verdict::Critical, "damaged and held: 1 message"),
        (Facts { old: 101, ..well() },                                  Verdict::Warning,  "101 messages are older than 4 hours"),
        (Facts { sessions: 100, ..well() },                             Verdict::Critical, "all 100 sessions"),
        (Facts { sessions: 80, ..well() },                              Verdict::Warning,  "80 of 100 sessions"),
        (Facts { down: pair("ldap"), ..well() },                        Verdict::Warning,  "the directory ldap does not answer: no answer"),
        (Facts { down: pair("ldap"), directories: 1, ..well() },        Verdict::Critical, "the directory ldap"),
        (Facts { providers: pair("https://id.example"), ..well() },     Verdict::Warning,  "https://id.example"),
        (Facts { certificates: vec![("a".into(), 0)], ..well() },       Verdict::Critical, "the certificate a has expired"),
        (Facts { certificates: vec![("a".into(), 86_400)], ..well() },  Verdict::Warning,  "the certificate a expires in"),
        (Facts { logins: pair("smart"), ..well() },                     Verdict::Critical, "the login smart fails"),
        (Facts { short: vec!["users".into()], ..well() },               Verdict::Warning,  "mail of users waits"),
        (Facts { on_hold: vec!["ann".into(), "bob".into()], ..well() }, Verdict::Warning,  "mail waits: ann and 1 more"),
        (Facts { lost_lines: 7, ..well() },                             Verdict::Warning,  "lost 7 lines"),
        (Facts { milters: filter(OnFailure::Tempfail), ..well() },      Verdict::Critical, "the filter scan has failed for 1m 5s, and mail is refused for now: gone"),
        (Facts { milters: filter(OnFailure::Reject), ..well() },        Verdict::Critical, "mail is refused: gone"),
        (Facts { milters: filter(OnFailure::Accept), ..well() },        Verdict::Warning,  "mail goes on without it: gone"),
        (Facts { milters: filter(OnFailure::Hold), ..well() },          Verdict::Warning,  "mail is held: gone"),
        (Facts { helper: Some("gone".into()), ..well() },               Verdict::Critical, "mail for users of this machine waits: gone"),
        (Facts { webhooks: vec![hook(0)], now: 65, ..well() },          Verdict::Warning,  "the webhook alerts has failed for 1m 5s: status 500; 3 events wait"),
        (Facts { webhooks: vec![hook(2)], now: 65, ..well() },          Verdict::Warning,  "3 events wait, 2 were dropped"),
    ];
    for (facts, grade, said) in cases {
        let found = judge(&facts);
        assert_eq!(found.len(), 1, "{said}: {found:?}");
        assert_eq!(found[0].verdict, grade, "{found:?}");
        assert!(found[0].problem.contains(said), "{said}: {found:?}");
        assert!(!found[0].remedy.is_empty());
        assert!((1..=60).contains(&found[0].brief.len()), "{found:?}");
    }
    for (facts, why) in [
        (Facts { old: 100, ..well() }, "the usual few"),
        (
            Facts {
                sessions: 79,
                ..well()
            },
            "room enough",
        ),
        (
            Facts {
                disk_free: None,
                ..well()
            },
            "the system does not say",
        ),
        (
            Facts {
                sessions_max: 0,
                ..well()
            },
            "no limit is known",
        ),
    ] {
        assert_eq!(judge(&facts), [], "{why}");
    }
}

#[test]
fn the_gravest_comes_first() {
    let facts = Facts {
        disk_free: Some(1),
        damaged: 2,
        lost_lines: 1,
        ..well()
    };
    let found = judge(&facts);
    let grades: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
    assert_eq!(grades, [Verdict::Critical, Verdict::Warning, Verdict::Warning]);
    assert_eq!(verdict(&found), Verdict::Critical);
}
