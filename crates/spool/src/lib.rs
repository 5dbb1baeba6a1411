//! The durable queue: what was answered with 250 is on stable storage.
//!
//! Receiving and delivering meet here and nowhere else. [`Spool`] is what both see; [`SqliteSpool`] is the engine for one
//! machine: SQLite with a write-ahead log, one writer thread, and group commit, so that many sessions share one sync.
//!
//! - A message is put together as an [`Assembly`], whatever its origin; there filters and signers see what will be sent.
//! - A message is *put*: its future resolves when message and envelope are on stable storage, and not before.
//! - Fresh messages are handed to the one [`Subscription`] in memory. The database is read only for those that were
//!   deferred, left over from a restart, or did not fit in memory.
//! - Outcomes are *settled*: recorded in the history, together with the reports they cause, in one transaction. Each
//!   recipient ends in exactly one recorded outcome; the first one wins.
//! - Bodies up to 64 KiB are in the database, larger ones in a file each, synced before the row that names them.
//!
//! How it fails: when the disk is full, puts fail with [`SpoolError::Full`]; when a write or sync fails, with
//! [`SpoolError::Unavailable`]. Then the store is automatically closed, opened again and verified until it works. Settlements
//! wait for that, so that a delivery that happened is not forgotten.

mod admin;
mod assembly;
mod body;
mod clock;
mod engine;
mod error;
mod fresh;
mod inspect;
mod lease;
mod message;
mod outcome;
mod recipient;
mod refusal;
mod rescue;
mod rework;
mod settings;
mod sqlite;
mod sums;
mod ticket;

pub use admin::{Ages, Counts, Filter, MessageDetail, Page, Selection, Summary, SummaryPage};
pub use assembly::{Arrival, Assembly, Client, Parts};
pub use body::{BodyReader, BodyWriter};
pub use clock::Clock;
pub use engine::{DueDomain, DuePage, MessageOrigin, Spool, SpoolFuture, SpoolState};
pub use error::SpoolError;
pub use fresh::{Change, Event, Subscription};
pub use inspect::{Inspected, Inspection, InspectionFuture, Inspections, Inspector, Inspectors, Stage};
pub use lease::{DueWork, Lease, LeaseBook, LeaseKey, LeaseOwner, Leased};
pub use message::{Body, BodyFile, Hold, Message, NewMessage, Note, Origin};
pub use outcome::{Duplicate, HistoryEntry, Outcome, OutcomeKind, RecipientOutcome, Settled, Settlement};
pub use recipient::{Attempt, QueuedRecipient, RecipientState};
pub use refusal::Refusal;
pub use rescue::aside::{Aside, Find};
pub use rescue::salvage::Recovered;
pub use rework::{BodyRoom, NewBodies, NewBody, NoLimit};
pub use settings::SpoolSettings;
pub use sqlite::SqliteSpool;
