//! What counts, and how it is stored with a message.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Moment;
use super::rules::Counted;

/// Something to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deed<'a> {
    /// The queue id of the message; empty if it is not a message.
    pub queue: &'a str,
    /// Number of messages.
    pub messages: u64,
    /// Number of recipients.
    pub named: u64,
    /// Their hashes ([`RecipientKey::hash`](super::RecipientKey::hash)), each once, if they matter.
    pub recipients: &'a [u64],
    /// Size in octets.
    pub octets: u64,
    /// Recipients that were refused.
    pub refused_recipients: u64,
    /// Number of recipients to whom mail could not be delivered.
    pub bounces: u64,
    /// Recipients whose server has taken mail and sent it back.
    pub returned_bounces: u64,
    /// Recipients who have called mail unwanted.
    pub complaints: u64,
    /// Logins that failed.
    pub failed_logins: u64,
    /// The network of the client, if it counts.
    pub network: Option<&'a str>,
    /// The country of the client, if known.
    pub country: Option<&'a str>,
    /// Whether it is held: what a thief may have sent is not learnt as usual.
    pub held: bool,
}

impl<'a> Deed<'a> {
    /// Its value, for counts of distinct ones.
    pub(super) const fn one(&self, counted: Counted) -> Option<&'a str> {
        match counted {
            Counted::Networks => self.network,
            Counted::Countries => self.country,
            _ => None,
        }
    }
}

/// What was counted for a message, as stored with it in the queue, to be counted again after a crash.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Note {
    /// [`Spent::number`].
    pub number: u64,
    /// When it was counted.
    pub at: Moment,
    /// The user who sent it.
    pub login: Option<Box<str>>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The domain of its sender.
    pub domain: Option<Box<str>>,
    /// Its queue id.
    pub queue: Box<str>,
    /// Number of recipients.
    pub named: u64,
    /// Their hashes, if they matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<u64>,
    /// Size in octets.
    pub octets: u64,
    /// The country of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Box<str>>,
    /// The budget for which it puts its account on hold, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<(Box<str>, Box<str>)>,
}
