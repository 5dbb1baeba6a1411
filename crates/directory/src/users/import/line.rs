//! One line of a file that is imported, and what is wrong with it.

use secrecy::SecretString;

use crate::schemes::SchemeError;
use crate::users::store::{check_login, check_password};

/// One account to import.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its login, as the file has it or with the domain put behind it.
    pub login: String,
    /// Its password.
    pub password: Password,
    /// Whether it may log in.
    pub enabled: bool,
}

/// A password as a file has it.
#[derive(Clone, Debug)]
pub enum Password {
    /// A hash of a known scheme.
    Hash(String),
    /// In the clear: it is hashed at the import.
    Clear(SecretString),
}

/// Why a line is not imported.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// An account that nobody logs in to with a password, as those of system services. No mistake.
    #[error("has no password")]
    NoPassword,
    /// passwd has an `x` where shadow has the hash.
    #[error("has its password in the shadow file: import that")]
    InShadow,
    /// The line is not of its format.
    #[error("{0}")]
    Form(&'static str),
    /// The hash cannot be used.
    #[error("its stored password cannot be used: {0}")]
    Scheme(SchemeError),
    /// The login cannot be one here.
    #[error("its name cannot be a login: 1 to 255 octets without blanks and control characters")]
    Login,
    /// A password in the clear that cannot be one here.
    #[error("a password has 1 to 1,024 octets and no NUL")]
    Password,
}

/// One line that holds an account, or should.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// The name in it, as far as there is one.
    pub name: String,
    /// What it says.
    pub entry: Result<Entry, Problem>,
}

pub(super) fn checked(entry: Entry) -> Result<Entry, Problem> {
    // A domain behind no name is none either.
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
