//! In which order the keys for an address, a host or a network are looked up: the orders of Postfix and sendmail.

use std::net::IpAddr;

/// What is looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject<'a> {
    /// A mail address.
    Address(Address<'a>),
    /// A domain, the name of a host, or any other text.
    Name(&'a str),
    /// The address of a client.
    Network(IpAddr),
}

/// A mail address in parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address<'a> {
    /// The part before the `@`, without quotes.
    pub local: &'a str,
    /// The part after it.
    pub domain: &'a str,
    /// The separators between user name and detail: the first occurrence of any of these characters; empty if details are not
    /// used.
    pub separators: &'a str,
    /// Whether the domain is local, so that keys without a domain match.
    pub is_local: bool,
}

impl<'a> Address<'a> {
    /// From a text with an `@`; the last one splits it.
    #[must_use]
    pub fn of(text: &'a str, separators: &'a str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        Some(Self {
            local,
            domain,
            separators,
            is_local: false,
        })
    }

    /// The user name and the detail with its separator: `user` and `+detail`. `None` without a detail.
    #[must_use]
    pub fn detail(&self) -> Option<(&'a str, &'a str)> {
        let at = self.local.find(|c| self.separators.contains(c))?;
        (at > 0).then(|| self.local.split_at(at))
    }
}

/// One key of a plan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Key {
    /// What is looked up.
    pub text: String,
    /// Whether it is only part of what is looked up: then pattern tables are not queried, where it could match patterns meant for
    /// the whole.
    pub is_part: bool,
    /// Whether the address's detail is left out: if it matches, the detail may be appended to the new name.
    pub is_without_detail: bool,
    /// The values of `%1`, `%2` and so on, for sendmail's tables.
    pub arguments: Vec<String>,
}

/// The orders of keys. The first key that a table contains decides.
///
/// | Plan | Keys |
/// | --- | --- |
/// | `exact` | the text itself |
/// | `address` | `user+detail@domain`, `user@domain`, for local domains `user+detail` and `user`, `@domain` |
/// | `access` | `user+detail@domain`, `user@domain`, `domain` and the domains above it, `user+detail@`, `user@`; of a client its name and the domains above, or its address and the networks around it by octets |
/// | `transport` | `user+detail@domain`, `user@domain`, `domain`, `.domain` of those above it, `*` |
/// | `domain` | `domain`, then the domains above it |
/// | `subdomain` | `domain`, then `.domain` of those above it |
/// | `virtuser` | `user+detail@domain`, `user++@domain`, `user+*@domain`, `user@domain`, `++@domain`, `+*@domain`, `@domain` |
/// | `generics` | `user+detail@domain`, `user+*@domain`, `user@domain`, `@domain`, `user+detail`, `user+*`, `user` |
/// | `mailertable` | `domain`, `.domain` of those above it, `.` |
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub enum Plan {
    /// The text itself.
    #[default]
    Exact,
    /// Postfix's for addresses: virtual aliases, canonical addresses, known recipients, owners of senders.
    Address,
    /// Postfix's for access by address, host or client.
    Access,
    /// Postfix's for transports.
    Transport,
    /// A domain and its parents, as Postfix looks up relay domains.
    Domain,
    /// A domain, and its parents with a leading dot.
    Subdomain,
    /// sendmail's for virtual users.
    Virtuser,
    /// sendmail's for generic addresses.
    Generics,
    /// sendmail's for mailers.
    Mailertable,
}

impl Plan {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Exact,
        Self::Address,
        Self::Access,
        Self::Transport,
        Self::Domain,
        Self::Subdomain,
        Self::Virtuser,
        Self::Generics,
        Self::Mailertable,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Address => "address",
            Self::Access => "access",
            Self::Transport => "transport",
            Self::Domain => "domain",
            Self::Subdomain => "subdomain",
            Self::Virtuser => "virtuser",
            Self::Generics => "generics",
            Self::Mailertable => "mailertable",
        }
    }

    /// The keys, in order. Subjects for which the plan is not made are looked up as they are; where a domain is wanted, an
    /// address is looked up by its domain.
    #[must_use]
    pub fn keys(self, subject: &Subject<'_>) -> Vec<Key> {
        let mut keys = Keys::default();
        match (self, subject) {
            (Self::Exact, subject) => keys.whole(&subject.text()),
            (Self::Address, Subject::Address(address)) => keys.address(address),
            (Self::Access, Subject::Address(address)) => keys.access(address),
            (Self::Access, Subject::Name(name)) => keys.above(name, ""),
            (Self::Access, Subject::Network(address)) => keys.networks(*address),
            (Self::Transport, Subject::Address(address)) => {
                keys.whole_and_bare(address);
                keys.part(address.domain.to_owned());
                keys.above_of(address.domain, ".");
                keys.part("*".to_owned());
            }
            (Self::Transport, Subject::Name(name)) => {
                keys.above(name, ".");
                keys.part("*".to_owned());
            }
            (Self::Domain, subject) => keys.above(subject.domain(), ""),
            (Self::Subdomain, subject) => keys.above(subject.domain(), "."),
            (Self::Virtuser, Subject::Address(address)) => keys.virtuser(address),
            (Self::Generics, Subject::Address(address)) => keys.generics(address),
            (Self::Mailertable, subject) => keys.mailertable(subject.domain()),
            (_, subject) => keys.whole(&subject.text()),
        }
        keys.list
    }

    /// The keys of sendmail's access table under a tag such as `From`, each with the tag and, if `untagged`, then without it: the
    /// address without and with `+*` for its detail, its domain and parent domains, `user@`; a host and its parent domains; a
    /// client's address and the enclosing networks by octets. For senders `user@` comes before the domain.
    #[must_use]
    pub fn sendmail_access(tag: &str, untagged: bool, subject: &Subject<'_>) -> Vec<Key> {
        let mut bare = Keys::default();
        match subject {
            Subject::Address(address) => {
                bare.whole(&format!("{}@{}", address.local, address.domain));
                if let Some((user, detail)) = address.detail() {
                    bare.without_detail(format!("{user}+*@{}", address.domain), &[user, &detail[1..]]);
                    bare.without_detail(format!("{user}@{}", address.domain), &[user]);
                }
                let user = format!("{}@", address.local);
                if tag.eq_ignore_ascii_case("from") {
                    bare.part(user);
                    bare.part(address.domain.to_owned());
                    bare.above_of(address.domain, "");
                } else {
                    bare.part(address.domain.to_owned());
                    bare.above_of(address.domain, "");
                    bare.part(user);
                }
            }
            Subject::Name(name) => bare.above(name, ""),
            Subject::Network(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => {
                let mut inner = Keys::default();
                inner.networks(IpAddr::V6(*v6));
                for key in inner.list {
                    let text = format!("IPv6:{}", key.text);
                    bare.list.push(Key { text, ..key });
                }
            }
            Subject::Network(address) => bare.networks(*address),
        }
        let mut keys = Vec::with_capacity(bare.list.len() * 2);
        for key in bare.list {
            keys.push(Key {
                text: format!("{tag}:{}", key.text),
                ..key.clone()
            });
            if untagged {
                keys.push(key);
            }
        }
        keys
    }
}

impl Subject<'_> {
    /// What is looked up, as text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Address(address) => format!("{}@{}", address.local, address.domain),
            Self::Name(name) => (*name).to_owned(),
            Self::Network(address) => address.to_string(),
        }
    }

    /// The domain of an address; otherwise the text.
    fn domain(&self) -> &str {
        match self {
            Self::Address(address) => address.domain,
            Self::Name(name) => name,
            Self::Network(_) => "",
        }
    }
}

/// Keys being generated.
#[derive(Default)]
struct Keys {
    list: Vec<Key>,
}

impl Keys {
    fn whole(&mut self, text: &str) {
        self.list.push(Key {
            text: text.to_owned(),
            ..Key::default()
        });
    }

    fn part(&mut self, text: String) {
        self.list.push(Key {
            text,
            is_part: true,
            ..Key::default()
        });
    }

    fn without_detail(&mut self, text: String, arguments: &[&str]) {
        self.list.push(Key {
            text,
            is_part: true,
            is_without_detail: true,
            arguments: owned(arguments),
        });
    }

    fn with(&mut self, text: String, is_part: bool, arguments: &[&str]) {
        self.list.push(Key {
            text,
            is_part,
            is_without_detail: false,
            arguments: owned(arguments),
        });
    }

    fn whole_and_bare(&mut self, address: &Address<'_>) {
        self.whole(&format!("{}@{}", address.local, address.domain));
        if let Some((user, _)) = address.detail() {
            self.without_detail(format!("{user}@{}", address.domain), &[]);
        }
    }

    fn address(&mut self, address: &Address<'_>) {
        self.whole_and_bare(address);
        if address.is_local {
            self.part(address.local.to_owned());
            if let Some((user, _)) = address.detail() {
                self.without_detail(user.to_owned(), &[]);
            }
        }
        self.part(format!("@{}", address.domain));
    }

    fn access(&mut self, address: &Address<'_>) {
        self.whole_and_bare(address);
        self.part(address.domain.to_owned());
        self.above_of(address.domain, "");
        self.part(format!("{}@", address.local));
        if let Some((user, _)) = address.detail() {
            self.without_detail(format!("{user}@"), &[]);
        }
    }

    /// A name and its parents.
    fn above(&mut self, name: &str, dot: &str) {
        self.whole(name);
        self.above_of(name, dot);
    }

    /// The parents of a name. An address literal has none.
    fn above_of(&mut self, name: &str, dot: &str) {
        if name.starts_with('[') {
            return;
        }
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.') {
            if above.is_empty() {
                return;
            }
            self.part(format!("{dot}{above}"));
            rest = above;
        }
    }

    /// An address and the enclosing networks: by octets, or by IPv6 groups as written.
    fn networks(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        let text = address.to_string();
        self.whole(&text);
        let mark = if address.is_ipv4() { '.' } else { ':' };
        let mut rest = text.as_str();
        while let Some((network, _)) = rest.rsplit_once(mark) {
            let network = network.trim_end_matches(mark);
            if network.is_empty() {
                return;
            }
            self.part(network.to_owned());
            rest = network;
        }
    }

    fn virtuser(&mut self, address: &Address<'_>) {
        let Address { local, domain, .. } = *address;
        self.with(format!("{local}@{domain}"), false, &[local]);
        let Some((user, plus)) = address.detail() else {
            self.with(format!("@{domain}"), true, &[local]);
            return;
        };
        let detail = &plus[1..];
        let arguments = [user, detail, plus];
        let mut keys = Vec::new();
        if !detail.is_empty() {
            keys.push(format!("{user}++@{domain}"));
        }
        keys.push(format!("{user}+*@{domain}"));
        keys.push(format!("{user}@{domain}"));
        if !detail.is_empty() {
            keys.push(format!("++@{domain}"));
        }
        keys.push(format!("+*@{domain}"));
        keys.push(format!("@{domain}"));
        for key in keys {
            self.with(key, true, &arguments);
        }
    }

    fn generics(&mut self, address: &Address<'_>) {
        let Address { local, domain, .. } = *address;
        self.with(format!("{local}@{domain}"), false, &[local]);
        let detail = address.detail();
        if let Some((user, plus)) = detail {
            self.with(format!("{user}+*@{domain}"), true, &[&plus[1..]]);
            self.with(format!("{user}@{domain}"), true, &[]);
        }
        self.with(format!("@{domain}"), true, &[local]);
        self.part(local.to_owned());
        if let Some((user, plus)) = detail {
            self.with(format!("{user}+*"), true, &[&plus[1..]]);
            self.part(user.to_owned());
        }
    }

    fn mailertable(&mut self, domain: &str) {
        self.whole(domain);
        if domain.starts_with('[') {
            return;
        }
        let mut at = 0;
        while let Some(dot) = domain[at..].find('.') {
            let (before, above) = (&domain[..at + dot], &domain[at + dot + 1..]);
            if above.is_empty() {
                break;
            }
            self.with(format!(".{above}"), true, &[before, &domain[at..at + dot]]);
            at += dot + 1;
        }
        self.with(".".to_owned(), true, &[domain]);
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// A sendmail value with its placeholders filled in: `%0` is the key, `%1` the first argument, `%%` a `%`. Missing arguments
/// become empty.
#[must_use]
pub fn fill(value: &str, key: &Key) -> String {
    let mut filled = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            filled.push(c);
            continue;
        }
        let mut ahead = chars.clone();
        match ahead.next() {
            Some('%') => filled.push('%'),
            Some('0') => filled.push_str(&key.text),
            Some(digit @ '1'..='9') => {
                let number = digit.to_digit(10).unwrap_or(1) as usize;
                filled.push_str(key.arguments.get(number - 1).map_or("", String::as_str));
            }
            _ => {
                filled.push('%');
                continue;
            }
        }
        chars = ahead;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(keys: &[Key]) -> Vec<&str> {
        keys.iter().map(|key| key.text.as_str()).collect()
    }

    #[test]
    fn orders() {
        let address = |text: &'static str| Subject::Address(Address::of(text, "+").unwrap());
        let local = Subject::Address(Address {
            is_local: true,
            ..Address::of("u+d@x.org", "+").unwrap()
        });
        let v4 = Subject::Network("10.1.2.3".parse().unwrap());
        let v6 = Subject::Network("2001:db8::1".parse().unwrap());
        #[rustfmt::skip]
        let cases: Vec<(Plan, Subject<'_>, &[&str])> = vec![
            (Plan::Exact,       address("U+d@x.org"),        &["U+d@x.org"]),
            (Plan::Address,     address("u+d@x.org"),        &["u+d@x.org", "u@x.org", "@x.org"]),
            (Plan::Address,     local,                       &["u+d@x.org", "u@x.org", "u+d", "u", "@x.org"]),
            (Plan::Address,     address("+d@x.org"),         &["+d@x.org", "@x.org"]),
            (Plan::Access,      address("u+d@a.x.org"),      &["u+d@a.x.org", "u@a.x.org", "a.x.org", "x.org", "org", "u+d@", "u@"]),
            (Plan::Access,      Subject::Name("h.x.org"),    &["h.x.org", "x.org", "org"]),
            (Plan::Access,      v4,                          &["10.1.2.3", "10.1.2", "10.1", "10"]),
            (Plan::Access,      v6,                          &["2001:db8::1", "2001:db8", "2001"]),
            (Plan::Transport,   address("u+d@a.x.org"),      &["u+d@a.x.org", "u@a.x.org", "a.x.org", ".x.org", ".org", "*"]),
            (Plan::Domain,      Subject::Name("a.x.org"),    &["a.x.org", "x.org", "org"]),
            (Plan::Domain,      address("u@x.org"),          &["x.org", "org"]),
            (Plan::Subdomain,   Subject::Name("a.x.org"),    &["a.x.org", ".x.org", ".org"]),
            (Plan::Subdomain,   Subject::Name("[1.2.3.4]"),  &["[1.2.3.4]"]),
            (Plan::Virtuser,    address("u@x.org"),          &["u@x.org", "@x.org"]),
            (Plan::Virtuser,    address("u+d@x.org"),        &["u+d@x.org", "u++@x.org", "u+*@x.org", "u@x.org", "++@x.org", "+*@x.org", "@x.org"]),
            (Plan::Virtuser,    address("u+@x.org"),         &["u+@x.org", "u+*@x.org", "u@x.org", "+*@x.org", "@x.org"]),
            (Plan::Generics,    address("u+d@x.org"),        &["u+d@x.org", "u+*@x.org", "u@x.org", "@x.org", "u+d", "u+*", "u"]),
            (Plan::Mailertable, Subject::Name("a.b.x.org"),  &["a.b.x.org", ".b.x.org", ".x.org", ".org", "."]),
        ];
        for (plan, subject, want) in cases {
            assert_eq!(texts(&plan.keys(&subject)), want, "{} {subject:?}", plan.word());
        }
    }

    #[test]
    fn only_the_first_is_whole() {
        let subject = Subject::Address(Address::of("u+d@a.x.org", "+").unwrap());
        for plan in Plan::ALL {
            let keys = plan.keys(&subject);
            assert!(!keys[0].is_part, "{}", plan.word());
            assert!(keys[1..].iter().all(|key| key.is_part), "{}", plan.word());
        }
    }

    #[test]
    fn tags_of_sendmail() {
        let sender = Subject::Address(Address::of("u+d@x.org", "+").unwrap());
        let from = Plan::sendmail_access("From", true, &sender);
        assert_eq!(
            texts(&from),
            [
                "From:u+d@x.org",
                "u+d@x.org",
                "From:u+*@x.org",
                "u+*@x.org",
                "From:u@x.org",
                "u@x.org",
                "From:u+d@",
                "u+d@",
                "From:x.org",
                "x.org",
                "From:org",
                "org"
            ]
        );
        let to = Plan::sendmail_access(
            "To",
            false,
            &Subject::Address(Address::of("u@x.org", "+").unwrap()),
        );
        assert_eq!(texts(&to), ["To:u@x.org", "To:x.org", "To:org", "To:u@"]);
        let client = Plan::sendmail_access(
            "Connect",
            false,
            &Subject::Network("2001:db8::1".parse().unwrap()),
        );
        assert_eq!(
            texts(&client),
            [
                "Connect:IPv6:2001:db8::1",
                "Connect:IPv6:2001:db8",
                "Connect:IPv6:2001"
            ]
        );
    }

    #[test]
    fn places_in_values() {
        let subject = Subject::Address(Address::of("u+d@x.org", "+").unwrap());
        let keys = Plan::Virtuser.keys(&subject);
        let key = |text: &str| keys.iter().find(|key| key.text == text).unwrap();
        #[rustfmt::skip]
        let cases = [
            ("%1@y.org",        "@x.org",   "u@y.org"),
            ("help%3@y.org",    "u+*@x.org", "help+d@y.org"),
            ("%2@y.org",        "++@x.org", "d@y.org"),
            ("%0 %% %9 %x",     "@x.org",   "@x.org %  %x"),
            ("50%",             "@x.org",   "50%"),
        ];
        for (value, text, want) in cases {
            assert_eq!(fill(value, key(text)), want, "{value}");
        }
        let hosts = Plan::Mailertable.keys(&Subject::Name("a.b.x.org"));
        assert_eq!(fill("esmtp:%1.y.org", &hosts[2]), "esmtp:a.b.y.org");
    }
}
