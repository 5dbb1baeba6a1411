//! What a mechanism asks its driver, and what the driver may answer.

use std::time::Duration;

use secrecy::SecretString;

use crate::StoredKey;
use crate::scram::ScramHash;

/// What a mechanism needs to know before it can go on.
///
/// Its `Debug` form shows no secret. Mechanisms to come add theirs here; a driver matches on all of them, so that none is
/// forgotten. Names are UTF-8, without control characters, 1 to [`crate::IDENTITY_MAX`] octets.
///
/// Those that ask for a key are answered with [`Answer::Key`], or with [`Answer::Denied`] when there is no such account,
/// it is off, or has no key of the kind: the exchange then goes on as with a wrong password and fails at its end, so
/// that a stranger cannot tell which names exist.
#[derive(Debug)]
pub enum Question {
    /// Is this the password of this account? Answer with [`Answer::Granted`], [`Answer::Denied`] or
    /// [`Answer::Unavailable`].
    CheckPassword {
        /// Whom the client wants to act as, when it named someone; empty text is never given. Whether it may is asked
        /// later, by [`Question::Authorize`].
        authzid: Option<String>,
        /// Whose password it is: UTF-8, without control characters, 1 to [`crate::IDENTITY_MAX`] octets.
        authcid: String,
        /// The password: UTF-8, without NUL, up to [`crate::PASSWORD_MAX`] octets. It may be empty, which a directory refuses.
        password: SecretString,
    },
    /// Which [`crate::CramSecret`] has this account?
    CramSecret {
        /// The account.
        authcid: String,
    },
    /// Which [`crate::DigestSecret`] has this account in this realm?
    DigestSecret {
        /// The account. The secret has to have been made for the name as it is typed here.
        authcid: String,
        /// The realm: always the one of [`crate::ServerContext::realm`].
        realm: String,
    },
    /// Which [`crate::ScramKeys`] has this account?
    ScramKeys {
        /// The account, prepared with SASLprep.
        authcid: String,
        /// For which hash function.
        hash: ScramHash,
    },
    /// Which [`crate::NtHash`] has this account?
    NtHash {
        /// The account.
        authcid: String,
        /// The domain that the client put it in; often empty, or a word the client made up.
        domain: String,
    },
    /// Whose is the certificate that the client has shown in the TLS handshake? Answer with [`Answer::Granted`],
    /// [`Answer::Denied`] (no certificate, not verified, or nobody's) or [`Answer::Unavailable`].
    CertificateLogin {
        /// Whom the client wants to act as. Of use for choosing when one certificate stands for several accounts; where the
        /// login that was granted is another, [`Question::Authorize`] follows.
        authzid: Option<String>,
    },
    /// Whose is this Kerberos principal, which has proved itself? Answer with [`Answer::Granted`], [`Answer::Denied`] or
    /// [`Answer::Unavailable`].
    PrincipalLogin {
        /// The client's principal as the library writes it: `name@REALM`, special characters behind a backslash.
        principal: String,
        /// The principal of this service that the client has a ticket for, written alike.
        service: String,
        /// For how long the ticket still holds; `None` where it has no end.
        left: Option<Duration>,
        /// Whom the client wants to act as. The mechanism sees to it that it is the login that was granted, or the principal.
        authzid: Option<String>,
    },
    /// Whose is this bearer token? Answer with [`Answer::Granted`], [`Answer::Denied`] or [`Answer::Unavailable`].
    CheckToken {
        /// Who the client says it is, often a mail address.
        ///
        /// Only the driver knows which names and addresses one account has: it grants only when the token's owner is
        /// this account, and denies otherwise.
        identity: Option<String>,
        /// The token: visible ASCII, 1 to [`crate::TOKEN_MAX`] octets.
        token: SecretString,
        /// The host that the client meant to reach, when it said so.
        host: Option<String>,
        /// The port, when it said so.
        port: Option<u16>,
    },
    /// May this account, which has proved itself, act as that one (RFC 4422 section 2)? The last question of an exchange, put by
    /// [`crate::ServerExchange`] for every mechanism, when the client has named somebody else.
    ///
    /// Answer with [`Answer::Granted`] and the canonical name of that account (its own name, when the text was but another
    /// name of itself), with [`Answer::Denied`] or with [`Answer::Unavailable`].
    Authorize {
        /// The canonical name of the account that has proved itself.
        login: String,
        /// Whom it wants to act as, as the client typed it; never empty.
        authzid: String,
    },
}

/// The driver's answer to a [`Question`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The credentials hold.
    Granted {
        /// The account's canonical name, which may differ from what the client typed (`ACaird` is `acaird`).
        ///
        /// An authorization identity that is neither this name nor the one the client logged in with, whatever the case of
        /// its ASCII letters, leads to [`Question::Authorize`].
        login: String,
    },
    /// The key that was asked for. Whether the client knows the password is still to be seen.
    Key {
        /// The account's canonical name, as with [`Answer::Granted`].
        login: String,
        /// The key, of the kind that was asked for.
        key: StoredKey,
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
