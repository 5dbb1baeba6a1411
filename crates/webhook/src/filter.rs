//! Which events go to a webhook.

use postern_events::{Event, Key, Level, Value};

/// Which events are wanted: all that is given has to fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// Their words, as the log has them; none for all.
    pub events: Vec<String>,
    /// The names of rules that have decided; a name that ends in a dot stands for all that begin so. None for all events, also those without a
    /// rule.
    pub rules: Vec<String>,
    /// The level up to which they are wanted.
    pub level: Level,
}

impl Filter {
    /// Whether an event is wanted.
    #[must_use]
    pub fn wants(&self, event: &Event<'_>) -> bool {
        if event.level() > self.level {
            return false;
        }
        if !self.events.is_empty() && !self.events.iter().any(|word| word == event.word()) {
            return false;
        }
        self.rules.is_empty() || self.rule_fits(event)
    }

    fn rule_fits(&self, event: &Event<'_>) -> bool {
        let mut fits = false;
        event.fields(&mut |key, value| {
            if let (Key::Rule, Value::Rule(rule)) = (key, value) {
                let name = rule.name();
                fits |= self.rules.iter().any(|wanted| match wanted.ends_with('.') {
                    true => name.starts_with(wanted.as_str()),
                    false => name == wanted,
                });
            }
        });
        fits
    }
}

#[cfg(test)]
mod tests {
    use postern_events::{Connected, Refused, Stopping, Word};
    use postern_policy::Rule;

    use super::*;

    #[test]
    fn all_that_is_given_has_to_fit() {
        let peer = "192.0.2.1".parse().unwrap();
        let connect = Event::from(Connected {
            session: "1-1",
            listener: "mx",
            peer,
        });
        let stopping = Event::from(Stopping {
            signal: None,
            word: Word("stopping"),
        });
        let refused = Event::from(Refused {
            session: Some("1-1"),
            listener: "mx",
            peer,
            login: None,
            acts_as: None,
            helo: "x",
            from: None,
            to: None,
            recipients: None,
            rule: Rule::RelayDenied,
            milter: None,
            reply: None,
            reason: &"no",
        });
        let all = [&connect, &stopping, &refused];
        type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Level, [bool; 3]);
        #[rustfmt::skip]
        let cases: [Row<'_>; 8] = [
            // what the case shows      events                 rules               level           connect, stopping, refused
            ("all of every day",        &[],                   &[],                Level::Info,    [false, true, true]),
            ("in detail",               &[],                   &[],                Level::Debug,   [true, true, true]),
            ("errors alone",            &[],                   &[],                Level::Error,   [false, false, false]),
            ("by its word",             &["refused"],          &[],                Level::Info,    [false, false, true]),
            ("one of two words",        &["x", "stopping"],    &[],                Level::Info,    [false, true, false]),
            ("by its rule",             &[],                   &["relay.denied"],  Level::Debug,   [false, false, true]),
            ("by a group of rules",     &[],                   &["relay."],        Level::Debug,   [false, false, true]),
            ("a beginning is no name",  &[],                   &["relay"],         Level::Debug,   [false, false, false]),
        ];
        for (shows, events, rules, level, wanted) in cases {
            let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            let filter = Filter {
                events: list(events),
                rules: list(rules),
                level,
            };
            assert_eq!(all.map(|event| filter.wants(event)), wanted, "{shows}");
        }
    }
}
