//! What an administrator has written: whom a budget is about, what it counts, and what is done beyond it.

use std::net::IpAddr;

use postern_mail::Domain;

use crate::DomainSet;
use crate::access::networks::NetworkSet;
use crate::network::NetworkPrefix;
use crate::origin::LoginSet;

/// For whom is counted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Per {
    /// Whoever has proved a password, ticket or certificate, whatever addresses are used; a user of this machine counts like one.
    Login,
    /// The network of a client that has logged in or may relay.
    Network,
    /// The domain of the sender in the envelope, of clients that have logged in or may relay.
    SenderDomain,
}

impl Per {
    /// All.
    pub const ALL: [Self; 3] = [Self::Login, Self::Network, Self::SenderDomain];

    /// Its name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Network => "network",
            Self::SenderDomain => "sender_domain",
        }
    }
}

/// What is counted. The names say in which direction.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Counted {
    /// Messages that were taken from it.
    SentMessages,
    /// Recipients that it has named in messages that were taken, before aliases are followed.
    SentRecipients,
    /// Those among them to whom it has not sent before, as far as is remembered.
    FirstTimeRecipients,
    /// Recipients that it has named and that were refused for good, as unknown.
    RefusedRecipients,
    /// Mail that it has sent and that could not be delivered, by recipient.
    Bounces,
    /// Logins that were tried in its name, or from its network, and failed.
    FailedLogins,
    /// Networks from which it sends.
    Networks,
    /// Countries from which it sends, as the site's file says.
    Countries,
    /// Octets of messages that were taken from it.
    SentOctets,
}

impl Counted {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::SentMessages,
        Self::SentRecipients,
        Self::FirstTimeRecipients,
        Self::RefusedRecipients,
        Self::Bounces,
        Self::FailedLogins,
        Self::Networks,
        Self::Countries,
        Self::SentOctets,
    ];

    /// Its name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SentMessages => "sent_messages",
            Self::SentRecipients => "sent_recipients",
            Self::FirstTimeRecipients => "first_time_recipients",
            Self::RefusedRecipients => "refused_recipients",
            Self::Bounces => "bounces",
            Self::FailedLogins => "failed_logins",
            Self::Networks => "networks",
            Self::Countries => "countries",
            Self::SentOctets => "sent_octets",
        }
    }

    /// What a person calls it: `4 messages`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SentMessages => "messages",
            Self::SentRecipients => "recipients",
            Self::FirstTimeRecipients => "new recipients",
            Self::RefusedRecipients => "refused recipients",
            Self::Bounces => "bounces",
            Self::FailedLogins => "failed logins",
            Self::Networks => "networks",
            Self::Countries => "countries",
            Self::SentOctets => "octets",
        }
    }

    /// Whether different ones are counted, each once.
    #[must_use]
    pub const fn is_distinct(self) -> bool {
        matches!(self, Self::Networks | Self::Countries)
    }

    /// Whether somebody else can make it happen: whoever guesses a password. No account may be stopped by that.
    #[must_use]
    pub const fn is_others_doing(self) -> bool {
        matches!(self, Self::FailedLogins)
    }

    /// By its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counted| counted.name() == name)
    }
}

/// In what time is counted. It slides: any minute, hour or day, wherever it begins.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Span {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

impl Span {
    /// All.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// How finely is counted, in seconds: what is counted may weigh on the window for so much longer, never shorter.
    #[must_use]
    pub const fn grain(self) -> u64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 900,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// With its article.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day",
        }
    }

    /// By its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }
}

/// What is done beyond a bound, the mildest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Action {
    /// The log says so.
    Warn,
    /// Mail is taken more slowly.
    Delay,
    /// Mail is refused for now.
    Refuse,
    /// The account is put on hold: its mail is taken and waits for an administrator.
    Hold,
}

impl Action {
    /// Its name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Delay => "delay",
            Self::Refuse => "refuse",
            Self::Hold => "hold",
        }
    }
}

/// A bound: so much in that time, and what is done beyond it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bound {
    /// Of what.
    pub counted: Counted,
    /// In what time.
    pub span: Span,
    /// How much there may be.
    pub most: u64,
    /// What is done with what goes beyond.
    pub action: Action,
}

/// Whom a budget is about; what is empty does not matter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Whom {
    /// Logins.
    pub logins: LoginSet,
    /// Domains of senders.
    pub domains: Option<DomainSet>,
    /// Networks of clients.
    pub networks: Option<NetworkSet>,
}

/// A budget.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Budget {
    /// Its name in the log.
    pub name: Box<str>,
    /// For whom is counted.
    pub per: Per,
    /// Whom it is about.
    pub whom: Whom,
    /// Its bounds; without any, it is an exception from those behind it.
    pub bounds: Vec<Bound>,
}

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Who has proved a password or the like; a user of this machine by name.
    pub login: Option<&'a str>,
    /// The client's address; `None` for a program of this machine, and where it is not known.
    pub peer: Option<IpAddr>,
    /// The domain of the sender, in small letters; `None` for `<>`.
    pub sender_domain: Option<&'a str>,
}

impl Who<'_> {
    /// Under which name is counted; `None` where there is nobody of that kind.
    #[must_use]
    pub fn key(&self, per: Per) -> Option<Box<str>> {
        match per {
            Per::Login => self.login.map(Into::into),
            Per::Network => self.peer.map(network_name),
            Per::SenderDomain => self.sender_domain.map(Into::into),
        }
    }
}

/// The network of a client, as budgets count it: an address of IPv4, a `/64` of IPv6.
#[must_use]
pub fn network_name(peer: IpAddr) -> Box<str> {
    let network = NetworkPrefix::default().net(peer);
    match network.addr() {
        IpAddr::V4(address) => address.to_string().into(),
        IpAddr::V6(_) => network.to_string().into(),
    }
}

impl Whom {
    /// Whether it is about a client.
    #[must_use]
    pub fn includes(&self, who: &Who<'_>) -> bool {
        let login_fits = || self.logins.find(who.login).is_some();
        let domain = || Domain::parse(who.sender_domain?, true).ok();
        let domain_fits = || {
            self.domains
                .as_ref()
                .is_none_or(|domains| domain().is_some_and(|domain| domains.contains(&domain)))
        };
        let network_fits = || {
            self.networks
                .as_ref()
                .is_none_or(|networks| who.peer.is_some_and(|peer| networks.contains(peer)))
        };
        login_fits() && domain_fits() && network_fits()
    }
}

/// The budget of a client: of those with this `per`, the first that is about it. One without bounds is an exception.
#[must_use]
pub fn budget_of<'b>(budgets: &'b [Budget], per: Per, who: &Who<'_>) -> Option<&'b Budget> {
    budgets
        .iter()
        .find(|budget| budget.per == per && budget.whom.includes(who))
        .filter(|budget| !budget.bounds.is_empty())
}
