//! The trace field that every hop puts before a message (RFC 5321 section 4.4).

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::Offset;

/// What a `Received:` field tells.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The name the client gave in `EHLO`; written with anything unfit replaced by `?`.
    pub helo: &'a str,
    /// The name of the client's address in the DNS, if forward-confirmed.
    pub peer_name: Option<&'a str>,
    /// The client's address.
    pub peer_ip: IpAddr,
    /// The login, if there was one.
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
    /// The recipient without angle brackets; give it only where there is a single one, and for nobody's embarrassment.
    pub for_: Option<&'a str>,
    /// When the message was received.
    pub date: Timestamp,
    /// The zone to write `date` in.
    pub offset: Offset,
    /// Leaves out `from` with the client's names and address, and the login.
    pub hide_submitter: bool,
}

/// The login in a trace field.
#[derive(Clone, Copy, Debug)]
pub struct TraceAuth<'a> {
    /// Strength of the SASL security layer, 0 without one.
    pub bits: u32,
    /// The login, where the configuration shows it.
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
    /// What became of the client's certificate.
    pub verify: Verify,
}

/// What became of the client's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verify {
    /// `OK`: presented and verified.
    Ok,
    /// `NO`: none presented.
    No,
    /// `FAIL`: presented, not verified.
    Fail,
}

/// The protocol a message came by, as registered for the `with` clause (RFC 3848, RFC 6531 section 4.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct With {
    /// LMTP rather than SMTP (RFC 2033).
    pub lmtp: bool,
    /// `EHLO` was used.
    pub esmtp: bool,
    /// Inside TLS.
    pub tls: bool,
    /// After a login.
    pub auth: bool,
    /// `SMTPUTF8` was given for this message.
    pub utf8: bool,
}

impl With {
    /// The keyword: `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`, `UTF8SMTP` and so on.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        todo!()
    }
}

impl Trace<'_> {
    /// Appends the whole field, with its final CRLF, to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        todo!("{out:?}")
    }
}
