//! The files of the history: one or more for each day and each class of entries.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Who caused something. Each class has its own files and share of space, so that none displaces another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Users, and machines that may relay: half of the space.
    Users,
    /// Strangers' mail for local recipients: a quarter.
    Incoming,
    /// Everything else that strangers did: a quarter.
    Strangers,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Users, Self::Incoming, Self::Strangers];

    /// Its name, in names of files and in listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Incoming => "incoming",
            Self::Strangers => "strangers",
        }
    }

    /// Its share of the space, as a divisor.
    pub(crate) const fn share(self) -> u64 {
        match self {
            Self::Users => 2,
            Self::Incoming | Self::Strangers => 4,
        }
    }
}

/// One file: its day (UTC) and class, and its number if the day has several.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name {
    /// Days since 1970.
    pub(crate) day: i32,
    pub(crate) class: Class,
    /// From 1.
    pub(crate) part: u16,
}

impl Name {
    /// The day's first millisecond since 1970.
    pub(crate) fn begin(self) -> i64 {
        i64::from(self.day) * DAY_MS
    }

    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.to_string())
    }

    /// Parses a file name; `None` for other files.
    fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix(".sqlite")?;
        let (date, rest) = stem.split_at_checked(10)?;
        let (class, part) = rest.strip_prefix('-')?.split_once('-')?;
        let date: Date = date.parse().ok()?;
        let name = Self {
            day: date.since(Date::constant(1970, 1, 1)).ok()?.get_days(),
            class: Class::ALL.into_iter().find(|one| one.name() == class)?,
            part: part.parse().ok()?,
        };
        // No other spelling parses to the same name.
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}.sqlite", date(self.day), self.class.name(), self.part)
    }
}

/// The date of a day.
pub(crate) fn date(day: i32) -> Date {
    let first = Date::constant(1970, 1, 1);
    first.saturating_add(jiff::Span::new().days(day))
}

/// The day of a point in time.
pub(crate) fn day_of(at: i64) -> i32 {
    i32::try_from(at.div_euclid(DAY_MS)).unwrap_or(0)
}

/// The existing files, oldest first; none if there is no folder.
///
/// # Errors
///
/// Those of the disk.
pub(crate) fn list(folder: &Path) -> std::io::Result<Vec<Name>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(Name::parse));
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let name = Name {
            day: 20_788,
            class: Class::Incoming,
            part: 2,
        };
        assert_eq!(name.to_string(), "2026-12-01-incoming-2.sqlite");
        assert_eq!(Name::parse("2026-12-01-incoming-2.sqlite"), Some(name));
        for other in [
            "2026-12-01-incoming-02.sqlite",
            "2026-12-01-incoming-2.sqlite-wal",
            "2026-12-01-others-2.sqlite",
            "2026-13-01-users-1.sqlite",
            "acts.sqlite",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        assert_eq!((day_of(name.begin()), day_of(name.begin() - 1)), (20_788, 20_787));
    }
}
