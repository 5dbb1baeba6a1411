//! Whether a message is signed, and for which domain.
//!
//! A signature says that a domain is responsible for a message. So it is made only for clients that may send as that domain,
//! according to the identity rule that decided, and never for strangers. If users may write any address, that alone does not make
//! them responsible for one.

use std::collections::HashMap;
use std::fmt;

use postern_mail::{Domain, Mailbox};

use crate::rule::{Rule, Told, Verdict};

/// Where a message comes from, for signatures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// A client that may relay, by authentication, network or certificate.
    Client,
    /// This machine.
    Local,
    /// This server: a report of its own.
    Report,
    /// Anybody.
    Stranger,
}

/// What is known about a message.
#[derive(Clone, Copy, Debug)]
pub struct SigningFacts<'a> {
    /// Where it comes from.
    pub source: Source,
    /// How many `From` fields it has, as it will be sent.
    pub from_fields: usize,
    /// The addresses in them; `None` if they are ambiguous.
    pub authors: Option<&'a [Mailbox]>,
    /// The identity rule by which the client may send with that author; `None` if nobody had to be responsible for one.
    pub author_rule: Option<Rule>,
    /// Whether the client is responsible for the author, if the rule lets every user write any address: a user whose identity
    /// covers it ([`answers_for`](crate::identity::answers_for)), or a machine, which the administrator has listed.
    pub answers: bool,
    /// Domains of the authors that the client wrote, which the rule has judged; none if this server added the `From`.
    pub judged: &'a [Domain],
    /// Whether this server added the `From`, from the envelope's sender.
    pub completed: bool,
}

/// The domains that messages are signed for, each with what is needed to sign.
#[derive(Clone, Debug)]
pub struct SigningDomains<T> {
    domains: HashMap<Box<str>, Signing<T>>,
}

#[derive(Clone, Debug)]
struct Signing<T> {
    scope: Scope,
    with: T,
}

/// Whose mail a domain signs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    /// Authors in all its subdomains too.
    pub subdomains: bool,
    /// Mail of every user that may write with such an author, whether or not its identity covers that address.
    pub any_login: bool,
}

/// The message is signed.
#[derive(Clone, Copy, Debug)]
pub struct SignedFor<'a, T> {
    /// The domain that signs: the author's, or one above it.
    pub domain: &'a str,
    /// What is needed to sign.
    pub with: &'a T,
    /// Whether it signs for every user that may write so.
    any_login: bool,
}

/// Why a message is not signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsigned {
    /// It comes from a stranger.
    Stranger,
    /// It has no `From`.
    NoFrom,
    /// It has several: receivers may show any of them.
    SeveralFrom(usize),
    /// Its `From` is not a list of addresses.
    Unreadable,
    /// Its authors are in several domains.
    SeveralDomains,
    /// It was not judged whether the client may send as its author.
    NotJudged,
    /// A filter has changed the author to one that was not judged.
    Changed,
    /// Users may write any address, but the identity of this one does not cover the author.
    NotCovered,
    /// There is no `[[dkim]]` for the author's domain.
    NoDomain,
}

impl<T> Default for SigningDomains<T> {
    fn default() -> Self {
        Self {
            domains: HashMap::new(),
        }
    }
}

impl<T> SigningDomains<T> {
    /// Adds a domain, or replaces an existing one.
    pub fn insert(&mut self, domain: &str, scope: Scope, with: T) {
        let domain = domain.to_ascii_lowercase().into();
        self.domains.insert(domain, Signing { scope, with });
    }

    /// The domain that signs for this one: itself, or the closest parent domain that signs for its subdomains.
    #[must_use]
    pub fn find(&self, domain: &Domain) -> Option<SignedFor<'_, T>> {
        let mut name = domain.name()?;
        let mut itself = true;
        loop {
            if let Some((domain, signing)) = self.domains.get_key_value(name)
                && (itself || signing.scope.subdomains)
            {
                return Some(SignedFor {
                    domain,
                    with: &signing.with,
                    any_login: signing.scope.any_login,
                });
            }
            (_, name) = name.split_once('.')?;
            itself = false;
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.domains
            .iter()
            .map(|(domain, signing)| (&**domain, &signing.with))
    }
}

/// Decides whether a message is signed, and for which domain.
///
/// # Errors
///
/// [`Unsigned`]: why not.
pub fn signing<'a, T>(
    facts: &SigningFacts<'_>,
    domains: &'a SigningDomains<T>,
) -> Result<SignedFor<'a, T>, Unsigned> {
    if facts.source == Source::Stranger {
        return Err(Unsigned::Stranger);
    }
    match facts.from_fields {
        0 => return Err(Unsigned::NoFrom),
        1 => {}
        several => return Err(Unsigned::SeveralFrom(several)),
    }
    let authors = facts.authors.ok_or(Unsigned::Unreadable)?;
    let domain = authors.first().ok_or(Unsigned::NoFrom)?.domain();
    if authors.iter().any(|author| author.domain() != domain) {
        return Err(Unsigned::SeveralDomains);
    }
    let found = domains.find(domain).ok_or(Unsigned::NoDomain)?;
    if facts.source == Source::Client {
        let rule = facts.author_rule.ok_or(Unsigned::NotJudged)?;
        let was_judged = facts.judged.contains(domain) && rule != Rule::SenderNull;
        if !was_judged && !facts.completed {
            return Err(Unsigned::Changed);
        }
        if rule == Rule::SenderAny && !facts.answers && !found.any_login {
            return Err(Unsigned::NotCovered);
        }
    }
    Ok(found)
}

impl<T> Verdict for SignedFor<'_, T> {
    fn rule(&self) -> Rule {
        Rule::DkimSigned
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

impl<T> fmt::Display for SignedFor<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the domain {}", self.domain)
    }
}

impl Verdict for Unsigned {
    fn rule(&self) -> Rule {
        match self {
            Self::Stranger => Rule::DkimStranger,
            Self::NoFrom | Self::SeveralFrom(_) | Self::Unreadable | Self::SeveralDomains => Rule::DkimAuthor,
            Self::NotJudged | Self::Changed | Self::NotCovered => Rule::DkimIdentity,
            Self::NoDomain => Rule::DkimNoDomain,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stranger => "the client may not relay",
            Self::NoFrom => "there is no address in From",
            Self::SeveralFrom(count) => return write!(f, "there are {count} From fields"),
            Self::Unreadable => "From is not a list of addresses",
            Self::SeveralDomains => "the authors are in several domains",
            Self::NotJudged => "nobody has answered for the author",
            Self::Changed => "a filter has changed the author",
            Self::NotCovered => {
                "the identity of the login does not cover the author, though it may write any address"
            }
            Self::NoDomain => "no [[dkim]] for the domain of the author",
        })
    }
}

#[cfg(test)]
mod tests {
    use postern_mail::ParseOptions;

    use super::*;

    fn mailboxes(list: &str) -> Vec<Mailbox> {
        let words = list.split(',').filter(|word| !word.is_empty());
        words
            .map(|word| Mailbox::parse(word, &ParseOptions::default()).unwrap())
            .collect()
    }

    fn domains() -> SigningDomains<&'static str> {
        let mut domains = SigningDomains::default();
        let below = Scope {
            subdomains: true,
            ..Scope::default()
        };
        let any = Scope {
            any_login: true,
            ..Scope::default()
        };
        domains.insert("Example.org", below, "org");
        domains.insert("alone.example", Scope::default(), "alone");
        domains.insert("own.example.org", Scope::default(), "own");
        domains.insert("free.example", any, "free");
        domains
    }

    #[test]
    fn which_domain_signs() {
        let domains = domains();
        #[rustfmt::skip]
        let cases = [
            // what the case shows            author's domain            signs
            ("itself",                        "example.org",             Some("org")),
            ("in any case",                   "EXAMPLE.org",             Some("org")),
            ("one below",                     "a.b.example.org",         Some("org")),
            ("one with a key of its own",     "own.example.org",         Some("own")),
            ("below that: it has none below", "x.own.example.org",       Some("org")),
            ("below one that signs alone",    "x.alone.example",         None),
            ("a name that ends alike",        "anexample.org",           None),
            ("one above",                     "org",                     None),
            ("an address literal",            "[192.0.2.1]",             None),
        ];
        for (shows, domain, want) in cases {
            let found = domains.find(&domain.parse().unwrap());
            assert_eq!(found.map(|found| *found.with), want, "{shows}");
        }
    }

    #[test]
    fn who_is_signed() {
        use Source::{Client, Local, Report, Stranger};
        use Unsigned as No;
        let (own, any, null) = (
            Some(Rule::IdentityOwn),
            Some(Rule::SenderAny),
            Some(Rule::SenderNull),
        );
        let domains = domains();
        #[rustfmt::skip]
        let cases = [
            // what the case shows                   source    fields  authors                        rule  judged         added  answers  verdict
            ("a user's own address",                 Client,   1, Some("a@example.org"),              own,  "example.org", false, true,  Ok("example.org")),
            ("any address, by the configuration",    Client,   1, Some("a@example.org"),              any,  "example.org", false, true,  Ok("example.org")),
            ("any address, and it is not its own",   Client,   1, Some("a@example.org"),              any,  "example.org", false, false, Err(No::NotCovered)),
            ("the same where the domain allows it",  Client,   1, Some("a@free.example"),             any,  "free.example", false, false, Ok("free.example")),
            ("any address, From added here",         Client,   1, Some("a@example.org"),              any,  "",            true,  false, Err(No::NotCovered)),
            ("an own one needs no other answer",     Client,   1, Some("a@example.org"),              own,  "example.org", false, false, Ok("example.org")),
            ("below the domain",                     Client,   1, Some("a@x.example.org"),            own,  "x.example.org", false, true,  Ok("example.org")),
            ("two authors of one domain",            Client,   1, Some("a@example.org,b@example.org"), own, "example.org", false, true,  Ok("example.org")),
            ("From added by this server",            Client,   1, Some("a@example.org"),              null, "",            true,  true,  Ok("example.org")),
            ("a message of this machine",            Local,    1, Some("root@example.org"),           None, "example.org", false, true,  Ok("example.org")),
            ("a report",                             Report,   1, Some("MAILER-DAEMON@example.org"),  None, "example.org", false, true,  Ok("example.org")),
            ("a stranger with the same author",      Stranger, 1, Some("a@example.org"),              None, "example.org", false, true,  Err(No::Stranger)),
            ("a stranger, whatever was judged",      Stranger, 1, Some("a@example.org"),              own,  "example.org", false, true,  Err(No::Stranger)),
            ("no From",                              Client,   0, Some(""),                           own,  "",            false, true,  Err(No::NoFrom)),
            ("a From without an address",            Client,   1, Some(""),                           own,  "",            false, true,  Err(No::NoFrom)),
            ("two From fields",                      Client,   2, Some("a@example.org"),              own,  "example.org", false, true,  Err(No::SeveralFrom(2))),
            ("two From fields of this machine",      Local,    2, Some("a@example.org"),              None, "example.org", false, true,  Err(No::SeveralFrom(2))),
            ("a From that cannot be read",           Client,   1, None,                               own,  "example.org", false, true,  Err(No::Unreadable)),
            ("authors of two domains",               Client,   1, Some("a@example.org,b@alone.example"), own, "example.org", false, true,  Err(No::SeveralDomains)),
            ("another domain",                       Client,   1, Some("a@example.net"),              own,  "example.net", false, true,  Err(No::NoDomain)),
            ("nobody answered for the author",       Client,   1, Some("a@example.org"),              None, "example.org", false, true,  Err(No::NotJudged)),
            ("a filter put another author in",       Client,   1, Some("a@example.org"),              own,  "example.net", false, true,  Err(No::Changed)),
            ("a filter put an author in",            Client,   1, Some("a@example.org"),              null, "",            false, true,  Err(No::Changed)),
        ];
        for (shows, source, from_fields, authors, author_rule, judged, completed, answers, want) in cases {
            let authors = authors.map(mailboxes);
            let judged: Vec<Domain> = judged.split(',').filter_map(|name| name.parse().ok()).collect();
            let facts = SigningFacts {
                source,
                from_fields,
                authors: authors.as_deref(),
                author_rule,
                answers,
                judged: &judged,
                completed,
            };
            let got = signing(&facts, &domains).map(|signed| signed.domain);
            assert_eq!(got, want, "{shows}");
        }
    }
}
