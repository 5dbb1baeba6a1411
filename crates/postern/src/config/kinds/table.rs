//! Lists and tables.

use std::marker::PhantomData;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::problem::Span;
use crate::config::read::{At, Below, Entries, Kind, Place, Reader, Shape, Table};

/// A list of values of one kind.
pub(crate) struct List<K>(pub(crate) K);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<At<K::Value>>;

    fn describe(&self) -> String {
        format!("list of: {}", self.0.describe())
    }

    fn sample(&self) -> String {
        match self.0.sample().as_str() {
            "" => String::new(),
            inner => format!("[{inner}]"),
        }
    }

    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let Some(elements) = value.get_ref().as_array() else {
            reader.wrong_type(
                value,
                place,
                &format!("a list in brackets of: {}", self.0.describe()),
            );
            return None;
        };
        let one = place.element();
        let mut read = Vec::with_capacity(elements.len());
        for element in elements.iter() {
            if let Some(value) = self.0.read(element, &one, reader) {
                let span = Some(element.span());
                read.push(At { value, span });
            }
        }
        Some(read)
    }
}

/// One value, or a list of them.
pub(crate) struct OneOrList<K>(pub(crate) K);

impl<K: Kind> Kind for OneOrList<K> {
    type Value = Vec<At<K::Value>>;

    fn describe(&self) -> String {
        format!("{}, or a list of them", self.0.describe())
    }

    fn sample(&self) -> String {
        self.0.sample()
    }

    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let one = place.element();
        let elements: Vec<&Spanned<DeValue<'_>>> = match value.get_ref().as_array() {
            Some(elements) => elements.iter().collect(),
            None => vec![value],
        };
        let mut read = Vec::with_capacity(elements.len());
        for element in elements {
            if let Some(value) = self.0.read(element, &one, reader) {
                let span = Some(element.span());
                read.push(At { value, span });
            }
        }
        Some(read)
    }
}

/// One table, `[key]`.
pub(crate) struct Section<T>(PhantomData<T>);

impl<T: Table> Section<T> {
    /// The kind for the table `T`.
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Table> Kind for Section<T> {
    type Value = T;

    fn describe(&self) -> String {
        "table".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<T> {
        let Some(table) = value.get_ref().as_table() else {
            let header = place.header(false);
            reader.problems.error(
                Some(value.span()),
                format!("`{}`{} has the wrong type", place.key, place.within()),
                "not a table",
                format!("write {header} and below it a line for each of its keys"),
            );
            return None;
        };
        let entries = Entries::new(table, Some(value.span()), place.header(false), reader);
        Some(entries.read_all())
    }

    fn below(&self) -> Option<Below> {
        Some(Below {
            repeated: false,
            shapes: vec![shape::<T>(None)],
        })
    }
}

/// Any number of tables, `[[key]]`.
pub(crate) struct Sections<T>(PhantomData<T>);

impl<T: Table> Sections<T> {
    /// The kind for tables `T`.
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Table> Kind for Sections<T> {
    type Value = Vec<At<T>>;

    fn describe(&self) -> String {
        "tables".into()
    }

    fn read(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<Self::Value> {
        let header = place.header(true);
        let tables = tables_of(value, place, &header, reader)?;
        let read_one = |(table, span): (_, Span)| At {
            value: Entries::new(table, Some(span.clone()), header.clone(), &mut *reader).read_all(),
            span: Some(span),
        };
        Some(tables.into_iter().map(read_one).collect())
    }

    fn below(&self) -> Option<Below> {
        Some(Below {
            repeated: true,
            shapes: vec![shape::<T>(None)],
        })
    }
}

/// What the documentation needs to know of `T`.
pub(crate) fn shape<T: Table>(chosen_by: Option<&'static str>) -> Shape {
    Shape {
        chosen_by,
        about: T::about(),
        keys: T::keys(),
    }
}

/// The tables of `[[key]]`; something else in their place is a mistake.
pub(crate) fn tables_of<'v>(
    value: &'v Spanned<DeValue<'v>>,
    place: &Place,
    header: &str,
    reader: &mut Reader<'_>,
) -> Option<Vec<(&'v DeTable<'v>, Span)>> {
    let elements = match value.get_ref() {
        DeValue::Array(elements) => elements,
        DeValue::Table(_) => {
            reader.problems.error(
                Some(value.span()),
                format!(
                    "`{}`{} can be repeated and needs double brackets",
                    place.key,
                    place.within()
                ),
                "a single table",
                format!("write `{header}`"),
            );
            return None;
        }
        _ => {
            reader.wrong_type(value, place, &format!("tables headed {header}"));
            return None;
        }
    };
    let mut tables = Vec::new();
    for element in elements.iter() {
        match element.get_ref().as_table() {
            Some(table) => tables.push((table, element.span())),
            None => reader.wrong_type(element, place, &format!("a table headed {header}")),
        }
    }
    Some(tables)
}
