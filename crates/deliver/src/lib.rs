//! Sends mail: from the spool to an outcome for each recipient.
//!
//! # How it works
//!
//! Fresh messages come from the spool's subscription, deferred ones from its database when they come due (module `intake`). Each is
//! put into the queue of its *destination*, the next hop that its recipients share (`hop`, `destination`). A destination
//! has workers, each with one connection, which take one message after the other from its queue (`worker`): connect (`connect`,
//! `dane`, `session`), authenticate if the route says so (`login`), hand over (`transact`, `exchange`), decide (`outcome`),
//! report (`report`), settle (`core`).
//!
//! - **Memory is bounded**: fresh messages by the spool, deferred ones by [`Limits::waiting`]; a destination never has more than
//!   [`Limits::waiting_per_destination`] of each. The rest stays in the spool and is read page by page.
//! - **A slow destination delays no others**: each has its own queue, and few connections until it has shown that it works. The
//!   fewer connections are left in all, the fewer one destination may have.
//! - **Silent hosts delay no other mail**: connections and memory are reserved for users' mail, strangers' mail and reports each;
//!   hosts that have accepted no mail recently only get a part of that, and so does each address and network (`places`, `seat`,
//!   `line`, `usher`, `postern_policy::concurrency`). A next hop that waits for a place is an entry in a line, not a task.
//! - **A dead destination is paused**: when none of its hosts can be reached, its mail is deferred without an attempt for each,
//!   until shortly before the next retry.
//! - **Nothing is polled**: a timer wakes the reader for deferred mail; mail for which memory had no room is read as room becomes
//!   free, oldest first. A scan each half minute finds anything that was missed.
//! - **Outcomes are settled in the background**: a worker goes on while up to [`Limits::unsettled_per_connection`] outcomes are
//!   being written to disk. A crash repeats those, but loses none.
//!
//! Every failure becomes a decision in one place (`failure`, `outcome`); both are pure.

mod agenda;
mod ask_routes;
mod claims;
mod connect;
mod core;
mod courtesy;
mod dane;
mod deliverer;
mod deps;
mod destination;
mod examine;
mod exchange;
mod failure;
mod gather;
mod hop;
mod in_line;
mod intake;
mod leave;
mod line;
mod login;
mod mailboxes;
mod maildir;
mod meaning;
mod nowhere;
mod offer;
mod outcome;
mod outward;
mod pieces;
mod places;
mod post;
mod proven;
mod queue;
mod quirks;
mod recall;
mod relay;
mod report;
mod seat;
mod sender;
mod session;
pub mod settings;
mod status;
mod storage;
mod system;
mod telling;
mod time;
mod tls;
mod tokens;
mod transact;
mod unix_form;
mod usher;
mod verify;
mod ways;
mod work;
mod worker;

pub use ask_routes::AskRoutes;
pub use deliverer::Deliverer;
pub use deps::Deps;
pub use mailboxes::{Asked, Everybody, Mailboxes, Residence};
pub use outward::{Change, Leaving, Outward};
pub use settings::{Limits, Login, LoginSecret, ReportSettings, Settings, SystemUsers, Timeouts};
pub use status::{DestinationStatus, LoginState, LoginStatus, PlacesStatus, WaitingByClass};
pub use tls::TlsClients;
pub use tokens::{NoTokens, TokenError, TokenState, Tokens};
pub use verify::Verified;
