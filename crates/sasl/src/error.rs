//! How an exchange fails, and who is to blame for it.

/// Why an exchange ended without a login.
///
/// The client's fault, the credentials' fault, the directory's fault and the driver's fault are kept apart, since
/// each has its own reply (RFC 4954 section 6). The texts are for the log; they never hold what the client sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SaslError {
    /// The client's message does not follow the mechanism. Reply `501 5.5.2`.
    #[error("malformed {mechanism} message: {what}")]
    Malformed {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A message or one of its fields is over its limit. Reply `500 5.5.6`.
    #[error("{what} is over {limit} octets")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The limit, in octets.
        limit: usize,
    },
    /// The credentials do not hold. Reply `535`; the reason goes to the log and never to the client.
    #[error("denied: {0}")]
    Denied(String),
    /// The credentials hold, but the login may not act as the authorization identity it asked for. Reply `535`.
    #[error("{login} may not act as {authzid}: {reason}")]
    NotAuthorized {
        /// Who logged in.
        login: String,
        /// Whom it asked to act as.
        authzid: String,
        /// Why not, for the log.
        reason: String,
    },
    /// Nobody can tell now whether the credentials hold. Reply `454 4.7.0`: the client shall try again and keep its
    /// password.
    #[error("cannot be checked now: {0}")]
    Unavailable(String),
    /// Someone sits between client and server, or one of them is badly broken: the client took the server to be
    /// without channel binding, or speaks over another TLS session than this one. Reply `535`; worth an alarm.
    #[error("{mechanism}: {what}; someone may sit in between")]
    Intercepted {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What does not fit.
        what: &'static str,
    },
    /// The driver called [`step`] and [`answer`] in an order that no exchange has, or gave an answer to another
    /// question: a mistake in the server.
    ///
    /// [`step`]: crate::ServerExchange::step
    /// [`answer`]: crate::ServerExchange::answer
    #[error("exchange driven out of order: {0}")]
    OutOfOrder(&'static str),
}

/// Why a login at another server did not come about, as the client saw it.
///
/// A plain refusal in the reply (`535`) is not here: the driver sees it itself. The texts are for the log and never hold
/// a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The credentials lack what the mechanism needs. Mend the configuration.
    #[error("{mechanism} needs {what}, and the credentials have none")]
    Missing {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What is missing, such as `a password`.
        what: &'static str,
    },
    /// A field of the credentials cannot be said in this mechanism. Mend the configuration.
    #[error("{mechanism} cannot carry these credentials: {what}")]
    Unfit {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What does not fit.
        what: &'static str,
    },
    /// The server's challenge does not follow the mechanism. Give up the exchange with `*`.
    #[error("malformed {mechanism} challenge: {what}")]
    Malformed {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A challenge is over [`crate::CHALLENGE_MAX`]. Give up with `*`.
    #[error("challenge is over {limit} octets")]
    TooLong {
        /// The limit, in octets.
        limit: usize,
    },
    /// The server did not show that it knows the secret too, or showed something else. Take it for an impostor: close
    /// the connection and send no mail.
    #[error("the server did not prove with {mechanism} that it knows the account: {what}")]
    ServerNotProven {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// The server said in words of the mechanism why it refuses. Send what the step before gave, or `*`.
    #[error("refused by the server: {0}")]
    Refused(String),
    /// Kerberos gives no ticket for the server.
    #[error(transparent)]
    Context(#[from] crate::ContextError),
    /// The driver called the exchange in an order that it does not have: a mistake in the client.
    #[error("exchange driven out of order: {0}")]
    OutOfOrder(&'static str),
}
