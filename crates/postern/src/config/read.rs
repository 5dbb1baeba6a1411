//! Reading a TOML document against a table of keys, without stopping at the first mistake.
//!
//! [`table!`] declares a table once: its keys with type, default or example, and meaning.
//! From that one place come the struct that the rest of the program reads, the errors, and `docs/configuration.md`.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::distance::nearest;
use super::problem::{Problems, Span};
use super::shown::{Shown, ShownKey, toml_of};

/// A value and where it was written; without a position it is the default.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Option<Span>,
}

/// The same value, wherever it is written.
impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A kind of value that may follow the `=` of a key.
pub(crate) trait Kind {
    /// What the program gets.
    type Value: PartialEq;

    /// The kind in words for the documentation and for errors: "duration, 1s to 1h".
    fn describe(&self) -> String;

    /// Reads a value; a mistake is added to the reader and `None` returned.
    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value>;

    /// An example value for the remedy of a mistake, if the key's default is not helpful. A TOML value.
    fn sample(&self) -> String {
        String::new()
    }

    /// The table below, if the value is one.
    fn below(&self) -> Option<Below> {
        None
    }
}

/// How a table below a key is written, and its keys.
pub(crate) struct Below {
    /// Whether it is `[[key]]` and can be repeated.
    pub(crate) repeated: bool,
    /// The tables it may be; several if a key such as `kind` chooses.
    pub(crate) shapes: Vec<Shape>,
}

/// One table: what it is for and which keys it has.
pub(crate) struct Shape {
    /// The `kind = "…"` that chooses it.
    pub(crate) chosen_by: Option<&'static str>,
    pub(crate) about: String,
    pub(crate) keys: Vec<KeyInfo>,
}

/// Everything about one key.
pub(crate) struct KeyInfo {
    pub(crate) name: &'static str,
    pub(crate) kind: String,
    pub(crate) presence: Presence,
    pub(crate) about: String,
    pub(crate) below: Option<Below>,
}

/// What happens if the key is absent. Texts are TOML values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presence {
    /// This value is used.
    Default(&'static str),
    /// That is a mistake; here is an example.
    Required(&'static str),
    /// An example, and what its absence means.
    Optional(&'static str, &'static str),
}

impl Presence {
    /// A valid value.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Default(text) | Self::Required(text) | Self::Optional(text, _) => text,
        }
    }
}

/// A table as declared by [`table!`].
pub(crate) trait Table: PartialEq + Sized {
    const NAMES: &'static [&'static str];
    fn about() -> String;
    fn keys() -> Vec<KeyInfo>;
    fn read(entries: &mut Entries<'_, '_>) -> Self;
}

/// Where in the document a value is: `limits.recipients`, and an example of a valid value.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The table in its TOML form, `[limits]` or `[[listener]]`; empty at the top level.
    pub(crate) table: String,
    pub(crate) key: String,
    /// A valid TOML value; empty if none can be given.
    pub(crate) example: String,
    /// Whether this is an element of a list.
    pub(crate) element: bool,
}

impl Place {
    /// The header of the table below this key.
    pub(crate) fn header(&self, repeated: bool) -> String {
        let inner = self.table.trim_matches(['[', ']']);
        let dot = if inner.is_empty() { "" } else { "." };
        let (open, close) = if repeated { ("[[", "]]") } else { ("[", "]") };
        format!("{open}{inner}{dot}{}{close}", self.key)
    }

    /// What to write instead, by example.
    pub(crate) fn remedy(&self) -> String {
        match (self.example.as_str(), self.element) {
            ("", _) => format!("`{}` is described in docs/configuration.md", self.key),
            (example, true) => format!("write for example {example}"),
            (example, false) => format!("write for example `{} = {example}`", self.key),
        }
    }

    /// ` in [limits]`, or nothing at the top level.
    pub(crate) fn within(&self) -> String {
        within(&self.table)
    }

    /// The place of one element of a list at this place.
    pub(crate) fn element(&self) -> Self {
        let inner = self
            .example
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let first = inner
            .and_then(|inner| inner.split(", ").next())
            .unwrap_or_default();
        Self {
            example: first.to_owned(),
            element: true,
            ..self.clone()
        }
    }
}

fn within(table: &str) -> String {
    if table.is_empty() {
        String::new()
    } else {
        format!(" in {table}")
    }
}

/// What reading needs at every step.
pub(crate) struct Reader<'a> {
    /// The folder of the file: relative paths start here.
    pub(crate) base: &'a Path,
    pub(crate) problems: &'a mut Problems,
    /// Lists every key of every table, as (name, table in TOML form), for keys in the wrong table.
    pub(crate) everywhere: fn() -> Vec<(&'static str, String)>,
    /// Every path that was read, as opened.
    pub(crate) paths: Vec<At<PathBuf>>,
    /// The tables that are being read, each below the previous one; in the end the whole document.
    pub(crate) shown: Vec<Shown>,
    /// How many values could not be read.
    pub(crate) unread: usize,
}

impl Reader<'_> {
    /// Reports a value of the wrong type.
    pub(crate) fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, place: &Place, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.unread += 1;
        self.problems.error(
            Some(value.span()),
            format!("`{}`{} has the wrong type", place.key, place.within()),
            format!("this is {found}, expected: {wanted}"),
            place.remedy(),
        );
    }

    /// Reports a value of the right type that is not valid.
    pub(crate) fn bad_value(
        &mut self,
        span: Span,
        place: &Place,
        label: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.unread += 1;
        self.problems.error(
            Some(span),
            format!("`{}`{} has an invalid value", place.key, place.within()),
            label,
            remedy,
        );
    }

    /// The path as the program opens it: relative ones start at the configuration file.
    pub(crate) fn resolve(&mut self, path: &str, span: Span) -> PathBuf {
        let path = self.base.join(path);
        self.paths.push(At {
            value: path.clone(),
            span: Some(span),
        });
        path
    }

    /// Ends the current table: it becomes part of the enclosing one.
    fn close_table(&mut self) {
        if let [.., around, inner] = self.shown.as_mut_slice() {
            around.tables.push(std::mem::take(inner));
            self.shown.pop();
        }
    }
}

/// The entries of one table while its keys are taken one by one.
pub(crate) struct Entries<'e, 'a> {
    table: &'e DeTable<'e>,
    /// Where the table is written; `None` for an absent one.
    span: Option<Span>,
    /// `[limits]`, `[[listener]]`, or nothing for the top level.
    header: String,
    reader: &'e mut Reader<'a>,
}

impl<'e, 'a> Entries<'e, 'a> {
    /// Starts reading a table.
    pub(crate) fn new(
        table: &'e DeTable<'e>,
        span: Option<Span>,
        header: String,
        reader: &'e mut Reader<'a>,
    ) -> Self {
        Self {
            table,
            span,
            header,
            reader,
        }
    }

    /// Reads all keys of `T`, then reports those that `T` does not have.
    pub(crate) fn read_all<T: Table>(mut self) -> T {
        self.reader.shown.push(Shown::of(&self.header, self.span.clone()));
        let read = self.read_values();
        self.refuse_unknown(T::NAMES.to_vec());
        self.reader.close_table();
        read
    }

    /// The same for a table with one more key, which has already been read.
    pub(crate) fn read_all_but<T: Table>(mut self, chosen_by: &'static str) -> T {
        self.reader.shown.push(Shown::of(&self.header, self.span.clone()));
        if let Some(value) = self.table.get(chosen_by) {
            let (value, span) = (toml_of(value.get_ref()), value.span());
            self.show(chosen_by, Some(value), None, true, Some(span));
        }
        let read = self.read_values();
        self.refuse_unknown(
            std::iter::once(chosen_by)
                .chain(T::NAMES.iter().copied())
                .collect(),
        );
        self.reader.close_table();
        read
    }

    /// Reads the values of all keys of `T`, and records whether any could not be read.
    fn read_values<T: Table>(&mut self) -> T {
        let before = self.reader.unread;
        let read = T::read(self);
        if let Some(span) = &self.span
            && self.reader.unread > before
        {
            self.reader.problems.not_read_in(span);
        }
        read
    }

    /// Stores the effective value, for display.
    fn show(
        &mut self,
        key: &str,
        value: Option<String>,
        absent: Option<&str>,
        changed: bool,
        span: Option<Span>,
    ) {
        if let Some(table) = self.reader.shown.last_mut() {
            table.keys.push(ShownKey {
                key: key.to_owned(),
                value,
                absent: absent.map(str::to_owned),
                changed,
                place: None,
                span,
            });
        }
    }

    /// The value of a key with a default; also the default if the written value is invalid.
    pub(crate) fn default<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        text: &'static str,
    ) -> At<K::Value> {
        let place = self.place(name, kind, Presence::Default(text));
        let (usual, below) =
            from_text(kind, text, place, self.reader.base).expect("a test reads every default");
        let found = self.find(name, kind, Presence::Default(text));
        if kind.below().is_none() {
            let written = self.table.get(name).map(|value| toml_of(value.get_ref()));
            let changed = found.as_ref().is_some_and(|at| at.value != usual);
            let span = found.as_ref().and_then(|at| at.span.clone());
            self.show(
                name,
                Some(written.unwrap_or_else(|| text.to_owned())),
                None,
                changed,
                span,
            );
        } else if found.is_none()
            && let Some(table) = self.reader.shown.last_mut()
        {
            table.tables.extend(below);
        }
        found.unwrap_or(At {
            value: usual,
            span: None,
        })
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        example: &'static str,
        absent: &'static str,
    ) -> Option<At<K::Value>> {
        let found = self.find(name, kind, Presence::Optional(example, absent));
        self.show_written(name, kind, absent);
        found
    }

    /// Stores a key without a default, for display.
    fn show_written<K: Kind>(&mut self, name: &str, kind: &K, absent: &str) {
        if kind.below().is_some() {
            return;
        }
        let written = self
            .table
            .get(name)
            .map(|value| (toml_of(value.get_ref()), value.span()));
        let changed = written.is_some();
        let (value, span) = written.unzip();
        self.show(name, value, Some(absent), changed, span);
    }

    /// The value of a required key. `None` after the mistake was recorded.
    pub(crate) fn required<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        example: &'static str,
    ) -> Option<At<K::Value>> {
        if !self.table.contains_key(name) {
            self.reader.problems.error(
                self.span.clone(),
                format!("`{name}` is missing{}", within(&self.header)),
                "needs it",
                match kind.below() {
                    Some(below) if below.repeated => format!("add for example {}", as_table(name, example)),
                    _ => format!("add for example `{name} = {example}`"),
                },
            );
            return None;
        }
        let found = self.find(name, kind, Presence::Required(example));
        self.show_written(name, kind, "it is needed");
        found
    }

    fn place<K: Kind>(&self, name: &str, kind: &K, presence: Presence) -> Place {
        Place {
            table: self.header.clone(),
            key: name.to_owned(),
            example: match presence.example() {
                "[]" | "{}" => kind.sample(),
                text => text.to_owned(),
            },
            element: false,
        }
    }

    fn find<K: Kind>(&mut self, name: &'static str, kind: &K, presence: Presence) -> Option<At<K::Value>> {
        let value = self.table.get(name)?;
        let place = self.place(name, kind, presence);
        let read = kind.read(value, &place, self.reader)?;
        Some(At {
            value: read,
            span: Some(value.span()),
        })
    }

    fn refuse_unknown(&mut self, names: Vec<&'static str>) {
        let unknown = self
            .table
            .keys()
            .filter(|key| !names.contains(&key.get_ref().as_ref()));
        for key in unknown {
            let typed = key.get_ref().as_ref();
            if let Some(new) = super::renamed::new_name(&self.header, typed) {
                self.reader.problems.error(
                    Some(key.span()),
                    format!("`{typed}`{} is called `{new}` now", within(&self.header)),
                    "its old name",
                    format!("write `{new}`"),
                );
                continue;
            }
            let elsewhere = (self.reader.everywhere)()
                .into_iter()
                .find(|(name, header)| *name == typed && *header != self.header)
                .map(|(_, header)| header);
            let remedy = match (elsewhere, nearest(typed, names.iter().copied())) {
                (_, Some(near)) => format!("did you mean `{near}`?"),
                (Some(header), None) if header.is_empty() => {
                    format!("`{typed}` belongs to the top level: move it above the first line in brackets")
                }
                (Some(header), None) => format!("`{typed}` belongs in {header}: move it there"),
                (None, None) => format!("remove it; known here: {}", names.join(", ")),
            };
            self.reader.problems.error(
                Some(key.span()),
                format!("unknown key `{typed}`{}", within(&self.header)),
                "unknown in this table",
                remedy,
            );
        }
    }
}

/// A list of one inline table as people write it: ``[[listener]] and below it `address = "…"` and `role = "mx"` ``.
fn as_table(name: &str, example: &str) -> String {
    let keys = example.trim_matches(['[', ']', '{', '}', ' ']).split(", ");
    let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    format!("[[{name}]] and below it {}", keys.join(" and "))
}

/// Reads a TOML value from our own text; `None` if it is not of that kind. Also returns the tables that it contains.
pub(crate) fn from_text<K: Kind>(
    kind: &K,
    text: &str,
    place: Place,
    base: &Path,
) -> Option<(K::Value, Vec<Shown>)> {
    let document = format!("value = {text}");
    let table = DeTable::parse(&document).ok()?;
    let mut problems = Problems::default();
    let mut reader = Reader {
        base,
        problems: &mut problems,
        everywhere: Vec::new,
        paths: Vec::new(),
        shown: vec![Shown::default()],
        unread: 0,
    };
    let read = kind.read(table.get_ref().get("value")?, &place, &mut reader);
    let tables = reader.shown.pop().unwrap_or_default().unwritten().tables;
    read.filter(|_| problems.len() == 0).map(|read| (read, tables))
}

/// Declares a table: the struct to read into, and all information about its keys.
///
/// Every key is `name: type = kind, presence;` with a doc comment that becomes its documentation. Presences:
/// `default "toml"`, `required "toml example"`, `optional "toml example" else "what absence means"`.
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        $table:ident {
            $(
                $(#[doc = $doc:literal])*
                $key:ident : $type:ty = $kind:expr, $presence:ident $text:literal $(else $absent:literal)?;
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $table {
            $(
                $(#[doc = $doc])*
                pub(crate) $key: $crate::config::read::table!(@type $presence $type),
            )*
        }

        impl $crate::config::read::Table for $table {
            const NAMES: &'static [&'static str] = &[$(stringify!($key)),*];

            fn about() -> String {
                $crate::config::read::join_doc(&[$($about),*])
            }

            fn keys() -> Vec<$crate::config::read::KeyInfo> {
                use $crate::config::read::Kind as _;
                vec![$(
                    $crate::config::read::KeyInfo {
                        name: stringify!($key),
                        kind: ($kind).describe(),
                        presence: $crate::config::read::table!(@presence $presence $text $($absent)?),
                        about: $crate::config::read::join_doc(&[$($doc),*]),
                        below: ($kind).below(),
                    }
                ),*]
            }

            fn read(entries: &mut $crate::config::read::Entries<'_, '_>) -> Self {
                Self {
                    $($key: entries.$presence(stringify!($key), &$kind, $text $(, $absent)?),)*
                }
            }
        }
    };
    (@type default $type:ty) => { $crate::config::read::At<$type> };
    (@type required $type:ty) => { Option<$crate::config::read::At<$type>> };
    (@type optional $type:ty) => { Option<$crate::config::read::At<$type>> };
    (@presence default $text:literal) => { $crate::config::read::Presence::Default($text) };
    (@presence required $text:literal) => { $crate::config::read::Presence::Required($text) };
    (@presence optional $text:literal $absent:literal) => {
        $crate::config::read::Presence::Optional($text, $absent)
    };
}
pub(crate) use table;

/// The lines of a doc comment as one text, without the blank that follows `///`.
pub(crate) fn join_doc(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n")
}
