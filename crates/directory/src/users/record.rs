//! What the file says about an account.

use jiff::Timestamp;

use crate::keys::KeyKind;
use crate::verdict::Owner;

/// One account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its login, lower case.
    pub login: String,
    /// Further addresses that it owns and receives mail at, lower case, in order. The login itself is not repeated
    /// if it is an address.
    pub addresses: Vec<String>,
    /// Its groups, lower case, in order.
    pub groups: Vec<String>,
    /// Logins of its delegates, who may send on its behalf, in order.
    pub delegates: Vec<String>,
    /// Logins of the enabled accounts on whose behalf it may send, in order.
    pub acts_for: Vec<String>,
    /// Whether it may log in.
    pub enabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its password was set last.
    pub password_set_at: Timestamp,
    /// The mechanisms for which a key is stored.
    pub keys: Vec<KeyKind>,
    /// The scheme of its stored password: `ARGON2ID`, or another until its first login after an import.
    pub scheme: &'static str,
}

/// What a login needs to know of an account.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) login: String,
    pub(crate) hash: String,
    pub(crate) password_set_at: i64,
    pub(crate) enabled: bool,
    pub(crate) addresses: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) acts_for: Vec<Owner>,
}
