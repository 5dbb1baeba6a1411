//! What a mechanism asks its driver, and what the driver may answer.

use secrecy::SecretString;

/// What a mechanism needs to know before it can go on.
///
/// Its `Debug` form shows no secret. Mechanisms to come add theirs here (a stored key, the facts of the TLS session for
/// channel binding, the client's certificate); a driver matches on all of them, so that none is forgotten.
#[derive(Debug)]
pub enum Question {
    /// Is this the password of this account? Answer with [`Answer::Granted`], [`Answer::Denied`] or
    /// [`Answer::Unavailable`].
    CheckPassword {
        /// Whom the client wants to act as, when it named someone; empty text is never given.
        ///
        /// The mechanism itself sees to it that this is the login (see [`Answer::Granted`]).
        authzid: Option<String>,
        /// Whose password it is: UTF-8, without control characters, 1 to [`crate::IDENTITY_MAX`] octets.
        authcid: String,
        /// The password: UTF-8, without NUL, up to [`crate::PASSWORD_MAX`] octets. It may be empty, which a directory refuses.
        password: SecretString,
    },
}

/// The driver's answer to a [`Question`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The credentials hold.
    Granted {
        /// The account's canonical name, which may differ from what the client typed (`ACaird` is `acaird`).
        ///
        /// An authorization identity must be this name or the one the client logged in with, whatever the case of
        /// its ASCII letters; else the exchange fails with [`crate::SaslError::NotAuthorized`].
        login: String,
    },
    /// The credentials do not hold: wrong password, no such account, account off. The reason is for the log alone.
    Denied {
        /// Why, in words for the log.
        reason: String,
    },
    /// Whether they hold cannot be found out now.
    Unavailable {
        /// Why, in words for the log.
        reason: String,
    },
}
