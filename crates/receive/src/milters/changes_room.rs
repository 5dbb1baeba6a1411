//! Memory for what filters want changed in header and envelope, up to their final answer and up to the queue.

use postern_spool::Refusal;

use crate::room::Held;
use crate::session::Session;

/// Octets of changes that a message has for nothing: the usual fields are added however short memory is.
const CHANGES_FREE: usize = 32 * 1024;

/// What the changes of one message have taken; given back when the message is in the queue or given up.
#[derive(Default)]
pub(super) struct ChangesRoom {
    held: Option<Held>,
    /// Octets that the filters before have put into the message.
    made: usize,
    /// Octets that the filter wants changed that is being asked.
    wanted: usize,
}

impl ChangesRoom {
    /// Makes room for so many octets of changes by the filter that is being asked: as it has sent them, and as they stand in the message
    /// then.
    pub(super) fn to(&mut self, octets: usize, session: &Session) -> Result<(), Refusal> {
        self.wanted = octets;
        let all = self.made + 2 * octets;
        let Some(beyond) = all.checked_sub(CHANGES_FREE).filter(|beyond| *beyond > 0) else {
            return Ok(());
        };
        let held = self.held.get_or_insert_with(|| session.hold_room());
        let room = held.memory_to(beyond as u64);
        room.map_err(|refusal| Refusal::of(&refusal, refusal.told()))
    }

    /// The filter is done, and its changes are in the message.
    pub(super) fn are_made(&mut self) {
        self.made += std::mem::take(&mut self.wanted);
    }
}
