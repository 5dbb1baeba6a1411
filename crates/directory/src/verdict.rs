//! What directories find out, as types.

use std::sync::Arc;

use postern_sasl::StoredKey;

use crate::proof::Proof;

/// An account that has logged in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// The login as the directory names it, which may differ from what the client typed (`ACaird`, or an address if the
    /// directory also looks those up).
    pub login: String,
    /// The addresses it owns, for the sender rule `own`: as the directory has them, lower case, without duplicates. Empty if the
    /// directory knows none.
    pub addresses: Vec<String>,
    /// The names of its groups, as the directory has them, without duplicates. Empty if the directory knows no groups or is not
    /// configured to find them.
    pub groups: Vec<String>,
    /// The accounts that have made it their delegate: it may send with their addresses. Empty if the directory knows none.
    pub acts_for: Vec<Owner>,
    /// What made the directory grant the login.
    pub proof: Proof,
    /// The name of the directory; none if only a certificate or a token says who it is.
    // One pointer wide: accounts are passed on by value.
    pub directory: Option<Arc<String>>,
}

/// An account that lets another send on its behalf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Its login, as the directory names it; an address if the directory has nothing else.
    pub login: String,
    /// Its addresses, as in [`Account::addresses`].
    pub addresses: Vec<String>,
}

/// The verdict on a login and password.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum PasswordVerdict {
    /// They are right.
    Granted(Account),
    /// They are not accepted: `535 5.7.8`. The reason is only for the log: it would tell a client who exists.
    Denied(DenyReason),
    /// That cannot be determined now: `454 4.7.0`.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// Whether another directory was asked and denied the login. Then it counts as a guess, whatever that directory's
        /// reason: counting only some would tell a stranger who exists. Otherwise nothing is known about it.
        wrong: bool,
    },
}

/// A verdict, with what else was found on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Checked {
    /// The verdict on login and password.
    pub verdict: PasswordVerdict,
    /// The account that a directory found, by its own name for it, even if it denies the login. Only for counting.
    pub account: Option<String>,
    /// Whether a directory was not asked because others are ahead of this login.
    pub busy: bool,
}

/// Why a login was denied. Ordered by how much it tells, so that the most telling of several directories' reasons is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum DenyReason {
    /// A login or password that no directory could contain: empty, over its limit, or with a NUL.
    Malformed,
    /// An empty password, refused before any directory is asked: an LDAP bind with one succeeds without proving
    /// anything (RFC 4513 section 5.1.2).
    EmptyPassword,
    /// No directory knows the login.
    UnknownUser,
    /// The directory refused without a reason (saslauthd).
    Refused,
    /// More than one entry matches the login, so none is used.
    Ambiguous,
    /// The directory found an account whose name is spelled differently, as a database that folds accents does. For a password
    /// that is good enough. But a key look-up is visible before anything is proved: two spellings with the same salt would show
    /// that the account exists.
    OtherSpelling,
    /// The account exists but has no key for the mechanism: its password was set before the mechanism was enabled, or SASLprep
    /// refuses it.
    NoKey,
    /// The account exists, but the directory does not show its password.
    NoPassword,
    /// The account is disabled.
    Disabled,
    /// The account is locked, for example after too many wrong passwords.
    Locked,
    /// The account has expired.
    AccountExpired,
    /// The password is or was right, but must be changed before it can be used.
    PasswordExpired,
    /// The directory says that the account may not log in at this hour or from here.
    NotNow,
    /// The account is in none of the groups that may log in.
    NotInGroup,
    /// The account exists, but the password is wrong.
    WrongPassword,
    /// The right app password, but expired.
    AppPasswordExpired,
    /// The right app password, but from a network for which it is not valid.
    WrongNetwork,
    /// The password was right at the login but has changed since.
    PasswordChanged,
    /// The app password was right at the login but has been revoked since.
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

/// Whether an address in a local domain exists.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Existence {
    /// It exists.
    Yes,
    /// No directory has it: `550 5.1.1`.
    No,
    /// No directory that answered has it, but one did not answer: `451 4.3.0`. The text says why, for the log.
    Unknown(String),
}

/// What one directory says about a login and password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// They are right.
    Granted(Account),
    /// They are denied.
    Denied(DenyReason),
    /// They are denied, and this is the account, as the directory names it.
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

/// What an outage says about the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OutageKind {
    /// It does not answer.
    Down,
    /// It answers, but its data for one login cannot be used.
    Entry,
    /// It was not asked, or not for long enough: others are ahead of this login.
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

    /// Too many others are ahead of this login, which says nothing about the directory.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: OutageKind::Busy,
        }
    }

    /// The directory answers, but its data for this one login cannot be used.
    pub fn of_entry(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: OutageKind::Entry,
        }
    }

    /// Whether only this login is affected, so that the directory is not down.
    #[must_use]
    pub const fn is_of_entry(&self) -> bool {
        matches!(self.kind, OutageKind::Entry)
    }

    /// Whether the directory could not be asked for lack of capacity here.
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

/// The result of a key look-up.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum KeyVerdict {
    /// The key was found. Whether the client knows the password is still open.
    Found {
        /// Whose it is.
        account: Account,
        /// The key.
        key: StoredKey,
        /// Why another directory could not be asked, for the log. An exchange that fails then ends in `454 4.7.0`, as for a
        /// login that is not found anywhere: a difference would tell who exists.
        outage: Option<String>,
    },
    /// There is none. The exchange goes on with a decoy and ends in `535`; the reason is for the log.
    Denied(DenyReason),
    /// That cannot be determined now: `454 4.7.0`.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// Whether another directory answered. Then logins that it knows get a challenge, so the exchange continues with a decoy
        /// for this one too, until it ends in the same reply.
        answered: bool,
    },
}

/// What one directory says about a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum KeyFinding {
    Found { account: Account, key: StoredKey },
    Denied(DenyReason),
}
