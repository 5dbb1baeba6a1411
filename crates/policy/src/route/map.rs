//! Tables of routes: Postfix's transport(5), sendmail's mailertable.

use std::collections::HashMap;
use std::sync::Arc;

use postern_mail::{Domain, Mailbox, ParseOptions};

use super::asked::{AskedRoutes, NamedBy};
use super::{EntryForm, Found, Lane, RecipientMatch, RouteRule, Sought, Target, TlsLevel};
use crate::domain_set::{DomainSet, Match};

/// Routes by their left sides. A look-up costs one hash for each label of the domain, however many entries there are.
#[derive(Clone, Debug, Default)]
pub struct RouteMap {
    /// By address, domain, `.domain` for all names below it, or `*`.
    rules: HashMap<Box<str>, Arc<RouteRule>>,
    /// The table to ask, if the entries are not in `rules`.
    asked: Option<Arc<dyn AskedRoutes>>,
    pub(super) tls: TlsLevel,
    pub(super) verify: bool,
    /// How mail is sent over the routes of a table that is asked.
    pub(super) lane: Lane,
}

/// An invalid left side.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a valid key in a table of routes; write \"example.org\", \".example.org\" for all names below it, an address, or \"*\""
)]
pub struct BadKey(String);

impl RouteMap {
    /// Sets the TLS level of entries added from now on.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsLevel, verify: bool) -> Self {
        (self.tls, self.verify) = (tls, verify);
        self
    }

    /// For a table that is asked for each recipient, with this lane for its routes.
    #[must_use]
    pub fn of_asked(asked: Arc<dyn AskedRoutes>, lane: Lane) -> Self {
        Self {
            asked: Some(asked),
            lane,
            ..Self::default()
        }
    }

    /// Whether it is a table that is asked for each recipient.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Adds an entry; returns an existing one with the same key.
    ///
    /// # Errors
    ///
    /// [`BadKey`].
    pub fn insert(
        &mut self,
        key: &str,
        form: EntryForm,
        target: Target,
        lane: &Lane,
        place: &str,
    ) -> Result<Option<&RouteRule>, BadKey> {
        let key = key_of(key, form)?;
        if self.rules.contains_key(&*key) {
            return Ok(self.rules.get(&*key).map(|rule| &**rule));
        }
        let rule = RouteRule {
            lane: lane.clone(),
            place: place.into(),
            tls: self.tls,
            verify: self.verify,
            ..RouteRule::new(DomainSet::default(), target)
        };
        self.rules.insert(key.into(), Arc::new(rule));
        Ok(None)
    }

    /// All its routes, in no order.
    pub fn rules(&self) -> impl Iterator<Item = &RouteRule> {
        self.rules.values().map(|rule| &**rule)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The domains of the addresses among the left sides.
    pub(super) fn address_domains(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().filter_map(|key| Some(key.rsplit_once('@')?.1))
    }

    /// The entry that names a recipient most specifically.
    pub(super) fn find(&self, sought: &Sought<'_>) -> Option<(RecipientMatch, Found<'_>)> {
        let Some(asked) = &self.asked else {
            return self
                .find_here(sought)
                .map(|(found, rule)| (found, Found::Rule(rule)));
        };
        let route = asked.route_of(sought.address)?;
        let closeness = match route.by {
            NamedBy::Address => RecipientMatch::Itself,
            NamedBy::WithoutDetail => RecipientMatch::WithoutDetail,
            NamedBy::Domain => RecipientMatch::Domain(Match::Exact),
            NamedBy::Below(labels) => RecipientMatch::Domain(Match::Below(labels)),
            NamedBy::All => RecipientMatch::Domain(Match::All),
        };
        Some((closeness, Found::Asked(self, route)))
    }

    fn find_here(&self, sought: &Sought<'_>) -> Option<(RecipientMatch, &RouteRule)> {
        let get = |key: &str| self.rules.get(key).map(|rule| &**rule);
        let by_address = |address: &Mailbox| get(&address.key());
        if let Some(rule) = by_address(sought.address) {
            return Some((RecipientMatch::Itself, rule));
        }
        if let Some(rule) = sought.without_detail.as_ref().and_then(by_address) {
            return Some((RecipientMatch::WithoutDetail, rule));
        }
        let domain = |found: Match, rule| Some((RecipientMatch::Domain(found), rule));
        if let Some(name) = sought.address.domain().name() {
            if let Some(rule) = get(name) {
                return domain(Match::Exact, rule);
            }
            let mut rest = name;
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(rule) = get(&format!(".{parent}")) {
                    return domain(Match::Below(parent.split('.').count()), rule);
                }
                rest = parent;
            }
        }
        domain(Match::All, get("*")?)
    }
}

/// A left side in the form for look-ups.
fn key_of(written: &str, form: EntryForm) -> Result<String, BadKey> {
    let bad = || BadKey(written.chars().take(300).collect());
    let is_all = match form {
        EntryForm::Transport => written == "*",
        EntryForm::Mailertable => written == ".",
    };
    if is_all {
        return Ok("*".into());
    }
    if written.contains('@') {
        let options = ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        };
        // Postfix's `user@` without a domain is not supported.
        return Mailbox::parse(written, &options)
            .map(|mailbox| mailbox.key())
            .map_err(|_| bad());
    }
    let (dot, name) = match written.strip_prefix('.') {
        Some(name) => (".", name),
        None => ("", written),
    };
    let domain = Domain::parse(name, true).map_err(|_| bad())?;
    Ok(format!("{dot}{}", domain.name().ok_or_else(bad)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_entry_counts() {
        let mut map = RouteMap::default();
        let lane = Lane::default();
        for key in [
            "calderon.example",
            ".calderon.example",
            "vip@Calderon-Labs.example",
            "calderon-labs.example",
            ".deep.calderon.example",
            "*",
        ] {
            let added = map.insert(key, EntryForm::Transport, Target::Mx, &lane, key);
            assert_eq!(added, Ok(None), "{key}");
        }
        #[rustfmt::skip]
        let cases = [
            // what the case shows          recipient                       entry
            ("a domain",                    "x@calderon.example",           "calderon.example"),
            ("below it",                    "x@plant.calderon.example",     ".calderon.example"),
            ("far below it",                "x@a.b.calderon.example",       ".calderon.example"),
            ("the longest",                 "x@a.deep.calderon.example",    ".deep.calderon.example"),
            ("an address, in any case",     "VIP@calderon-labs.example",    "vip@Calderon-Labs.example"),
            ("with a detail",               "vip+x@calderon-labs.example",  "vip@Calderon-Labs.example"),
            ("another one there",           "lab@calderon-labs.example",    "calderon-labs.example"),
            ("any other",                   "x@else.example",               "*"),
            ("an address literal",          "x@[192.0.2.1]",                "*"),
        ];
        for (shows, recipient, entry) in cases {
            let recipient: Mailbox = recipient.parse().unwrap();
            let found = map.find_here(&Sought::of(&recipient, Some('+')));
            assert_eq!(found.map(|(_, rule)| &*rule.place), Some(entry), "{shows}");
        }
        let again = map.insert("CALDERON.example", EntryForm::Transport, Target::Mx, &lane, "2");
        assert_eq!(again.unwrap().map(|rule| &*rule.place), Some("calderon.example"));
        assert_eq!(
            map.address_domains().collect::<Vec<_>>(),
            ["calderon-labs.example"]
        );
    }

    #[test]
    fn left_sides() {
        use EntryForm::{Mailertable, Transport};
        for (written, form, wanted) in [
            (".", Mailertable, Some("*")),
            ("*", Mailertable, None),
            ("*", Transport, Some("*")),
            ("B.example", Transport, Some("b.example")),
            (".B.example", Mailertable, Some(".b.example")),
            ("user@", Transport, None),
            ("a b", Transport, None),
            ("", Transport, None),
            ("[192.0.2.1]", Transport, None),
        ] {
            assert_eq!(key_of(written, form).ok().as_deref(), wanted, "{written:?}");
        }
    }
}
