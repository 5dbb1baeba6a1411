//! Statistics of mail: for each day, the counts for each hour, and those of the most frequent logins, listeners and domains.
//!
//! [`Statistics`] is an observer. What it keeps is bounded, whatever strangers send: for each kind of name, a day has a number of
//! slots, and a name without one takes that of the least frequent ([`Top`]). The counts of names that lost their slot are not
//! lost: they are in the rest, so that the names and the rest add up to the day exactly.
//!
//! It reads no clock and writes no file: the time comes with each event, and storing each [`Day`] is up to the caller.

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
