//! `main.cf`: parameters with their values, and what a service of `master.cf` overrides.

use std::collections::BTreeMap;

use super::defaults::{Level, default};
use super::reference::written_out;
use super::text::logical_lines;
use crate::{Located, Origin};

/// A parameter's raw value, with its line.
pub type Parameter = Located<String>;

/// The content of `main.cf`.
#[derive(Clone, Debug, Default)]
pub struct MainCf {
    parameters: BTreeMap<String, Parameter>,
    assumed: BTreeMap<String, String>,
    replaced: Vec<Located<String>>,
    unread: Vec<Located<String>>,
}

impl MainCf {
    /// Parses the text of a `main.cf`.
    #[must_use]
    pub fn of(file: &str, text: &str) -> Self {
        let mut main = Self::default();
        for Located { at, what } in logical_lines(file, text) {
            match assignment(&what) {
                Some((name, value)) => {
                    let value = Located {
                        at,
                        what: value.to_owned(),
                    };
                    if let Some(before) = main.parameters.insert(name.to_owned(), value) {
                        main.replaced.push(Located {
                            at: before.at,
                            what: name.to_owned(),
                        });
                    }
                }
                None => main.unread.push(Located { at, what }),
            }
        }
        main
    }

    /// Sets a value for a parameter that is not in the file, since it is known from elsewhere.
    pub(super) fn assume(&mut self, name: &str, value: &str) {
        self.assumed.insert(name.to_owned(), value.to_owned());
    }

    /// A parameter as written; `None` if absent.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.get(name)
    }

    /// All parameters, by name.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Parameters whose value a later line replaces.
    #[must_use]
    pub fn replaced(&self) -> &[Located<String>] {
        &self.replaced
    }

    /// Lines that are not `name = value`.
    #[must_use]
    pub fn unread(&self) -> &[Located<String>] {
        &self.unread
    }

    /// The view of a service without overrides.
    #[must_use]
    pub fn layer(&self) -> Layer<'_> {
        Layer {
            main: self,
            overrides: &[],
        }
    }

    /// The view of a service with these overrides.
    #[must_use]
    pub fn with<'a>(&'a self, overrides: &'a [(String, Parameter)]) -> Layer<'a> {
        Layer {
            main: self,
            overrides,
        }
    }
}

/// `main.cf` as seen by a service: its own overrides (`-o name=value`) first, then the file, then the defaults.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    main: &'a MainCf,
    overrides: &'a [(String, Parameter)],
}

impl<'a> Layer<'a> {
    /// A parameter's value with its references expanded; the default if it is not set, and nothing if there is none.
    #[must_use]
    pub fn value(&self, name: &str) -> String {
        let raw = self.raw(name).unwrap_or_default();
        written_out(&raw, &|name| self.raw(name))
    }

    /// A text with its references expanded.
    #[must_use]
    pub fn written_out(&self, text: &str) -> String {
        written_out(text, &|name| self.raw(name))
    }

    /// Whether a parameter is set to `yes`.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name).trim() == "yes"
    }

    /// Where a parameter is set; `None` if it has its default.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&'a Origin> {
        self.set(name).map(|value| &value.at)
    }

    /// Whether this service overrides it.
    #[must_use]
    pub fn overrides(&self, name: &str) -> bool {
        self.overrides.iter().any(|(known, _)| known == name)
    }

    fn set(&self, name: &str) -> Option<&'a Parameter> {
        let own = self.overrides.iter().rev().find(|(known, _)| known == name);
        own.map(|(_, value)| value).or_else(|| self.main.parameter(name))
    }

    fn raw(&self, name: &str) -> Option<String> {
        if let Some(value) = self.set(name) {
            return Some(value.what.clone());
        }
        match name {
            // Both are derived from the machine's name and from each other.
            "mydomain" => self.raw("myhostname").map(|host| after_first_dot(&host)),
            "myhostname" => self.main.assumed.get(name).cloned(),
            _ => default(name, self.level()).map(str::to_owned),
        }
    }

    fn level(&self) -> Level {
        self.set("compatibility_level")
            .map_or_else(Level::default, |level| Level::parse(&level.what))
    }
}

/// Splits `name = value`.
pub(super) fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'-');
    is_name.then(|| (name, value.trim()))
}

fn after_first_dot(host: &str) -> String {
    host.split_once('.')
        .map_or("localdomain", |(_, domain)| domain)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "compatibility_level = 2\nmyhostname = relay1.havelock.example\nmynetworks = 127.0.0.0/8\n  10.8.0.0/24\n\
        myorigin = $mydomain\nmyorigin = /etc/mailname\nstray line\nsmtpd_relay_restrictions =\n";

    #[test]
    fn values_come_from_overrides_file_and_defaults() {
        let main = MainCf::of("main.cf", TEXT);
        let at = Origin::line(&"master.cf".into(), 9);
        let overrides = [(
            "mynetworks".to_owned(),
            Located {
                at,
                what: "[::1]/128".to_owned(),
            },
        )];
        let (layer, own) = (main.layer(), main.with(&overrides));
        let table = [
            ("mynetworks", "127.0.0.0/8 10.8.0.0/24"),
            (
                "mydestination",
                "relay1.havelock.example, localhost.havelock.example, localhost",
            ),
            ("myorigin", "/etc/mailname"),
            ("append_dot_mydomain", "no"),
            ("smtpd_relay_restrictions", ""),
            ("smtpd_banner", "relay1.havelock.example ESMTP Postfix"),
            ("no_such_parameter", ""),
        ];
        for (name, value) in table {
            assert_eq!(layer.value(name), value, "{name}");
        }
        assert_eq!(own.value("mynetworks"), "[::1]/128");
        assert_eq!(own.origin("mynetworks").unwrap().to_string(), "master.cf:9");
        assert_eq!(layer.origin("mynetworks").unwrap().to_string(), "main.cf:3-4");
        assert!(
            layer.origin("relay_domains").is_none()
                && own.overrides("mynetworks")
                && !layer.overrides("mynetworks")
        );
        assert_eq!(main.replaced()[0].at.to_string(), "main.cf:5");
        assert_eq!(main.unread()[0].what, "stray line");
    }
}
