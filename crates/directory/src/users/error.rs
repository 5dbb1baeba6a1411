//! Why something cannot be done to the file of own users.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::ErrorCode;

/// Why something cannot be done to the file of own users.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The login is taken.
    #[error("there is a user {0} already")]
    Exists(String),
    /// An address belongs to another account.
    #[error("the address {0} belongs to another user")]
    AddressTaken(String),
    /// There is no such login.
    #[error("there is no user {0}")]
    NoSuchUser(String),
    /// The login is empty, too long, or has blanks or characters that are not allowed in names (RFC
    /// 8265).
    #[error("{0:?} cannot be a login: 1 to 255 octets of letters, digits and ASCII signs, without blanks")]
    BadLogin(String),
    /// The text is not an address.
    #[error("{0:?} is not an address")]
    BadAddress(String),
    /// The name of a group is empty, too long, or has control characters.
    #[error("{0:?} cannot be a group: 1 to 255 characters without control characters")]
    BadGroup(String),
    /// Nobody can be their own delegate.
    #[error("{0} sends in its own name without being its own delegate")]
    OwnDelegate(String),
    /// The user does not have what should be removed.
    #[error("{login} has no {kind} {what}")]
    NotTheirs {
        /// The user.
        login: String,
        /// What kind of thing.
        kind: &'static str,
        /// The thing itself.
        what: String,
    },
    /// The password is empty, over 1,024 octets, or has a NUL.
    #[error("a password has 1 to 1,024 octets and no NUL")]
    BadPassword,
    /// A label is empty, too long, or has control characters.
    #[error("{0:?} cannot be a label: 1 to 64 characters without control characters")]
    BadLabel(String),
    /// The user already has an app password with this label.
    #[error("{login} has an app password {label:?} already")]
    LabelTaken {
        /// The user.
        login: String,
        /// The label.
        label: String,
    },
    /// The user has no app password with this label.
    #[error("{login} has no app password {label:?}")]
    NoSuchAppPassword {
        /// The user.
        login: String,
        /// The label.
        label: String,
    },
    /// The user has as many app passwords as allowed.
    #[error("{login} has {most} app passwords, which is the most: revoke one")]
    TooManyAppPasswords {
        /// The user.
        login: String,
        /// How many are allowed.
        most: u32,
    },
    /// What an app password is to be good for cannot be understood.
    #[error("{0}")]
    BadScope(postern_policy::scope::BadScope),
    /// An app password would have expired before its first use.
    #[error("an expiry in the past")]
    ExpiryPast,
    /// The file is accessible to others.
    #[error("{path} is readable or writable by others (mode {mode:03o}): chmod 600 {path}")]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file was written by a later version.
    #[error("{path} was written by a later version (layout {found}, this version knows {known})")]
    LaterLayout {
        /// The file.
        path: PathBuf,
        /// Its layout version.
        found: i64,
        /// The last layout that this version knows.
        known: i64,
    },
    /// The file system fails.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database fails.
    #[error("user database: {0}")]
    Database(#[from] rusqlite::Error),
    /// Not found in a file that may be missing users.
    #[error(
        "the file of own users was damaged at {0}, and users that could not be read may be missing: \
         add who is missing, then run `postern user complete`"
    )]
    Incomplete(Timestamp),
    /// Hashing fails, for lack of memory or because the stored hash is damaged.
    #[error("password hash: {0}")]
    Hash(String),
}

impl UserError {
    /// Whether the file is damaged, so that missing content cannot be told from content that never
    /// existed.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        let Self::Database(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }
}
