//! What has counted against budgets, taken out of stories of the history.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use postern_events::{Key, PastEvent};
use postern_history::{Kind, Story};
use postern_mail::normal_login;
use postern_policy::Rule;
use postern_policy::budget::RecipientKey;

/// Something that counts, and whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Past {
    /// When, in milliseconds since 1970.
    pub(super) at: i64,
    pub(super) login: Option<Arc<str>>,
    pub(super) peer: Option<IpAddr>,
    pub(super) domain: Option<Arc<str>>,
    pub(super) what: What,
}

/// What it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// A message.
    Message {
        /// Recipients that were named.
        named: u64,
        octets: u64,
        /// Their hashes, where they matter.
        recipients: Vec<u64>,
    },
    RefusedRecipient,
    Bounce,
    ReturnedBounce,
    Complaint,
    FailedLogin,
    /// A login that was granted: whatever happens to its account counts from now on.
    Login,
}

/// Takes it out.
#[derive(Default)]
pub(super) struct Reader {
    /// By which recipients are told apart, where that matters.
    pub(super) key: Option<RecipientKey>,
    since: i64,
    until: i64,
    /// Logins and domains, each once.
    texts: HashMap<Box<str>, Arc<str>>,
}

impl Reader {
    pub(super) fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self {
            since: since.map_or(i64::MIN, Timestamp::as_millisecond),
            until: until.map_or(i64::MAX, Timestamp::as_millisecond),
            ..Self::default()
        }
    }

    /// What counts of a story.
    pub(super) fn read(&mut self, story: &Story, show: &mut impl FnMut(Past)) {
        for event in &story.events {
            if event.at < self.since || event.at > self.until {
                continue;
            }
            if let Some(what) = self.what(event, story) {
                show(Past {
                    at: event.at,
                    login: self.login(event),
                    peer: peer(event),
                    domain: self.domain(event),
                    what,
                });
            }
        }
    }

    fn what(&self, event: &PastEvent, story: &Story) -> Option<What> {
        let rule = event.text(Key::Rule).and_then(Rule::from_name);
        match event.word.as_str() {
            "accepted" if story.kind == Kind::Message => {
                let here = matches!(rule, Some(Rule::LocalRecipient | Rule::RelayDomain));
                // Mail for here of who has no login may be anybody's.
                let is_somebodys = !here || event.text(Key::Login).is_some();
                is_somebodys.then(|| self.message(event, story))
            }
            "login" => Some(What::Login),
            "refused" if is_failed_login(event, rule) => Some(What::FailedLogin),
            "refused" => rule
                .is_some_and(postern_receive::is_unknown_recipient)
                .then_some(What::RefusedRecipient),
            "bounced" if event.text(Key::Login).is_some() => Some(What::Bounce),
            "bounce returned" => Some(What::ReturnedBounce),
            "complaint" => Some(What::Complaint),
            _ => None,
        }
    }

    fn message(&self, event: &PastEvent, story: &Story) -> What {
        let mut named: Vec<&str> = story
            .events
            .iter()
            .filter(|event| event.word == "recipient")
            .filter_map(|event| event.text(Key::To))
            .collect();
        named.sort_unstable();
        named.dedup();
        let count = event.number(Key::Recipients).unwrap_or(1);
        let key = self.key.as_ref();
        let hash = |to: &&str| key.map(|key| key.hash(to.trim_start_matches('<').trim_end_matches('>')));
        // Two that differ in capitals are one.
        let mut recipients: Vec<u64> = named.iter().filter_map(hash).collect();
        recipients.sort_unstable();
        recipients.dedup();
        What::Message {
            named: match named.len() {
                0 => count,
                named => named as u64,
            },
            octets: event.number(Key::Size).unwrap_or(0),
            recipients,
        }
    }

    fn login(&mut self, event: &PastEvent) -> Option<Arc<str>> {
        let login = event.text(Key::Login)?;
        // Where a login has failed it stands as it was written.
        match event.word == "refused" {
            true => {
                let login = normal_login(login).unwrap_or_else(|_| login.to_owned());
                Some(self.shared(&login))
            }
            false => Some(self.shared(login)),
        }
    }

    fn domain(&mut self, event: &PastEvent) -> Option<Arc<str>> {
        let from = event.text(Key::From)?.trim_matches(['<', '>']);
        let domain = from.rsplit_once('@')?.1.to_ascii_lowercase();
        Some(self.shared(&domain))
    }

    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(text.into(), Arc::clone(&shared));
        shared
    }
}

/// The client's address, unless it is a program of this machine.
fn peer(event: &PastEvent) -> Option<IpAddr> {
    let is_local = event.text(Key::Rule) == Some(Rule::RelayLocal.name());
    event.text(Key::Peer)?.parse().ok().filter(|_| !is_local)
}

/// Whether a refusal is one of a login: others say what the client calls itself.
fn is_failed_login(event: &PastEvent, rule: Option<Rule>) -> bool {
    let is_about_login = |rule: Rule| rule.name().starts_with("login.") || rule.name().starts_with("auth.");
    event.text(Key::Helo).is_none()
        && (event.text(Key::Mechanism).is_some() || rule.is_some_and(is_about_login))
}

#[cfg(test)]
mod tests {
    use postern_events::Kept;
    use postern_history::Class;

    use super::*;

    fn event(word: &str, fields: &[(Key, &str)]) -> PastEvent {
        PastEvent {
            at: 1_000,
            word: word.to_owned(),
            fields: fields
                .iter()
                .map(|(key, text)| (*key, Kept::Text((*text).to_owned())))
                .collect(),
        }
    }

    fn of(kind: Kind, events: Vec<PastEvent>) -> Vec<Past> {
        let story = Story {
            kind,
            id: "01HJ3K8Q2M7XA".to_owned(),
            session: "5f-1".to_owned(),
            class: Class::Users,
            events,
        };
        let mut found = Vec::new();
        Reader::new(None, None).read(&story, &mut |past| found.push(past));
        found
    }

    #[test]
    fn what_counts_of_a_story() {
        let accepted = |rule, login: &[(Key, &str)]| {
            let mut event = event(
                "accepted",
                &[
                    (Key::Rule, rule),
                    (Key::From, "<A@X.test>"),
                    (Key::Peer, "192.0.2.1"),
                ],
            );
            let login = login
                .iter()
                .map(|(key, text)| (*key, Kept::Text((*text).to_owned())));
            event.fields.extend(login);
            event.fields.push((Key::Size, Kept::Number(700)));
            event.fields.push((Key::Recipients, Kept::Number(5)));
            event
        };
        let to = |to| event("recipient", &[(Key::To, to)]);
        let ann = [(Key::Login, "ann")];
        let message = |named| What::Message {
            named,
            octets: 700,
            recipients: Vec::new(),
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows            events                                                                        what counts, and for whom
            ("a message, as named",           vec![to("<a@b>"), to("<c@d>"), to("<a@b>"), accepted("relay.login", &ann)],   Some((message(2), Some("ann")))),
            ("its recipients are not known",  vec![accepted("relay.login", &ann)],                                          Some((message(5), Some("ann")))),
            ("of a network",                  vec![accepted("relay.network", &[])],                                         Some((message(5), None))),
            ("for here, of a user",           vec![accepted(Rule::LocalRecipient.name(), &ann)],                            Some((message(5), Some("ann")))),
            ("for here, of anybody",          vec![accepted(Rule::LocalRecipient.name(), &[])],                             None),
            ("an unknown recipient",          vec![event("refused", &[(Key::Rule, Rule::RecipientUnknown.name()), ann[0]])], Some((What::RefusedRecipient, Some("ann")))),
            ("another refusal",               vec![event("refused", &[(Key::Rule, Rule::RelayDenied.name()), ann[0]])],     None),
            ("a login",                       vec![event("login", &[(Key::Mechanism, "PLAIN"), ann[0]])],                   Some((What::Login, Some("ann")))),
            ("a failed login",                vec![event("refused", &[(Key::Mechanism, "PLAIN"), (Key::Login, "ANN")])],    Some((What::FailedLogin, Some("ann")))),
            ("a bounce",                      vec![event("bounced", &[ann[0]])],                                            Some((What::Bounce, Some("ann")))),
            ("a bounce of a stranger's",      vec![event("bounced", &[])],                                                  None),
        ];
        for (shows, events, want) in cases {
            let found = of(Kind::Message, events);
            let got = found
                .first()
                .map(|past| (past.what.clone(), past.login.as_deref()));
            assert_eq!(got, want, "{shows}");
            assert!(found.len() <= 1, "{shows}");
        }
        let found = of(Kind::Message, vec![accepted("relay.login", &ann)]);
        assert_eq!(found[0].domain.as_deref(), Some("x.test"));
        let local = of(Kind::Message, vec![accepted(Rule::RelayLocal.name(), &ann)]);
        assert_eq!(local[0].peer, None, "a program of this machine has no network");
    }
}
