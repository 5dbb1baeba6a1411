//! What is known of a screened stranger, for the time of its session.

use postern_mail::ReversePath;
use postern_policy::screen::score::{Noted, Screened};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::ZoneAnswer;

/// What is known of a screened stranger.
pub(crate) struct Screening {
    /// When DNS was asked about its address.
    pub(super) begun: Instant,
    /// Whether it talked before it was greeted.
    pub(super) early: bool,
    /// Questions about its address that have no answer yet. They end with the session.
    pub(super) asked: JoinSet<ZoneAnswer>,
    /// The answers so far.
    pub(super) answered: Vec<ZoneAnswer>,
    /// How many names that it gave were looked up.
    pub(super) lookups: u32,
    /// What was found out about the last sender.
    pub(super) last: Option<Judged>,
}

pub(super) struct Judged {
    pub(super) helo: String,
    pub(super) sender: ReversePath,
    pub(super) screened: Screened,
}

impl Screening {
    /// Notes that it talked before it was greeted.
    pub(crate) fn talked_early(&mut self) {
        self.early = true;
    }

    /// Begins a transaction: what DNS could not answer before is asked again.
    pub(crate) fn begin_transaction(&mut self) {
        let is_passing = |last: &mut Judged| match &last.screened {
            Screened::Refused(refusal) => refusal.told().0 < 500,
            Screened::Passed(_) => false,
        };
        self.last.take_if(is_passing);
    }

    /// What to note about a message of this transaction.
    pub(crate) fn noted(&self) -> Option<&Noted> {
        match self.last.as_ref().map(|last| &last.screened) {
            Some(Screened::Passed(noted)) if !noted.is_empty() => Some(noted),
            _ => None,
        }
    }

    pub(super) fn has_judged(&self, helo: &str, sender: &ReversePath) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| last.helo == helo && last.sender == *sender)
    }
}
