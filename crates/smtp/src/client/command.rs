//! Writing commands with their parameters.

use std::io::Write as _;

use postern_mail::xtext;
use postern_mail::{BodyKind, Domain, Envelope, Mailbox, Notify, Recipient, Ret, ReversePath};

use super::capabilities::Capabilities;

/// What `MAIL` declares about the content, chosen for one peer by [`needs::check`](super::needs::check).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Declared {
    /// `SIZE=` (RFC 1870); `None` when the peer does not offer it.
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152, RFC 3030); [`BodyKind::SevenBit`] is the default and not written.
    pub body: BodyKind,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
}

/// Appends `MAIL FROM` with the parameters this peer understands. `sender` is the envelope's, or the rewritten one.
///
/// `AUTH=` is passed on if the message came with one. RFC 4954 section 5 would have `AUTH=<>` on all other mail of an
/// authenticated session, but smarthosts refuse mail because of it, so it is not added.
pub fn mail(
    out: &mut Vec<u8>,
    sender: &ReversePath,
    envelope: &Envelope,
    declared: &Declared,
    peer: &Capabilities,
) {
    out.extend_from_slice(b"MAIL FROM:<");
    if let ReversePath::Mailbox(mailbox) = sender {
        address(out, mailbox);
    }
    out.push(b'>');
    if let Some(size) = declared.size {
        // Writing into a `Vec` does not fail.
        let _ = write!(out, " SIZE={size}");
    }
    match declared.body {
        BodyKind::SevenBit => {}
        BodyKind::EightBitMime => out.extend_from_slice(b" BODY=8BITMIME"),
        BodyKind::BinaryMime => out.extend_from_slice(b" BODY=BINARYMIME"),
    }
    if declared.smtputf8 {
        out.extend_from_slice(b" SMTPUTF8");
    }
    if peer.dsn {
        match envelope.ret {
            Some(Ret::Full) => out.extend_from_slice(b" RET=FULL"),
            Some(Ret::Headers) => out.extend_from_slice(b" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &envelope.envid {
            out.extend_from_slice(b" ENVID=");
            out.extend_from_slice(xtext::encode(envid).as_bytes());
        }
    }
    if let Some(auth) = envelope.auth.as_deref().filter(|_| peer.auth) {
        let auth = if auth.is_empty() { "<>" } else { auth };
        out.extend_from_slice(b" AUTH=");
        out.extend_from_slice(xtext::encode(auth).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one `RCPT TO` with the parameters this peer understands.
pub fn rcpt(out: &mut Vec<u8>, recipient: &Recipient, declared: &Declared, peer: &Capabilities) {
    out.extend_from_slice(b"RCPT TO:<");
    address(out, &recipient.address);
    out.push(b'>');
    if peer.dsn {
        match recipient.notify {
            // A parameter that was not given is not passed on (RFC 3461 section 5.2.1).
            Notify::Unspecified | Notify::FailureAlone => {}
            Notify::Never => out.extend_from_slice(b" NOTIFY=NEVER"),
            Notify::On {
                success,
                failure,
                delay,
            } => {
                let mut separator: &[u8] = b" NOTIFY=";
                for (_, word) in [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")]
                    .iter()
                    .filter(|(on, _)| *on)
                {
                    out.extend_from_slice(separator);
                    out.extend_from_slice(word.as_bytes());
                    separator = b",";
                }
            }
        }
        if let Some(orcpt) = &recipient.orcpt {
            out.extend_from_slice(b" ORCPT=");
            out.extend_from_slice(xtext::encode_orcpt(orcpt, declared.smtputf8).as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn address(out: &mut Vec<u8>, mailbox: &Mailbox) {
    out.extend_from_slice(mailbox.local().as_bytes());
    out.push(b'@');
    match mailbox.domain() {
        Domain::Name(name) => out.extend_from_slice(name.as_bytes()),
        literal @ Domain::Literal(_) => {
            let _ = write!(out, "{literal}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(local: &str) -> Mailbox {
        Mailbox::new(local, Domain::Name("example.org".into())).unwrap()
    }

    fn envelope() -> Envelope {
        Envelope {
            sender: ReversePath::Mailbox(mailbox("s")),
            recipients: vec![],
            ret: None,
            envid: None,
            body: BodyKind::SevenBit,
            smtputf8: false,
            auth: None,
        }
    }

    #[test]
    fn mail_parameters_follow_what_the_peer_offers() {
        let bare = Capabilities::default();
        let dsn = Capabilities {
            dsn: true,
            ..Capabilities::default()
        };
        let auth = Capabilities {
            auth: true,
            ..Capabilities::default()
        };
        let declared = Declared::default();
        let reports = Envelope {
            ret: Some(Ret::Headers),
            envid: Some("a+b c".into()),
            ..envelope()
        };
        let null = Envelope {
            sender: ReversePath::Null,
            ..envelope()
        };
        let submitted = Envelope {
            auth: Some("u=x@example.org".into()),
            ..envelope()
        };
        let unknown = Envelope {
            auth: Some(String::new()),
            ..envelope()
        };
        #[rustfmt::skip]
        let cases = [
            ("nothing",                &envelope(), declared, &bare, "MAIL FROM:<s@example.org>"),
            ("null sender",            &null,       declared, &bare, "MAIL FROM:<>"),
            ("size, body, utf8",       &null, Declared { size: Some(7), body: BodyKind::EightBitMime, smtputf8: true }, &bare, "MAIL FROM:<> SIZE=7 BODY=8BITMIME SMTPUTF8"),
            ("binary",                 &null, Declared { body: BodyKind::BinaryMime, ..declared }, &bare, "MAIL FROM:<> BODY=BINARYMIME"),
            ("reports, no DSN",        &reports,    declared, &bare, "MAIL FROM:<s@example.org>"),
            ("reports, DSN",           &reports,    declared, &dsn,  "MAIL FROM:<s@example.org> RET=HDRS ENVID=a+2Bb+20c"),
            ("submitter not named",    &envelope(), declared, &auth, "MAIL FROM:<s@example.org>"),
            ("submitter, no AUTH",     &submitted,  declared, &bare, "MAIL FROM:<s@example.org>"),
            ("submitter",              &submitted,  declared, &auth, "MAIL FROM:<s@example.org> AUTH=u+3Dx@example.org"),
            ("named as not known",     &unknown,    declared, &auth, "MAIL FROM:<s@example.org> AUTH=<>"),
        ];
        for (shows, envelope, declared, peer, expected) in cases {
            let mut out = Vec::new();
            mail(&mut out, &envelope.sender, envelope, &declared, peer);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("{expected}\r\n"),
                "{shows}"
            );
        }
    }

    #[test]
    fn rcpt_parameters_follow_what_the_peer_offers() {
        let bare = Capabilities::default();
        let dsn = Capabilities {
            dsn: true,
            ..Capabilities::default()
        };
        let plain = Recipient::new(mailbox("r"));
        let never = Recipient {
            notify: Notify::Never,
            ..plain.clone()
        };
        let some = Recipient {
            notify: Notify::On {
                success: true,
                failure: false,
                delay: true,
            },
            orcpt: Some("rfc822;o+p@example.org".into()),
            ..plain.clone()
        };
        #[rustfmt::skip]
        let cases = [
            ("nothing",        &plain, &dsn,  "RCPT TO:<r@example.org>"),
            ("never",          &never, &dsn,  "RCPT TO:<r@example.org> NOTIFY=NEVER"),
            ("some",           &some,  &dsn,  "RCPT TO:<r@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+2Bp@example.org"),
            ("DSN not offered", &some, &bare, "RCPT TO:<r@example.org>"),
        ];
        for (shows, recipient, peer, expected) in cases {
            let mut out = Vec::new();
            rcpt(&mut out, recipient, &Declared::default(), peer);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!("{expected}\r\n"),
                "{shows}"
            );
        }
    }
}
