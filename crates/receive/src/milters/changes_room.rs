//! Memory for the changes that filters make to header and envelope, until the message is queued.

use postern_spool::Refusal;

use crate::room::Held;
use crate::session::Session;

/// Octets of changes that a message need not reserve: the usual fields can be added even when memory is short.
const CHANGES_FREE: usize = 32 * 1024;

/// The memory reserved for the changes of one message; released when the message is queued or given up.
#[derive(Default)]
pub(super) struct ChangesRoom {
    held: Option<Held>,
    /// Octets that earlier filters have added to the message.
    made: usize,
    /// Octets of changes by the current filter.
    wanted: usize,
}

impl ChangesRoom {
    /// Reserves memory for this many octets of changes by the current filter: as it sent them, and as they will be in the
    /// message.
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

    /// The current filter is done, and its changes are in the message.
    pub(super) fn are_made(&mut self) {
        self.made += std::mem::take(&mut self.wanted);
    }
}
