//! What administrators can do with open sessions.

use crate::live::{Ended, SessionFilter, SessionInfo};
use crate::receiver::Receiver;

impl Receiver {
    /// The open sessions of all listeners, oldest first.
    #[must_use]
    pub fn open_sessions(&self, filter: &SessionFilter) -> Vec<SessionInfo> {
        let found = self.shared().live.like(filter);
        found.iter().map(|live| live.info()).collect()
    }

    /// Ends sessions with `421 4.7.0`, for the administrator `by`: at once, or after a message that is being written to disk.
    /// Returns how many.
    pub fn end_sessions(&self, filter: &SessionFilter, by: &str) -> usize {
        let found = self.shared().live.like(filter);
        let ended = found
            .iter()
            .filter(|live| live.end(Ended::Administrator(by.to_owned())));
        ended.count()
    }

    /// Checks the logins of all open sessions, and ends those that are no longer valid. Returns how many. To be called when
    /// accounts or settings have changed.
    pub async fn recheck_logins(&self) -> usize {
        let shared = self.shared();
        let mut ended = 0;
        for live in shared.live.like(&SessionFilter::default()) {
            ended += usize::from(live.recheck(&shared.deps).await);
        }
        ended
    }
}
