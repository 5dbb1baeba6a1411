//! What a list answers.

use std::net::Ipv4Addr;

use postern_policy::screen::list::{Answered, DnsList, Subject};

/// What came of it.
#[derive(Clone, Debug)]
pub struct ZoneAnswer {
    /// The zone of the list.
    pub zone: String,
    /// What was looked for.
    pub subject: Subject,
    /// The addresses that were found, none where it is not listed; or why there was no answer.
    pub found: Result<Vec<Ipv4Addr>, String>,
}

impl ZoneAnswer {
    /// What it means to a list; `None` if it is an answer to something else, or there was none.
    #[must_use]
    pub fn read(&self, list: &DnsList) -> Option<Answered> {
        let is_about = list.zone == self.zone && list.subject == self.subject;
        let found = self.found.as_ref().ok().filter(|_| is_about)?;
        Some(list.read(found))
    }
}
