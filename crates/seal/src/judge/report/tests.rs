//! Gathering, saving and writing.

use std::io::Read as _;

use flate2::read::GzDecoder;
use postern_policy::authenticity::Action;

use super::*;
use crate::judge::dmarc::ReportUri;
use crate::judge::forge::judge;
use crate::judge::zone::{Zone, now};

const ZONE: &str = "_dmarc.site.example TXT v=DMARC1; p=reject; fo=1:d; rua=mailto:r@site.example!10k
    site.example TXT v=spf1 ip4:192.0.2.1 -all
    _dmarc.silent.example TXT v=DMARC1; p=reject";

fn gather(messages: &[(&str, &str, Action)]) -> Gathered {
    let zone = Zone::new(ZONE);
    let mut gathered = Gathered::default();
    for (from, client, action) in messages {
        let message = format!("From: a@{from}\r\nSubject: x\r\n\r\nHello\r\n");
        let judgement = judge(&zone, &message, client, &format!("a@{from}"));
        gathered.count(&judgement, client.parse().unwrap(), *action, false, 20_000);
    }
    gathered
}

fn reporter() -> Reporter {
    Reporter {
        organization: "Caird & Sons <x>".to_owned(),
        from: "reports@here.example".parse().unwrap(),
        receiver: "here.example".to_owned(),
    }
}

#[test]
fn messages_are_counted_together() {
    let mut gathered = gather(&[
        ("site.example", "192.0.2.1", Action::Nothing),
        ("site.example", "192.0.2.1", Action::Nothing),
        ("sub.site.example", "192.0.2.1", Action::Reject),
        ("site.example", "192.0.2.9", Action::Nothing),
        ("silent.example", "192.0.2.1", Action::Nothing),
        ("none.example", "192.0.2.1", Action::Nothing),
    ]);
    let kept = gathered.take_changed();
    assert_eq!(kept.len(), 1, "who wants no reports gets none");
    assert!(gathered.take_changed().is_empty());
    let text = serde_json::to_string(&kept[0]).unwrap();
    assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), kept[0]);
    assert!(gathered.take_ended(20_000, 10).is_empty(), "the day goes on");
    let ended = gathered.take_ended(20_001, 10);
    assert_eq!(ended, kept);
    assert!(gathered.take_ended(20_001, 10).is_empty());

    let rows: Vec<_> = ended[0]
        .rows
        .iter()
        .map(|(row, count)| {
            (
                row.source.to_string(),
                row.header_from.as_str(),
                row.disposition.as_str(),
                row.spf_aligned,
                row.reason.as_deref(),
                *count,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("192.0.2.1".to_owned(), "site.example", "none", true, None, 2),
            (
                "192.0.2.1".to_owned(),
                "sub.site.example",
                "reject",
                false,
                None,
                1
            ),
            (
                "192.0.2.9".to_owned(),
                "site.example",
                "none",
                false,
                Some("local_policy"),
                1
            ),
        ]
    );
}

#[test]
fn rows_are_bounded() {
    let zone = Zone::new(ZONE);
    let judgement = judge(&zone, "From: a@site.example\r\n\r\nx\r\n", "192.0.2.1", "");
    let mut gathered = Gathered::default();
    for n in 0..1_500_u32 {
        let peer = std::net::Ipv4Addr::from(0x0a00_0000 + n).into();
        gathered.count(&judgement, peer, Action::Nothing, false, 1);
    }
    let tally = gathered.take_changed().remove(0);
    assert_eq!((tally.rows.len(), tally.left_out), (1_000, 500));
    let report = Report::new(&tally, &reporter());
    assert!(report.compressed.len() < 64 << 10, "{}", report.compressed.len());
}

#[test]
fn what_is_sent() {
    let tally = gather(&[("site.example", "192.0.2.9", Action::Reject)])
        .take_changed()
        .remove(0);
    let report = Report::new(&tally, &reporter());
    let mut xml = String::new();
    GzDecoder::new(report.compressed.as_slice())
        .read_to_string(&mut xml)
        .unwrap();
    for part in [
        "<org_name>Caird &amp; Sons &lt;x&gt;</org_name>",
        "<begin>1728000000</begin><end>1728086399</end>",
        "<domain>site.example</domain><adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>reject</sp><pct>100</pct><fo>1:d</fo>",
        "<source_ip>192.0.2.9</source_ip><count>1</count>",
        "<disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf>",
        "<spf><domain>site.example</domain><scope>mfrom</scope><result>fail</result></spf>",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    assert_eq!(
        attachment_name(&tally, &reporter()),
        "here.example!site.example!1728000000!1728086399.xml.gz"
    );
    let text = message(
        &tally,
        &report,
        &reporter(),
        "r@site.example",
        "1@here.example",
        jiff::Timestamp::UNIX_EPOCH,
    );
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains(
            "Subject: Report Domain: site.example\r\n Submitter: here.example\r\n Report-ID: <20000."
        ),
        "{text}"
    );
    assert!(
        text.split("\r\n")
            .all(|line| line.len() < 200 && !line.contains('\n')),
        "{text}"
    );
}

#[test]
fn who_wants_reports_about_others() {
    let zone = Zone::new(
        "_dmarc.site.example TXT v=DMARC1; p=none
         site.example._report._dmarc.analyst.example TXT v=DMARC1
         site.example._report._dmarc.liar.example TXT yes
         site.example._report._dmarc.mover.example TXT v=DMARC1; rua=mailto:x@victim.example,mailto:in@mover.example!1m
         site.example._report._dmarc.thrower.example TXT v=DMARC1; rua=mailto:x@victim.example
         site.example._report._dmarc.busy.example TXT SERVFAIL",
    );
    let moved = ReportUri::parse("mailto:in@mover.example!1m").unwrap();
    for (to, want) in [
        ("site.example", Ok(Permission::Granted)),
        ("reports.site.example", Ok(Permission::Granted)),
        ("analyst.example", Ok(Permission::Granted)),
        ("victim.example", Ok(Permission::Refused)),
        ("liar.example", Ok(Permission::Refused)),
        // It may choose the address, but only within its own domain.
        ("mover.example", Ok(Permission::Instead(vec![moved]))),
        ("thrower.example", Ok(Permission::Granted)),
        (
            "busy.example",
            Err("the name server answers: SERVFAIL".to_owned()),
        ),
    ] {
        assert_eq!(now(may_receive(&zone, "site.example", to)), want, "{to}");
    }
}
