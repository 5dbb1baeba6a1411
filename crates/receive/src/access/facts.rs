//! What is known of a session without any look-up.

use jiff::Zoned;
use jiff::civil::DateTime;
use postern_net::dial;
use postern_policy::DomainSet;
use postern_policy::access::facts::{HeloFaults, TlsState};
use postern_policy::access::{Facts, Party};
use postern_policy::screen::helo::{HeloName, is_invalid, judge_own, judge_syntax};

use super::state::{Accessing, Matter};
use crate::session::Session;

/// The facts of a session for one judgement.
pub(super) fn facts<'a>(access: &'a Accessing, matter: &'a Matter<'_>, session: &'a Session) -> Facts<'a> {
    Facts {
        stage: matter.stage,
        listener: session.listener(),
        peer: session.peer.ip(),
        helo: &access.helo,
        helo_faults: access.helo_faults,
        tls: session.tls.as_ref().map(|tls| TlsState { version: tls.version }),
        certificate: session.certificate.as_ref(),
        login: session.login.as_ref().map(crate::session::Login::name),
        stranger: session.is_stranger(),
        sender: match &access.sender {
            None => Party::Unknown,
            Some(sender) => sender.key.as_ref().map_or(Party::Null, Party::Address),
        },
        recipient: matter
            .recipient
            .map_or(Party::Unknown, |(key, _)| Party::Address(key)),
        destination: matter.recipient.map(|(_, destination)| destination),
        authors: matter.authors,
        size: matter.size,
        now: matter.now,
    }
}

/// The local time, if the rules of a session depend on it.
pub(super) fn now(session: &Session) -> DateTime {
    match session.profile.access.rules.tells_time {
        true => Zoned::now().datetime(),
        false => DateTime::default(),
    }
}

/// What is wrong with the client's `HELO` name, in this session.
pub(super) fn faults_in(helo: &str, session: &Session) -> HeloFaults {
    let settings = &session.profile.settings;
    faults_of(helo, &settings.hostname, &settings.relay.local_domains)
}

/// What is wrong with a `HELO` name, without asking DNS.
#[must_use]
pub fn faults_of(helo: &str, hostname: &str, local_domains: &DomainSet) -> HeloFaults {
    let name = HeloName::of(helo);
    HeloFaults {
        syntax: judge_syntax(&name).is_some(),
        invalid: is_invalid(&name),
        own: judge_own(&name, hostname, local_domains, dial::is_own).is_some(),
    }
}
