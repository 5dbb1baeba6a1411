//! What an administrator has configured: whom a budget applies to, what it counts, and what is done beyond it.

use std::net::IpAddr;

use postern_mail::Domain;

use crate::DomainSet;
use crate::access::networks::NetworkSet;
use crate::network::NetworkPrefix;
use crate::origin::LoginSet;

/// What is counted separately.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Per {
    /// The authenticated user, whatever addresses are used; a local user counts like one.
    Login,
    /// The network of a client that has authenticated or may relay.
    Network,
    /// The domain of the envelope's sender, for clients that have authenticated or may relay.
    SenderDomain,
}

impl Per {
    /// All of them.
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

    /// As people say it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Network => "network",
            Self::SenderDomain => "sender domain",
        }
    }
}

/// What is counted. The names say in which direction.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Counted {
    /// Messages accepted from it.
    SentMessages,
    /// Recipients of messages accepted from it, before alias expansion.
    SentRecipients,
    /// Those of them to whom it has not sent before, as far as remembered.
    FirstTimeRecipients,
    /// Recipients that it named and that were refused for good as unknown.
    RefusedRecipients,
    /// Mail that it has sent and that this server could not deliver, by recipient.
    Bounces,
    /// Mail that it has sent, that others have taken and then sent back, by recipient.
    ReturnedBounces,
    /// Mail that it has sent and of which a recipient's provider says that it was unwanted, by recipient.
    Complaints,
    /// Logins that were tried in its name, or from its network, and failed.
    FailedLogins,
    /// Networks from which it sends.
    Networks,
    /// Countries from which it sends, as the site's file says.
    Countries,
    /// Octets of messages accepted from it.
    SentOctets,
}

impl Counted {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::SentMessages,
        Self::SentRecipients,
        Self::FirstTimeRecipients,
        Self::RefusedRecipients,
        Self::Bounces,
        Self::ReturnedBounces,
        Self::Complaints,
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
            Self::ReturnedBounces => "returned_bounces",
            Self::Complaints => "complaints",
            Self::FailedLogins => "failed_logins",
            Self::Networks => "networks",
            Self::Countries => "countries",
            Self::SentOctets => "sent_octets",
        }
    }

    /// What a person calls it, one and several: `1 message`, `4 messages`.
    const fn forms(self) -> (&'static str, &'static str) {
        match self {
            Self::SentMessages => ("message", "messages"),
            Self::SentRecipients => ("recipient", "recipients"),
            Self::FirstTimeRecipients => ("new recipient", "new recipients"),
            Self::RefusedRecipients => ("refused recipient", "refused recipients"),
            Self::Bounces => ("bounce", "bounces"),
            Self::ReturnedBounces => ("returned bounce", "returned bounces"),
            Self::Complaints => ("complaint", "complaints"),
            Self::FailedLogins => ("failed login", "failed logins"),
            Self::Networks => ("network", "networks"),
            Self::Countries => ("country", "countries"),
            Self::SentOctets => ("octet", "octets"),
        }
    }

    /// What a person calls so many of it: `1 message`, `4 messages` without the number.
    #[must_use]
    pub const fn words(self, amount: u64) -> &'static str {
        let (one, several) = self.forms();
        if amount == 1 { one } else { several }
    }

    /// What somebody is told who has too much of it: `has sent too many messages`.
    #[must_use]
    pub const fn too_much(self) -> &'static str {
        match self {
            Self::SentMessages => "has sent too many messages",
            Self::SentRecipients => "has sent to too many recipients",
            Self::FirstTimeRecipients => "has sent to too many new recipients",
            Self::RefusedRecipients => "has named too many unknown recipients",
            Self::Bounces | Self::ReturnedBounces => "has had too many bounces",
            Self::Complaints => "has had too many complaints",
            Self::FailedLogins => "has had too many failed logins",
            Self::Networks => "has sent from too many networks",
            Self::Countries => "has sent from too many countries",
            Self::SentOctets => "has sent too much",
        }
    }

    /// Whether it is learnt how much of it is usual.
    #[must_use]
    pub const fn is_learnt(self) -> bool {
        matches!(
            self,
            Self::SentMessages | Self::SentRecipients | Self::FirstTimeRecipients | Self::SentOctets
        )
    }

    /// Whether different ones are counted, each once.
    #[must_use]
    pub const fn is_distinct(self) -> bool {
        matches!(self, Self::Networks | Self::Countries)
    }

    /// Whether somebody else can make it happen: whoever guesses a password, or says that mail was sent back or unwanted. No account
    /// may be stopped by that.
    #[must_use]
    pub const fn is_others_doing(self) -> bool {
        matches!(
            self,
            Self::FailedLogins | Self::ReturnedBounces | Self::Complaints
        )
    }

    /// By its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counted| counted.name() == name)
    }
}

/// The time span in which something is counted. It slides: any minute, hour or day, wherever it begins.
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
    /// All of them.
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

    /// The resolution in seconds: a count may stay in the window for this much longer, never shorter.
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

    /// The words with an article.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day",
        }
    }

    /// As one that ends now: `the last hour`.
    #[must_use]
    pub const fn latest(self) -> &'static str {
        match self {
            Self::Minute => "the last minute",
            Self::Hour => "the last hour",
            Self::Day => "the last day",
        }
    }

    /// By its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }
}

/// What is done beyond a limit, the mildest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Action {
    /// It is only logged.
    Warn,
    /// Mail is accepted more slowly.
    Delay,
    /// Mail is deferred.
    Refuse,
    /// The account is put on hold: its mail is accepted and waits for an administrator.
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

/// A limit: this much in that time span, and what is done beyond it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bound {
    /// What is counted.
    pub counted: Counted,
    /// The time span.
    pub span: Span,
    /// How much there may be; where that is learnt, how much it is now.
    pub most: u64,
    /// How much more than usual there may be, where no number is set by hand.
    pub usual: Option<Multiple>,
    /// What is done with what goes beyond.
    pub action: Action,
}

/// Whom a budget applies to; empty criteria match anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Whom {
    /// User names.
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
    /// What is counted separately.
    pub per: Per,
    /// Whom it applies to.
    pub whom: Whom,
    /// Its limits; without any, it is an exception from later budgets.
    pub bounds: Vec<Bound>,
}

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The authenticated user; a local user by name.
    pub login: Option<&'a str>,
    /// The client's address; `None` for a program on this machine, or if unknown.
    pub peer: Option<IpAddr>,
    /// The domain of the sender, in lower case; `None` for `<>`.
    pub sender_domain: Option<&'a str>,
}

impl Who<'_> {
    /// The name to count under; `None` if there is none of that kind.
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
    /// Whether it applies to a client.
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

/// The budget of a client: of those with this `per`, the first that applies to it. One without limits is an exception.
#[must_use]
pub fn budget_of<'b>(budgets: &'b [Budget], per: Per, who: &Who<'_>) -> Option<&'b Budget> {
    budgets
        .iter()
        .find(|budget| budget.per == per && budget.whom.includes(who))
        .filter(|budget| !budget.bounds.is_empty())
}

/// How much more than usual there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Multiple {
    /// So many times the usual amount.
    pub times: u32,
    /// At least so many: nobody is stopped by less.
    pub at_least: u64,
    /// For so many days an account is only watched.
    pub days: u32,
}
