//! What a login or an app password is good for: where, when and by which mechanism it may be used, and what it may send to whom.
//!
//! A scope only takes away. What it allows has to be allowed by all other rules, too.

mod refusal;
#[cfg(test)]
mod tests;
mod written;

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::access::names::{AddressKey, AddressSet};
use crate::access::times::TimeWindow;

pub use refusal::{Outside, ScopeRefusal};
pub use written::{BadScope, Written};

/// What a login is good for. What is `None` is not limited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// What it is called in the log: `scope "scanner"`, `app password "phone"`.
    pub name: Box<str>,
    /// The names of the listeners, and of the sockets of neighbours, where it may be used.
    pub listeners: Option<Vec<Box<str>>>,
    /// The mechanisms by which; one stands for its form with `-PLUS`, too.
    pub mechanisms: Option<Vec<Box<str>>>,
    /// The networks from which. A client whose address nobody knows is in none.
    pub networks: Option<Vec<IpNet>>,
    /// The times at which.
    pub hours: Option<Hours>,
    /// The senders that it may use; `<>` is one.
    pub senders: Option<AddressSet>,
    /// The recipients that it may name.
    pub recipients: Option<AddressSet>,
}

/// Times at which a login may be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours {
    /// One of these.
    pub windows: Vec<TimeWindow>,
    /// Where it is that time.
    pub zone: TimeZone,
}

/// Where a login is used.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The name of the listener or socket.
    pub listener: &'a str,
    /// The name of the SASL mechanism; none for a token over HTTP, to which mechanisms do not apply.
    pub mechanism: Option<&'a str>,
    /// The client's address, where it is known.
    pub peer: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
}

impl Hours {
    /// Whether a moment is in them, by the clocks of the zone: an hour that those repeat counts twice, one that they leave out never comes.
    #[must_use]
    pub fn contain(&self, now: Timestamp) -> bool {
        let now = self.zone.to_datetime(now);
        self.windows.iter().any(|window| window.contains(now))
    }
}

impl Scope {
    /// Whether it may be used here, now, and so.
    ///
    /// # Errors
    ///
    /// What is against it.
    pub fn admits(&self, place: &Place<'_>) -> Result<(), ScopeRefusal> {
        let peer = place.peer.map(|peer| peer.to_canonical());
        let within = |networks: &Vec<IpNet>| {
            peer.is_some_and(|peer| networks.iter().any(|network| network.contains(&peer)))
        };
        let is_named = |mechanism: &str, name: &str| {
            let plain = mechanism.strip_suffix("-PLUS").unwrap_or(mechanism);
            name.eq_ignore_ascii_case(mechanism) || name.eq_ignore_ascii_case(plain)
        };
        let limited = |outside, detail: String| Err(self.refusal(outside, detail));
        if let (Some(names), Some(mechanism)) = (&self.mechanisms, place.mechanism)
            && !names.iter().any(|name| is_named(mechanism, name))
        {
            return limited(Outside::Mechanism, mechanism.to_owned());
        }
        if self
            .listeners
            .as_ref()
            .is_some_and(|names| !names.iter().any(|name| **name == *place.listener))
        {
            return limited(Outside::Listener, place.listener.to_owned());
        }
        if self.networks.as_ref().is_some_and(|networks| !within(networks)) {
            let shown = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
            return limited(Outside::Network, shown);
        }
        match &self.hours {
            Some(hours) if !hours.contain(place.now) => {
                let now = hours.zone.to_datetime(place.now);
                limited(Outside::Hour, now.strftime("%a %H:%M").to_string())
            }
            _ => Ok(()),
        }
    }

    /// Whether it may be used with a sender; `None` for `<>`. `in_table` says that a table has it.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn sends_as(&self, sender: Option<&AddressKey>, in_table: bool) -> Result<(), ScopeRefusal> {
        let is_in = |set: &AddressSet| in_table || set.contains(sender);
        if self.senders.as_ref().is_none_or(is_in) {
            return Ok(());
        }
        let shown = sender.map_or("<>", AddressKey::whole).to_owned();
        Err(self.refusal(Outside::Sender, shown))
    }

    /// Whether it may be used for a recipient. `in_table` says that a table has it.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn reaches(&self, recipient: &AddressKey, in_table: bool) -> Result<(), ScopeRefusal> {
        let is_in = |set: &AddressSet| in_table || set.contains(Some(recipient));
        if self.recipients.as_ref().is_none_or(is_in) {
            return Ok(());
        }
        Err(self.refusal(Outside::Recipient, recipient.whole().to_owned()))
    }

    /// A refusal of this scope.
    #[must_use]
    pub fn refusal(&self, outside: Outside, detail: String) -> ScopeRefusal {
        ScopeRefusal {
            scope: self.name.clone(),
            outside,
            detail,
        }
    }
}
