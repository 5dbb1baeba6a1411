//! The answer of a DNS list.

use std::net::Ipv4Addr;

use postern_policy::screen::list::{Answered, DnsList, Subject};

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct ZoneAnswer {
    /// The zone of the list.
    pub zone: String,
    /// What was looked up.
    pub subject: Subject,
    /// The addresses found, none if it is not listed; or why there was no answer.
    pub found: Result<Vec<Ipv4Addr>, String>,
}

impl ZoneAnswer {
    /// What it means for a list; `None` if it answers something else, or there was no answer.
    #[must_use]
    pub fn read(&self, list: &DnsList) -> Option<Answered> {
        let is_about = list.zone == self.zone && list.subject == self.subject;
        let found = self.found.as_ref().ok().filter(|_| is_about)?;
        Some(list.read(found))
    }
}
