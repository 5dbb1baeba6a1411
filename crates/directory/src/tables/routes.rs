//! Tables of routes that are queried for each recipient: databases, patterns, and several tables as one.

use std::time::{Duration, Instant};

use futures_util::future::FutureExt as _;
use parking_lot::Mutex;
use postern_mail::Mailbox;
use postern_policy::route::{AskedRoute, AskedRoutes, EntryForm, NamedBy, Target, target_of};
use postern_table::{Address, Key, Plan, Subject};

use super::known::{Known, Worth};
use super::{Down, Hit, Lookup};
use crate::time;

/// Most recipients whose routes are remembered.
const KNOWN_MAX: usize = 20_000;

/// How long a table is not queried after it was down: mail that waits for it must not hold up mail that does not.
const PAUSE: Duration = Duration::from_secs(5);

/// A table whose keys are recipients and domains, and whose values are routes.
#[derive(Debug)]
pub struct RouteLookup {
    table: Lookup,
    form: EntryForm,
    /// The port for hosts without one.
    port: u16,
    separators: String,
    /// The table's answers for recipients.
    known: Known<Option<AskedRoute>>,
    down: Mutex<Option<(Instant, Down)>>,
}

impl RouteLookup {
    /// From a table whose values are in this form. `separator` separates user name and detail.
    #[must_use]
    pub fn new(table: Lookup, form: EntryForm, port: u16, separator: Option<char>) -> Self {
        let fresh = table.fresh_for();
        Self {
            table,
            form,
            port,
            separators: separator.map(String::from).unwrap_or_default(),
            known: Known::new(KNOWN_MAX, fresh),
            down: Mutex::default(),
        }
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &Lookup {
        &self.table
    }

    /// Whether [`AskedRoutes::route_of`] would know the route of a recipient without [`Self::learn`].
    #[must_use]
    pub fn knows(&self, recipient: &Mailbox) -> bool {
        self.table.is_at_hand() || self.known.worth(&recipient.key(), time::now()) == Worth::Fresh
    }

    /// Looks up a recipient, unless the table is in memory or that was done recently.
    ///
    /// # Errors
    ///
    /// [`Down`] if it cannot be queried and there is no earlier answer for this recipient; otherwise the earlier answer
    /// still counts.
    pub async fn learn(&self, recipient: &Mailbox) -> Result<(), Down> {
        if self.knows(recipient) {
            return Ok(());
        }
        let (key, began) = (recipient.key(), time::now());
        let found = match self.outage(began) {
            Some(down) => Err(down),
            None => self.table.find(&self.keys(recipient)).await,
        };
        match found {
            Ok(hit) => {
                *self.down.lock() = None;
                let route = hit.map(|hit| self.route(&hit));
                self.known.note(&key, route, time::now());
                Ok(())
            }
            Err(down) => {
                if self.outage(began).is_none() {
                    *self.down.lock() = Some((time::now() + PAUSE, down.clone()));
                }
                match self.known.worth(&key, began) {
                    Worth::Nothing => Err(down),
                    Worth::Old | Worth::Fresh => Ok(()),
                }
            }
        }
    }

    /// Why the table is not queried now.
    fn outage(&self, now: Instant) -> Option<Down> {
        let down = self.down.lock();
        down.as_ref()
            .filter(|(until, _)| now < *until)
            .map(|(_, down)| down.clone())
    }

    fn keys(&self, recipient: &Mailbox) -> Vec<Key> {
        let (local, domain) = (recipient.unquoted_local(), recipient.domain().to_string());
        let plan = match self.form {
            EntryForm::Transport => Plan::Transport,
            EntryForm::Mailertable => Plan::Mailertable,
        };
        plan.keys(&Subject::Address(Address {
            local: &local,
            domain: &domain,
            separators: &self.separators,
            is_local: false,
        }))
    }

    fn route(&self, hit: &Hit) -> AskedRoute {
        let place = match &hit.answer.at {
            Some((file, line)) => format!("{}:{line}", file.display()),
            None => hit.table.clone(),
        };
        let target = target_of(&hit.answer.value, self.form, self.port).unwrap_or_else(|error| {
            let what = format!("{place} has no route for {:?}: {error}", hit.key.text);
            Target::Unknown(what.into())
        });
        AskedRoute {
            by: named_by(&hit.key),
            target,
            place,
        }
    }

    /// The error if nothing is known.
    fn unknown(&self) -> AskedRoute {
        let place = self.table.name().to_owned();
        AskedRoute {
            by: NamedBy::Address,
            target: Target::Unknown(format!("the table of routes {place} cannot be asked").into()),
            place,
        }
    }
}

/// Which part of a recipient a key stands for. Tables of patterns are queried with whole addresses, except in a
/// mailertable.
fn named_by(key: &Key) -> NamedBy {
    let text = key.text.as_str();
    match text.strip_prefix('.') {
        _ if text.contains('@') && key.is_without_detail => NamedBy::WithoutDetail,
        _ if text.contains('@') => NamedBy::Address,
        Some("") => NamedBy::All,
        Some(above) => NamedBy::Below(above.split('.').count()),
        None if text == "*" => NamedBy::All,
        None => NamedBy::Domain,
    }
}

impl AskedRoutes for RouteLookup {
    fn route_of(&self, recipient: &Mailbox) -> Option<AskedRoute> {
        if self.table.is_at_hand() {
            let found = self.table.find(&self.keys(recipient)).now_or_never();
            let hit = found.and_then(Result::ok).flatten();
            return hit.map(|hit| self.route(&hit));
        }
        self.known
            .get(&recipient.key())
            .unwrap_or_else(|| Some(self.unknown()))
    }
}

#[cfg(test)]
mod tests {
    use postern_table::{Format, parse};

    use super::*;

    fn lookup(text: &str, format: Format) -> RouteLookup {
        let table = parse(text.as_bytes(), format).unwrap().table;
        RouteLookup::new(
            Lookup::of_table("t", table, None),
            EntryForm::Transport,
            25,
            Some('+'),
        )
    }

    fn shown(lookup: &RouteLookup, recipient: &str) -> String {
        match lookup.route_of(&recipient.parse().unwrap()) {
            None => "-".into(),
            Some(AskedRoute { by, target, .. }) => match target {
                Target::Hosts { via, .. } => format!("{by:?} {}", via[0]),
                Target::Unknown(why) => format!("{by:?} ! {why}"),
                other => format!("{by:?} {other:?}"),
            },
        }
    }

    #[test]
    fn keys_of_texts_and_patterns() {
        let text = "vip@b.example smtp:[10.0.0.1]\nb.example smtp:[10.0.0.2]\n.b.example smtp:[10.0.0.3]\n* smtp:[10.0.0.4]\nc.example uucp:x\n";
        let patterns = "/^(.*)@sub\\.(.*)$/ smtp:[$2]\n/@plain\\.example$/ :\n";
        let (text, patterns) = (lookup(text, Format::Postfix), lookup(patterns, Format::Pcre));
        #[rustfmt::skip]
        let cases = [
            (&text,     "vip@b.example",        "Address 10.0.0.1:25"),
            (&text,     "vip+x@b.example",      "WithoutDetail 10.0.0.1:25"),
            (&text,     "x@b.example",          "Domain 10.0.0.2:25"),
            (&text,     "x@a.b.example",        "Below(2) 10.0.0.3:25"),
            (&text,     "x@else.example",       "All 10.0.0.4:25"),
            (&patterns, "x@sub.d.example",      "Address d.example:25"),
            (&patterns, "x@plain.example",      "Address Mx"),
            (&patterns, "x@other.example",      "-"),
        ];
        for (table, recipient, wanted) in cases {
            assert_eq!(shown(table, recipient), wanted, "{recipient}");
        }
        assert!(shown(&text, "x@c.example").starts_with("Domain ! t has no route for \"c.example\""));
    }
}
