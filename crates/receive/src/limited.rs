//! A session that is counted against a limit of its network.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_policy::limit::{Entered, Tally};

/// A session that is counted, until dropped.
pub(crate) struct Limited {
    pub(crate) tally: Arc<Mutex<Tally>>,
    pub(crate) entered: Entered,
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.tally.lock().leave(&self.entered);
    }
}
