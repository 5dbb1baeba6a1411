//! Real filters: opendkim, MIMEDefang.

use postern_testkit::milter::{MimeDefang, OpenDkim};

use super::support::{CONTENT, greeted, milter, send, start};
use crate::harness::Options;

#[test]
fn opendkim_signs() {
    let filter = OpenDkim::start_signing("a.example");
    let (server, notes) = start(Options::mx(), vec![milter("dkim", &filter.address())]);
    let mut client = greeted(&server);
    for body in ["body\r\n".to_owned(), "line\r\n".repeat(50_000)] {
        let content = CONTENT.replace("body\r\n", &body);
        let reply = send(&mut client, &content);
        let queued = server.message(&reply).1;
        let at = queued
            .find("DKIM-Signature: ")
            .unwrap_or_else(|| panic!("{:.1000}", queued));
        assert!(queued[at..].contains("d=a.example; s=test;"), "{queued:.1000}");
        assert!(queued.ends_with(&content), "the rest is as it was");
        assert!(
            notes.last("filtered ").contains("reason=dkim has added 1 field"),
            "{}",
            notes.last("filtered ")
        );
    }
}

/// A filter as sites write them: it adds a field and a recipient, drops programs, rejects and quarantines.
const MIMEDEFANG: &str = r#"
sub filter_begin {
    action_bounce('Not here', 554, '5.7.1') if $Subject =~ /unwanted/;
}
sub filter {
    my ($entity, $name, $extension, $type) = @_;
    return action_drop_with_warning('A program was taken out.') if $extension eq '.exe';
    return action_accept();
}
sub filter_end {
    my ($entity) = @_;
    action_add_header('X-Looked-At', "by $SendmailMacros{'j'} for $Sender");
    add_recipient('<extra@outside.example>') if $Subject =~ /copy/;
    action_sm_quarantine('looks odd') if $Subject =~ /odd/;
}
"#;

fn message(subject: &str) -> String {
    format!(
        "From: a@a.example\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--x\r\n\
         Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--x--\r\n"
    )
}

#[test]
fn mimedefang_adds_drops_rejects_and_quarantines() {
    let filter = MimeDefang::start(MIMEDEFANG);
    let mut settings = milter("defang", &filter.address());
    settings.filter.timeouts.command = std::time::Duration::from_secs(60);
    let (server, notes) = start(Options::mx(), vec![settings]);
    let mut client = greeted(&server);
    let reply = send(&mut client, &message("a copy"));
    let (queued, content) = server.message(&reply);
    assert!(
        content.contains("\r\nX-Looked-At: by challenger.example for <a@a.example>\r\n"),
        "{content}"
    );
    assert!(
        content.contains("A program was taken out.") && !content.contains("MZ"),
        "{content}"
    );
    assert!(content.contains("Hello."), "{content}");
    let to: Vec<String> = queued
        .envelope
        .recipients
        .iter()
        .map(|one| one.address.to_string())
        .collect();
    assert_eq!(to, ["acaird@challenger.example", "extra@outside.example"]);
    let reply = send(&mut client, &message("unwanted"));
    assert_eq!(reply, "554 5.7.1 Not here");
    let told = notes.last("refused ");
    assert!(
        told.contains("rule=milter.reject") && told.contains("reason=defang says 554 5.7.1 Not here"),
        "{told}"
    );
    assert!(send(&mut client, &message("odd")).starts_with("250 "));
    assert_eq!(server.spool.counts().held, 1);
}
