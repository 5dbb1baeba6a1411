//! Mail filters: which messages a filter is asked about, what follows from its failure, and its decisions as rules.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use postern_mail::Status;

use crate::rule::{Rule, Told, Verdict};

/// When a filter is skipped. By default it is asked about everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Conditions {
    /// Names of the listeners that it serves; `None` for all.
    pub listeners: Option<Vec<String>>,
    /// Whether it is skipped for mail of authenticated clients.
    pub skip_logins: bool,
    /// Whether it is skipped for mail of strangers: clients that have not authenticated and may not relay by network or
    /// certificate.
    pub skip_strangers: bool,
    /// Networks whose clients it is not told about.
    pub skip_networks: Vec<IpNet>,
    /// Largest message that it is asked about, in octets; `None` for any.
    pub skip_above: Option<u64>,
}

/// The kind of client, once settled at `MAIL`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Client {
    /// It has authenticated.
    Login,
    /// It may relay by its network or certificate.
    Trusted,
    /// Neither.
    Stranger,
}

/// The facts that decide whether a filter is asked.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The name of the listener.
    pub listener: &'a str,
    /// The client's address.
    pub peer: IpAddr,
    /// Its kind; `None` before `MAIL`, while it may still authenticate.
    pub client: Option<Client>,
    /// Octets of the message, as far as known: from `SIZE=` of `MAIL`, then what has arrived. 0 at first.
    pub size: u64,
}

/// Why a filter is skipped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Skip {
    /// It does not serve the listener.
    #[error("the listener is not one that it serves")]
    Listener,
    /// The client's network is listed.
    #[error("the client is in {0}")]
    Network(IpNet),
    /// The client has authenticated.
    #[error("the client has logged in")]
    Login,
    /// The client is a stranger.
    #[error("the client has not logged in, and may not relay")]
    Stranger,
    /// The message is too large.
    #[error("the message has {size} octets, and it is asked about {limit} at most")]
    Size {
        /// The size known so far.
        size: u64,
        /// The limit.
        limit: u64,
    },
}

impl Conditions {
    /// Whether the filter is asked, or why it is skipped.
    ///
    /// When the client connects, the answer holds for the session: a skipped filter is told nothing about it. At `MAIL` and while
    /// the message arrives it holds for the message.
    ///
    /// # Errors
    ///
    /// [`Skip`]: the filter is not asked, or no longer.
    pub fn judge(&self, facts: &Facts<'_>) -> Result<(), Skip> {
        if let Some(listeners) = &self.listeners
            && !listeners.iter().any(|name| name == facts.listener)
        {
            return Err(Skip::Listener);
        }
        let peer = facts.peer.to_canonical();
        if let Some(network) = self.skip_networks.iter().find(|network| network.contains(&peer)) {
            return Err(Skip::Network(*network));
        }
        match facts.client {
            Some(Client::Login) if self.skip_logins => return Err(Skip::Login),
            Some(Client::Stranger) if self.skip_strangers => return Err(Skip::Stranger),
            _ => {}
        }
        match self.skip_above {
            Some(limit) if facts.size > limit => Err(Skip::Size {
                size: facts.size,
                limit,
            }),
            _ => Ok(()),
        }
    }
}

impl Verdict for Skip {
    fn rule(&self) -> Rule {
        match self {
            Self::Listener => Rule::MilterListener,
            Self::Network(_) => Rule::MilterSkipNetwork,
            Self::Login => Rule::MilterSkipLogin,
            Self::Stranger => Rule::MilterSkipStranger,
            Self::Size { .. } => Rule::MilterSkipSize,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// What happens to a message when a filter fails, as configured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnFailure {
    /// It goes on as if the filter did not exist.
    Accept,
    /// It is deferred. The default: nothing passes unfiltered and nothing is lost.
    #[default]
    Tempfail,
    /// It is refused for good.
    Reject,
    /// It is accepted and held.
    Hold,
}

/// The decision of a filter, or after its failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// It refuses permanently.
    Rejected,
    /// It refuses temporarily.
    Deferred,
    /// It refuses with a reply of its own.
    Replied {
        /// The reply as the client gets it.
        reply: &'a str,
        /// Whether it is permanent: a `5xx`.
        permanent: bool,
    },
    /// The message is discarded, and the client is told `250`.
    Discarded,
    /// The message is held, for this reason.
    Quarantined(&'a str),
    /// It was not asked: strangers have all the connections to it that they may have.
    Busy {
        /// The limit.
        limit: u32,
    },
    /// It was not asked: strangers of one network have all the connections to it that they may have.
    NetworkBusy {
        /// The limit.
        limit: u32,
        /// The network.
        network: IpNet,
    },
    /// The client's connection is closed.
    Ended,
    /// It failed.
    Failed {
        /// What is done then.
        then: OnFailure,
        /// The reason.
        why: &'a str,
    },
}

/// The decision of the filter with this name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decided<'a> {
    /// The name of the filter.
    pub filter: &'a str,
    /// The decision.
    pub decision: Decision<'a>,
}

impl Decision<'_> {
    /// The rule behind it.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Rejected | Self::Replied { permanent: true, .. } => Rule::MilterReject,
            Self::Deferred | Self::Replied { permanent: false, .. } => Rule::MilterTempfail,
            Self::Discarded => Rule::MilterDiscard,
            Self::Quarantined(_) => Rule::MilterHold,
            Self::Busy { .. } | Self::NetworkBusy { .. } => Rule::MilterBusy,
            Self::Ended => Rule::MilterEnd,
            Self::Failed { then, .. } => match then {
                OnFailure::Accept => Rule::MilterFailedAccept,
                OnFailure::Tempfail => Rule::MilterFailedTempfail,
                OnFailure::Reject => Rule::MilterFailedReject,
                OnFailure::Hold => Rule::MilterFailedHold,
            },
        }
    }

    /// The reply; `None` if it is the filter's own, or the message is accepted.
    ///
    /// A client cannot tell a filter that refuses from one that has failed: it should not learn what runs here.
    #[must_use]
    pub const fn told(&self) -> Option<Told> {
        match self {
            Self::Rejected
            | Self::Failed {
                then: OnFailure::Reject,
                ..
            } => Some((550, Status(5, 7, 1), "Command rejected")),
            Self::Deferred
            | Self::Failed {
                then: OnFailure::Tempfail,
                ..
            } => Some((
                451,
                Status(4, 7, 1),
                "Service unavailable, please try again later",
            )),
            Self::Busy { .. } | Self::NetworkBusy { .. } => {
                Some((451, Status(4, 3, 2), "Too many sessions, please try again later"))
            }
            Self::Ended => Some((
                421,
                Status(4, 7, 0),
                "Service not available, closing transmission channel",
            )),
            Self::Replied { .. } | Self::Discarded | Self::Quarantined(_) | Self::Failed { .. } => None,
        }
    }
}

impl Verdict for Decided<'_> {
    fn rule(&self) -> Rule {
        self.decision.rule()
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        self.decision.told()
    }
}

impl fmt::Display for Decided<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = self.filter;
        match self.decision {
            Decision::Rejected => write!(out, "{filter} rejects it"),
            Decision::Deferred => write!(out, "{filter} refuses it for now"),
            Decision::Replied { reply, .. } => write!(out, "{filter} says {reply}"),
            Decision::Discarded => write!(out, "{filter} has it thrown away"),
            Decision::Quarantined(reason) => write!(out, "{filter} has it held: {reason}"),
            Decision::Busy { limit } => {
                write!(
                    out,
                    "all {limit} connections that strangers may have to {filter} are in use"
                )
            }
            Decision::NetworkBusy { limit, network } => {
                write!(
                    out,
                    "all {limit} connections that strangers of {network} may have to {filter} are in use"
                )
            }
            Decision::Ended => write!(out, "{filter} ends the session"),
            Decision::Failed { why, .. } => write!(out, "{filter} {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        listener: "mx",
        peer: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        client: Some(Client::Stranger),
        size: 0,
    };

    #[test]
    fn who_is_passed_by() {
        let all = Conditions::default;
        let mx = Conditions {
            listeners: Some(vec!["mx".into(), "inside".into()]),
            ..all()
        };
        let no_logins = Conditions {
            skip_logins: true,
            ..all()
        };
        let no_strangers = Conditions {
            skip_strangers: true,
            ..all()
        };
        let not_ours = Conditions {
            skip_networks: vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.0/24".parse().unwrap()],
            ..all()
        };
        let small = Conditions {
            skip_above: Some(1_000),
            ..all()
        };
        let with = |client| Facts { client, ..FACTS };
        let at = |peer: &str| Facts {
            peer: peer.parse().unwrap(),
            ..FACTS
        };
        let of = |size| Facts { size, ..FACTS };
        let elsewhere = Facts {
            listener: "submission",
            ..FACTS
        };
        let large = Facts {
            size: 1 << 30,
            ..with(Some(Client::Login))
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows              conditions      facts                           the rule, if it is passed by
            ("no conditions",                   &all(),         large,                          ""),
            ("a listener of its own",           &mx,            FACTS,                          ""),
            ("another listener",                &mx,            elsewhere,                      "milter.listener"),
            ("a login",                         &no_logins,     with(Some(Client::Login)),      "milter.skip-login"),
            ("may relay, did not log in",       &no_logins,     with(Some(Client::Trusted)),    ""),
            ("a stranger, logins skipped",      &no_logins,     FACTS,                          ""),
            ("may still log in",                &no_logins,     with(None),                     ""),
            ("a stranger",                      &no_strangers,  FACTS,                          "milter.skip-stranger"),
            ("may relay, is no stranger",       &no_strangers,  with(Some(Client::Trusted)),    ""),
            ("a login, strangers skipped",      &no_strangers,  with(Some(Client::Login)),      ""),
            ("not known yet to be a stranger",  &no_strangers,  with(None),                     ""),
            ("a listed network",                &not_ours,      FACTS,                          "milter.skip-network"),
            ("listed, mapped into IPv6",        &not_ours,      at("::ffff:10.1.2.3"),          "milter.skip-network"),
            ("another network",                 &not_ours,      at("198.51.100.1"),             ""),
            ("as large as it may be",           &small,         of(1_000),                      ""),
            ("an octet more",                   &small,         of(1_001),                      "milter.skip-size"),
            ("no size yet",                     &small,         of(0),                          ""),
        ];
        for (shows, conditions, facts, rule) in cases {
            let got = conditions.judge(&facts);
            let got = got.err().map_or("", |skip| skip.rule().name());
            assert_eq!(got, rule, "{shows}");
        }
    }

    #[test]
    fn what_follows() {
        let failed = |then| Decision::Failed {
            then,
            why: "failed to connect: it accepts no connections",
        };
        let replied = |reply, permanent| Decision::Replied { reply, permanent };
        #[rustfmt::skip]
        let cases = [
            // decision                                 rule                        told    reason
            (Decision::Rejected,                        "milter.reject",            550,    "scan rejects it"),
            (Decision::Deferred,                        "milter.tempfail",          451,    "scan refuses it for now"),
            (replied("554 5.7.1 virus", true),          "milter.reject",            0,      "scan says 554 5.7.1 virus"),
            (replied("450 4.2.0 grey", false),          "milter.tempfail",          0,      "scan says 450 4.2.0 grey"),
            (Decision::Discarded,                       "milter.discard",           0,      "scan has it thrown away"),
            (Decision::Quarantined("a worm"),           "milter.hold",              0,      "scan has it held: a worm"),
            (Decision::Busy { limit: 200 },             "milter.busy",              451,    "all 200 connections that strangers may have to scan are in use"),
            (Decision::Ended,                           "milter.end",               421,    "scan ends the session"),
            (failed(OnFailure::Accept),                 "milter.failed-accept",     0,      "scan failed to connect: it accepts no connections"),
            (failed(OnFailure::Tempfail),               "milter.failed-tempfail",   451,    "scan failed to connect: it accepts no connections"),
            (failed(OnFailure::Reject),                 "milter.failed-reject",     550,    "scan failed to connect: it accepts no connections"),
            (failed(OnFailure::Hold),                   "milter.failed-hold",       0,      "scan failed to connect: it accepts no connections"),
        ];
        for (decision, rule, code, reason) in cases {
            let decided = Decided {
                filter: "scan",
                decision,
            };
            assert_eq!(decided.rule().name(), rule, "{decision:?}");
            assert_eq!(decided.reply().map_or(0, |told| told.0), code, "{decision:?}");
            assert_eq!(decided.reason().to_string(), reason);
            if let Some((code, status, _)) = decided.reply() {
                assert_eq!(u16::from(status.0), code / 100, "{decision:?}");
            }
        }
    }
}
