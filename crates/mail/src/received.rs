//! The trace field that every hop adds on top of a message (RFC 5321 section 4.4).

use std::io::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::date::write_rfc5322;

/// The content of a `Received:` field.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The name the client gave in `EHLO`; unsuitable characters are written as `?`.
    pub helo: &'a str,
    /// The name of the client's address in the DNS, if forward-confirmed.
    pub peer_name: Option<&'a str>,
    /// The client's address.
    pub peer_ip: IpAddr,
    /// The authentication, if there was one.
    pub authenticated: Option<TraceAuth<'a>>,
    /// Our host name.
    pub by: &'a str,
    /// The software, in the parenthesis after `by`: `Postern`.
    pub software: &'a str,
    /// The protocol.
    pub with: With,
    /// The queue id.
    pub id: &'a str,
    /// The TLS session, if there was one.
    pub tls: Option<TraceTls<'a>>,
    /// The recipient without angle brackets; only to be given if there is a single one, else blind copies would show.
    pub for_: Option<&'a str>,
    /// When the message was received.
    pub date: Timestamp,
    /// The zone to write `date` in.
    pub offset: Offset,
    /// Leaves out `from` with the client's names and address, and the user name.
    pub hide_submitter: bool,
}

/// The authentication in a trace field.
#[derive(Clone, Copy, Debug)]
pub struct TraceAuth<'a> {
    /// Strength of the SASL security layer, 0 without one.
    pub bits: u32,
    /// The user name, if the configuration says to show it.
    pub login: Option<&'a str>,
}

/// The TLS session in a trace field.
#[derive(Clone, Copy, Debug)]
pub struct TraceTls<'a> {
    /// `TLSv1.3`.
    pub version: &'a str,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'a str,
    /// Strength of the cipher.
    pub bits: u32,
    /// The result of verifying the client's certificate.
    pub verify: Verify,
}

/// The result of verifying the client's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verify {
    /// `OK`: presented and verified.
    Ok,
    /// `NO`: none presented.
    No,
    /// `FAIL`: presented, not verified.
    Fail,
}

/// The protocol with which a message came, as registered for the `with` clause (RFC 3848, RFC 6531 section 4.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct With {
    /// LMTP rather than SMTP (RFC 2033).
    pub lmtp: bool,
    /// `EHLO` was used.
    pub esmtp: bool,
    /// Inside TLS.
    pub tls: bool,
    /// After authentication.
    pub auth: bool,
    /// `SMTPUTF8` was given for this message.
    pub utf8: bool,
}

/// The content of a `Received:` field of a message submitted by a user of this machine.
#[derive(Clone, Copy, Debug)]
pub struct LocalTrace<'a> {
    /// Our host name.
    pub by: &'a str,
    /// The software: `Postern`.
    pub software: &'a str,
    /// The user id of the account; `None` where the submitter is hidden.
    pub uid: Option<u32>,
    /// The name of the account, if the configuration says to show it.
    pub name: Option<&'a str>,
    /// The queue id.
    pub id: &'a str,
    /// When the message was received.
    pub date: Timestamp,
    /// The zone to write `date` in.
    pub offset: Offset,
}

/// Longest client name that is written; `EHLO` takes no longer domain (RFC 5321 section 4.5.3.1.2).
const NAME_MAX: usize = 255;

impl Verify {
    /// The word in the trace: `OK`, `NO`, `FAIL`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Fail => "FAIL",
        }
    }
}

impl With {
    /// The keyword: `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`, `UTF8SMTP` and so on.
    ///
    /// No registered keyword combines `HELO` with TLS or authentication; it is always `SMTP`.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match (self.lmtp, self.utf8, self.tls, self.auth) {
            (true, true, false, false) => "UTF8LMTP",
            (true, true, false, true) => "UTF8LMTPA",
            (true, true, true, false) => "UTF8LMTPS",
            (true, true, true, true) => "UTF8LMTPSA",
            (true, false, false, false) => "LMTP",
            (true, false, false, true) => "LMTPA",
            (true, false, true, false) => "LMTPS",
            (true, false, true, true) => "LMTPSA",
            (false, true, false, false) => "UTF8SMTP",
            (false, true, false, true) => "UTF8SMTPA",
            (false, true, true, false) => "UTF8SMTPS",
            (false, true, true, true) => "UTF8SMTPSA",
            (false, false, _, _) if !self.esmtp => "SMTP",
            (false, false, false, false) => "ESMTP",
            (false, false, false, true) => "ESMTPA",
            (false, false, true, false) => "ESMTPS",
            (false, false, true, true) => "ESMTPSA",
        }
    }
}

impl Trace<'_> {
    /// Appends the whole field, with its final CRLF, to `out`.
    ///
    /// The form is sendmail's, with continuation lines that begin with a tab. In whatever the client chose, characters unsuitable
    /// for a comment or an atom are replaced by `?`, so that no client can forge a line of it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Received: ");
        if !self.hide_submitter {
            self.write_from(out);
        }
        if let Some(auth) = &self.authenticated {
            self.write_auth(auth, out);
        }
        put(
            out,
            &[
                "by ",
                self.by,
                " (",
                self.software,
                ") with ",
                self.with.keyword(),
                " id ",
                self.id,
            ],
        );
        if let Some(tls) = &self.tls {
            put(
                out,
                &["\r\n\t(version=", tls.version, " cipher=", tls.cipher, " bits="],
            );
            put_number(out, tls.bits);
            put(out, &[" verify=", tls.verify.word(), ")"]);
        }
        match self.for_ {
            // Sendmail puts the date on the line of the recipient if there is one.
            Some(recipient) if fits_angles(recipient) => put(out, &["\r\n\tfor <", recipient, ">; "]),
            _ => put(out, &[";\r\n\t"]),
        }
        write_rfc5322(self.date, self.offset, out);
        out.extend_from_slice(b"\r\n");
    }

    fn write_from(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"from ");
        put_name(
            out,
            if self.helo.is_empty() {
                "unknown"
            } else {
                self.helo
            },
            self.with.utf8,
        );
        out.extend_from_slice(b" (");
        if let Some(name) = self.peer_name {
            put_name(out, name, false);
            out.push(b' ');
        }
        // Writing to a Vec cannot fail.
        let _ = match self.peer_ip.to_canonical() {
            IpAddr::V4(ip) => write!(out, "[{ip}])\r\n\t"),
            IpAddr::V6(ip) => write!(out, "[IPv6:{ip}])\r\n\t"),
        };
    }

    fn write_auth(&self, auth: &TraceAuth<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"(authenticated");
        if let Some(login) = auth.login.filter(|_| !self.hide_submitter) {
            out.extend_from_slice(b" user=");
            put_name(out, login, self.with.utf8);
        }
        out.extend_from_slice(b" bits=");
        put_number(out, auth.bits);
        out.extend_from_slice(b")\r\n\t");
    }
}

impl LocalTrace<'_> {
    /// Appends the whole field, with its final CRLF, to `out`: in Postfix's form, `(Postern, from userid 1000)`, with the name in a
    /// comment of its own.
    pub fn write(&self, out: &mut Vec<u8>) {
        put(out, &["Received: by ", self.by, " (", self.software]);
        if let Some(uid) = self.uid {
            out.extend_from_slice(b", from userid ");
            put_number(out, uid);
            if let Some(name) = self.name {
                out.extend_from_slice(b" (");
                put_name(out, name, false);
                out.push(b')');
            }
        }
        put(out, &[")\r\n\tid ", self.id, "; "]);
        write_rfc5322(self.date, self.offset, out);
        out.extend_from_slice(b"\r\n");
    }
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn put_number(out: &mut Vec<u8>, number: u32) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// Writes what a client chose for its name, cut at [`NAME_MAX`] octets, with `?` for every character that could be taken for syntax.
fn put_name(out: &mut Vec<u8>, name: &str, utf8: bool) {
    let plain = |octet: &u8| {
        octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'@' | b'+' | b'/' | b'='
            )
    };
    if name.len() <= NAME_MAX && name.as_bytes().iter().all(plain) {
        out.extend_from_slice(name.as_bytes());
        return;
    }
    let limit = out.len() + NAME_MAX;
    for c in name.chars() {
        let c = match u8::try_from(c) {
            Ok(octet) if plain(&octet) => c,
            _ if utf8 && c.is_alphanumeric() => c,
            _ => '?',
        };
        if out.len() + c.len_utf8() > limit {
            break;
        }
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Whether a recipient may be shown: no line break, no closing bracket outside quotes, and short enough for one line.
fn fits_angles(recipient: &str) -> bool {
    recipient.len() <= 512
        && (recipient.starts_with('"') || !recipient.contains('>'))
        && !recipient.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn trace() -> Trace<'static> {
        Trace {
            helo: "helo",
            peer_name: Some("localhost"),
            peer_ip: [127, 0, 0, 1].into(),
            authenticated: Some(TraceAuth { bits: 0, login: None }),
            by: "challenger.example",
            software: "Postern",
            with: With {
                esmtp: true,
                auth: true,
                ..With::default()
            },
            id: "6AM9UKu1007849",
            tls: None,
            for_: None,
            date: "2026-11-22T09:30:20Z".parse().unwrap(),
            offset: Offset::UTC,
            hide_submitter: false,
        }
    }

    fn tls(verify: Verify) -> Option<TraceTls<'static>> {
        Some(TraceTls {
            version: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            bits: 256,
            verify,
        })
    }

    fn written(trace: &Trace<'_>) -> String {
        let mut out = Vec::new();
        trace.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_login_without_tls() {
        assert_eq!(
            written(&trace()),
            "Received: from helo (localhost [127.0.0.1])\r\n\
             \t(authenticated bits=0)\r\n\
             \tby challenger.example (Postern) with ESMTPA id 6AM9UKu1007849;\r\n\
             \tSun, 22 Nov 2026 09:30:20 +0000\r\n"
        );
    }

    #[test]
    fn a_user_of_this_machine() {
        let trace = LocalTrace {
            by: "challenger.example",
            software: "Postern",
            uid: Some(1000),
            name: None,
            id: "6AM9UKu1007849",
            date: "2026-11-22T09:30:20Z".parse().unwrap(),
            offset: Offset::UTC,
        };
        let field = |trace: LocalTrace<'_>| {
            let mut out = Vec::new();
            trace.write(&mut out);
            String::from_utf8(out).unwrap()
        };
        let end = ")\r\n\tid 6AM9UKu1007849; Sun, 22 Nov 2026 09:30:20 +0000\r\n";
        let begin = "Received: by challenger.example (Postern";
        assert_eq!(field(trace), format!("{begin}, from userid 1000{end}"));
        let named = LocalTrace {
            name: Some("a)b\r\n"),
            ..trace
        };
        assert_eq!(field(named), format!("{begin}, from userid 1000 (a?b??){end}"));
        assert_eq!(field(LocalTrace { uid: None, ..named }), format!("{begin}{end}"));
    }

    #[test]
    fn a_login_inside_tls_with_and_without_a_certificate() {
        let with = With {
            esmtp: true,
            auth: true,
            tls: true,
            ..With::default()
        };
        for (verify, word) in [(Verify::No, "NO"), (Verify::Ok, "OK"), (Verify::Fail, "FAIL")] {
            assert_eq!(
                written(&Trace {
                    tls: tls(verify),
                    with,
                    ..trace()
                }),
                format!(
                    "Received: from helo (localhost [127.0.0.1])\r\n\
                     \t(authenticated bits=0)\r\n\
                     \tby challenger.example (Postern) with ESMTPSA id 6AM9UKu1007849\r\n\
                     \t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify={word});\r\n\
                     \tSun, 22 Nov 2026 09:30:20 +0000\r\n"
                )
            );
        }
    }

    #[test]
    fn a_stranger_and_one_recipient() {
        let peer_ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into();
        let with = With {
            esmtp: true,
            tls: true,
            ..With::default()
        };
        let stranger = Trace {
            authenticated: None,
            peer_name: None,
            peer_ip,
            with,
            tls: tls(Verify::No),
            ..trace()
        };
        assert_eq!(
            written(&Trace {
                for_: Some("a@b.example"),
                ..stranger
            }),
            "Received: from helo ([IPv6:2001:db8::1])\r\n\
             \tby challenger.example (Postern) with ESMTPS id 6AM9UKu1007849\r\n\
             \t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)\r\n\
             \tfor <a@b.example>; Sun, 22 Nov 2026 09:30:20 +0000\r\n"
        );
    }

    #[test]
    fn a_submitter_is_shown_only_as_far_as_asked() {
        let shown = TraceAuth {
            bits: 56,
            login: Some("acaird"),
        };
        let field = written(&Trace {
            authenticated: Some(shown),
            ..trace()
        });
        assert!(
            field.contains("\t(authenticated user=acaird bits=56)\r\n"),
            "{field}"
        );
        assert_eq!(
            written(&Trace {
                authenticated: Some(shown),
                hide_submitter: true,
                ..trace()
            }),
            "Received: (authenticated bits=56)\r\n\
             \tby challenger.example (Postern) with ESMTPA id 6AM9UKu1007849;\r\n\
             \tSun, 22 Nov 2026 09:30:20 +0000\r\n"
        );
    }

    #[test]
    fn clients_cannot_forge_a_trace() {
        let long = "a".repeat(300);
        let cut = "a".repeat(255);
        #[rustfmt::skip]
        let cases = [
            // what the case shows        name given                    UTF-8   name written
            ("literal",                   "[IPv6:::1]",                 false,  "[IPv6:::1]"),
            ("line break",                "a\r\nX-Forged: b",           false,  "a??X-Forged:?b"),
            ("comment",                   "a (trusted [192.0.2.1])",    false,  "a??trusted?[192.0.2.1]?"),
            ("date",                      "a; Sun",                     false,  "a??Sun"),
            ("UTF-8 without SMTPUTF8",    "bücher",                     false,  "b?cher"),
            ("UTF-8 with SMTPUTF8",       "bücher",                     true,   "bücher"),
            ("separator with SMTPUTF8",   "a\u{2028}b",                 true,   "a?b"),
            ("too long",                  &long,                        false,  &cut),
            ("nothing",                   "",                           false,  "unknown"),
        ];
        for (shows, helo, utf8, expected) in cases {
            let with = With { utf8, ..trace().with };
            let field = written(&Trace {
                helo,
                with,
                ..trace()
            });
            let start = format!("Received: from {expected} (localhost [127.0.0.1])\r\n\t(auth");
            assert!(field.starts_with(&start), "{shows}: {field}");
        }
        for recipient in ["a>; x@b", "a\r\nb@c"] {
            let field = written(&Trace {
                for_: Some(recipient),
                ..trace()
            });
            assert!(!field.contains("for <"), "{field}");
        }
    }

    #[test]
    fn the_protocol_has_its_registered_word() {
        #[rustfmt::skip]
        let cases = [
            // lmtp  esmtp  tls    auth   utf8   keyword
            (false,  false, false, false, false, "SMTP"),
            (false,  false, true,  false, false, "SMTP"),
            (false,  true,  false, false, false, "ESMTP"),
            (false,  true,  true,  false, false, "ESMTPS"),
            (false,  true,  false, true,  false, "ESMTPA"),
            (false,  true,  true,  true,  false, "ESMTPSA"),
            (false,  true,  false, false, true,  "UTF8SMTP"),
            (false,  true,  true,  false, true,  "UTF8SMTPS"),
            (false,  true,  false, true,  true,  "UTF8SMTPA"),
            (false,  true,  true,  true,  true,  "UTF8SMTPSA"),
            (true,   true,  false, false, false, "LMTP"),
            (true,   true,  true,  true,  false, "LMTPSA"),
            (true,   true,  true,  false, true,  "UTF8LMTPS"),
        ];
        for (lmtp, esmtp, tls, auth, utf8, keyword) in cases {
            assert_eq!(
                With {
                    lmtp,
                    esmtp,
                    tls,
                    auth,
                    utf8
                }
                .keyword(),
                keyword
            );
        }
    }
}
