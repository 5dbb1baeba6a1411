//! Judging mail, wired together: the checks of `seal` with the name servers of `net` and the decision of `policy`, for the server and
//! for `postern judge`.

mod dns;
pub(crate) mod file;
mod inspector;
mod reports;
mod sealing;
mod verdict;

use self::dns::Bounded;
pub(crate) use self::inspector::Judge;
pub(crate) use self::reports::{Outlet, Reports, keep};
pub(crate) use self::sealing::ArcSealer;
pub(crate) use self::verdict::{Verdict, of};
