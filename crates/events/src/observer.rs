//! Who is notified of events.

use std::fmt;
use std::sync::Arc;

use crate::Event;

/// An observer of events: the log, metrics, a history.
///
/// It is called where the event happens, often from a task that serves a client: it must never block.
pub trait Observer: Send + Sync {
    /// Handles an event.
    fn observe(&self, event: &Event<'_>);
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }
}

/// All observers of events, in order. Clones share them; the default is none.
#[derive(Clone, Default)]
pub struct Observers(Option<Arc<[Box<dyn Observer>]>>);

impl Observers {
    /// These.
    #[must_use]
    pub fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        Self((!observers.is_empty()).then(|| observers.into()))
    }

    /// None: for tests, and for short-lived commands.
    #[must_use]
    pub const fn nobody() -> Self {
        Self(None)
    }

    /// Notifies all of them.
    pub fn tell<'a>(&self, event: impl Into<Event<'a>>) {
        if let Some(observers) = &self.0 {
            let event = event.into();
            for observer in &**observers {
                observer.observe(&event);
            }
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.as_ref().map_or(0, |observers| observers.len());
        write!(f, "Observers({count})")
    }
}
