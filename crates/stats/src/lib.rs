//! Statistics of mail: for each day how much there was in each hour, and of the most frequent logins, listeners and domains how much was
//! theirs.
//!
//! [`Statistics`] is an observer. What it keeps is bounded, whatever strangers send: of each kind of name a day has a number of places, and
//! who finds none takes that of the least frequent ([`Top`]). The figures of those who lost their place are not lost: they are in the rest, so that the names
//! and the rest add up to the day exactly.
//!
//! It reads no clock and writes no file: the time comes with each event, and [`Day`] is a value that somebody else keeps.

mod counts;
mod day;
mod report;
mod statistics;
mod top;

pub use counts::Counts;
pub use day::{Day, HOURS};
pub use report::{report, sum};
pub use statistics::Statistics;
pub use top::{Named, Top};
