//! The header fields put on top of a message: the trace, and what a submission lacks (RFC 5321 section 4.4, RFC 6409 section 8).

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use postern_mail::date;
use postern_mail::header::HeaderScan;
use postern_mail::received::{LocalTrace, Trace, TraceAuth, TraceTls, Verify, With};
use postern_mail::{Mailbox, QueueId};
use postern_net::tls::Verify as TlsVerify;
use postern_policy::local::LocalUser;

use crate::Settings;
use crate::session::{Session, literal};

/// What the dialogue knows about the client, at the end of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientFacts<'a> {
    /// The name in `HELO` or `EHLO`; empty without either.
    pub(crate) name: &'a str,
    /// Whether it said `EHLO`.
    pub(crate) extended: bool,
    /// Whether `SMTPUTF8` was given.
    pub(crate) smtputf8: bool,
}

/// Initial buffer size, nearly always enough for these fields.
pub(crate) const ROOM: usize = 512;

/// What is known about a message at its end.
#[derive(Clone, Copy)]
pub(crate) struct MessageFacts<'a> {
    pub(crate) id: QueueId,
    pub(crate) now: Timestamp,
    /// What was found in its header.
    pub(crate) scan: &'a HeaderScan,
    /// Its sender, if it has one.
    pub(crate) author: Option<&'a Mailbox>,
    /// Whether it is a submission, so that missing fields are added.
    pub(crate) completed: bool,
}

/// Writes everything that goes on top of the message.
pub(crate) fn write(
    session: &Session,
    client: ClientFacts<'_>,
    message: MessageFacts<'_>,
    out: &mut Vec<u8>,
) {
    let MessageFacts {
        id,
        now,
        scan,
        author,
        completed,
    } = message;
    let offset = TimeZone::system().to_offset(now);
    let settings = &session.profile.settings;
    match &session.user {
        Some(user) => local_trace(user, settings, &id.to_string(), now, offset, out),
        None => trace(session, client, &id.to_string(), now, offset, out),
    }
    if let (Some(user), true) = (&session.user, settings.privacy.auth_warnings) {
        warn_of_other_sender(user, author, &settings.hostname, out);
    }
    let hidden = settings.hide_submitter && session.login.is_some();
    if settings.privacy.auth_warnings && client.name.is_empty() && !hidden && session.user.is_none() {
        warn_of_no_greeting(&settings.hostname, &session.peer_label(), out);
    }
    if completed {
        complete(&settings.hostname, id, now, offset, scan, author, out);
    }
}

fn trace(
    session: &Session,
    client: ClientFacts<'_>,
    id: &str,
    date: Timestamp,
    offset: Offset,
    out: &mut Vec<u8>,
) {
    let settings = &session.profile.settings;
    let unnamed;
    let helo = if client.name.is_empty() {
        unnamed = literal(session.peer.ip());
        &unnamed
    } else {
        client.name
    };
    let trace = Trace {
        helo,
        peer_name: session.peer_name(),
        peer_ip: session.peer.ip(),
        authenticated: session.login.as_ref().map(|login| TraceAuth {
            bits: login.layer_bits,
            login: settings.show_login.then_some(login.name()),
        }),
        by: &settings.hostname,
        software: "Postern",
        with: With {
            lmtp: false,
            esmtp: client.extended,
            tls: session.tls.is_some(),
            auth: session.login.is_some(),
            utf8: client.smtputf8,
        },
        id,
        tls: session.tls.as_ref().map(|tls| TraceTls {
            version: tls.version,
            cipher: tls.cipher,
            bits: tls.bits,
            verify: match tls.verify {
                TlsVerify::Ok => Verify::Ok,
                TlsVerify::No => Verify::No,
                TlsVerify::Fail(_) => Verify::Fail,
            },
        }),
        for_: None,
        date,
        offset,
        hide_submitter: settings.hide_submitter && session.login.is_some(),
    };
    trace.write(out);
}

fn local_trace(
    user: &LocalUser,
    settings: &Settings,
    id: &str,
    date: Timestamp,
    offset: Offset,
    out: &mut Vec<u8>,
) {
    let trace = LocalTrace {
        by: &settings.hostname,
        software: "Postern",
        uid: (!settings.hide_submitter).then_some(user.uid),
        name: settings.show_login.then_some(&user.name),
        id,
        date,
        offset,
    };
    trace.write(out);
}

/// Adds a warning, as sendmail does, that an untrusted user has set a sender other than the user's own.
fn warn_of_other_sender(user: &LocalUser, sender: Option<&Mailbox>, hostname: &str, out: &mut Vec<u8>) {
    let Some(sender) = sender.filter(|_| !user.trusted) else {
        return;
    };
    if user.identity.own_addresses().contains(&sender.key().as_str()) {
        return;
    }
    let field = format!(
        "X-Authentication-Warning: {hostname}: {} set sender to <{sender}> using -f\r\n",
        user.name
    );
    out.extend_from_slice(field.as_bytes());
}

/// Adds a warning that the client did not introduce itself, as sendmail does with `authwarnings`.
fn warn_of_no_greeting(hostname: &str, peer: &str, out: &mut Vec<u8>) {
    let field = format!("X-Authentication-Warning: {hostname}: {peer} didn't use HELO protocol\r\n");
    out.extend_from_slice(field.as_bytes());
}

/// Adds `Date`, `Message-ID` and `From` where they are missing, or were removed as invalid.
fn complete(
    hostname: &str,
    id: QueueId,
    now: Timestamp,
    offset: Offset,
    scan: &HeaderScan,
    author: Option<&Mailbox>,
    out: &mut Vec<u8>,
) {
    if !scan.has_date() {
        out.extend_from_slice(b"Date: ");
        date::write_rfc5322(now, offset, out);
        out.extend_from_slice(b"\r\n");
    }
    if !scan.has_message_id() {
        out.extend_from_slice(format!("Message-ID: <{id}@{hostname}>\r\n").as_bytes());
    }
    if !scan.has_from()
        && let Some(author) = author
    {
        out.extend_from_slice(format!("From: {author}\r\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_submission_lacks() {
        let now: Timestamp = "2026-11-22T09:32:35Z".parse().unwrap();
        let id = QueueId::new(now.as_millisecond(), 1);
        let date = "Date: Sun, 22 Nov 2026 10:32:35 +0100\r\n";
        let message_id = format!("Message-ID: <{id}@mx.example>\r\n");
        let from = "From: a@x.example\r\n";
        let author: Mailbox = "a@x.example".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            ("all",       "Subject: x\r\n\r\n",                                           format!("{date}{message_id}{from}")),
            ("a date",    "message-id: <1@x.example>\r\nfrom: b\r\n\r\n",                date.to_owned()),
            ("an id",     "DATE: Sun, 22 Nov 2026 09:32:35 +0000\r\nFrom: b\r\n\r\n",    message_id.clone()),
            ("an author", "Date: x\r\nMessage-Id: <1@x.example>\r\n\r\nFrom: b\r\n",   from.to_owned()),
            ("nothing",   "Date: x\r\nMessage-Id: <1@x.example>\r\nFROM: b\r\n\r\nDate\r\n", String::new()),
            ("in body",   "Subject: x\r\n\r\nDate: x\r\nMessage-ID: y\r\n",                format!("{date}{message_id}{from}")),
        ];
        for (shows, head, expected) in cases {
            let mut scan = HeaderScan::new();
            scan.feed(head.as_bytes());
            scan.finish();
            let mut out = Vec::new();
            complete(
                "mx.example",
                id,
                now,
                jiff::tz::offset(1),
                &scan,
                Some(&author),
                &mut out,
            );
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{shows}");
        }
    }
}
