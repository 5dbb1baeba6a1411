//! State that outlives a process, and that the machines of a site may come to share, apart from the queue: small records, each
//! under a key in a space of its kind.
//!
//! [`Store`] is what the program sees; [`SqliteStore`] is the engine for one machine. What a record says is the affair of who
//! writes it: a value is a line of JSON here. Nothing in a store is needed for mail to be taken or delivered: what cannot be read
//! is as good as forgotten.

mod sqlite;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use sqlite::SqliteStore;

/// A call on its way.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A kind of records. Keys of different spaces have nothing to do with each other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Space {
    /// Networks from which logins have succeeded.
    KnownLogins,
    /// Failed logins that count still, and who is locked out by them.
    LoginFailures,
    /// How often who has logged in by which mechanism.
    LoginCounts,
    /// Hosts that have taken mail recently.
    ProvenHosts,
    /// What was seen in the name of domains that want to hear of it.
    DmarcReports,
    /// Statistics, a record for each day.
    Statistics,
    /// What logins, networks and sender domains have sent.
    Budgets,
    /// Accounts on hold.
    HeldAccounts,
}

impl Space {
    /// The name under which engines keep it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KnownLogins => "known-logins",
            Self::LoginFailures => "login-failures",
            Self::LoginCounts => "login-counts",
            Self::ProvenHosts => "proven-hosts",
            Self::DmarcReports => "dmarc-reports",
            Self::Statistics => "statistics",
            Self::Budgets => "budgets",
            Self::HeldAccounts => "held-accounts",
        }
    }
}

/// One record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// What it is about; unique within its space.
    pub key: String,
    /// What is known of it.
    pub value: String,
    /// When it is forgotten, by the system's clock; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// A change of a space.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Writes a record, over the one with its key if there is one.
    Put(Record),
    /// Removes the record with this key, if there is one.
    Remove(String),
    /// Removes all records.
    Clear,
}

/// Why a store cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read or written just now: the disk fails or is full.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// A newer version of the program has written it.
    #[error("it has the schema version {found}, and this program knows {known}")]
    TooNew {
        /// The version that it has.
        found: i64,
        /// The newest version that is known.
        known: i64,
    },
}

/// Small records that outlive the process.
pub trait Store: Send + Sync + 'static {
    /// All records of a space that have not expired, in the order of their keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    fn all(&self, space: Space) -> StoreFuture<'_, Vec<Record>>;

    /// One record, unless it has expired.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    fn get<'a>(&'a self, space: Space, key: &'a str) -> StoreFuture<'a, Option<Record>>;

    /// Makes changes in their order, all or nothing; resolves when they are on stable storage.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: nothing was changed.
    fn apply(&self, space: Space, changes: Vec<Change>) -> StoreFuture<'_, ()>;

    /// Removes what has expired; says how many records that were.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    fn tidy(&self) -> StoreFuture<'_, u64>;
}
