//! What a mechanism asks its driver, and how the driver may answer.

use std::time::Duration;

use secrecy::SecretString;

use crate::StoredKey;
use crate::scram::ScramHash;

/// What a mechanism needs to know before it can go on.
///
/// Its `Debug` form shows no secret. Future mechanisms add theirs here; a driver matches on all of them, so that none is
/// forgotten. Names are UTF-8, without control characters, 1 to [`crate::IDENTITY_MAX`] octets.
///
/// Those that ask for a key are answered with [`Answer::Key`], or with [`Answer::Denied`] if the account does not exist, is
/// disabled, or has no such key: the exchange then continues as with a wrong password and fails at its end, so that a stranger
/// cannot tell which names exist.
#[derive(Debug)]
pub enum Question {
    /// Is this the password of this account? Answer with [`Answer::Granted`], [`Answer::Denied`] or
    /// [`Answer::Unavailable`].
    CheckPassword {
        /// Whom the client wants to act as, if it named someone; never empty. Whether it may is asked later, by
        /// [`Question::Authorize`].
        authzid: Option<String>,
        /// Whose password it is: UTF-8, without control characters, 1 to [`crate::IDENTITY_MAX`] octets.
        authcid: String,
        /// The password: UTF-8, without NUL, up to [`crate::PASSWORD_MAX`] octets. It may be empty, which a directory refuses.
        password: SecretString,
    },
    /// What is the [`crate::CramSecret`] of this account?
    CramSecret {
        /// The account.
        authcid: String,
    },
    /// What is the [`crate::DigestSecret`] of this account in this realm?
    DigestSecret {
        /// The account. The secret must have been made for the name as it is typed here.
        authcid: String,
        /// The realm: always the one of [`crate::ServerContext::realm`].
        realm: String,
    },
    /// What are the [`crate::ScramKeys`] of this account?
    ScramKeys {
        /// The account, prepared with SASLprep.
        authcid: String,
        /// The hash function.
        hash: ScramHash,
    },
    /// What is the [`crate::NtHash`] of this account?
    NtHash {
        /// The account.
        authcid: String,
        /// The domain given by the client; often empty, or made up.
        domain: String,
    },
    /// Who owns the certificate that the client presented in the TLS handshake? Answer with [`Answer::Granted`],
    /// [`Answer::Denied`] (no certificate, not verified, or of no user) or [`Answer::Unavailable`].
    CertificateLogin {
        /// Whom the client wants to act as. Useful for choosing if one certificate stands for several accounts; if the granted
        /// login is a different one, [`Question::Authorize`] follows.
        authzid: Option<String>,
    },
    /// Which account does this authenticated Kerberos principal belong to? Answer with [`Answer::Granted`], [`Answer::Denied`]
    /// or [`Answer::Unavailable`].
    PrincipalLogin {
        /// The client's principal as the library writes it: `name@REALM`, special characters escaped with a backslash.
        principal: String,
        /// The principal of this service for which the client has a ticket, in the same form.
        service: String,
        /// How long the ticket is still valid; `None` if it does not expire.
        left: Option<Duration>,
        /// Whom the client wants to act as. The mechanism ensures that it is the granted login or the principal.
        authzid: Option<String>,
    },
    /// Who owns this bearer token? Answer with [`Answer::Granted`], [`Answer::Denied`] or [`Answer::Unavailable`].
    CheckToken {
        /// Who the client says it is, often a mail address.
        ///
        /// Only the driver knows which names and addresses one account has: it grants only if the token's owner is this account,
        /// and denies otherwise.
        identity: Option<String>,
        /// The token: visible ASCII, 1 to [`crate::TOKEN_MAX`] octets.
        token: SecretString,
        /// The host that the client meant to reach, if it said so.
        host: Option<String>,
        /// The port, if it said so.
        port: Option<u16>,
    },
    /// May this authenticated account act as that one (RFC 4422 section 2)? The last question of an exchange, asked by
    /// [`crate::ServerExchange`] for every mechanism if the client has named somebody else.
    ///
    /// Answer with [`Answer::Granted`] and the canonical name of that account (its own name, if the text was just another name
    /// for it), with [`Answer::Denied`] or with [`Answer::Unavailable`].
    Authorize {
        /// The canonical name of the authenticated account.
        login: String,
        /// Whom it wants to act as, as the client typed it; never empty.
        authzid: String,
    },
}

/// The driver's answer to a [`Question`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The credentials are right.
    Granted {
        /// The account's canonical name, which may differ from what the client typed (`ACaird` is `acaird`).
        ///
        /// An authorization identity that is neither this name nor the one with which the client logged in, ignoring ASCII case,
        /// leads to [`Question::Authorize`].
        login: String,
    },
    /// The key that was asked for. Whether the client knows the password is still open.
    Key {
        /// The account's canonical name, as with [`Answer::Granted`].
        login: String,
        /// The key, of the kind that was asked for.
        key: StoredKey,
    },
    /// The credentials are wrong: wrong password, no such account, account disabled. The reason is only for the log.
    Denied {
        /// Why, in words for the log.
        reason: String,
    },
    /// They cannot be checked now.
    Unavailable {
        /// Why, in words for the log.
        reason: String,
    },
}
