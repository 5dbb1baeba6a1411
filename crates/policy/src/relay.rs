//! Who may send where. The decision that keeps Postern from being an open relay.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use postern_mail::{Domain, ForwardPath, Mailbox, Status};

use crate::breadth::is_everybody;
use crate::domain_set::DomainSet;
use crate::rule::{Rule, Told, Verdict};

/// The facts when a recipient is named.
#[derive(Clone, Copy, Debug)]
pub struct RelayFacts<'a> {
    /// The client's address.
    pub peer: IpAddr,
    /// The user authenticated on this connection.
    pub login: Option<&'a str>,
    /// Whether its mechanism and strength are trusted to relay; see [`LoginTrust`](crate::login::LoginTrust).
    pub login_trusted: bool,
    /// The local user who submits the message.
    pub local_user: Option<&'a str>,
    /// The client's certificate, if and only if it was verified.
    pub certificate: Option<&'a CertificateFacts>,
    /// The recipient.
    pub recipient: &'a ForwardPath,
    /// Whether the recipient's domain is an address literal of this host.
    pub own_literal: bool,
    /// Whether this listener accepts mail from strangers for own domains. False on submission listeners.
    pub listener_allows_strangers: bool,
    /// Whether this listener offers `AUTH`.
    pub listener_offers_login: bool,
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

/// A kind of certificate that may relay. All fields given must match; a rule without any matches nothing.
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
    /// Domains to which mail is relayed for anyone. `*` is ignored here: it would make an open relay.
    pub relay_domains: DomainSet,
    /// Domains that only have aliases by address: mail for these aliases is accepted from anyone.
    pub alias_domains: DomainSet,
    /// Networks that may relay.
    pub networks: Vec<IpNet>,
    /// Client certificates that may relay.
    pub certificates: Vec<CertificateRule>,
    /// Whether a login may relay. Default true in the configuration.
    pub login_relays: bool,
    /// Whether clients that may relay can send to address literals of other hosts. Default false.
    pub address_literals: bool,
    /// The local domain that an address literal of this host stands for (RFC 5321 section 4.1.3), if any.
    pub literal_domain: Option<Domain>,
}

/// The reason why a client may send to recipients anywhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RelayReason {
    /// It has authenticated.
    Login,
    /// Its address is in this listed network.
    Network(IpNet),
    /// Its certificate matches the rule with this name.
    Certificate(String),
    /// The access rule with this name accepts the recipient.
    Access(String),
    /// It is a program of this local user.
    Local(String),
    /// It is a device, and the lane with this name is for the sender and the recipient.
    Device(String),
}

/// Why a message was accepted: the widest reason that one of its recipients needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Acceptance {
    /// All are in domains of this server.
    Local,
    /// At least one is in a relay domain.
    RelayDomain,
    /// At least one is in another domain, and the client may relay.
    Relay(RelayReason),
}

impl Acceptance {
    /// The network, the name of the certificate rule, or the local user, if there is one.
    #[must_use]
    pub fn detail(&self) -> Option<&dyn fmt::Display> {
        match self {
            Self::Relay(RelayReason::Network(network)) => Some(network),
            Self::Relay(
                RelayReason::Certificate(name)
                | RelayReason::Access(name)
                | RelayReason::Local(name)
                | RelayReason::Device(name),
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
    /// In a relay domain: accepted from anyone.
    RelayDomain {
        /// The final mailbox.
        recipient: Mailbox,
    },
    /// Relayed, and why.
    Relay {
        /// The final mailbox.
        recipient: Mailbox,
        /// The reason.
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
    /// The only reason would be a login whose mechanism or strength is not trusted to relay.
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
    /// An address literal of another host, from a client that may relay, if those are off.
    #[error("mail to address literals is off (address_literals in [relay])")]
    LiteralsOff,
    /// This listener accepts nothing from strangers; they must authenticate.
    #[error("authentication required")]
    LoginRequired,
    /// This listener accepts nothing from strangers, and offers no authentication: the client's address has to be listed.
    #[error("the client's address is in no device lane and in no network that may relay")]
    Unlisted,
}

impl RelayRules {
    /// Whether this server knows who exists in a domain: one with local mailboxes, or one with only aliases.
    #[must_use]
    pub fn is_here(&self, domain: &Domain) -> bool {
        self.local_domains.contains_by_name(domain) || self.alias_domains.contains_by_name(domain)
    }

    /// Whether a login may relay, trusted by mechanism and strength or not.
    ///
    /// # Errors
    ///
    /// Why it may not: [`RelayRefusal::Denied`] if no login may, [`RelayRefusal::LoginUntrusted`].
    pub const fn by_login(&self, trusted: bool) -> Result<RelayReason, RelayRefusal> {
        match (self.login_relays, trusted) {
            (false, _) => Err(RelayRefusal::Denied),
            (true, false) => Err(RelayRefusal::LoginUntrusted),
            (true, true) => Ok(RelayReason::Login),
        }
    }

    /// The reason why a client may send to recipients anywhere, if there is one.
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
            Self::Device(_) => Rule::RelayDevice,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// The network, the name of the certificate rule, or the local user.
impl fmt::Display for RelayReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => f.write_str("a login"),
            Self::Network(network) => network.fmt(f),
            Self::Certificate(name) | Self::Access(name) | Self::Local(name) | Self::Device(name) => {
                f.write_str(name)
            }
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
            Self::Unlisted => Rule::RelayUnlisted,
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
    /// Reply code, status and text: `550 5.7.1 Relaying denied`, or `530 5.7.0` if authentication is required (RFC 4954 section
    /// 6).
    ///
    /// The text is the same whatever trick was tried: a stranger learns nothing from it.
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
            | Self::AddressLiteral
            | Self::Unlisted => (550, Status(5, 7, 1), "Relaying denied"),
        }
    }
}

/// Decides what to do with one recipient. No rule matches by omission.
///
/// The text of a local part is never read as an address: a stranger is refused if some other server might do so, and for a
/// trusted client it is only the name of a mailbox. A source route is dropped (RFC 5321 section 4.1.1.3), so the mailbox at its
/// end counts.
///
/// An address literal of this host means its own domain, for clients that may relay; one of another host can be used if that is
/// on.
#[must_use]
pub fn relay(facts: &RelayFacts<'_>, rules: &RelayRules) -> RelayVerdict {
    let reason = rules.reason(facts);
    if reason.is_none() && facts.login.is_none() && !facts.listener_allows_strangers {
        return RelayVerdict::Refuse(match facts.listener_offers_login {
            true => RelayRefusal::LoginRequired,
            false => RelayRefusal::Unlisted,
        });
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

/// The mailbox with the same name in another domain.
fn in_domain(mailbox: &Mailbox, domain: &Domain) -> Mailbox {
    // A local part that is valid with one domain can only fail with another because of the length.
    Mailbox::new(&mailbox.unquoted_local(), domain.clone()).unwrap_or_else(|_| mailbox.clone())
}

/// Why a client without any reason to relay may not use this recipient; `None` for a plain one in an own domain.
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
    rerouted(mailbox)
}

/// Whether a local part asks a later server to send the mail elsewhere, as `user%other.example@here.example` does.
pub(crate) fn rerouted(mailbox: &Mailbox) -> Option<RelayRefusal> {
    // The full-width, small and double forms are included because a later server may fold them to the plain ones.
    mailbox.unquoted_local().chars().find_map(|c| match c {
        '%' | '\u{ff05}' | '\u{fe6a}' => Some(RelayRefusal::PercentHack),
        '!' | '\u{ff01}' | '\u{fe57}' | '\u{203c}' | '\u{2048}' | '\u{2049}' => Some(RelayRefusal::BangPath),
        '@' | '\u{ff20}' | '\u{fe6b}' => Some(RelayRefusal::QuotedAddress),
        _ => None,
    })
}

/// Whether two distinguished names are the same, ignoring blanks around separators and the case of attribute types.
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

/// Whether a fingerprint from a rule, with or without colons and in either case, is this one.
fn same_fingerprint(rule: &str, fact: &str) -> bool {
    const DIGITS: usize = 64;
    let digits = rule
        .bytes()
        .filter(|octet| *octet != b':')
        .map(|octet| octet.to_ascii_lowercase());
    fact.len() == DIGITS && digits.eq(fact.bytes())
}
