//! The clients: one in each file, with what it supports and why it does not support the rest.

mod curl;
mod cyrus;
mod gsasl;
mod msmtp;
mod mutt;
mod nodemailer;
mod smtplib;
mod swaks;

use super::{Bench, Login, Try};

pub(crate) use msmtp::log_in as msmtp;

/// A client, and what it can do.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The command that shows its version, for the page.
    pub(crate) version: &'static [&'static str],
    /// The mechanisms to try.
    pub(crate) speaks: &'static [&'static str],
    /// Why it does not support others; `*` stands for all not listed.
    pub(crate) lacks: &'static [(&'static str, &'static str)],
    /// One login, followed by one message if the client can send one.
    pub(crate) log_in: fn(&Bench, &Login<'_>) -> Try,
}

impl Peer {
    /// Why `mechanism` is not tried with this client; `None` if it is.
    pub(crate) fn lack(&self, mechanism: &str) -> Option<&'static str> {
        if self.speaks.contains(&mechanism) {
            return None;
        }
        let named = |wanted: &str| self.lacks.iter().find(|(name, _)| *name == wanted);
        let (_, reason) = named(mechanism).or_else(|| named("*")).unwrap();
        Some(reason)
    }
}

/// The columns of the page.
pub(crate) const PEERS: [Peer; 8] = [
    gsasl::PEER,
    swaks::PEER,
    curl::PEER,
    msmtp::PEER,
    smtplib::PEER,
    nodemailer::PEER,
    mutt::PEER,
    cyrus::PEER,
];

const FIRST_NTLM: &str = "speaks the first version alone, which is as good as none";
const NOT_IN_CLIENT: &str = "not in the client";
