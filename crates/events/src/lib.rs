//! Everything that happens, as types: every event that may be of interest outside, with the ids that tie it to others.
//!
//! A service holds [`Observers`] and notifies them of what happens; it does not know who they are. The log is one of them. An
//! event borrows all its data, so one that nobody wants costs only a call. `debug` and `trace` stay with `tracing`: they are for
//! debugging the program, not facts about mail.
//!
//! The names of events and fields are a contract with a version, see [`CONTRACT`].

mod event;
mod history;
mod inlet;
mod key;
mod line;
mod observer;
mod tls;
mod value;

pub use event::{
    Accepted, AccountActed, Administered, AnswersDelayed, Area, Attempted, Committed, ConfigurationProblem,
    Connected, Converted, DirectoryAsked, Discarded, Disconnected, EVENTS, Event, EventInfo, FilterAsked,
    FilterDown, FilterUp, Filtered, Greeted, HandedOver, HeldOnArrival, HopReached, Judged, Lane, Level,
    LockedOut, LockoutsLifted, LoggedIn, LoginRefused, NEWS, NotSigned, Notice, Outcome, RecipientTaken,
    Refused, Reloaded, ReportReturned, Reported, Reworked, Ruled, Screened, SenderTaken, ServiceDown,
    ServiceUp, SessionsEnded, Signed, SourceDown, SourceUp, Started, Stopping, SubmitterForgotten,
    Suppressed, TlsFailed, TlsInjected, TlsStarted, Word,
};
pub use history::{History, HistoryLimits, OUTCOMES_MAX, Past, SESSION_MAX};
pub use inlet::{Inlet, Taken};
pub use key::{CONTRACT, Key, Kind};
pub use line::{Kept, Line, Lines, PastEvent, Seen, Written};
pub use observer::{Observer, Observers};
pub use tls::{TlsReached, TlsWanted};
pub use value::{Value, Valued, shown};

/// Notifies observers of a [`Notice`]: `notice!(observers, Spool Error "disk full", Error = shown(&error))`.
#[macro_export]
macro_rules! notice {
    ($observers:expr, $area:ident $level:ident $word:expr $(, $key:ident = $value:expr)* $(,)?) => {
        $observers.tell($crate::Notice {
            area: $crate::Area::$area,
            level: $crate::Level::$level,
            word: $word,
            fields: &[$(($crate::Key::$key, $crate::Valued::value(&$value))),*],
        })
    };
}
