//! Session ids.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;

/// Makes session ids: the start time in seconds, a dash, a serial number; both hexadecimal.
#[derive(Debug)]
pub(crate) struct SessionIds {
    start: i64,
    next: AtomicU32,
}

impl SessionIds {
    pub(crate) fn new() -> Self {
        Self {
            start: Timestamp::now().as_second(),
            next: AtomicU32::new(1),
        }
    }

    pub(crate) fn next(&self) -> String {
        format!("{:x}-{:x}", self.start, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
