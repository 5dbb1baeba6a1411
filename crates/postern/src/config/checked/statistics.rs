//! Statistics, and who gets them by mail.

use postern_mail::Mailbox;

use super::{Checking, clamp};

/// What is counted and kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct StatisticsConfig {
    /// Days that are kept.
    pub(crate) days: usize,
    /// Names of each kind distinguished in a day; zero disables statistics.
    pub(crate) names: usize,
    pub(crate) digest: Digest,
}

/// The daily mail about them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Digest {
    /// Its recipients; if empty, it is not sent.
    pub(crate) to: Vec<Mailbox>,
    /// When, in UTC.
    pub(crate) hour: i8,
    /// How many names of each kind it shows.
    pub(crate) names: usize,
}

pub(super) fn check(c: &mut Checking<'_>) -> StatisticsConfig {
    let file = c.file;
    let names = clamp(*file.statistics.names);
    let mut to = Vec::new();
    for written in &file.digest.to.value {
        match written.value.parse::<Mailbox>() {
            Ok(address) => to.push(address),
            Err(error) => c.problems.error(
                written.span.clone(),
                format!("`to` in [digest] is not an address: {error}"),
                "not an address",
                "write it like `\"postmaster@example.org\"`",
            ),
        }
    }
    if names == 0 && !to.is_empty() {
        c.problems.warning(
            file.statistics.names.span.clone(),
            "[digest] has nothing to report: `names` in [statistics] is 0",
            "nothing is counted",
            "write `names = 100`, or remove [digest]",
        );
    }
    StatisticsConfig {
        days: clamp(*file.statistics.days),
        names,
        digest: Digest {
            to,
            hour: i8::try_from(*file.digest.hour).unwrap_or(0),
            names: clamp(*file.digest.names),
        },
    }
}
