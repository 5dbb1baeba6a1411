//! What counts, and how it is written down beside a message.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Moment;
use super::rules::Counted;

/// Something that is to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deed<'a> {
    /// The queue id of the message; empty for what is none.
    pub queue: &'a str,
    /// Messages.
    pub messages: u64,
    /// Recipients that are named.
    pub named: u64,
    /// Their hashes ([`recipient_hash`](super::account::recipient_hash)), where they matter.
    pub recipients: &'a [u64],
    /// Octets.
    pub octets: u64,
    /// Recipients that were refused.
    pub refused_recipients: u64,
    /// Recipients to whom mail could not be delivered.
    pub bounces: u64,
    /// Logins that failed.
    pub failed_logins: u64,
    /// The network of the client, where it counts.
    pub network: Option<&'a str>,
    /// The country of the client, where the site says which.
    pub country: Option<&'a str>,
}

impl<'a> Deed<'a> {
    /// Which one of different ones it is.
    pub(super) const fn one(&self, counted: Counted) -> Option<&'a str> {
        match counted {
            Counted::Networks => self.network,
            Counted::Countries => self.country,
            _ => None,
        }
    }
}

/// A message that was counted, as it stands beside it in the queue: what is counted again after a crash.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Note {
    /// [`Spent::number`].
    pub number: u64,
    /// When.
    pub at: Moment,
    /// Who has sent it.
    pub login: Option<Box<str>>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The domain of its sender.
    pub domain: Option<Box<str>>,
    /// Its queue id.
    pub queue: Box<str>,
    /// Recipients that were named.
    pub named: u64,
    /// Their hashes, where they matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<u64>,
    /// Its octets.
    pub octets: u64,
    /// The country of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Box<str>>,
    /// The budget by which it puts its account on hold, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<(Box<str>, Box<str>)>,
}
