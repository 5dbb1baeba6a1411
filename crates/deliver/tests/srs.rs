//! Forwarded mail leaves with a rewritten sender that Mail::SRS can read, and senders made by Mail::SRS can be reversed here.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::process::Command;
use std::sync::Arc;

use common::{Bench, CONTENT, envelope, mailbox, put_from, to_ports};
use jiff::Timestamp;
use postern_mail::Envelope;
use postern_policy::DomainSet;
use postern_policy::srs::Srs;
use postern_spool::Origin;
use postern_testkit::sink::Sink;

const SECRET: &str = "a secret of this test";

fn srs() -> Srs {
    Srs {
        domain: "fwd.example".parse().unwrap(),
        secrets: vec![SECRET.into()],
        hash_length: 4,
        max_age_days: 21,
        own: DomainSet::new(["fwd.example", "own.example"]).unwrap(),
    }
}

/// The result of Mail::SRS for an address.
fn perl(method: &str, arguments: &[&str]) -> Result<String, String> {
    let program = format!(
        "use Mail::SRS; my $srs = Mail::SRS->new(Secret => shift @ARGV, MaxAge => 21, HashLength => 4); print $srs->{method}(@ARGV)"
    );
    let output = Command::new("perl")
        .args(["-e", &program, SECRET])
        .args(arguments)
        .output()
        .expect("perl does not start");
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    let errors = text(output.stderr);
    assert!(
        !errors.contains("Can't locate"),
        "install the Debian package libmail-srs-perl: {errors}"
    );
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(errors)
    }
}

/// A message for an alias with an outside target.
fn forwarded(from: &str) -> Envelope {
    let mut envelope = envelope(from, &["far@out.example"]);
    envelope.recipients[0].orcpt = Some("rfc822;list@own.example".to_owned());
    envelope
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_mail_has_a_sender_that_leads_back() {
    let sink = Sink::start();
    let mut settings = to_ports(&[sink.port()]);
    settings.srs = Some(Arc::new(srs()));
    let bench = Bench::start(settings);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                     origin            envelope                                        rewritten
        ("a stranger's, by an alias",              Origin::Stranger, forwarded("ann@away.example"),                  true),
        ("a name with a separator of SRS",         Origin::Stranger, forwarded("an=n+x@away.example"),               true),
        ("a gateway's, by an alias",               Origin::Smtp,     forwarded("ann@away.example"),                  true),
        ("a gateway's, to where it was told",      Origin::Smtp,     envelope("ann@away.example", &["b@out.example"]), false),
        ("our own user's, by an alias",            Origin::Smtp,     forwarded("user@own.example"),                  false),
        ("a stranger's to us",                     Origin::Stranger, envelope("ann@away.example", &["b@own.example"]), false),
        ("a report, by an alias",                  Origin::Stranger, forwarded(""),                                  false),
        ("what another has forwarded before",      Origin::Stranger, forwarded("SRS0=abcd=AA=away.example=ann@first.example"), true),
    ];
    for (shows, origin, envelope, rewritten) in cases {
        let from = envelope.sender.clone();
        let id = put_from(&bench.spool, origin, envelope, CONTENT.as_bytes()).await;
        bench.outcomes(id, 1).await;
        let taken = sink.taken().pop().unwrap();
        let sent = taken.mail.split(' ').next().unwrap();
        if !rewritten {
            assert_eq!(sent, from.to_string(), "{shows}");
            continue;
        }
        let sent = sent.trim_matches(['<', '>']);
        assert!(
            sent.starts_with("SRS") && sent.ends_with("@fwd.example"),
            "{shows}: {sent}"
        );
        let ours = srs().lead_back(&mailbox(sent), Timestamp::now()).unwrap();
        assert_eq!(perl("reverse", &[sent]), Ok(ours.to_string()), "{shows}: {sent}");
        assert_eq!(format!("<{ours}>"), from.to_string(), "{shows}");
        // The day may change between the two.
        let from = from.to_string();
        let theirs = || perl("forward", &[from.trim_matches(['<', '>']), "fwd.example"]).unwrap();
        let again = || {
            srs()
                .rewrite(&mailbox(from.trim_matches(['<', '>'])), Timestamp::now())
                .unwrap()
                .to_string()
        };
        assert!(
            theirs() == again() || theirs() == again(),
            "{shows}: {} {}",
            theirs(),
            again()
        );
    }
    bench.stop().await;
}

/// One message for both: direct recipients see the original sender, targets of an alias the rewritten one.
#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_forwarded_to_sees_a_rewritten_sender() {
    let sink = Sink::start();
    let mut settings = to_ports(&[sink.port()]);
    settings.srs = Some(Arc::new(srs()));
    settings.limits.recipients_per_transaction = 2;
    let bench = Bench::start(settings);
    let to = [
        "a@out.example",
        "b@out.example",
        "c@out.example",
        "d@out.example",
        "e@out.example",
    ];
    let mut envelope = envelope("ann@away.example", &to);
    for forwarded in [1, 3] {
        envelope.recipients[forwarded].orcpt = Some("rfc822;list@own.example".to_owned());
    }
    let id = put_from(&bench.spool, Origin::Smtp, envelope, CONTENT.as_bytes()).await;
    let outcomes = bench.outcomes(id, to.len()).await;
    assert_eq!(outcomes.len(), to.len(), "each is delivered once: {outcomes:#?}");
    let mut seen: Vec<String> = Vec::new();
    for taken in sink.taken() {
        let from = taken.mail.split(' ').next().unwrap_or_default();
        for to in &taken.rcpt {
            let to = to.split(' ').next().unwrap_or_default();
            let from = if from.starts_with("<SRS0=") {
                "rewritten"
            } else {
                from
            };
            seen.push(format!("{to} from {from}"));
        }
    }
    seen.sort();
    let expected = [
        "<a@out.example> from <ann@away.example>",
        "<b@out.example> from rewritten",
        "<c@out.example> from <ann@away.example>",
        "<d@out.example> from rewritten",
        "<e@out.example> from <ann@away.example>",
    ];
    assert_eq!(seen, expected);
    bench.stop().await;
}

#[test]
fn what_the_other_refuses_is_refused_here() {
    let good = perl("forward", &["ann@away.example", "fwd.example"]).unwrap();
    let now = Timestamp::now();
    assert_eq!(
        srs().lead_back(&mailbox(&good), now),
        Ok(mailbox("ann@away.example"))
    );
    for (shows, bad) in [
        ("another user", good.replace("ann", "bob")),
        ("another host", good.replace("away", "far")),
        ("no hash", good.replacen(&good[5..9], "", 1)),
        ("parts missing", "SRS0=abcd=AA@fwd.example".to_owned()),
    ] {
        assert!(perl("reverse", &[&bad]).is_err(), "{shows}: {bad}");
        assert!(srs().lead_back(&mailbox(&bad), now).is_err(), "{shows}: {bad}");
    }
}
