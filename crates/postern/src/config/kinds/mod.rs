//! The kinds of values that keys may have.

mod scalar;
mod table;

use toml::Spanned;
use toml::de::DeValue;

pub(crate) use self::scalar::{
    Choice, Count, Day, FileMode, FilePath, Line, Network, Number, OneOf, Score, Size, Socket, Switch, Time,
};
pub(crate) use self::table::{List, OneOrList, Section, Sections, shape, tables_of};

use super::read::{Place, Reader};

/// Splits an error that ends with its remedy, `not so; write it so`.
pub(crate) fn split(error: &impl std::fmt::Display, place: &Place) -> (String, String) {
    let whole = error.to_string();
    match whole.rsplit_once("; ") {
        Some((label, remedy)) => (label.to_owned(), remedy.to_owned()),
        None => (whole, place.remedy()),
    }
}

/// Reads a text and passes it to `read`, whose errors are a label and a remedy.
pub(crate) fn text<T>(
    value: &Spanned<DeValue<'_>>,
    place: &Place,
    reader: &mut Reader<'_>,
    wanted: &str,
    read: impl FnOnce(&str) -> Result<T, (String, String)>,
) -> Option<T> {
    let Some(written) = value.get_ref().as_str() else {
        reader.wrong_type(value, place, wanted);
        return None;
    };
    match read(written) {
        Ok(read) => Some(read),
        Err((label, remedy)) => {
            reader.bad_value(value.span(), place, label, remedy);
            None
        }
    }
}
