//! The use of other domains is reported to them: DMARC aggregate reports.

use std::fs;
use std::process::Command;

use postern_testkit::process::program;
use postern_testkit::sink::Sink;
use postern_testkit::unbound::Unbound;

use crate::harness::Site;
use crate::judging::{ACTIONS, message, python};
use crate::signing::{judged, make_keys};

/// Extracts the report from the message that it reads.
const UNPACK: &str = r#"
import sys, email, gzip
message = email.message_from_bytes(sys.stdin.buffer.read())
part = message.get_payload()[1]
assert part.get_content_type() == "application/gzip", part.get_content_type()
print(part.get_filename())
print(gzip.decompress(part.get_payload(decode=True)).decode())
"#;

#[test]
fn what_was_seen_is_reported_once_its_day_has_ended() {
    let unbound = Unbound::start(
        "_dmarc.strict.example TXT v=DMARC1; p=reject; rua=mailto:r@strict.example,mailto:r@analyst.example,mailto:r@victim.example
         strict.example._report._dmarc.analyst.example TXT v=DMARC1; rua=mailto:in@analyst.example
         _dmarc.small.example TXT v=DMARC1; p=none; rua=mailto:r@small.example!1",
    );
    let sink = Sink::start();
    let reports = "report_from = \"dmarc@relay.test\"\nreport_organization = \"Relay & Co\"\n[[dkim]]\ndomain = \"relay.test\"\n";
    let mut site = Site::relay(
        sink.port(),
        &format!("{}{ACTIONS}{reports}", unbound.configuration()),
    );
    let keys = make_keys(&site, &["relay.test"]);
    site.start();
    let mut client = site.client();
    client.say("EHLO client.example").unwrap();
    let reply = client
        .mail(
            "x@none.example",
            &["b@relay.test"],
            &message("a@small.example", "small"),
        )
        .unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    for _ in 0..2 {
        let reply = client
            .mail(
                "x@none.example",
                &["b@relay.test"],
                &message("a@strict.example", "forged"),
            )
            .unwrap();
        assert!(reply.starts_with("550 5.7.26"), "{reply}");
    }
    assert!(site.take_server().terminate().success());

    // Moved to an earlier day, as if tomorrow had come.
    let store = rusqlite::Connection::open(site.path("state/state.db")).unwrap();
    let changed = store
        .execute(
            "UPDATE record SET value = replace(value, '\"day\":2', '\"day\":1') WHERE space = 'dmarc-reports'",
            [],
        )
        .unwrap();
    assert_eq!(changed, 2);
    drop(store);
    site.start();
    // An analysis service may choose to which of its addresses they go.
    for to in ["r@strict.example", "in@analyst.example"] {
        let taken = sink.wait_for(&format!("To: {to}"));
        assert!(taken.mail.starts_with("<>"), "{taken:?}");
        assert!(taken.rcpt[0].contains("NOTIFY=NEVER"), "{taken:?}");
        let signatures = judged(&taken.content, &keys);
        assert_eq!(signatures.len(), 2, "{}", taken.content);
        assert!(signatures.iter().all(|one| one.holds), "{signatures:?}");
        let unpacked = String::from_utf8(python(UNPACK, &[], taken.content.as_bytes())).unwrap();
        assert!(
            unpacked.starts_with("mx.relay.test!strict.example!"),
            "{unpacked}"
        );
        for part in [
            "<org_name>Relay &amp; Co</org_name>",
            "<count>2</count>",
            "<disposition>reject</disposition>",
            "<source_ip>127.0.0.1</source_ip>",
        ] {
            assert!(unpacked.contains(part), "{part}: {unpacked}");
        }
        // A program with which receivers read reports.
        let (name, xml) = unpacked.split_once('\n').unwrap();
        let file = site.path(name.trim_end_matches(".gz"));
        fs::write(&file, xml).unwrap();
        let read = Command::new(program("/usr/bin/dmarc-cat", "dmarc-cat"))
            .args(["-N"])
            .arg(&file)
            .output()
            .unwrap();
        let read = String::from_utf8_lossy(&read.stdout).into_owned();
        for part in [
            "Reporting by: Relay & Co",
            "Domain: strict.example",
            "p=reject",
            "127.0.0.1",
        ] {
            assert!(read.contains(part), "{part}: {read}");
        }
    }
    site.wait_for_log(&["report of DMARC not sent", "to=r@small.example", "larger"]);
    site.wait_for_log(&["report of DMARC not sent", "to=r@victim.example"]);
    assert!(
        sink.taken()
            .iter()
            .all(|taken| !taken.rcpt[0].contains("victim") && !taken.rcpt[0].contains("r@analyst"))
    );
}
