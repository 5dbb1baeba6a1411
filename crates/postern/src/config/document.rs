//! All files of a configuration as one document: each is parsed; what may occur in several is joined, the rest may occur only
//! once.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::file::Postern;
use super::include;
use super::keys::everywhere;
use super::problem::{Problems, Span};
use super::read::{At, Entries, Reader};
use super::shown::Shown;
use super::sources::Sources;
use super::stumbles::Stumble;

/// Texts that were read against the tables of keys.
pub(super) struct Document {
    pub(super) file: Postern,
    /// Every path in it, as opened.
    pub(super) paths: Vec<At<PathBuf>>,
    /// Every key with its value.
    pub(super) shown: Shown,
    /// Where it is not valid TOML.
    pub(super) stumbles: Vec<Stumble>,
}

/// Reads the texts against the tables of keys; where one is not valid TOML, reading continues after the error. Relative paths
/// start at `base`.
pub(super) fn read(sources: &Sources, base: &Path, problems: &mut Problems) -> Document {
    let (mut whole, mut stumbles) = (DeTable::new(), Vec::new());
    for (_, text, start) in sources.each() {
        let (table, errors) = DeTable::parse_recoverable(text);
        stumbles.extend(errors.iter().map(|error| Stumble::of(error, start)));
        for (key, value) in table.into_inner() {
            let span = moved(&key.span(), start);
            let key = Spanned::new(span, key.into_inner());
            join(key, shifted(value, start), &mut whole, sources, problems);
        }
    }
    let mut reader = Reader {
        base,
        problems,
        everywhere,
        paths: Vec::new(),
        shown: Vec::new(),
        unread: 0,
    };
    let file = Entries::new(&whole, None, String::new(), &mut reader).read_all();
    Document {
        file,
        paths: reader.paths,
        shown: reader.shown.pop().unwrap_or_default(),
        stumbles,
    }
}

/// Adds a key of the top level to those of the files before. Tables in double brackets add up, and so do the paths of `include`.
fn join<'t>(
    key: Spanned<std::borrow::Cow<'t, str>>,
    value: Spanned<DeValue<'t>>,
    whole: &mut DeTable<'t>,
    sources: &Sources,
    problems: &mut Problems,
) {
    let name = key.get_ref().clone().into_owned();
    let Some((first, _)) = whole.get_key_value(name.as_str()) else {
        whole.insert(key, value);
        return;
    };
    let (first, place) = (first.span(), key.span());
    let Some(before) = whole.get_mut(name.as_str()) else {
        return;
    };
    let adds_up = name == include::KEY || is_tables(before.get_ref()) && is_tables(value.get_ref());
    if adds_up {
        let span = before.span();
        let earlier = std::mem::replace(before, Spanned::new(span.clone(), DeValue::Boolean(false)));
        let joined: DeArray<'t> = elements(earlier).into_iter().chain(elements(value)).collect();
        *before = Spanned::new(span, DeValue::Array(joined));
        return;
    }
    let at = sources.locate(&first);
    let written = |value: &DeValue<'_>| match value {
        DeValue::Table(_) => format!("[{name}]"),
        value if is_tables(value) => format!("[[{name}]]"),
        _ => format!("`{name}`"),
    };
    let remedy = match (is_tables(before.get_ref()), is_tables(value.get_ref())) {
        (true, false) => format!("write [[{name}]]: it can be repeated, in several files too"),
        _ => format!(
            "keep one of them; only tables in double brackets, such as [[route]], may be in several files ({} is one)",
            sources.main().display()
        ),
    };
    problems.error(
        Some(place),
        format!("{} is written in two files", written(value.get_ref())),
        format!("first written in line {} of {}", at.line, at.path.display()),
        remedy,
    );
}

/// Whether it is a list containing only tables.
fn is_tables(value: &DeValue<'_>) -> bool {
    value
        .as_array()
        .is_some_and(|list| !list.is_empty() && list.iter().all(|element| element.get_ref().is_table()))
}

/// The elements of a list; anything else is one element.
fn elements(value: Spanned<DeValue<'_>>) -> Vec<Spanned<DeValue<'_>>> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Array(list) => list.into_iter().collect(),
        one => vec![Spanned::new(span, one)],
    }
}

/// The value with its positions shifted, for a text that starts at `by`.
fn shifted(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = moved(&value.span(), by);
    let inner = match value.into_inner() {
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|element| shifted(element, by)).collect())
        }
        DeValue::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let place = moved(&key.span(), by);
                (Spanned::new(place, key.into_inner()), shifted(value, by))
            });
            DeValue::Table(entries.collect())
        }
        one => one,
    };
    Spanned::new(span, inner)
}

fn moved(span: &Span, by: usize) -> Span {
    span.start + by..span.end + by
}
