//! The decision: from results to a rule and an action.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use postern_mail::{Domain, Status};

use super::{ArcResult, DkimResult, DmarcResult, Requested, Results, SpfResult};
use crate::DomainSet;
use crate::rule::{Rule, Told, Verdict};

/// What is done about an outcome. Later variants are more severe.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Action {
    /// It is only written to `Authentication-Results` and the log.
    #[default]
    Nothing,
    /// The message is accepted and marked, for filters that sort mail.
    Mark,
    /// The message is accepted and held for an administrator.
    Hold,
    /// The message is refused. If DNS failed, this is temporary: the client tries again.
    Reject,
}

impl Action {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Mark => "mark",
            Self::Hold => "hold",
            Self::Reject => "reject",
        }
    }
}

/// What is done about each outcome, and the exceptions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// SPF: fail.
    pub spf_fail: Action,
    /// SPF: softfail.
    pub spf_softfail: Action,
    /// SPF: neutral.
    pub spf_neutral: Action,
    /// SPF: no record.
    pub spf_none: Action,
    /// SPF: the record is invalid.
    pub spf_permerror: Action,
    /// SPF: DNS fails.
    pub spf_temperror: Action,
    /// DKIM: no signature.
    pub dkim_none: Action,
    /// DKIM: there are signatures, but none is valid.
    pub dkim_fail: Action,
    /// DKIM: no signature is valid, and a key could not be retrieved.
    pub dkim_temperror: Action,
    /// DMARC: the domain asks for rejection.
    pub dmarc_reject: Action,
    /// DMARC: the domain asks for quarantine.
    pub dmarc_quarantine: Action,
    /// DMARC: fail, and the domain asks for nothing.
    pub dmarc_fail: Action,
    /// DMARC: no record.
    pub dmarc_none: Action,
    /// DMARC: no single author domain, or an invalid record.
    pub dmarc_permerror: Action,
    /// DMARC: DNS fails.
    pub dmarc_temperror: Action,
    /// ARC: the chain is invalid.
    pub arc_fail: Action,
    /// Domains, of the sender or the author, whose mail is accepted whatever the outcome.
    pub except_domains: DomainSet,
    /// Networks of clients whose mail is accepted whatever the outcome.
    pub except_networks: Vec<IpNet>,
}

/// The message that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The client.
    pub peer: IpAddr,
    /// The domain of the sender.
    pub sender: Option<&'a Domain>,
    /// The domain of the author.
    pub author: Option<&'a Domain>,
}

/// The decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What is done.
    pub action: Action,
    /// The rule; `None` if nothing is wrong.
    pub decided: Option<Decided>,
}

/// An outcome with a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Decided {
    /// The rule of the outcome.
    pub rule: Rule,
    /// Whether nothing is done for it because of an exception.
    pub excepted: bool,
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule.meaning())?;
        if self.excepted {
            f.write_str("; an exception holds")?;
        }
        Ok(())
    }
}

impl Verdict for Decided {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl Decided {
    /// The reply to a message that is refused for it (RFC 7372, RFC 8617 section 5.2.1).
    #[must_use]
    pub const fn told(self) -> Told {
        match self.rule {
            Rule::SpfTemperror => (
                451,
                Status(4, 7, 24),
                "SPF cannot be checked now, try again later",
            ),
            Rule::SpfPermerror => (
                550,
                Status(5, 7, 24),
                "SPF record of the sender's domain is not valid",
            ),
            Rule::SpfFail | Rule::SpfSoftfail | Rule::SpfNeutral | Rule::SpfNone => (
                550,
                Status(5, 7, 23),
                "SPF does not allow this host to send for the sender's domain",
            ),
            Rule::DkimTemperror => (
                451,
                Status(4, 7, 20),
                "DKIM cannot be checked now, try again later",
            ),
            Rule::DkimNone | Rule::DkimFail => (550, Status(5, 7, 20), "No DKIM signature that holds"),
            Rule::DmarcTemperror => (
                451,
                Status(4, 7, 1),
                "DMARC cannot be checked now, try again later",
            ),
            Rule::DmarcPermerror => (550, Status(5, 7, 1), "No single author domain to check DMARC for"),
            Rule::DmarcReject => (
                550,
                Status(5, 7, 26),
                "DMARC policy of the author's domain is to refuse this message",
            ),
            Rule::ArcFail => (550, Status(5, 7, 29), "ARC chain is broken"),
            _ => (550, Status(5, 7, 26), "Message fails DMARC"),
        }
    }
}

/// Decides what to do with a message.
///
/// The most severe action wins, and of equal ones DMARC's before SPF's, DKIM's and ARC's. What DMARC passes is not refused
/// for SPF: a forwarded message fails SPF although its signature is valid.
#[must_use]
pub fn decide(results: &Results, subject: &Subject<'_>, settings: &Settings) -> Decision {
    // The first of the most severe: `max_by_key` alone would give the last.
    let worst = outcomes(results, settings)
        .into_iter()
        .flatten()
        .rev()
        .max_by_key(|(_, action)| *action);
    let Some((rule, action)) = worst else {
        return Decision {
            action: Action::Nothing,
            decided: None,
        };
    };
    let excepted = action > Action::Nothing && is_excepted(subject, settings);
    Decision {
        action: if excepted { Action::Nothing } else { action },
        decided: Some(Decided { rule, excepted }),
    }
}

/// The outcomes of DMARC, SPF, DKIM and ARC, in this order, each with its rule and action: `None` if nothing is wrong, or nothing
/// was checked. Exceptions are not considered.
#[must_use]
pub fn outcomes(results: &Results, settings: &Settings) -> [Option<(Rule, Action)>; 4] {
    let passed = matches!(results.dmarc, Some((DmarcResult::Pass, _)));
    [
        results
            .dmarc
            .and_then(|(result, asked)| of_dmarc(result, asked, results.vouched, settings)),
        results
            .spf
            .and_then(|result| of_spf(result, settings))
            .filter(|_| !passed),
        results
            .dkim
            .and_then(|result| of_dkim(result, settings))
            .filter(|_| !passed),
        results.arc.and_then(|result| of_arc(result, settings)),
    ]
}

fn is_excepted(subject: &Subject<'_>, settings: &Settings) -> bool {
    let peer = subject.peer.to_canonical();
    settings
        .except_networks
        .iter()
        .any(|network| network.contains(&peer))
        || [subject.sender, subject.author]
            .into_iter()
            .flatten()
            .any(|domain| settings.except_domains.contains(domain))
}

const fn of_spf(result: SpfResult, settings: &Settings) -> Option<(Rule, Action)> {
    match result {
        SpfResult::Pass => None,
        SpfResult::None => Some((Rule::SpfNone, settings.spf_none)),
        SpfResult::Neutral => Some((Rule::SpfNeutral, settings.spf_neutral)),
        SpfResult::Fail => Some((Rule::SpfFail, settings.spf_fail)),
        SpfResult::SoftFail => Some((Rule::SpfSoftfail, settings.spf_softfail)),
        SpfResult::TempError => Some((Rule::SpfTemperror, settings.spf_temperror)),
        SpfResult::PermError => Some((Rule::SpfPermerror, settings.spf_permerror)),
    }
}

const fn of_dkim(result: DkimResult, settings: &Settings) -> Option<(Rule, Action)> {
    match result {
        DkimResult::Pass => None,
        DkimResult::None => Some((Rule::DkimNone, settings.dkim_none)),
        DkimResult::TempError => Some((Rule::DkimTemperror, settings.dkim_temperror)),
        DkimResult::Fail | DkimResult::Policy | DkimResult::Neutral | DkimResult::PermError => {
            Some((Rule::DkimFail, settings.dkim_fail))
        }
    }
}

const fn of_dmarc(
    result: DmarcResult,
    asked: Requested,
    vouched: bool,
    settings: &Settings,
) -> Option<(Rule, Action)> {
    match (result, asked) {
        (DmarcResult::Pass, _) => None,
        (DmarcResult::None, _) => Some((Rule::DmarcNone, settings.dmarc_none)),
        (DmarcResult::Fail, _) if vouched => Some((Rule::ArcVouched, Action::Nothing)),
        (DmarcResult::Fail, Requested::Reject) => Some((Rule::DmarcReject, settings.dmarc_reject)),
        (DmarcResult::Fail, Requested::Quarantine) => {
            Some((Rule::DmarcQuarantine, settings.dmarc_quarantine))
        }
        (DmarcResult::Fail, Requested::None) => Some((Rule::DmarcFail, settings.dmarc_fail)),
        (DmarcResult::TempError, _) => Some((Rule::DmarcTemperror, settings.dmarc_temperror)),
        (DmarcResult::PermError, _) => Some((Rule::DmarcPermerror, settings.dmarc_permerror)),
    }
}

const fn of_arc(result: ArcResult, settings: &Settings) -> Option<(Rule, Action)> {
    match result {
        // An unknown result is no reason to refuse: the chain can only help.
        ArcResult::None | ArcResult::Pass | ArcResult::TempError => None,
        ArcResult::Fail => Some((Rule::ArcFail, settings.arc_fail)),
    }
}
