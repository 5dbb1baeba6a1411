//! What directories find out, as types.

use std::sync::Arc;

use postern_sasl::StoredKey;

use crate::proof::Proof;

/// An account that has logged in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// The login as the directory names it, which may differ from what the client typed (`ACaird`, or an address where
    /// the directory looks those up too).
    pub login: String,
    /// The addresses it owns, for the sender rule `own`: as the directory has them, lower case, without duplicates.
    /// Empty where the directory does not know any.
    pub addresses: Vec<String>,
    /// The names of the groups that it is in, as the directory has them, without duplicates. Empty where the directory
    /// knows no groups or was not told where to find them.
    pub groups: Vec<String>,
    /// The accounts that have made it their delegate: it may send with their addresses. Empty where the directory knows
    /// of none.
    pub acts_for: Vec<Owner>,
    /// By what the directory has granted the login.
    pub proof: Proof,
    /// The name of the directory; none where a certificate or a token alone says who it is.
    // One pointer wide: accounts are passed on by value.
    pub directory: Option<Arc<String>>,
}

/// An account that lets another send in its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Its login, as the directory names it; an address where the directory tells nothing else.
    pub login: String,
    /// Its addresses, as in [`Account::addresses`].
    pub addresses: Vec<String>,
}

/// Whether a login and password hold.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum PasswordVerdict {
    /// They do.
    Granted(Account),
    /// They do not: `535 5.7.8`. The reason is for the log; a client that learns it learns who exists.
    Denied(DenyReason),
    /// It cannot be found out now: `454 4.7.0`.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// Whether another directory was asked and has denied the login. Then it counts as a guess, whatever that one's
        /// reason: who counts some only tells a stranger who exists. Without one nothing is known of it.
        wrong: bool,
    },
}

/// A verdict with what else was found out on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Checked {
    /// Whether login and password hold.
    pub verdict: PasswordVerdict,
    /// The account that a directory has found, as that one names it: also where it denies the login. For counting alone.
    pub account: Option<String>,
    /// Whether a directory was not asked because others are before this login.
    pub busy: bool,
}

/// Why a login was denied. Ordered by how much it tells, so that of several directories the most telling is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum DenyReason {
    /// A login or password that no directory could hold: empty, over its limit, or with a NUL.
    Malformed,
    /// An empty password, refused before any directory is asked: an LDAP bind with one succeeds without proving
    /// anything (RFC 4513 section 5.1.2).
    EmptyPassword,
    /// No directory knows the login.
    UnknownUser,
    /// The directory said no and does not tell why (saslauthd).
    Refused,
    /// More than one entry answers to the login, so none is meant.
    Ambiguous,
    /// The directory has found an account whose name is written otherwise, as a database does that folds accents. For a password
    /// that is good enough. A key is shown before anything is proved, and who saw that two spellings have the same one would
    /// know that somebody has it.
    OtherSpelling,
    /// The account is there, and has no key for the mechanism: its password was set before the mechanism was switched on,
    /// or SASLprep refuses it.
    NoKey,
    /// The account is there, and the directory shows no password of it.
    NoPassword,
    /// The account is there and switched off.
    Disabled,
    /// The account is locked, as after too many wrong passwords.
    Locked,
    /// The time of the account is over.
    AccountExpired,
    /// The password is right or was, and has to be changed before it can be used.
    PasswordExpired,
    /// The account may not log in at this hour or from here, says the directory.
    NotNow,
    /// The account is in none of the groups that may log in.
    NotInGroup,
    /// The account is there, the password is not its own.
    WrongPassword,
    /// The right app password, after its expiry.
    AppPasswordExpired,
    /// The right app password, from a network that it is not meant for.
    WrongNetwork,
    /// The password was right at the login, and is another one now.
    PasswordChanged,
    /// The app password was right at the login, and was taken back since.
    AppPasswordRevoked,
}

impl DenyReason {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed login or password",
            Self::EmptyPassword => "empty password",
            Self::UnknownUser => "unknown user",
            Self::Refused => "refused by the directory",
            Self::Ambiguous => "more than one entry for this login",
            Self::OtherSpelling => "the account's name is spelled otherwise",
            Self::NoKey => "no key for this mechanism",
            Self::NoPassword => "no password that can be read",
            Self::Disabled => "account disabled",
            Self::Locked => "account locked",
            Self::AccountExpired => "account expired",
            Self::PasswordExpired => "password expired",
            Self::NotNow => "not at this hour or from here, says the directory",
            Self::NotInGroup => "in none of the groups that may log in",
            Self::WrongPassword => "wrong password",
            Self::AppPasswordExpired => "app password expired",
            Self::WrongNetwork => "app password from another network",
            Self::PasswordChanged => "password changed since the login",
            Self::AppPasswordRevoked => "app password revoked since the login",
        }
    }

    /// Whether a directory that gives this reason knows the login, so that later ones are not asked.
    #[must_use]
    pub const fn decides(self) -> bool {
        match self {
            Self::UnknownUser | Self::Refused => false,
            Self::Malformed
            | Self::EmptyPassword
            | Self::Ambiguous
            | Self::OtherSpelling
            | Self::NoKey
            | Self::NoPassword
            | Self::Disabled
            | Self::Locked
            | Self::AccountExpired
            | Self::PasswordExpired
            | Self::NotNow
            | Self::NotInGroup
            | Self::WrongPassword
            | Self::AppPasswordExpired
            | Self::WrongNetwork
            | Self::PasswordChanged
            | Self::AppPasswordRevoked => true,
        }
    }
}

impl std::fmt::Display for DenyReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an address in an own domain exists.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Existence {
    /// It does.
    Yes,
    /// No directory has it: `550 5.1.1`.
    No,
    /// No directory that answered has it, and one did not answer: `451 4.3.0`. The text says why, for the log.
    Unknown(String),
}

/// What one directory says of a login and password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// They hold.
    Granted(Account),
    /// They do not.
    Denied(DenyReason),
    /// They do not, and this is the account that the login is of, as the directory names it.
    DeniedTo(String, DenyReason),
}

/// One directory cannot be asked now.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Outage {
    /// Why, for the log.
    pub reason: String,
    kind: OutageKind,
}

/// What an outage says of the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OutageKind {
    /// It does not answer.
    Down,
    /// It answers, and what it holds of one login cannot be used.
    Entry,
    /// It was not asked, or not for long enough: others are before this login.
    Busy,
}

impl Outage {
    /// An outage for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: OutageKind::Down,
        }
    }

    /// Too many others are before this login, which says nothing of the directory.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: OutageKind::Busy,
        }
    }

    /// The directory answers, and what it holds of this one login cannot be used.
    pub fn of_entry(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: OutageKind::Entry,
        }
    }

    /// Whether the trouble is this login's alone, so that the directory is not down.
    #[must_use]
    pub const fn is_of_entry(&self) -> bool {
        matches!(self.kind, OutageKind::Entry)
    }

    /// Whether the directory could not be asked for want of room here.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.kind, OutageKind::Busy)
    }

    /// The same with the directory's name in front of the reason.
    pub(crate) fn within(self, directory: &str) -> Self {
        Self {
            reason: format!("{directory}: {}", self.reason),
            ..self
        }
    }
}

/// What came of looking for a key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum KeyVerdict {
    /// Here it is. Whether the client knows the password is still to be seen.
    Found {
        /// Whose it is.
        account: Account,
        /// The key.
        key: StoredKey,
        /// Why another directory could not be asked, for the log. An exchange that fails then ends in `454 4.7.0`, as for
        /// a login that is nowhere to be found: the difference would tell who exists.
        outage: Option<String>,
    },
    /// There is none. The exchange goes on with a decoy and ends in `535`; the reason is for the log.
    Denied(DenyReason),
    /// It cannot be found out now: `454 4.7.0`.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// Whether another directory has answered. Then logins that it knows get a challenge, and so the exchange goes on
        /// with a decoy for this one too, until it ends in the same reply.
        answered: bool,
    },
}

/// What one directory says of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum KeyFinding {
    Found { account: Account, key: StoredKey },
    Denied(DenyReason),
}
