//! Who may send where. The decision that keeps Postern from being an open relay.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use postern_mail::{Domain, ForwardPath, Mailbox, Status};

use crate::breadth::is_everybody;
use crate::domain_set::DomainSet;
use crate::rule::{Rule, Told, Verdict};

/// What is known when a recipient is named.
#[derive(Clone, Copy, Debug)]
pub struct RelayFacts<'a> {
    /// The client's address.
    pub peer: IpAddr,
    /// The login made on this connection.
    pub login: Option<&'a str>,
    /// Whether its mechanism and strength are trusted to relay; see [`LoginTrust`](crate::login::LoginTrust).
    pub login_trusted: bool,
    /// The user of this machine who hands the message in.
    pub local_user: Option<&'a str>,
    /// The client's certificate, if and only if it was verified.
    pub certificate: Option<&'a CertificateFacts>,
    /// The recipient.
    pub recipient: &'a ForwardPath,
    /// Whether the recipient's domain is an address literal of this host.
    pub own_literal: bool,
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
    /// Domains that have aliases by address and nothing else: their mail is taken from anyone, as far as an alias is for it.
    pub alias_domains: DomainSet,
    /// Networks that may relay.
    pub networks: Vec<IpNet>,
    /// Client certificates that may relay.
    pub certificates: Vec<CertificateRule>,
    /// Whether a login may relay. Default true in the configuration.
    pub login_relays: bool,
    /// Whether who may relay reaches address literals of other hosts. Default false.
    pub address_literals: bool,
    /// The local domain that an address literal of this host stands for (RFC 5321 section 4.1.3); without one it stands for nothing.
    pub literal_domain: Option<Domain>,
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
    /// An access rule, which is named, accepts the recipient.
    Access(String),
    /// It is a program of this user of this machine.
    Local(String),
}

/// Why a message was taken: the widest reason that one of its recipients needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Acceptance {
    /// All are in domains of this server.
    Local,
    /// One at least is in a domain behind this server.
    RelayDomain,
    /// One at least is elsewhere, and the client may relay.
    Relay(RelayReason),
}

impl Acceptance {
    /// The network, the name of the rule for certificates, or the local user, where there is one.
    #[must_use]
    pub fn detail(&self) -> Option<&dyn fmt::Display> {
        match self {
            Self::Relay(RelayReason::Network(network)) => Some(network),
            Self::Relay(
                RelayReason::Certificate(name) | RelayReason::Access(name) | RelayReason::Local(name),
            ) => Some(name),
            Self::Relay(RelayReason::Login) | Self::RelayDomain | Self::Local => None,
        }
    }
}

impl Verdict for Acceptance {
    fn rule(&self) -> Rule {
        match self {
            Self::Local => Rule::LocalRecipient,
            Self::RelayDomain => Rule::RelayDomain,
            Self::Relay(reason) => reason.rule(),
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        match self {
            Self::Local => &"in a domain of this server",
            Self::RelayDomain => &"in a domain behind this server",
            Self::Relay(reason) => reason,
        }
    }

    fn reply(&self) -> Option<Told> {
        None
    }
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
    /// The only reason would be a login, by a mechanism or with a strength that is not trusted to relay.
    #[error("relaying denied: the mechanism or strength of the login is not trusted")]
    LoginUntrusted,
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
    /// An address literal of another host, from a client that may relay, where those are off.
    #[error("mail to address literals is off (address_literals in [relay])")]
    LiteralsOff,
    /// This listener takes nothing from strangers; they have to log in.
    #[error("authentication required")]
    LoginRequired,
}

impl RelayRules {
    /// Whether this server says who exists in a domain: one with mailboxes here, or one that has aliases alone.
    #[must_use]
    pub fn is_here(&self, domain: &Domain) -> bool {
        self.local_domains.contains_by_name(domain) || self.alias_domains.contains_by_name(domain)
    }

    /// Whether a login may relay, trusted by mechanism and strength or not.
    ///
    /// # Errors
    ///
    /// Why it may not: [`RelayRefusal::Denied`] where no login may, [`RelayRefusal::LoginUntrusted`].
    pub const fn by_login(&self, trusted: bool) -> Result<RelayReason, RelayRefusal> {
        match (self.login_relays, trusted) {
            (false, _) => Err(RelayRefusal::Denied),
            (true, false) => Err(RelayRefusal::LoginUntrusted),
            (true, true) => Ok(RelayReason::Login),
        }
    }

    /// The reason for which a client is trusted with recipients anywhere, if there is one.
    #[must_use]
    pub fn reason(&self, facts: &RelayFacts<'_>) -> Option<RelayReason> {
        if let Some(user) = facts.local_user {
            return Some(RelayReason::Local(user.to_owned()));
        }
        if facts.login.is_some() && self.by_login(facts.login_trusted).is_ok() {
            return Some(RelayReason::Login);
        }
        let certificate = facts
            .certificate
            .and_then(|facts| self.certificates.iter().find(|rule| rule.matches(facts)));
        if let Some(rule) = certificate {
            return Some(RelayReason::Certificate(rule.name.clone()));
        }
        let peer = facts.peer.to_canonical();
        let mut networks = self.networks.iter().filter(|network| !is_everybody(network));
        networks
            .find(|network| network.contains(&peer))
            .copied()
            .map(RelayReason::Network)
    }
}

impl CertificateRule {
    /// Whether a verified certificate is of this kind. A rule without any field matches nothing.
    #[must_use]
    pub fn matches(&self, facts: &CertificateFacts) -> bool {
        if self.issuer.is_none() && self.subject.is_none() && self.fingerprint.is_none() {
            return false;
        }
        let name = |rule: &Option<String>, fact| rule.as_ref().is_none_or(|rule| same_name(rule, fact));
        let fingerprint = self
            .fingerprint
            .as_ref()
            .is_none_or(|rule| same_fingerprint(rule, &facts.fingerprint));
        name(&self.issuer, &facts.issuer) && name(&self.subject, &facts.subject) && fingerprint
    }
}

impl Verdict for RelayReason {
    fn rule(&self) -> Rule {
        match self {
            Self::Login => Rule::RelayLogin,
            Self::Network(_) => Rule::RelayNetwork,
            Self::Certificate(_) => Rule::RelayCertificate,
            Self::Access(_) => Rule::RelayAccess,
            Self::Local(_) => Rule::RelayLocal,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// The network, the name of the rule for certificates, or the local user.
impl fmt::Display for RelayReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => f.write_str("a login"),
            Self::Network(network) => network.fmt(f),
            Self::Certificate(name) | Self::Access(name) | Self::Local(name) => f.write_str(name),
        }
    }
}

impl Verdict for RelayVerdict {
    fn rule(&self) -> Rule {
        match self {
            Self::Local { .. } => Rule::LocalRecipient,
            Self::RelayDomain { .. } => Rule::RelayDomain,
            Self::Relay { reason, .. } => reason.rule(),
            Self::Refuse(refusal) => refusal.rule(),
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        match self {
            Self::Local { .. } => &"in a domain of this server",
            Self::RelayDomain { .. } => &"in a domain behind this server",
            Self::Relay { reason, .. } => reason,
            Self::Refuse(refusal) => refusal,
        }
    }

    fn reply(&self) -> Option<Told> {
        match self {
            Self::Refuse(refusal) => Some(refusal.told()),
            Self::Local { .. } | Self::RelayDomain { .. } | Self::Relay { .. } => None,
        }
    }
}

impl Verdict for RelayRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Denied => Rule::RelayDenied,
            Self::LoginUntrusted => Rule::RelayLoginUntrusted,
            Self::PercentHack => Rule::RelayPercentHack,
            Self::BangPath => Rule::RelayBangPath,
            Self::QuotedAddress => Rule::RelayQuotedAddress,
            Self::SourceRoute => Rule::RelaySourceRoute,
            Self::AddressLiteral => Rule::RelayAddressLiteral,
            Self::LiteralsOff => Rule::RelayLiteralsOff,
            Self::LoginRequired => Rule::RelayLoginRequired,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl RelayRefusal {
    /// Reply code, status and words: `550 5.7.1 Relaying denied`, or `530 5.7.0` where a login is missing (RFC 4954 section 6).
    ///
    /// The words are the same whatever trick was tried: a stranger learns nothing from them.
    #[must_use]
    pub fn told(self) -> Told {
        match self {
            Self::LiteralsOff => (
                550,
                Status(5, 1, 2),
                "Mail to address literals is not sent from here",
            ),
            Self::LoginRequired => (530, Status(5, 7, 0), "Authentication required"),
            Self::Denied
            | Self::LoginUntrusted
            | Self::PercentHack
            | Self::BangPath
            | Self::QuotedAddress
            | Self::SourceRoute
            | Self::AddressLiteral => (550, Status(5, 7, 1), "Relaying denied"),
        }
    }
}

/// Decides what to do with one recipient. No rule matches by omission.
///
/// What stands in a local part is never taken for an address: a stranger is refused where some other server might, and for a trusted
/// client it is the name of a mailbox and nothing else. A source route is dropped (RFC 5321 section 4.1.1.3), so what
/// counts is the mailbox at its end.
///
/// An address literal of this host means its own domain, for who may relay; one of another host is reached where that is wanted.
#[must_use]
pub fn relay(facts: &RelayFacts<'_>, rules: &RelayRules) -> RelayVerdict {
    let reason = rules.reason(facts);
    if reason.is_none() && facts.login.is_none() && !facts.listener_allows_strangers {
        return RelayVerdict::Refuse(RelayRefusal::LoginRequired);
    }
    let (mailbox, source_route) = match facts.recipient {
        ForwardPath::Postmaster => {
            return RelayVerdict::Local {
                recipient: ForwardPath::Postmaster,
            };
        }
        ForwardPath::Mailbox {
            mailbox,
            source_route,
        } => (mailbox, *source_route),
    };
    if reason.is_none()
        && let Some(refusal) = refuse_stranger(mailbox, source_route, rules)
    {
        return RelayVerdict::Refuse(match (refusal, facts.login) {
            (RelayRefusal::Denied, Some(_)) => rules.by_login(facts.login_trusted).err().unwrap_or(refusal),
            (refusal, _) => refusal,
        });
    }
    let recipient = match (mailbox.domain(), &rules.literal_domain) {
        (Domain::Literal(_), Some(domain)) if facts.own_literal => in_domain(mailbox, domain),
        (Domain::Literal(_), _) if !rules.address_literals => {
            return RelayVerdict::Refuse(RelayRefusal::LiteralsOff);
        }
        _ => mailbox.clone(),
    };
    if rules.is_here(recipient.domain()) {
        return RelayVerdict::Local {
            recipient: ForwardPath::Mailbox {
                mailbox: recipient,
                source_route: false,
            },
        };
    }
    if rules.relay_domains.contains_by_name(recipient.domain()) {
        return RelayVerdict::RelayDomain { recipient };
    }
    match reason {
        Some(reason) => RelayVerdict::Relay { recipient, reason },
        None => RelayVerdict::Refuse(RelayRefusal::Denied),
    }
}

/// The mailbox of the same name in another domain.
fn in_domain(mailbox: &Mailbox, domain: &Domain) -> Mailbox {
    // A local part that was taken with one domain fails with another one by its length alone.
    Mailbox::new(&mailbox.unquoted_local(), domain.clone()).unwrap_or_else(|_| mailbox.clone())
}

/// Why a client without any reason to relay may not have this recipient; `None` for an honest one in an own domain.
fn refuse_stranger(mailbox: &Mailbox, source_route: bool, rules: &RelayRules) -> Option<RelayRefusal> {
    let domain = mailbox.domain();
    if domain.name().is_none() {
        return Some(RelayRefusal::AddressLiteral);
    }
    if !rules.is_here(domain) && !rules.relay_domains.contains_by_name(domain) {
        return Some(if source_route {
            RelayRefusal::SourceRoute
        } else {
            RelayRefusal::Denied
        });
    }
    // The wide, small and double forms are there since a server behind us may fold them into the plain ones.
    mailbox.unquoted_local().chars().find_map(|c| match c {
        '%' | '\u{ff05}' | '\u{fe6a}' => Some(RelayRefusal::PercentHack),
        '!' | '\u{ff01}' | '\u{fe57}' | '\u{203c}' | '\u{2048}' | '\u{2049}' => Some(RelayRefusal::BangPath),
        '@' | '\u{ff20}' | '\u{fe6b}' => Some(RelayRefusal::QuotedAddress),
        _ => None,
    })
}

/// Whether two distinguished names are the same but for blanks around separators and the case of attribute types.
fn same_name(one: &str, other: &str) -> bool {
    fn attributes(name: &str) -> impl Iterator<Item = (String, &str)> {
        let mut rest = Some(name);
        std::iter::from_fn(move || {
            let text = rest?;
            let mut escaped = false;
            let end = text.find(|c| {
                let separates = c == ',' && !escaped;
                escaped = c == '\\' && !escaped;
                separates
            });
            rest = end.map(|end| &text[end + 1..]);
            let attribute = &text[..end.unwrap_or(text.len())];
            let (kind, value) = attribute.split_once('=').unwrap_or(("", attribute));
            Some((kind.trim().to_ascii_lowercase(), value.trim()))
        })
    }
    attributes(one).eq(attributes(other))
}

/// Whether a fingerprint from a rule, with colons or not and in either case, is this one.
fn same_fingerprint(rule: &str, fact: &str) -> bool {
    const DIGITS: usize = 64;
    let digits = rule
        .bytes()
        .filter(|octet| *octet != b':')
        .map(|octet| octet.to_ascii_lowercase());
    fact.len() == DIGITS && digits.eq(fact.bytes())
}
