//! How many sessions of strangers are connected to a filter: so many and no more, so that whoever floods the server leaves the filter to
//! those who are known.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long strangers have less time after one of them found no place.
const SCARCE_FOR: Duration = Duration::from_secs(60);

/// The places that strangers have at one filter.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    seated: u32,
    /// When one found no place last.
    refused_at: Option<Instant>,
}

/// One stranger's place, until dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Strangers>);

impl Strangers {
    /// A place, if fewer than `most` are taken.
    pub(super) fn place(self: &Arc<Self>, most: u32) -> Option<Place> {
        let mut state = self.0.lock();
        if state.seated >= most {
            state.refused_at = Some(Instant::now());
            return None;
        }
        state.seated += 1;
        Some(Place(Arc::clone(self)))
    }

    /// Whether a stranger found no place a short while ago. Those who have one then get less time.
    pub(crate) fn are_scarce(&self) -> bool {
        let refused_at = self.0.lock().refused_at;
        refused_at.is_some_and(|at| at.elapsed() < SCARCE_FOR)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.lock().seated -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn as_many_as_there_may_be() {
        let strangers = Arc::new(Strangers::default());
        let first = strangers.place(2);
        let second = strangers.place(2);
        assert!(first.is_some() && second.is_some() && !strangers.are_scarce());
        assert!(strangers.place(2).is_none() && strangers.are_scarce());
        assert!(strangers.place(3).is_some(), "a reload that allows more");
        drop(first);
        assert!(strangers.place(2).is_some());
        tokio::time::advance(SCARCE_FOR).await;
        assert!(!strangers.are_scarce());
    }
}
