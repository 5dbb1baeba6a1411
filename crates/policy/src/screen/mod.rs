//! How strangers that bring mail from outside are screened: DNS lists with scores, the `HELO` name, the host name of their
//! address, the domain of the sender, and whether they wait for the greeting.
//!
//! Clients that have authenticated or may relay are never screened. If DNS does not answer, this counts in favour of the client,
//! except for demands: there the client is told to try again later.

pub mod finding;
pub mod health;
pub mod helo;
pub mod list;
pub mod score;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use self::finding::{Act, Demand};
use self::list::{DnsList, Subject};
use self::score::Thresholds;

/// How strangers are screened. The default checks nothing.
#[derive(Clone, Debug)]
pub struct ScreenSettings {
    /// Lists that are asked, or parts of lists.
    pub lists: Vec<DnsList>,
    /// What follows from the total score of lists and early talking.
    pub thresholds: Thresholds,
    /// What early talking adds to the score; with `None`, a client that talks before the greeting is refused at once.
    pub early_talk_score: Option<i32>,
    /// Networks whose clients are not screened.
    pub except: Vec<IpNet>,
    /// What happens to a client that does not meet a demand.
    pub acts: [Act; Demand::ALL.len()],
    /// Longest wait for DNS before an answer. Default 5 seconds.
    pub timeout: Duration,
    /// Most names chosen by the client that are looked up in one session: `HELO` names and domains of senders, each counted once
    /// per question about it. Default 100.
    pub lookups: u32,
}

impl Default for ScreenSettings {
    fn default() -> Self {
        Self {
            lists: Vec::new(),
            thresholds: Thresholds::default(),
            early_talk_score: None,
            except: Vec::new(),
            acts: [Act::Off; Demand::ALL.len()],
            timeout: Duration::from_secs(5),
            lookups: 100,
        }
    }
}

impl ScreenSettings {
    /// What happens to a client that does not meet a demand.
    #[must_use]
    pub fn act(&self, demand: Demand) -> Act {
        self.acts[demand.index()]
    }

    /// Whether a demand is made.
    #[must_use]
    pub fn demands(&self, demand: Demand) -> bool {
        self.act(demand) != Act::Off
    }

    /// Whether nothing is checked, except early talking, which has a setting of its own.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.lists.is_empty()
            && self.early_talk_score.is_none()
            && self.acts.iter().all(|act| *act == Act::Off)
    }

    /// Whether a client with this address is screened.
    #[must_use]
    pub fn is_about(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        !self.except.iter().any(|network| network.contains(&peer))
    }

    /// Whether the client's host name matters.
    #[must_use]
    pub fn wants_name(&self) -> bool {
        [Demand::ClientNamed, Demand::ClientConfirmed]
            .iter()
            .any(|demand| self.demands(*demand))
    }

    /// Whether any list is about this subject.
    #[must_use]
    pub fn asks_about(&self, subject: Subject) -> bool {
        self.lists.iter().any(|list| list.subject == subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off() {
        let mut settings = ScreenSettings::default();
        assert!(settings.is_off() && !settings.wants_name());
        settings.acts[Demand::ClientNamed.index()] = Act::Mark;
        assert!(!settings.is_off() && settings.wants_name());
        let scored = ScreenSettings {
            early_talk_score: Some(1),
            ..ScreenSettings::default()
        };
        assert!(!scored.is_off());
    }

    #[test]
    fn whom_it_is_about() {
        let settings = ScreenSettings {
            except: vec!["192.0.2.0/24".parse().unwrap()],
            ..ScreenSettings::default()
        };
        for (peer, about) in [
            ("192.0.2.7", false),
            ("::ffff:192.0.2.7", false),
            ("192.0.3.7", true),
        ] {
            assert_eq!(settings.is_about(peer.parse().unwrap()), about, "{peer}");
        }
    }
}
