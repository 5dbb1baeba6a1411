//! State that outlives a process, apart from the queue, and which the machines of a site may later share: small records, each
//! with a key, in a space for its kind.
//!
//! [`Store`] is what the program sees; [`SqliteStore`] is the engine for one machine. The meaning of a record is up to its
//! writer: here, a value is a line of JSON. Nothing in a store is needed to accept or deliver mail: what cannot be read counts as
//! forgotten.

mod sqlite;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use sqlite::SqliteStore;

/// A pending call.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A kind of records. Keys of different spaces are independent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Space {
    /// Networks from which logins have succeeded.
    KnownLogins,
    /// Failed logins that still count, and the resulting lock-outs.
    LoginFailures,
    /// How often each user has logged in with each mechanism.
    LoginCounts,
    /// Hosts that have accepted mail recently.
    ProvenHosts,
    /// DMARC results for domains that want reports.
    DmarcReports,
    /// Statistics, a record for each day.
    Statistics,
    /// What logins, networks and sender domains have sent.
    Budgets,
    /// Accounts on hold.
    HeldAccounts,
    /// API tokens, by their hashes.
    ApiTokens,
    /// Second factors of logins at the page.
    SecondFactors,
    /// Keys of submissions over HTTP, so that none is accepted twice.
    Submissions,
}

impl Space {
    /// The name under which engines store it.
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
            Self::ApiTokens => "api-tokens",
            Self::SecondFactors => "second-factors",
            Self::Submissions => "submissions",
        }
    }
}

/// One record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its key, unique within its space.
    pub key: String,
    /// Its value.
    pub value: String,
    /// When it expires, by the system's clock; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// A change of a space.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Writes a record, replacing the one with its key if there is one.
    Put(Record),
    /// Removes the record with this key, if there is one.
    Remove(String),
    /// Removes all records.
    Clear,
}

/// Why a store cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read or written now: the disk fails or is full.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// It was written by a newer version of the program.
    #[error("it has the schema version {found}, and this program knows {known}")]
    TooNew {
        /// The version that it has.
        found: i64,
        /// The newest known version.
        known: i64,
    },
}

/// Small records that outlive the process.
pub trait Store: Send + Sync + 'static {
    /// All records of a space that have not expired, ordered by key.
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

    /// Applies changes in order, all or none; resolves when they are on stable storage.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: nothing was changed.
    fn apply(&self, space: Space, changes: Vec<Change>) -> StoreFuture<'_, ()>;

    /// Removes what has expired; returns how many records that were.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    fn tidy(&self) -> StoreFuture<'_, u64>;
}
