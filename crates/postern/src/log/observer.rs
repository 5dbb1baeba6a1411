//! The log as an observer of events.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use postern_events::{Event, Lane as Cause, Observer};

use super::format;
use super::lane::About;
use super::shared::{Shared, rank};
use super::sink::Lane;

/// Writes a line for each event.
pub(super) struct LogObserver {
    pub(super) shared: Arc<Shared>,
}

impl Observer for LogObserver {
    fn observe(&self, event: &Event<'_>) {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let Shared { level, style, sink } = &*self.shared;
        if rank(format::level_of(event)) > level.load(Ordering::Relaxed) {
            return;
        }
        let lane = match event.lane() {
            Cause::Matters => Lane::Matters,
            Cause::Strangers => {
                let about = About::of_fact(event);
                if !style.noise.lock().admit(about.peer, &about.rule, Instant::now()) {
                    return;
                }
                Lane::Noise
            }
        };
        let now = jiff::Timestamp::now();
        let write = |line: &mut Vec<u8>| {
            line.clear();
            format::fact(event, style.look(), now, line);
            sink.push(line, lane);
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => write(&mut line),
            // A value whose formatting itself emits an event.
            Err(_) => write(&mut Vec::new()),
        });
    }
}
