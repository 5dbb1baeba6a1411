//! One line of an imported file, and what may be wrong with it.

use secrecy::SecretString;

use crate::schemes::SchemeError;
use crate::users::store::{check_login, check_password};

/// One account to import.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its login, as in the file or with the domain appended.
    pub login: String,
    /// Its password.
    pub password: Password,
    /// Whether it may log in.
    pub enabled: bool,
}

/// A password as given in a file.
#[derive(Clone, Debug)]
pub enum Password {
    /// A hash of a known scheme.
    Hash(String),
    /// In cleartext: it is hashed during the import.
    Clear(SecretString),
}

/// Why a line is not imported.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// An account without a password login, such as one of a system service. Not a mistake.
    #[error("has no password")]
    NoPassword,
    /// passwd has an `x`: the hash is in shadow.
    #[error("has its password in the shadow file: import that")]
    InShadow,
    /// The line does not have the file's format.
    #[error("{0}")]
    Form(&'static str),
    /// The hash cannot be used.
    #[error("its stored password cannot be used: {0}")]
    Scheme(SchemeError),
    /// The login is not valid here.
    #[error("its name cannot be a login: 1 to 255 octets without blanks and control characters")]
    Login,
    /// A cleartext password that is not valid here.
    #[error("a password has 1 to 1,024 octets and no NUL")]
    Password,
}

/// One line that contains an account, or should.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// The name in it, if there is one.
    pub name: String,
    /// Its entry, or what is wrong.
    pub entry: Result<Entry, Problem>,
}

pub(super) fn checked(entry: Entry) -> Result<Entry, Problem> {
    // A domain without a name is not valid either.
    let no_name = entry.login.starts_with('@') || entry.login.contains('\u{fffd}');
    if no_name || check_login(&entry.login).is_err() {
        return Err(Problem::Login);
    }
    if let Password::Clear(clear) = &entry.password
        && check_password(clear).is_err()
    {
        return Err(Problem::Password);
    }
    Ok(entry)
}
