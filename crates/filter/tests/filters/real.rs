//! Filters that sites run.

use postern_filter::Filter;
use postern_milter::{Actions, Change, Peer, Verdict};
use postern_testkit::milter::OpenDkim;

use crate::support::service;

#[tokio::test]
async fn opendkim_signs() {
    let opendkim = OpenDkim::start_signing("example.org");
    let (service, notices) = service(Filter::new("opendkim", opendkim.address().parse().unwrap()));
    let agreement = service.negotiate().await.unwrap();
    assert!(agreement.actions.has(Actions::ADD_HEADER));
    let macros = [
        ("j", "mx.example.org"),
        ("i", "q1"),
        ("{daemon_name}", "submission"),
    ];
    for _ in 0..2 {
        let mut session = service.session();
        let peer = Peer::Network([127, 0, 0, 1].into(), 4_711);
        session.connect("localhost", peer, &macros).await.unwrap();
        session.helo("client.example.org", &macros).await.unwrap();
        session.mail("<a@example.org>", &[], &macros).await.unwrap();
        session.rcpt("<b@example.net>", &[], true, &macros).await.unwrap();
        session.data(&macros).await.unwrap();
        for (name, value) in [
            ("From", " a@example.org"),
            ("To", " b@example.net"),
            ("Subject", "  folded\r\n\there"),
            ("Date", " Mon, 30 Nov 2026 12:00:00 +0000"),
            ("Message-ID", " <1@example.org>"),
        ] {
            session.header(name.as_bytes(), value.as_bytes()).await.unwrap();
        }
        session.eoh(&macros).await.unwrap();
        session.body(b"Hello.\r\n").await.unwrap();
        let end = session.end(&macros, &mut Vec::new()).await.unwrap();
        session.quit().await;
        assert!(
            matches!(end.verdict, Verdict::Accept | Verdict::Continue),
            "{:?}",
            end.verdict
        );
        let signature = end.changes.iter().find_map(|change| match change {
            Change::InsertField { index, name, value } if name == "DKIM-Signature" => Some((*index, value)),
            _ => None,
        });
        let (index, value) = signature.unwrap_or_else(|| panic!("{:?}", end.changes));
        let value = String::from_utf8_lossy(value);
        assert!(
            index <= 1 && value.contains("d=example.org; s=test;"),
            "{index} {value}"
        );
        assert!(
            value.contains("\r\n\t") && !value.replace("\r\n", "").contains(['\r', '\n']),
            "{value:?}"
        );
    }
    assert!(notices.lock().unwrap().is_empty(), "{notices:?}");
}
