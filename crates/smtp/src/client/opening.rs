//! From the greeting to a dialogue that is ready for mail (RFC 5321 section 3.1, 3.2; RFC 3207; RFC 2033).

use std::io::Write as _;

use super::capabilities::Capabilities;
use super::{Protocol, Stage};
use crate::reply::{Class, Reply};

/// Whether `STARTTLS` is used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StartTls {
    /// Not even when offered.
    Never,
    /// When offered; if the command is refused, the session goes on without TLS.
    #[default]
    IfOffered,
    /// Nothing is sent without it.
    Required,
}

/// The start of one dialogue.
///
/// Begin by waiting for the greeting, then hand every reply to [`Opening::reply`] and do what it says.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    protocol: Protocol,
    name: &'a str,
    tls: StartTls,
    waits_for: Waiting,
    capabilities: Capabilities,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waiting {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Handshake,
}

/// What the driver does next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum OpeningStep {
    /// Send what was written, then read a reply.
    Read(Stage),
    /// Perform the TLS handshake, then call [`Opening::secured`].
    ///
    /// If octets follow the reply, close the connection: somebody in the middle may have injected them, to be read as if they had
    /// come inside TLS (RFC 3207 section 6).
    Handshake,
    /// Ready for a transaction. The capabilities are those of the last `EHLO`, so with TLS, of the one inside it.
    Ready(Capabilities),
    /// The peer refuses the session; its reply says whether for now or for good.
    Refused(Stage, Reply),
    /// TLS is required, but the peer does not offer it, or refused it with this reply.
    NoTls(Option<Reply>),
}

impl<'a> Opening<'a> {
    /// `name` is what the client calls itself.
    #[must_use]
    pub fn new(protocol: Protocol, name: &'a str, tls: StartTls) -> Self {
        Self {
            protocol,
            name,
            tls,
            waits_for: Waiting::Greeting,
            capabilities: Capabilities::default(),
        }
    }

    /// Takes a reply, and appends to `out` what is to be sent.
    pub fn reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> OpeningStep {
        let class = reply.class();
        match (self.waits_for, class) {
            (Waiting::Greeting, Class::Success) => self.hello(out),
            (Waiting::Greeting, _) => OpeningStep::Refused(Stage::Greeting, reply),
            (Waiting::Ehlo, Class::Success) => {
                self.capabilities = Capabilities::parse(&reply);
                self.after_ehlo(out)
            }
            // A server without ESMTP: try again with `HELO` (RFC 5321 section 3.2).
            (Waiting::Ehlo, Class::Permanent)
                if self.protocol == Protocol::Smtp && self.tls != StartTls::Required && reply.code != 521 =>
            {
                self.waits_for = Waiting::Helo;
                self.greet(out, "HELO");
                OpeningStep::Read(Stage::Hello)
            }
            (Waiting::Helo, Class::Success) => {
                let name = reply
                    .text
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                OpeningStep::Ready(Capabilities {
                    name,
                    ..Capabilities::default()
                })
            }
            (Waiting::Ehlo | Waiting::Helo, _) => OpeningStep::Refused(Stage::Hello, reply),
            (Waiting::StartTls, Class::Success) => {
                self.waits_for = Waiting::Handshake;
                OpeningStep::Handshake
            }
            (Waiting::StartTls, _) if self.tls == StartTls::Required => OpeningStep::NoTls(Some(reply)),
            (Waiting::StartTls, _) if reply.code == 421 => OpeningStep::Refused(Stage::StartTls, reply),
            (Waiting::StartTls, _) => OpeningStep::Ready(std::mem::take(&mut self.capabilities)),
            (Waiting::Handshake, _) => OpeningStep::Refused(Stage::StartTls, reply),
        }
    }

    /// Call this after the handshake. Forgets what was said before it and introduces the client again (RFC 3207 section 4.2).
    pub fn secured(&mut self, out: &mut Vec<u8>) -> OpeningStep {
        self.tls = StartTls::Never;
        self.capabilities = Capabilities::default();
        self.hello(out)
    }

    fn hello(&mut self, out: &mut Vec<u8>) -> OpeningStep {
        self.waits_for = Waiting::Ehlo;
        self.greet(
            out,
            if self.protocol == Protocol::Lmtp {
                "LHLO"
            } else {
                "EHLO"
            },
        );
        OpeningStep::Read(Stage::Hello)
    }

    fn after_ehlo(&mut self, out: &mut Vec<u8>) -> OpeningStep {
        match (self.tls, self.capabilities.starttls) {
            (StartTls::Never, _) | (StartTls::IfOffered, false) => {
                OpeningStep::Ready(std::mem::take(&mut self.capabilities))
            }
            (StartTls::Required, false) => OpeningStep::NoTls(None),
            (StartTls::IfOffered | StartTls::Required, true) => {
                self.waits_for = Waiting::StartTls;
                out.extend_from_slice(b"STARTTLS\r\n");
                OpeningStep::Read(Stage::StartTls)
            }
        }
    }

    fn greet(&self, out: &mut Vec<u8>, verb: &str) {
        // Writing into a `Vec` does not fail.
        let _ = write!(out, "{verb} {}\r\n", self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the server's replies and shows what the client sent (`TLS` for the handshake) and how it ended.
    fn play(protocol: Protocol, tls: StartTls, replies: &[&'static str]) -> (String, OpeningStep) {
        let mut opening = Opening::new(protocol, "us", tls);
        let mut sent = Vec::new();
        let mut step = OpeningStep::Read(Stage::Greeting);
        for text in replies {
            assert!(
                matches!(step, OpeningStep::Read(_)),
                "{text:?} is not read in {step:?}"
            );
            let (code, rest) = text.split_once(' ').unwrap();
            step = opening.reply(Reply::bare(code.parse().unwrap(), rest), &mut sent);
            if step == OpeningStep::Handshake {
                sent.extend_from_slice(b"TLS\r\n");
                step = opening.secured(&mut sent);
            }
        }
        (String::from_utf8(sent).unwrap().replace("\r\n", "; "), step)
    }

    /// What the case shows, protocol, use of TLS, the server's replies; what is sent, how it ends.
    type Case = (
        &'static str,
        Protocol,
        StartTls,
        &'static [&'static str],
        &'static str,
        OpeningStep,
    );

    #[test]
    fn openings() {
        use Protocol::{Lmtp, Smtp};
        use StartTls::{IfOffered, Never, Required};
        let ready = |name: &str| {
            OpeningStep::Ready(Capabilities {
                name: name.into(),
                ..Capabilities::default()
            })
        };
        let offered = OpeningStep::Ready(Capabilities {
            name: "mx".into(),
            starttls: true,
            ..Capabilities::default()
        });
        let refused = |stage, code, text| OpeningStep::Refused(stage, Reply::bare(code, text));
        #[rustfmt::skip]
        let cases: Vec<Case> = vec![
            ("plain",                         Smtp, Never,     &["220 hi", "250 mx hello"],                          "EHLO us; ",                 ready("mx")),
            ("LMTP",                          Lmtp, Never,     &["220 hi", "250 mx"],                                "LHLO us; ",                 ready("mx")),
            ("TLS not wished",                Smtp, Never,     &["220 hi", "250 mx\nSTARTTLS"],                      "EHLO us; ",                 offered.clone()),
            ("TLS not offered",               Smtp, IfOffered, &["220 hi", "250 mx"],                                "EHLO us; ",                 ready("mx")),
            ("TLS offered",                   Smtp, IfOffered, &["220 hi", "250 mx\nSTARTTLS", "220 go", "250 in"],  "EHLO us; STARTTLS; TLS; EHLO us; ", ready("in")),
            ("TLS refused, not needed",       Smtp, IfOffered, &["220 hi", "250 mx\nSTARTTLS", "454 no"],            "EHLO us; STARTTLS; ",       offered),
            ("TLS refused, needed",           Smtp, Required,  &["220 hi", "250 mx\nSTARTTLS", "454 no"],            "EHLO us; STARTTLS; ",       OpeningStep::NoTls(Some(Reply::bare(454, "no")))),
            ("TLS not offered, needed",       Smtp, Required,  &["220 hi", "250 mx"],                                "EHLO us; ",                 OpeningStep::NoTls(None)),
            ("no EHLO",                       Smtp, IfOffered, &["220 hi", "502 what", "250 old"],                   "EHLO us; HELO us; ",        ready("old")),
            ("no EHLO, TLS needed",           Smtp, Required,  &["220 hi", "502 what"],                              "EHLO us; ",                 refused(Stage::Hello, 502, "what")),
            ("no LHLO",                       Lmtp, Never,     &["220 hi", "500 what"],                              "LHLO us; ",                 refused(Stage::Hello, 500, "what")),
            ("greeted with 554",              Smtp, Never,     &["554 no"],                                          "",                          refused(Stage::Greeting, 554, "no")),
            ("greeted with 421",              Smtp, Never,     &["421 busy"],                                        "",                          refused(Stage::Greeting, 421, "busy")),
            ("EHLO answered with 421",        Smtp, Never,     &["220 hi", "421 busy"],                              "EHLO us; ",                 refused(Stage::Hello, 421, "busy")),
            ("421 instead of TLS",            Smtp, IfOffered, &["220 hi", "250 mx\nSTARTTLS", "421 bye"],           "EHLO us; STARTTLS; ",       refused(Stage::StartTls, 421, "bye")),
            ("offered again inside TLS",      Smtp, Required,  &["220 hi", "250 mx\nSTARTTLS", "220 go", "250 mx\nSTARTTLS"], "EHLO us; STARTTLS; TLS; EHLO us; ",
                OpeningStep::Ready(Capabilities { name: "mx".into(), starttls: true, ..Capabilities::default() })),
        ];
        for (shows, protocol, tls, replies, sent, end) in cases {
            assert_eq!(play(protocol, tls, replies), (sent.to_owned(), end), "{shows}");
        }
    }
}
