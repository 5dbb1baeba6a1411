//! Lines as real servers wrote them, with the names replaced.

use super::*;

fn read(text: &str) -> (HashMap<Decision, Seen>, HashMap<Left, u64>) {
    let mut reader = Reader::new();
    reader.file("mail.log");
    text.lines().for_each(|line| reader.line(line));
    let (decisions, left, _) = reader.finish();
    (decisions, left)
}

/// One line per decision, in order.
fn shown(decisions: &HashMap<Decision, Seen>) -> Vec<String> {
    let mut lines: Vec<String> = decisions
        .iter()
        .map(|(it, seen)| {
            let outcome = match &it.outcome {
                Outcome::Taken => "taken".to_owned(),
                Outcome::Refused(code, words) => format!("{code} {words}"),
            };
            let login = it.login.as_deref().unwrap_or("-");
            format!(
                "{}x {} {} {login} <{}> <{}> {outcome}",
                seen.count, it.client, it.service, it.sender, it.recipient
            )
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn postfix() {
    let text = "\
Dec  1 09:00:01 mx1 postfix/smtpd[101]: connect from mail.elsewhere.example[198.51.100.77]
Dec  1 09:00:01 mx1 postfix/smtpd[101]: 4C1A92001B: client=mail.elsewhere.example[198.51.100.77]
Dec  1 09:00:01 mx1 postfix/cleanup[102]: 4C1A92001B: message-id=<1@elsewhere.example>
Dec  1 09:00:01 mx1 postfix/qmgr[7]: 4C1A92001B: from=<joe@elsewhere.example>, size=412, nrcpt=2 (queue active)
Dec  1 09:00:02 mx1 postfix/smtp[103]: 4C1A92001B: to=<helpdesk@calderon.example>, orig_to=<support@calderon.example>, relay=10.2.0.10[10.2.0.10]:25, delay=0.4, delays=0.1/0/0.1/0.2, dsn=2.0.0, status=sent (250 ok)
Dec  1 09:00:02 mx1 postfix/smtp[103]: 4C1A92001B: to=<vera@calderon.example>, relay=10.2.0.10[10.2.0.10]:25, delay=0.4, delays=0.1/0/0.1/0.2, dsn=4.0.0, status=deferred (451 later)
Dec  1 09:00:09 mx1 postfix/smtp[104]: 4C1A92001B: to=<vera@calderon.example>, relay=10.2.0.10[10.2.0.10]:25, delay=7, delays=0.1/0/0.1/0.2, dsn=2.0.0, status=sent (250 ok)
Dec  1 09:00:09 mx1 postfix/qmgr[7]: 4C1A92001B: removed
2026-12-01T09:01:00.123456+00:00 mx1 postfix/smtpd[105]: NOQUEUE: reject: RCPT from unknown[198.51.100.66]: 554 5.7.1 <jane@elsewhere.example>: Relay access denied; from=<joe@elsewhere.example> to=<jane@elsewhere.example> proto=ESMTP helo=<mail.elsewhere.example>
2026-12-01T09:01:01.123456+00:00 mx1 postfix/smtpd[105]: NOQUEUE: reject: RCPT from unknown[198.51.100.66]: 554 5.7.1 <jane@elsewhere.example>: Relay access denied; from=<joe@elsewhere.example> to=<jane@elsewhere.example> proto=ESMTP helo=<mail.elsewhere.example>
Dec  1 09:02:00 mx1 postfix/postscreen[9]: NOQUEUE: reject: RCPT from [198.51.100.66]:40111: 550 5.7.1 Service unavailable; client [198.51.100.66] blocked using bl.lists.example; from=<>, to=<ines@riverside-astro.example>, proto=ESMTP, helo=<x>
Dec  1 09:03:00 mx1 postfix/submission/smtpd[110]: 4C1A92001C: client=home[203.0.113.5], sasl_method=PLAIN, sasl_username=rosa@garden-club.example
Dec  1 09:03:00 mx1 postfix/qmgr[7]: 4C1A92001C: from=<rosa@garden-club.example>, size=412, nrcpt=1 (queue active)
Dec  1 09:03:00 mx1 postfix/smtp[103]: 4C1A92001C: to=<joe@elsewhere.example>, relay=mx.elsewhere.example[198.51.100.77]:25, delay=0.4, delays=0.1/0/0.1/0.2, dsn=2.0.0, status=sent (250 ok)
Dec  1 09:03:05 mx1 postfix/submission/smtpd[110]: NOQUEUE: reject: RCPT from home[203.0.113.5]: 553 5.7.1 <hugo@garden-club.example>: Sender address rejected: not owned by user rosa@garden-club.example; from=<hugo@garden-club.example> to=<joe@elsewhere.example> proto=ESMTP helo=<home>
Dec  1 09:04:00 mx1 postfix/pickup[8]: 4C1A92001D: uid=0 from=<root>
Dec  1 09:04:00 mx1 postfix/qmgr[7]: 4C1A92001D: from=<root@mx1.calderon.example>, size=412, nrcpt=1 (queue active)
Dec  1 09:04:00 mx1 postfix/local[103]: 4C1A92001D: to=<root@mx1.calderon.example>, relay=local, delay=0.4, delays=0.1/0/0.1/0.2, dsn=2.0.0, status=sent (delivered to mailbox)
Dec  1 09:04:00 mx1 postfix/qmgr[7]: 4C1A92001D: removed
Dec  1 09:05:00 mx1 postfix/smtpd[105]: 4C1A92001E: client=unknown[198.51.100.66]
Dec  1 09:05:00 mx1 postfix/cleanup[102]: 4C1A92001E: reject: header Subject: cheap viagra from unknown[198.51.100.66]; from=<a@b.example> to=<vera@calderon.example> proto=ESMTP helo=<x>: 5.7.1 message content rejected
Dec  1 09:06:00 mx1 postfix/smtpd[105]: NOQUEUE: reject: CONNECT from unknown[198.51.100.66]: 554 5.7.1 <unknown[198.51.100.66]>: Client host rejected: Access denied; proto=SMTP
Dec  1 09:07:00 mx1 postfix/smtpd[105]: NOQUEUE: discard: RCPT from unknown[198.51.100.66]: <noreply@noisy.example>: Sender address triggers DISCARD action; from=<noreply@noisy.example> to=<vera@calderon.example> proto=ESMTP helo=<x>
Dec  1 09:08:00 mx1 CRON[5]: (root) CMD (true)
not a line of a log
";
    let (decisions, left) = read(text);
    let expected = [
        "1x 198.51.100.66   <> <ines@riverside-astro.example> 550 5.7.1 Service unavailable; client [198.51.100.66] blocked using bl.lists.example",
        "1x 198.51.100.66   <noreply@noisy.example> <vera@calderon.example> taken",
        "1x 198.51.100.77   <joe@elsewhere.example> <support@calderon.example> taken",
        "1x 198.51.100.77   <joe@elsewhere.example> <vera@calderon.example> taken",
        "1x 203.0.113.5 submission rosa@garden-club.example <hugo@garden-club.example> <joe@elsewhere.example> 553 5.7.1 <hugo@garden-club.example>: Sender address rejected: not owned by user rosa@garden-club.example",
        "1x 203.0.113.5 submission rosa@garden-club.example <rosa@garden-club.example> <joe@elsewhere.example> taken",
        "2x 198.51.100.66   <joe@elsewhere.example> <jane@elsewhere.example> 554 5.7.1 <jane@elsewhere.example>: Relay access denied",
    ];
    let shown: Vec<String> = shown(&decisions)
        .iter()
        .map(|line| line.replace("  - <", "   <"))
        .collect();
    assert_eq!(shown, expected);
    let mut left: Vec<(Left, u64)> = left.into_iter().collect();
    left.sort();
    assert_eq!(
        left,
        [(Left::Content, 1), (Left::NoRecipient, 1), (Left::Local, 1)]
    );
}

#[test]
fn sendmail() {
    let text = "\
Dec  1 09:00:00 gate sm-mta[201]: 5B1900Ab000201: from=<joe@elsewhere.example>, size=812, class=0, nrcpts=1, msgid=<1@elsewhere.example>, proto=ESMTP, daemon=MTA, relay=mail.elsewhere.example [198.51.100.77]
Dec  1 09:00:01 gate sm-mta[202]: 5B1900Ab000201: to=<ann@stellan.example>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30, relay=[10.4.3.1] [10.4.3.1], dsn=2.0.0, stat=Sent (ok)
Dec  1 09:01:00 gate sm-mta[203]: 5B1901Ab000203: ruleset=check_rcpt, arg1=<jane@elsewhere.example>, relay=mail.elsewhere.example [198.51.100.77], reject=550 5.7.1 <jane@elsewhere.example>... Relaying denied
Dec  1 09:01:00 gate sm-mta[203]: 5B1901Ab000203: from=<joe@elsewhere.example>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=mail.elsewhere.example [198.51.100.77]
Dec  1 09:02:00 gate sm-mta[204]: AUTH=server, relay=home [203.0.113.5], authid=ann, mech=PLAIN, bits=256
Dec  1 09:02:00 gate sm-mta[204]: 5B1902Ab000204: from=<ann@stellan.example>, size=812, class=0, nrcpts=2, msgid=<2@x>, proto=ESMTPA, daemon=MSA, relay=home [203.0.113.5]
Dec  1 09:02:01 gate sm-mta[205]: 5B1902Ab000204: to=<joe@elsewhere.example>,<jane@elsewhere.example>, delay=00:00:01, mailer=esmtp, pri=30, relay=mx [198.51.100.77], dsn=2.0.0, stat=Sent (ok)
Dec  1 09:03:00 gate sm-mta[206]: 5B1903Ab000206: <nobody@stellan.example>... User unknown
Dec  1 09:03:00 gate sm-mta[206]: 5B1903Ab000206: from=<joe@elsewhere.example>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=mail.elsewhere.example [198.51.100.77]
Dec  1 09:04:00 gate sm-mta[207]: ruleset=check_relay, arg1=bad, arg2=10.6.1.9, relay=bad [10.6.1.9], reject=550 5.7.1 Access denied
Dec  1 09:05:00 gate sm-mta[208]: 5B1905Ab000208: ruleset=check_mail, arg1=<x@nowhere.invalid>, relay=bad [198.51.100.66], reject=553 5.1.8 <x@nowhere.invalid>... Domain of sender address x@nowhere.invalid does not exist
Dec  1 09:06:00 gate sendmail[209]: 5B1906Ab000209: from=root, size=81, class=0, nrcpts=1, msgid=<3@x>, relay=root@localhost
Dec  1 09:06:00 gate sendmail[209]: 5B1906Ab000209: to=ann, ctladdr=root (0/0), delay=00:00:00, mailer=relay, pri=30, relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, stat=Sent (ok)
Dec  1 09:07:00 gate sm-mta[210]: 5B1907Ab000210: Milter: to=<ann@stellan.example>, reject=550 5.7.1 Command rejected
";
    let (decisions, left) = read(text);
    let expected = [
        "1x 198.51.100.77 MTA - <joe@elsewhere.example> <ann@stellan.example> taken",
        "1x 198.51.100.77 MTA - <joe@elsewhere.example> <jane@elsewhere.example> 550 5.7.1 <jane@elsewhere.example>... Relaying denied",
        "1x 198.51.100.77 MTA - <joe@elsewhere.example> <nobody@stellan.example> 550 User unknown",
        "1x 203.0.113.5 MSA ann <ann@stellan.example> <jane@elsewhere.example> taken",
        "1x 203.0.113.5 MSA ann <ann@stellan.example> <joe@elsewhere.example> taken",
    ];
    assert_eq!(shown(&decisions), expected);
    assert_eq!(left.get(&Left::Content), Some(&1));
    assert_eq!(left.get(&Left::NoRecipient), Some(&2));
    assert_eq!(left.get(&Left::Local), Some(&1));
}

/// Logs that Postfix 3.7 and sendmail 8.17 wrote for the same kinds of sessions.
#[test]
fn what_real_servers_wrote() {
    let (decisions, left) = read(include_str!("../../tests/logs/postfix.log"));
    let expected = [
        "1x 127.0.0.1  - <> <vera@calderon.example> taken",
        "1x 127.0.0.1  - <a@later.example> <vera@calderon.example> 450 4.7.1 <a@later.example>: Sender address rejected: come back later",
        "1x 127.0.0.1  - <a@noisy.example> <vera@calderon.example> taken",
        "1x 127.0.0.1  - <a@spammer.example> <vera@calderon.example> 554 5.7.1 <a@spammer.example>: Sender address rejected: no thanks",
        "1x 127.0.0.1  - <joe@elsewhere.example> <nobody@calderon.example> 550 5.1.1 <nobody@calderon.example>: Recipient address rejected: User unknown in virtual mailbox table",
        "1x 127.0.0.1  - <joe@elsewhere.example> <support@calderon.example> taken",
        "1x 127.0.0.1  - <joe@elsewhere.example> <vera@calderon.example> taken",
        "1x 127.0.0.1 submission - <vera@calderon.example> <joe@elsewhere.example> 554 5.7.1 <joe@elsewhere.example>: Recipient address rejected: Access denied",
        "1x 127.0.0.2  - <vera@calderon.example> <joe@elsewhere.example> taken",
        "1x 127.0.0.2 submission - <vera@calderon.example> <joe@elsewhere.example> taken",
        "2x 127.0.0.1  - <joe@elsewhere.example> <jane@elsewhere.example> 554 5.7.1 <jane@elsewhere.example>: Relay access denied",
    ];
    assert_eq!(shown(&decisions), expected);
    assert_eq!(left, [(Left::Content, 1), (Left::Local, 1)].into_iter().collect());
    let (decisions, left) = read(include_str!("../../tests/logs/sendmail.log"));
    let expected = [
        "1x 127.0.0.1 MTA - <joe@elsewhere.example> <closed@stellan.example> 550 5.2.1 <closed@stellan.example>... closed",
        "1x 127.0.0.1 MTA - <joe@elsewhere.example> <nobody.here@stellan.example> 550 User unknown",
        "1x 127.0.0.1 MTA - <joe@elsewhere.example> <x@sister.example> taken",
        "1x 127.0.0.2 MTA - <ann@stellan.example> <joe@elsewhere.example> taken",
        "2x 127.0.0.1 MTA - <joe@elsewhere.example> <jane@elsewhere.example> taken",
    ];
    assert_eq!(shown(&decisions), expected);
    let expected = [(Left::NoRecipient, 3), (Left::Local, 1), (Left::Alias, 3)];
    assert_eq!(left, expected.into_iter().collect());
}

proptest::proptest! {
    #[test]
    fn whatever_a_log_says_it_is_read(lines in proptest::collection::vec("\\PC{0,120}", 0..20)) {
        let mut reader = Reader::new();
        for line in lines {
            reader.line(&line);
            reader.line(&format!("Dec  1 09:00:00 h postfix/smtpd[1]: {line}"));
            reader.line(&format!("Dec  1 09:00:00 h sm-mta[1]: 5B1907Ab000210: {line}"));
        }
        let _ = reader.finish();
    }
}

/// Each recipient counts once, however many a message has: comparing all with each other would take hours.
#[test]
fn a_message_for_very_many() {
    const MANY: usize = 300_000;
    let mut reader = Reader::new();
    reader.file("mail.log");
    reader.line(
        "Dec  1 09:00:01 mx1 postfix/smtpd[101]: 4C1A92001B: client=mail.elsewhere.example[198.51.100.77]",
    );
    reader.line("Dec  1 09:00:01 mx1 sm-mta[99]: 0B1900011B000001: from=<joe@elsewhere.example>, size=412, nrcpts=2, relay=x [198.51.100.77]");
    for number in (0..MANY).chain(0..10) {
        reader.line(&format!("Dec  1 09:00:02 mx1 postfix/smtp[103]: 4C1A92001B: to=<a{number}@b.example>, dsn=2.0.0, status=sent (250 ok)"));
    }
    for first in (0..MANY).step_by(500) {
        let list: Vec<String> = (first..first + 500)
            .map(|number| format!("<s{number}@b.example>"))
            .collect();
        reader.line(&format!(
            "Dec  1 09:00:02 mx1 sm-mta[99]: 0B1900011B000001: to={}, delay=00:00:01, stat=Sent",
            list.join(",")
        ));
    }
    let (decisions, left, (lines, about_mail)) = reader.finish();
    let left_over = left.get(&Left::TooMany).copied().unwrap_or_default();
    assert_eq!(decisions.len() as u64 + left_over, 2 * MANY as u64);
    assert!(decisions.values().all(|seen| seen.count == 1));
    assert_eq!(lines, about_mail);
}
