//! A scope as it is written down: with an app password, in lines of a word and a value.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::{Hours, Scope};
use crate::access::names::AddressSet;
use crate::access::times::TimeWindow;

/// Most entries of a scope, and octets of one.
const ENTRIES_MAX: usize = 200;
const ENTRY_MAX: usize = 320;

/// A scope in texts. An empty list limits nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Written {
    /// Names of listeners and sockets.
    pub listeners: Vec<String>,
    /// Names of mechanisms.
    pub mechanisms: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Days and times, as `Mon-Fri 08:00-18:00`.
    pub hours: Vec<String>,
    /// The time zone of the hours, as `Europe/Berlin`; that of the server if there is none.
    pub zone: Option<String>,
    /// Senders.
    pub senders: Vec<String>,
    /// Recipients.
    pub recipients: Vec<String>,
}

/// A text that is no scope.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadScope {
    /// An entry that is none.
    #[error("{0}")]
    Entry(String),
    /// An entry with a line end, or one that is too long.
    #[error("{0:?} cannot be an entry: at most {ENTRY_MAX} octets without control characters")]
    Text(String),
    /// Too many of them.
    #[error("more than {ENTRIES_MAX} entries: write a [[scope]], which can use tables")]
    Many,
    /// A time zone that nobody knows.
    #[error("{0:?} is not a time zone; write one such as \"Europe/Berlin\"")]
    Zone(String),
    /// A line that is not understood.
    #[error("{0:?} is not understood")]
    Line(String),
}

impl Written {
    /// Whether it limits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let lists = self.lists();
        lists.iter().all(|(_, list)| list.is_empty())
    }

    /// The scope that is meant; `here` is the time zone of the server.
    ///
    /// # Errors
    ///
    /// An entry that is none.
    pub fn read(&self, name: &str, here: &TimeZone) -> Result<Scope, BadScope> {
        let lists = self.lists();
        if lists.iter().map(|(_, list)| list.len()).sum::<usize>() > ENTRIES_MAX {
            return Err(BadScope::Many);
        }
        let is_bad = |text: &&String| text.len() > ENTRY_MAX || text.chars().any(char::is_control);
        if let Some(bad) = lists.iter().flat_map(|(_, list)| *list).find(is_bad) {
            return Err(BadScope::Text(bad.chars().take(60).collect()));
        }
        let zone = match &self.zone {
            None => here.clone(),
            Some(zone) => TimeZone::get(zone).map_err(|_| BadScope::Zone(zone.clone()))?,
        };
        let names = |list: &[String]| list.iter().map(|name| name.as_str().into()).collect();
        let windows = each(&self.hours, str::parse::<TimeWindow>)?;
        Ok(Scope {
            name: name.into(),
            listeners: some(&self.listeners, names(&self.listeners)),
            mechanisms: some(&self.mechanisms, names(&self.mechanisms)),
            networks: some(&self.networks, each(&self.networks, network)?),
            hours: some(&self.hours, Hours { windows, zone }),
            senders: some(&self.senders, addresses(&self.senders)?),
            recipients: some(&self.recipients, addresses(&self.recipients)?),
        })
    }

    fn lists(&self) -> [(&'static str, &Vec<String>); 6] {
        [
            ("listener", &self.listeners),
            ("mechanism", &self.mechanisms),
            ("network", &self.networks),
            ("hours", &self.hours),
            ("sender", &self.senders),
            ("recipient", &self.recipients),
        ]
    }
}

fn some<T>(written: &[String], value: T) -> Option<T> {
    (!written.is_empty()).then_some(value)
}

fn each<T, E: fmt::Display>(
    list: &[String],
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, BadScope> {
    let read = |text: &String| read(text).map_err(|error| BadScope::Entry(format!("{text:?}: {error}")));
    list.iter().map(read).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map(|network: IpNet| network.trunc())
        .map_err(|_| "not a network; write one such as 192.0.2.0/24".to_owned())
}

fn addresses(list: &[String]) -> Result<AddressSet, BadScope> {
    let mut set = AddressSet::default();
    for text in list {
        set.insert(text)
            .map_err(|error| BadScope::Entry(error.to_string()))?;
    }
    Ok(set)
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, list) in self.lists() {
            for value in list {
                writeln!(f, "{word} {value}")?;
            }
        }
        match &self.zone {
            Some(zone) => writeln!(f, "zone {zone}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Written {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        let mut written = Self::default();
        for line in text.lines() {
            let bad = || BadScope::Line(line.chars().take(60).collect());
            let (word, value) = line.split_once(' ').ok_or_else(bad)?;
            let list = match word {
                "listener" => &mut written.listeners,
                "mechanism" => &mut written.mechanisms,
                "network" => &mut written.networks,
                "hours" => &mut written.hours,
                "sender" => &mut written.senders,
                "recipient" => &mut written.recipients,
                "zone" => {
                    written.zone = Some(value.to_owned());
                    continue;
                }
                _ => return Err(bad()),
            };
            list.push(value.to_owned());
        }
        Ok(written)
    }
}
