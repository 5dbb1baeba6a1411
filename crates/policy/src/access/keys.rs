//! Which keys of a table are looked for, and in which order.

use std::ops::ControlFlow;

use super::facts::{Answers, Facts, Party, Stage};
use crate::screen::finding::ClientName;

/// A look into a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LookUp {
    /// The table, as it is referred to.
    pub table: Box<str>,
    /// What is looked for.
    pub subject: Subject,
    /// How the table is written.
    pub form: Form,
    /// Whether `RELAY` in it is a reason to relay.
    pub relay: bool,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// The client's address, then the networks that it is in.
    Client,
    /// The forward-confirmed name of it, then the domains above.
    ClientName,
    /// Its first name, whether that leads back or not.
    ReverseName,
    /// What it calls itself.
    Helo,
    /// The sender of the envelope.
    Sender,
    /// The recipient.
    Recipient,
    /// The login.
    Login,
}

/// How a table is written, and so what its keys and its results mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Keys as Postfix looks for them; whatever is found says that the subject is in the table.
    Members,
    /// Postfix's access tables (access(5)).
    Postfix,
    /// Sendmail's access table: keys with tags, then without.
    Sendmail,
}

impl Subject {
    /// From when on it is known.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Client | Self::ClientName | Self::ReverseName => Stage::Connect,
            Self::Helo => Stage::Helo,
            Self::Sender | Self::Login => Stage::Mail,
            Self::Recipient => Stage::Rcpt,
        }
    }

    /// Whether the name of the client's address has to be known.
    #[must_use]
    pub const fn needs_name(self) -> bool {
        matches!(self, Self::ClientName | Self::ReverseName)
    }

    /// The tag of sendmail's keys.
    const fn tag(self) -> &'static str {
        match self {
            Self::Client | Self::ClientName | Self::ReverseName => "Connect:",
            Self::Helo => "Helo:",
            Self::Sender | Self::Login => "From:",
            Self::Recipient => "To:",
        }
    }
}

/// Why keys cannot be told: the name of the client's address is not known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoKeys<'a> {
    /// It has to be asked for first.
    #[error("the name of the client's address is not known yet")]
    AskName,
    /// DNS did not answer.
    #[error("{0}")]
    Unsure(&'a str),
}

impl LookUp {
    /// From when on its subject is known.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.subject.stage()
    }

    /// Whether what is found can be a reason to relay.
    #[must_use]
    pub const fn can_relay(&self) -> bool {
        self.relay
    }

    /// Shows each key to `visit`, in their order, until it breaks off.
    ///
    /// # Errors
    ///
    /// [`NoKeys`].
    pub fn keys<'a, B>(
        &self,
        facts: &Facts<'_>,
        answers: &'a Answers,
        mut visit: impl FnMut(&str) -> ControlFlow<B>,
    ) -> Result<Option<B>, NoKeys<'a>> {
        let mut key = String::with_capacity(64);
        let tag = self.subject.tag();
        let sendmail = self.form == Form::Sendmail;
        let mut each = |name: &str| {
            if sendmail {
                key.clear();
                key.push_str(tag);
                key.push_str(name);
                visit(&key)?;
            }
            visit(name)
        };
        let done = match self.subject {
            Subject::Client => address(facts.peer, sendmail, &mut each),
            Subject::ClientName | Subject::ReverseName => match (answers.client(), self.subject) {
                (None, _) => return Err(NoKeys::AskName),
                (Some(ClientName::Confirmed(name)), _) => domains(name, &mut each),
                (Some(ClientName::Unconfirmed(name) | ClientName::Unsure { name, .. }), Subject::ReverseName) => {
                    domains(name, &mut each)
                }
                (Some(ClientName::Unsure { reason, .. } | ClientName::Unanswered(reason)), _) => {
                    return Err(NoKeys::Unsure(reason));
                }
                // That is how Postfix calls it.
                (Some(ClientName::Unconfirmed(_) | ClientName::Nameless), _) if self.form == Form::Postfix => {
                    each("unknown")
                }
                (Some(ClientName::Unconfirmed(_) | ClientName::Nameless), _) => ControlFlow::Continue(()),
            },
            Subject::Helo => domains(facts.helo, &mut each),
            Subject::Sender => party(facts.sender, sendmail, &mut each),
            Subject::Recipient => party(facts.recipient, sendmail, &mut each),
            Subject::Login => facts.login.map_or(ControlFlow::Continue(()), each),
        };
        Ok(match done {
            ControlFlow::Break(found) => Some(found),
            ControlFlow::Continue(()) => None,
        })
    }
}

/// An address, then what is left of it without its last part, and so on: `192.0.2.1`, `192.0.2`, `192.0`, `192`.
fn address<B>(
    peer: std::net::IpAddr,
    sendmail: bool,
    each: &mut impl FnMut(&str) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let peer = peer.to_canonical();
    let (text, separator) = match peer {
        std::net::IpAddr::V4(ip) => (ip.to_string(), '.'),
        // Sendmail writes an IPv6 address with its kind, and in full.
        std::net::IpAddr::V6(ip) if sendmail => {
            let groups: Vec<String> = ip.segments().iter().map(|group| format!("{group:x}")).collect();
            (format!("IPv6:{}", groups.join(":")), ':')
        }
        std::net::IpAddr::V6(ip) => (ip.to_string(), ':'),
    };
    let mut rest: &str = &text;
    loop {
        each(rest)?;
        match rest.rsplit_once(separator) {
            Some((shorter, _)) if !shorter.is_empty() && shorter != "IPv6" => {
                rest = shorter.strip_suffix(separator).unwrap_or(shorter);
            }
            _ => return ControlFlow::Continue(()),
        }
    }
}

/// A name, then the domains above it.
fn domains<B>(name: &str, each: &mut impl FnMut(&str) -> ControlFlow<B>) -> ControlFlow<B> {
    let mut rest = name;
    while !rest.is_empty() {
        each(rest)?;
        rest = rest.split_once('.').map_or("", |(_, above)| above);
    }
    ControlFlow::Continue(())
}

/// An address, its domain and those above, its local part with an `@` behind it. With a detail, each first with it.
fn party<B>(party: Party<'_>, sendmail: bool, each: &mut impl FnMut(&str) -> ControlFlow<B>) -> ControlFlow<B> {
    let address = match party {
        Party::Unknown => return ControlFlow::Continue(()),
        // Sendmail looks for `<@>`.
        Party::Null => return each(if sendmail { "<@>" } else { "<>" }),
        Party::Address(address) => address,
    };
    each(address.whole())?;
    if let Some(untagged) = address.untagged() {
        each(untagged)?;
    }
    // The local part with its `@` is the beginning of the address.
    let local_at = |whole: &str, each: &mut dyn FnMut(&str) -> ControlFlow<B>| match whole.rfind('@') {
        Some(at) => each(&whole[..=at]),
        None => ControlFlow::Continue(()),
    };
    let locals = |each: &mut dyn FnMut(&str) -> ControlFlow<B>| {
        local_at(address.whole(), each)?;
        address.untagged().map_or(ControlFlow::Continue(()), |whole| local_at(whole, each))
    };
    if sendmail {
        locals(each)?;
        return domains(address.domain(), each);
    }
    domains(address.domain(), each)?;
    locals(each)
}

#[cfg(test)]
mod tests {
    use postern_mail::Mailbox;

    use super::super::names::AddressKey;
    use super::super::tests::facts;
    use super::*;

    fn keys(subject: Subject, form: Form, facts: &Facts<'_>, answers: &Answers) -> String {
        let look_up = LookUp {
            table: "t".into(),
            subject,
            form,
            relay: false,
        };
        let mut seen = Vec::new();
        let done = look_up.keys(facts, answers, |key| {
            seen.push(key.to_owned());
            ControlFlow::<()>::Continue(())
        });
        match done {
            Ok(_) => seen.join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn orders() {
        let tagged = AddressKey::new(&"Ann+x@a.example".parse::<Mailbox>().unwrap(), Some('+'));
        let mut known = Answers::default();
        known.client_is(ClientName::Confirmed("c.pool.example".to_owned()));
        let mut nameless = Answers::default();
        nameless.client_is(ClientName::Nameless);
        let of = |peer: &str| Facts {
            peer: peer.parse().unwrap(),
            helo: "mx.b.example",
            sender: Party::Address(&tagged),
            recipient: Party::Null,
            login: Some("ann"),
            ..facts()
        };
        #[rustfmt::skip]
        let cases = [
            // subject             form            client          answers     keys
            (Subject::Client,      Form::Postfix,  "192.0.2.1",    &known,     "192.0.2.1 192.0.2 192.0 192"),
            (Subject::Client,      Form::Postfix,  "2001:db8::1",  &known,     "2001:db8::1 2001:db8 2001"),
            (Subject::Client,      Form::Sendmail, "10.1.2.3",     &known,     "Connect:10.1.2.3 10.1.2.3 Connect:10.1.2 10.1.2 Connect:10.1 10.1 Connect:10 10"),
            (Subject::Client,      Form::Sendmail, "2001:db8::1",  &known,     "Connect:IPv6:2001:db8:0:0:0:0:0:1 IPv6:2001:db8:0:0:0:0:0:1 Connect:IPv6:2001:db8:0:0:0:0:0 IPv6:2001:db8:0:0:0:0:0 Connect:IPv6:2001:db8:0:0:0:0 IPv6:2001:db8:0:0:0:0 Connect:IPv6:2001:db8:0:0:0 IPv6:2001:db8:0:0:0 Connect:IPv6:2001:db8:0:0 IPv6:2001:db8:0:0 Connect:IPv6:2001:db8:0 IPv6:2001:db8:0 Connect:IPv6:2001:db8 IPv6:2001:db8 Connect:IPv6:2001 IPv6:2001"),
            (Subject::ClientName,  Form::Members,  "192.0.2.1",    &known,     "c.pool.example pool.example example"),
            (Subject::ClientName,  Form::Postfix,  "192.0.2.1",    &nameless,  "unknown"),
            (Subject::ClientName,  Form::Sendmail, "192.0.2.1",    &nameless,  ""),
            (Subject::Helo,        Form::Postfix,  "192.0.2.1",    &known,     "mx.b.example b.example example"),
            (Subject::Sender,      Form::Postfix,  "192.0.2.1",    &known,     "ann+x@a.example ann@a.example a.example example ann+x@ ann@"),
            (Subject::Sender,      Form::Sendmail, "192.0.2.1",    &known,     "From:ann+x@a.example ann+x@a.example From:ann@a.example ann@a.example From:ann+x@ ann+x@ From:ann@ ann@ From:a.example a.example From:example example"),
            (Subject::Recipient,   Form::Postfix,  "192.0.2.1",    &known,     "<>"),
            (Subject::Recipient,   Form::Sendmail, "192.0.2.1",    &known,     "To:<@> <@>"),
            (Subject::Login,       Form::Members,  "192.0.2.1",    &known,     "ann"),
        ];
        for (subject, form, peer, answers, expected) in cases {
            assert_eq!(keys(subject, form, &of(peer), answers), expected, "{subject:?} {form:?} {peer}");
        }
        let unknown = Answers::default();
        assert_eq!(
            keys(Subject::ClientName, Form::Postfix, &facts(), &unknown),
            "the name of the client's address is not known yet"
        );
    }
}
