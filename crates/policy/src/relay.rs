//! Who may send where. The decision that keeps Postern from being an open relay.

use std::net::IpAddr;

use ipnet::IpNet;
use postern_mail::{ForwardPath, Mailbox, Status};

use crate::domain_set::DomainSet;

/// What is known when a recipient is named.
#[derive(Clone, Copy, Debug)]
pub struct RelayFacts<'a> {
    /// The client's address.
    pub peer: IpAddr,
    /// The login made on this connection.
    pub login: Option<&'a str>,
    /// The client's certificate, if and only if it was verified.
    pub certificate: Option<&'a CertificateFacts>,
    /// The recipient.
    pub recipient: &'a ForwardPath,
    /// Whether this listener takes mail from strangers for own domains. False on submission listeners.
    pub listener_allows_strangers: bool,
}

/// A verified client certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    /// Distinguished name of the subject, such as `CN=mail.example,O=Example`.
    pub subject: String,
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// SHA-256 of the certificate, 64 lower-case hexadecimal digits.
    pub fingerprint: String,
}

/// A kind of certificate that may relay. All fields given have to match; a rule without any matches nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertificateRule {
    /// The rule's name in the log.
    pub name: String,
    /// The issuer's distinguished name. Blanks around commas do not count.
    pub issuer: Option<String>,
    /// The subject's distinguished name. Blanks around commas do not count.
    pub subject: Option<String>,
    /// SHA-256 of the certificate in hexadecimal digits of either case, with or without colons.
    pub fingerprint: Option<String>,
}

/// The rules of relaying.
#[derive(Clone, Debug, Default)]
pub struct RelayRules {
    /// Domains whose mailboxes are here.
    pub local_domains: DomainSet,
    /// Domains that are relayed to for anyone. `*` counts for nothing here: it would be an open relay.
    pub relay_domains: DomainSet,
    /// Networks that may relay.
    pub networks: Vec<IpNet>,
    /// Client certificates that may relay.
    pub certificates: Vec<CertificateRule>,
    /// Whether a login may relay. Default true in the configuration.
    pub login_relays: bool,
}

/// The reason for which a client is trusted with recipients anywhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RelayReason {
    /// It has logged in.
    Login,
    /// Its address is in this listed network.
    Network(IpNet),
    /// Its certificate matches the rule of this name.
    Certificate(String),
}

/// What to do with a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RelayVerdict {
    /// In a local domain: it must exist here.
    Local {
        /// The final mailbox.
        recipient: ForwardPath,
    },
    /// In a relay domain: taken from anyone.
    RelayDomain {
        /// The final mailbox.
        recipient: Mailbox,
    },
    /// Relayed, and why.
    Relay {
        /// The final mailbox.
        recipient: Mailbox,
        /// Why.
        reason: RelayReason,
    },
    /// Refused, and why.
    Refuse(RelayRefusal),
}

/// Why a recipient is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RelayRefusal {
    /// No reason to relay.
    #[error("relaying denied")]
    Denied,
    /// An own domain, but the local part holds `%`: `user%outside@local`.
    #[error("relaying denied: percent hack")]
    PercentHack,
    /// An own domain, but the local part holds `!`: `outside!user@local`.
    #[error("relaying denied: bang path")]
    BangPath,
    /// An own domain, but the local part holds a quoted `@`: `"user@outside"@local`.
    #[error("relaying denied: quoted address")]
    QuotedAddress,
    /// A source route to somewhere else: `@local:user@outside`.
    #[error("relaying denied: source route")]
    SourceRoute,
    /// An address literal: `user@[192.0.2.1]`, even if the address is ours.
    #[error("relaying denied: address literal")]
    AddressLiteral,
    /// This listener takes nothing from strangers; they have to log in.
    #[error("authentication required")]
    LoginRequired,
}

impl RelayVerdict {
    /// The name of the rule that decided, such as `relay.login` or `relay.percent-hack`, for the log.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        todo!()
    }
}

impl RelayRefusal {
    /// The name of the rule that refused.
    #[must_use]
    pub fn rule(self) -> &'static str {
        todo!()
    }

    /// Reply code, status and words: `550 5.7.1 Relaying denied`, or `530 5.7.0` where a login is missing.
    ///
    /// The words are the same whatever trick was tried: a stranger learns nothing from them.
    #[must_use]
    pub fn reply(self) -> (u16, Status, &'static str) {
        todo!()
    }
}

/// Decides what to do with one recipient. No rule matches by omission.
#[must_use]
pub fn relay(facts: &RelayFacts<'_>, rules: &RelayRules) -> RelayVerdict {
    todo!("{facts:?} {rules:?}")
}
