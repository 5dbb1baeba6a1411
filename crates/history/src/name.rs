//! The files that the history is kept in: one or more for each day and each class of what is kept.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Whose doing something is. Each class has files and a share of the room of its own, so that none drives out another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Users', and machines' that may relay: half of the room is theirs.
    Users,
    /// Mail that strangers have brought for here: a quarter.
    Incoming,
    /// What strangers did besides: a quarter.
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

    /// Which part of the room is its own, as a divisor.
    pub(crate) const fn share(self) -> u64 {
        match self {
            Self::Users => 2,
            Self::Incoming | Self::Strangers => 4,
        }
    }
}

/// One file: of a day (UTC) and a class, by its number where the day has several.
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

    /// The file's name read back; `None` for other files.
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
        // Nothing else reads back as the same name.
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

/// The day that a moment lies in.
pub(crate) fn day_of(at: i64) -> i32 {
    i32::try_from(at.div_euclid(DAY_MS)).unwrap_or(0)
}

/// The files that there are, oldest first; none where there is no folder.
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
