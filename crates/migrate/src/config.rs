//! The new configuration, written as a person would: sections in the order of the reference, with comments on where each value
//! comes from.

use std::fmt::Write;

/// The order of sections in `docs/configuration.md`.
const ORDER: &[&str] = &[
    "",
    "listener",
    "tls",
    "auth",
    "directory",
    "local",
    "relay",
    "relay.certificate",
    "identity",
    "table",
    "alias",
    "rewrite",
    "header_check",
    "copy",
    "system_users",
    "access",
    "policy_service",
    "limit",
    "milter",
    "judge",
    "limits",
    "timeouts",
    "extensions",
    "screen",
    "dns_list",
    "srs",
    "admission",
    "route",
    "pipe",
    "login",
    "retry",
    "delivery",
    "delivery.timeouts",
    "delivery.tls",
    "delivery.lmtp",
    "dns",
];

/// Sections that may occur several times.
const SEVERAL: &[&str] = &[
    "listener",
    "directory",
    "relay.certificate",
    "table",
    "alias",
    "rewrite",
    "header_check",
    "copy",
    "access",
    "policy_service",
    "limit",
    "milter",
    "dns_list",
    "route",
    "pipe",
    "login",
];

/// A value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// A condition that holds if none of these does.
    Not(Vec<String>),
    /// A number, time or size, as written.
    Plain(String),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number, or `true` or `false`.
    pub fn plain(what: impl std::fmt::Display) -> Self {
        Self::Plain(what.to_string())
    }

    /// A list of texts.
    pub fn list<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Self {
        Self::List(texts.into_iter().map(Into::into).collect())
    }
}

/// A line of the configuration.
#[derive(Clone, Debug)]
struct Setting {
    key: String,
    value: Value,
    comment: String,
}

/// A section; several may have the same name.
#[derive(Clone, Debug)]
pub struct Section {
    name: String,
    comment: String,
    settings: Vec<Setting>,
}

impl Section {
    /// A section with a comment above it, which may be empty.
    pub fn new(name: impl Into<String>, comment: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            comment: comment.into(),
            settings: Vec::new(),
        }
    }

    /// Sets a key, followed by a comment, which may be empty. Replaces an earlier value.
    pub fn set(&mut self, key: &str, value: Value, comment: impl Into<String>) -> &mut Self {
        let setting = Setting {
            key: key.to_owned(),
            value,
            comment: comment.into(),
        };
        match self.settings.iter_mut().find(|known| known.key == key) {
            Some(known) => *known = setting,
            None => self.settings.push(setting),
        }
        self
    }

    /// Removes a key.
    pub fn unset(&mut self, key: &str) {
        self.settings.retain(|known| known.key != key);
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.settings
            .iter()
            .find(|known| known.key == key)
            .map(|known| &known.value)
    }
}

/// The whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    sections: Vec<Section>,
}

impl Config {
    /// The section with this name, created if there is none; `""` is the top level.
    pub fn section(&mut self, name: &str) -> &mut Section {
        let found = self.sections.iter().position(|section| section.name == name);
        let index = found.unwrap_or_else(|| {
            self.sections.push(Section::new(name, ""));
            self.sections.len() - 1
        });
        &mut self.sections[index]
    }

    /// Adds a section before others of the same name.
    pub fn add_first(&mut self, section: Section) {
        let same = |known: &Section| known.name() == section.name();
        let at = self.sections.iter().position(same).unwrap_or(self.sections.len());
        self.sections.insert(at, section);
    }

    /// Adds a section after all others.
    pub fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// All sections, in the order in which they were added.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Section> {
        self.sections.iter_mut()
    }

    /// Takes out all sections for which `leaves` holds.
    pub fn remove(&mut self, leaves: impl Fn(&Section) -> bool) {
        self.sections.retain(|section| !leaves(section));
    }

    /// Sections of a name, in order.
    pub fn sections<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |section| section.name == name)
    }

    /// The text of the file, with a comment at its top.
    #[must_use]
    pub fn text(&self, top: &str) -> String {
        let mut text = String::new();
        for line in top.lines() {
            comment(&mut text, line);
        }
        let mut sections: Vec<&Section> = self
            .sections
            .iter()
            .filter(|section| !section.settings.is_empty())
            .collect();
        sections.sort_by_key(|section| rank(&section.name));
        for section in sections {
            text.push('\n');
            for line in section.comment.lines() {
                comment(&mut text, line);
            }
            let (open, close) = if SEVERAL.contains(&section.name.as_str()) {
                ("[[", "]]")
            } else {
                ("[", "]")
            };
            if !section.name.is_empty() {
                let _ = writeln!(text, "{open}{}{close}", section.name);
            }
            for setting in &section.settings {
                write_setting(&mut text, setting);
            }
        }
        text
    }
}

/// The position of a section in the file. Subtables stay after the table to which they were added.
fn rank(name: &str) -> usize {
    let whole = name
        .strip_suffix(".timeouts")
        .filter(|whole| SEVERAL.contains(whole));
    let name = whole.unwrap_or(name);
    ORDER
        .iter()
        .position(|known| *known == name)
        .unwrap_or(ORDER.len())
}

/// The column where comments begin, if there is room in the line.
const COLUMN: usize = 42;

fn write_setting(text: &mut String, setting: &Setting) {
    let line = format!("{} = {}", setting.key, written(&setting.value));
    if setting.comment.is_empty() {
        let _ = writeln!(text, "{line}");
    } else if line.contains('\n') || line.chars().count() >= 2 * COLUMN {
        comment(text, &setting.comment);
        let _ = writeln!(text, "{line}");
    } else {
        let gap = COLUMN.saturating_sub(line.chars().count()).max(2);
        let _ = writeln!(text, "{line}{:gap$}# {}", "", plain(&setting.comment));
    }
}

fn comment(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", format!("# {}", plain(line)).trim_end());
}

/// A line without anything that could end a comment.
fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

fn written(value: &Value) -> String {
    match value {
        Value::Plain(text) => text.clone(),
        Value::Text(text) => quoted(text),
        Value::Not(texts) => format!("{{ not = {} }}", written(&Value::List(texts.clone()))),
        Value::List(texts) => {
            let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            let line = format!("[{}]", quoted.join(", "));
            if line.chars().count() <= 100 {
                return line;
            }
            format!("[\n    {},\n]", quoted.join(",\n    "))
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_come_in_their_order_with_their_comments() {
        let mut config = Config::default();
        let mut route = Section::new("route", "The provider.");
        route.set("domains", Value::list(["*"]), "SMART_HOST, sendmail.mc:4");
        config.add(route);
        config
            .section("auth")
            .set("mechanisms", Value::list(["LOGIN"]), "");
        config
            .section("")
            .set("hostname", Value::text("a\"b\\\u{7}"), "two\nlines");
        config
            .section("")
            .set("hostname", Value::text("mail.example"), "confDOMAIN_NAME");
        config
            .section("limits")
            .set("recipients", Value::Plain("50".to_owned()), "");
        config.section("screen");
        let expected = "# From sendmail.mc.\n\nhostname = \"mail.example\"                 # confDOMAIN_NAME\n\n[auth]\nmechanisms = [\"LOGIN\"]\n\n\
            [limits]\nrecipients = 50\n\n# The provider.\n[[route]]\ndomains = [\"*\"]                           # SMART_HOST, sendmail.mc:4\n";
        assert_eq!(config.text("From sendmail.mc."), expected);
        assert_eq!(quoted("a\"b\\\t\u{7}"), "\"a\\\"b\\\\\\t\\u0007\"");
    }
}
