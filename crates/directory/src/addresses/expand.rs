//! Follows an address through all entries to where its mail finally goes.

use std::collections::{HashSet, VecDeque};

use postern_mail::{Domain, Mailbox};
use postern_policy::alias::{Goal, RefusalText};

use super::{AddressAliases, CHAIN_MAX, EXPANSION_MAX, Trouble};

/// Where an address finally leads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expansion {
    /// Addresses without a further entry, each once.
    pub addresses: Vec<Mailbox>,
    /// Names without a domain, each once.
    pub names: Vec<String>,
    /// The reply if one of the entries refuses. Used only if nothing else was found.
    pub refusal: Option<RefusalText>,
    /// Whether one of the entries discards mail.
    pub discards: bool,
    /// How this was found, for display.
    pub steps: Vec<Step>,
}

/// One entry that was followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The address.
    pub address: Mailbox,
    /// The left-hand side under which it was found.
    pub key: String,
    /// The right-hand side.
    pub value: String,
    /// Where the entry is written.
    pub place: String,
}

impl AddressAliases {
    /// Follows an address; `None` if there is no entry for it.
    ///
    /// # Errors
    ///
    /// [`Trouble`].
    pub async fn expand(
        &self,
        address: &Mailbox,
        is_local: &(dyn Fn(&Domain) -> bool + Send + Sync),
    ) -> Result<Option<Expansion>, Trouble> {
        let mut walk = Walk::new(address);
        while let Some((address, depth)) = walk.open.pop_front() {
            let ends_here = walk.fixed.contains(&address.key());
            let found = match ends_here {
                true => None,
                false => self.lookup(&address, is_local(address.domain())).await?,
            };
            let Some(found) = found else {
                if depth == 0 {
                    return Ok(None);
                }
                walk.end(address);
                continue;
            };
            if depth >= CHAIN_MAX {
                return Err(Trouble::Circle(walk.start));
            }
            walk.expansion.steps.push(Step {
                address: address.clone(),
                key: found.key,
                value: found.found.value,
                place: found.found.place,
            });
            walk.follow(&address, found.goals, depth + 1);
            if walk.count() > EXPANSION_MAX {
                return Err(Trouble::TooMany(walk.start));
            }
        }
        let Expansion {
            addresses,
            names,
            refusal,
            discards,
            ..
        } = &walk.expansion;
        if addresses.is_empty() && names.is_empty() && refusal.is_none() && !discards {
            return Err(Trouble::Circle(walk.start));
        }
        Ok(Some(walk.expansion))
    }
}

struct Walk {
    start: Mailbox,
    open: VecDeque<(Mailbox, usize)>,
    /// Addresses already followed: each once.
    opened: HashSet<String>,
    /// Addresses that lead to themselves, and so to their mailboxes.
    fixed: HashSet<String>,
    ended: HashSet<String>,
    expansion: Expansion,
}

impl Walk {
    fn new(start: &Mailbox) -> Self {
        Self {
            start: start.clone(),
            open: VecDeque::from([(start.clone(), 0)]),
            opened: HashSet::from([start.key()]),
            fixed: HashSet::new(),
            ended: HashSet::new(),
            expansion: Expansion::default(),
        }
    }

    fn count(&self) -> usize {
        self.open.len() + self.expansion.addresses.len() + self.expansion.names.len()
    }

    fn end(&mut self, address: Mailbox) {
        if self.ended.insert(address.key()) {
            self.expansion.addresses.push(address);
        }
    }

    fn follow(&mut self, from: &Mailbox, goals: Vec<Goal>, depth: usize) {
        for goal in goals {
            match goal {
                Goal::Address(to) if to.key() == from.key() => {
                    if self.fixed.insert(to.key()) {
                        self.open.push_back((to, depth));
                    }
                }
                Goal::Address(to) => {
                    if self.opened.insert(to.key()) {
                        self.open.push_back((to, depth));
                    }
                }
                Goal::Name(name) => {
                    if !self.expansion.names.contains(&name) {
                        self.expansion.names.push(name);
                    }
                }
                Goal::Refuse(text) => {
                    self.expansion.refusal.get_or_insert(text);
                }
                Goal::Discard => self.expansion.discards = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use futures_util::future::{BoxFuture, ready};
    use postern_policy::alias::Form;

    use super::super::{Found, Gives, Inline, Source, Table};
    use super::*;

    fn source(entries: &[(&str, &str)], form: Form) -> Source {
        let mut table = Inline::default();
        for (line, (key, value)) in entries.iter().enumerate() {
            let found = Found {
                value: (*value).to_owned(),
                place: format!("line {}", line + 1),
            };
            table.insert(key, found).unwrap();
        }
        Source {
            table: Arc::new(table),
            form,
            gives: Gives::Targets,
            keep_detail: form.keeps_detail(),
        }
    }

    fn aliases(sources: Vec<Source>) -> AddressAliases {
        AddressAliases {
            sources,
            domains: postern_policy::DomainSet::default(),
            separator: Some('+'),
        }
    }

    fn expand(aliases: &AddressAliases, address: &str) -> Result<Option<Expansion>, Trouble> {
        let address: Mailbox = address.parse().unwrap();
        let expanding = aliases.expand(&address, &|domain| domain.name() == Some("home.test"));
        expanding.now_or_never().expect("nothing to wait for")
    }

    fn shown(expansion: Option<Expansion>) -> String {
        let Some(expansion) = expansion else {
            return "-".into();
        };
        let mut parts: Vec<String> = expansion.addresses.iter().map(ToString::to_string).collect();
        parts.extend(expansion.names);
        parts.extend(expansion.refusal.map(|text| text.to_string()));
        parts.extend(expansion.discards.then(|| "discard".to_owned()));
        parts.join(" ")
    }

    #[test]
    fn where_addresses_lead() {
        let all = aliases(vec![source(
            &[
                ("info@holding.test", "office@b.test"),
                ("press@holding.test", "vera@b.test, agency@out.test"),
                ("@old.test", "@holding.test"),
                ("@all.test", "trust@b.test"),
                ("ann@all.test", "ann@all.test"),
                ("jobs@holding.test", "error:5.7.1:550 not by mail"),
                ("both@holding.test", "jobs@holding.test, x@b.test"),
                ("null@holding.test", "/dev/null"),
                ("name@holding.test", "anna"),
                ("keep@holding.test", "keep@holding.test, copy@out.test"),
                ("one@loop.test", "two@loop.test"),
                ("two@loop.test", "one@loop.test"),
                ("way@loop.test", "one@loop.test, out@out.test"),
                (
                    "dup@holding.test",
                    "info@holding.test, office@b.test, Office@b.test",
                ),
                ("help+*@holding.test", "helpdesk%3@b.test"),
            ],
            Form::Own,
        )]);
        #[rustfmt::skip]
        let cases = [
            // what the case shows              address                 leads to
            ("one entry",                       "Info@Holding.test",    "office@b.test"),
            ("several targets",                 "press@holding.test",   "vera@b.test agency@out.test"),
            ("no entry",                        "nobody@holding.test",  "-"),
            ("a chain through a domain",        "info@old.test",        "office@b.test"),
            ("whose end has no entry",          "who@old.test",         "who@holding.test"),
            ("a catch-all",                     "any@all.test",         "trust@b.test"),
            ("one that it does not catch",      "ann@all.test",         "ann@all.test"),
            ("a refusal",                       "jobs@holding.test",    "550 5.7.1 not by mail"),
            ("a refusal at the end of a chain", "jobs@old.test",        "550 5.7.1 not by mail"),
            ("one of two refuses",              "both@holding.test",    "x@b.test 550 5.7.1 not by mail"),
            ("thrown away",                     "null@holding.test",    "discard"),
            ("a local name",                    "name@holding.test",    "anna"),
            ("a copy besides itself",           "keep@holding.test",    "copy@out.test keep@holding.test"),
            ("a detail goes along the chain",   "info+x@old.test",      "office+x@b.test"),
            ("each once, whatever the case",    "dup@holding.test",     "office@b.test"),
            ("any detail",                      "help+prn@holding.test", "helpdesk+prn@b.test"),
            ("a circle with a way out",         "way@loop.test",        "out@out.test"),
        ];
        for (shows, address, wanted) in cases {
            let got: Vec<String> = {
                let mut parts: Vec<String> = shown(expand(&all, address).expect(shows))
                    .split(' ')
                    .map(str::to_owned)
                    .collect();
                parts.sort_unstable();
                parts
            };
            let mut wanted: Vec<String> = wanted.split(' ').map(str::to_owned).collect();
            wanted.sort_unstable();
            assert_eq!(got, wanted, "{shows}");
        }
        assert!(matches!(expand(&all, "one@loop.test"), Err(Trouble::Circle(_))));
    }

    #[test]
    fn the_closest_key_of_all_sources_counts() {
        let all = aliases(vec![
            source(&[("@a.test", "first@b.test")], Form::Postfix),
            source(
                &[("ann@a.test", "second@b.test"), ("@a.test", "third@b.test")],
                Form::Postfix,
            ),
        ]);
        assert_eq!(shown(expand(&all, "ann@a.test").unwrap()), "second@b.test");
        assert_eq!(shown(expand(&all, "bob@a.test").unwrap()), "first@b.test");
    }

    #[test]
    fn chains_and_lists_are_bounded() {
        let chain: Vec<(String, String)> = (0..CHAIN_MAX + 1)
            .map(|n| (format!("a{n}@a.test"), format!("a{}@a.test", n + 1)))
            .collect();
        let chain: Vec<(&str, &str)> = chain.iter().map(|(a, b)| (&**a, &**b)).collect();
        let chain = aliases(vec![source(&chain, Form::Own)]);
        assert!(matches!(expand(&chain, "a0@a.test"), Err(Trouble::Circle(_))));
        assert!(expand(&chain, "a1@a.test").is_ok(), "one less goes");
        let many = |count: usize| {
            let list: Vec<String> = (0..count).map(|n| format!("u{n}@b.test")).collect();
            expand(
                &aliases(vec![source(&[("l@a.test", &list.join(","))], Form::Own)]),
                "l@a.test",
            )
        };
        assert!(many(EXPANSION_MAX).is_ok());
        assert!(matches!(many(EXPANSION_MAX + 1), Err(Trouble::TooMany(_))));
    }

    #[test]
    fn a_table_that_is_down_is_no_answer() {
        #[derive(Debug)]
        struct Down;
        impl Table for Down {
            fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Found>, String>> {
                Box::pin(ready(Err("no connection".into())))
            }
            fn name(&self) -> String {
                "table:virtual".into()
            }
        }
        let down = Source {
            table: Arc::new(Down),
            ..source(&[], Form::Postfix)
        };
        let first = source(
            &[("ann@a.test", "ann@a.test"), ("@a.test", "y@b.test")],
            Form::Postfix,
        );
        let all = aliases(vec![first, down]);
        assert!(expand(&all, "ann@a.test").is_ok(), "found before it is asked");
        let error = expand(&all, "bob@a.test").unwrap_err();
        assert!(
            matches!(error, Trouble::Down(..)),
            "not the catch-all: the table may say otherwise"
        );
        assert_eq!(
            error.to_string(),
            "the table table:virtual cannot be asked: no connection"
        );
    }

    #[test]
    fn who_has_moved() {
        let moved = Source {
            gives: Gives::NewAddress,
            ..source(
                &[("boss@a.test", "old.boss@b.test"), ("@gone.test", "+1 555 0100")],
                Form::Postfix,
            )
        };
        let all = aliases(vec![moved]);
        let told = |address: &str| {
            let address: Mailbox = address.parse().unwrap();
            let asking = all.moved(&address, false).now_or_never().unwrap().unwrap();
            asking.map(|text| text.to_string())
        };
        assert_eq!(
            told("boss@a.test").as_deref(),
            Some("551 5.1.6 User has moved; please try <old.boss@b.test>")
        );
        assert_eq!(
            told("who@gone.test").as_deref(),
            Some("551 5.1.6 User has moved; please try +1 555 0100")
        );
        assert_eq!(told("vera@a.test"), None);
        assert_eq!(expand(&all, "boss@a.test"), Ok(None), "that is no alias");
    }
}
