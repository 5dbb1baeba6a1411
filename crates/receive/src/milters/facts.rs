//! What filters are told about a session and its message ([`postern_milter::facts`]).

use postern_mail::{Domain, ForwardPath, Mailbox, ReversePath};
use postern_milter::facts::{Client, Facts, Login, Message, Resolved, Tls, Way};
use postern_policy::screen::finding::ClientName;
use postern_smtp::Reply;
use postern_smtp::server::Ground;

use crate::Settings;
use crate::session::{Login as LoggedIn, Session};

/// The name and version in `v`.
const VERSION: &str = concat!("Postern ", env!("CARGO_PKG_VERSION"));

/// Everything that is known at one step.
pub(super) fn facts<'a>(session: &'a Session, message: &'a Message, recipient: Option<&'a Way>) -> Facts<'a> {
    Facts {
        hostname: &session.profile.settings.hostname,
        version: VERSION,
        listener: session.listener(),
        local: session.local,
        client: client(session),
        tls: session.tls.as_ref().map(|tls| {
            let certificate = tls.client_certificate.as_ref();
            Tls {
                version: tls.version,
                cipher: tls.cipher,
                bits: tls.bits,
                verify: tls.verify.word(),
                subject: certificate.map(|facts| &*facts.subject),
                issuer: certificate.map(|facts| &*facts.issuer),
            }
        }),
        login: session.login.as_ref().map(login),
        message,
        recipient,
    }
}

/// The client.
pub(super) fn client(session: &Session) -> Client<'_> {
    Client {
        address: session.peer,
        resolved: resolved(session.called.as_ref()),
    }
}

fn login(login: &LoggedIn) -> Login<'_> {
    Login {
        mechanism: login.mechanism.name(),
        authcid: login.authcid(),
        acts_as: login.acts_as(),
        layer_bits: login.layer_bits,
    }
}

/// What filters are told about the client's host name. If it was not looked up, there is none.
fn resolved(called: Option<&ClientName>) -> Resolved<'_> {
    match called {
        Some(ClientName::Confirmed(name)) => Resolved::Confirmed(name),
        Some(ClientName::Unconfirmed(name)) => Resolved::Forged(name),
        Some(ClientName::Nameless) | None => Resolved::Nameless,
        Some(ClientName::Unsure { name, .. }) => Resolved::Unsure(Some(name)),
        Some(ClientName::Unanswered(_)) => Resolved::Unsure(None),
    }
}

/// The mailer of a sender, for filters: that of the null sender and of this server's domains is local.
#[must_use]
pub fn way_of_sender(sender: &ReversePath, settings: &Settings) -> Way {
    match sender {
        ReversePath::Null => Way::null(),
        ReversePath::Mailbox(mailbox) => way(mailbox, is_local(mailbox.domain(), settings)),
    }
}

/// The mailer of a recipient, for filters, by its domain.
#[must_use]
pub fn way_of_recipient(mailbox: &Mailbox, settings: &Settings) -> Way {
    way(mailbox, is_local(mailbox.domain(), settings))
}

/// The mailer of a recipient that is accepted on this ground.
pub(super) fn way_of_taken(path: &ForwardPath, ground: Ground) -> Way {
    match path {
        ForwardPath::Postmaster => Way::here("postmaster"),
        ForwardPath::Mailbox { mailbox, .. } => way(mailbox, ground == Ground::Here),
    }
}

/// The mailer of a refused recipient.
pub(super) fn way_of_refused(reply: &Reply) -> Way {
    let status = reply.status.map(|status| status.to_string());
    Way::refused(status.unwrap_or_default(), &reply.text)
}

fn way(mailbox: &Mailbox, local: bool) -> Way {
    if local {
        Way::here(mailbox.unquoted_local())
    } else {
        Way::elsewhere(mailbox.domain().to_string(), mailbox.to_string())
    }
}

fn is_local(domain: &Domain, settings: &Settings) -> bool {
    settings.relay.local_domains.contains_by_name(domain)
        || matches!(domain, Domain::Name(_)) && domain == settings.main_domain()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_filters_hear_of_a_name() {
        let name = || "c.example".to_owned();
        let unsure = ClientName::Unsure {
            name: name(),
            reason: "SERVFAIL".into(),
        };
        #[rustfmt::skip]
        let cases = [
            ("it leads back",               Some(ClientName::Confirmed(name())),            Resolved::Confirmed("c.example")),
            ("it leads elsewhere",          Some(ClientName::Unconfirmed(name())),          Resolved::Forged("c.example")),
            ("none",                        Some(ClientName::Nameless),                     Resolved::Nameless),
            ("it leads nobody knows where", Some(unsure),                                   Resolved::Unsure(Some("c.example"))),
            ("no answer",                   Some(ClientName::Unanswered("late".into())),    Resolved::Unsure(None)),
            ("nobody asks",                 None,                                           Resolved::Nameless),
        ];
        for (shows, called, expected) in cases {
            assert_eq!(resolved(called.as_ref()), expected, "{shows}");
        }
    }
}
