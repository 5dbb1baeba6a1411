//! Where mail goes, and with how much TLS.

use std::path::PathBuf;
use std::sync::Arc;

use postern_mail::{Domain, Mailbox};
use serde::Deserialize;

use super::hop::Hop;
use crate::alias::RefusalText;

/// The TLS level of a hop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsLevel {
    /// Never.
    None,
    /// If offered; otherwise cleartext.
    #[default]
    Opportunistic,
    /// As the host's TLSA records say: if it has proven ones, always, and with the certificate that they name (RFC 7672);
    /// otherwise as [`Opportunistic`](Self::Opportunistic).
    Dane,
    /// Always as TLSA records say; without proven ones the mail waits.
    DaneOnly,
    /// Always, with `STARTTLS`; without it the mail waits.
    Required,
    /// Always, from the first octet on, as on port 465 (RFC 8314 section 3.3).
    Implicit,
}

impl TlsLevel {
    /// Whether nothing is sent without TLS.
    #[must_use]
    pub fn is_always(self) -> bool {
        matches!(self, Self::Required | Self::Implicit | Self::DaneOnly)
    }

    /// Whether TLSA records count.
    #[must_use]
    pub fn is_dane(self) -> bool {
        matches!(self, Self::Dane | Self::DaneOnly)
    }
}

/// Which credentials may be sent to a host whose certificate was not verified, and so to anybody who answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub enum UnverifiedLogin {
    /// Nothing: the mail waits.
    #[default]
    Nothing,
    /// Proofs, such as SCRAM's. Whoever gets one can guess passwords offline.
    Proofs,
    /// The password, or the token.
    Password,
}

/// The login for a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteLogin {
    /// The name of the login in the configuration.
    pub name: Arc<str>,
    /// What may be sent to an unverified host.
    pub unverified: UnverifiedLogin,
}

/// The protocol of a hop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033), which answers for each recipient.
    Lmtp,
}

/// Where a rule sends mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// To these hosts, tried in order.
    Hosts {
        /// The hosts, at least one.
        via: Vec<Hop>,
        /// How to speak to them.
        protocol: Protocol,
    },
    /// To the hosts that the domain's MX records name.
    Mx,
    /// Into Maildirs below this folder.
    Maildir(PathBuf),
    /// To local users of this machine.
    System {
        /// Most deliveries to one of them at once.
        per_user: usize,
    },
    /// To a program.
    Pipe {
        /// Its name in the configuration.
        name: Arc<str>,
        /// An additional argument: Postfix's next hop.
        next_hop: Box<str>,
    },
    /// Where mail for local domains goes.
    Local,
    /// Nowhere: it is refused, at `RCPT` or, if accepted before, in the queue.
    Refuse(RefusalText),
    /// Nowhere: it is accepted and discarded.
    Discard,
    /// Unknown for now: a table of routes cannot be asked, or its result is not a route. The mail waits. The text says why, for
    /// the log.
    Unknown(Arc<str>),
}

/// The domain of recipients whose mail an alias discards. It cannot exist elsewhere (RFC 6761 section 6.4).
pub(super) const DISCARDED: &str = "discarded.invalid";

/// The recipient for discarded mail to `address`, as shown in queue and log.
#[must_use]
pub fn discarded(address: &Mailbox) -> Mailbox {
    let domain = Domain::Name(DISCARDED.into());
    Mailbox::new(&address.unquoted_local(), domain).unwrap_or_else(|_| address.clone())
}

impl Default for Target {
    /// By MX records.
    fn default() -> Self {
        Self::Mx
    }
}
