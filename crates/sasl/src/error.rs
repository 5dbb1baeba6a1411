//! How an exchange fails, and who is to blame for it.

/// Why an exchange failed.
///
/// The client's fault, the credentials' fault, the directory's fault and the driver's fault are distinguished, since
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
    /// The credentials are wrong. Reply `535`; the reason goes to the log and never to the client.
    #[error("denied: {0}")]
    Denied(String),
    /// The credentials are right, but the login may not act as the authorization identity it asked for. Reply `535`.
    #[error("{login} may not act as {authzid}: {reason}")]
    NotAuthorized {
        /// Who logged in.
        login: String,
        /// The identity it asked to act as.
        authzid: String,
        /// Why not, for the log.
        reason: String,
    },
    /// The credentials cannot be checked now. Reply `454 4.7.0`: the client should try again and keep its password.
    #[error("cannot be checked now: {0}")]
    Unavailable(String),
    /// A man in the middle, or a badly broken client or server: the client believes that the server has no channel
    /// binding, or uses a different TLS session. Reply `535`; worth an alarm.
    #[error("{mechanism}: {what}; someone may sit in between")]
    Intercepted {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What does not match.
        what: &'static str,
    },
    /// The driver called [`step`] and [`answer`] in a wrong order, or answered a different question: a mistake in the
    /// server.
    ///
    /// [`step`]: crate::ServerExchange::step
    /// [`answer`]: crate::ServerExchange::answer
    #[error("exchange driven out of order: {0}")]
    OutOfOrder(&'static str),
}

/// Why logging in to another server failed, as seen by the client.
///
/// A plain refusal in the reply (`535`) is not here: the driver sees that itself. The texts are for the log and never
/// hold a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The credentials lack what the mechanism needs. Fix the configuration.
    #[error("{mechanism} needs {what}, and the credentials have none")]
    Missing {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What is missing, such as `a password`.
        what: &'static str,
    },
    /// A field of the credentials cannot be represented in this mechanism. Fix the configuration.
    #[error("{mechanism} cannot carry these credentials: {what}")]
    Unfit {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What cannot be represented.
        what: &'static str,
    },
    /// The server's challenge does not follow the mechanism. Cancel the exchange with `*`.
    #[error("malformed {mechanism} challenge: {what}")]
    Malformed {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A challenge is over [`crate::CHALLENGE_MAX`]. Cancel with `*`.
    #[error("challenge is over {limit} octets")]
    TooLong {
        /// The limit, in octets.
        limit: usize,
    },
    /// The server did not prove, or failed to prove, that it also knows the secret. Treat it as an impostor: close the
    /// connection and send no mail.
    #[error("the server did not prove with {mechanism} that it knows the account: {what}")]
    ServerNotProven {
        /// Name of the mechanism.
        mechanism: &'static str,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// The server said within the mechanism why it refuses. Send what the previous step returned, or `*`.
    #[error("refused by the server: {0}")]
    Refused(String),
    /// Kerberos gives no ticket for the server.
    #[error(transparent)]
    Context(#[from] crate::ContextError),
    /// The driver called the exchange in a wrong order: a mistake in the client.
    #[error("exchange driven out of order: {0}")]
    OutOfOrder(&'static str),
}
