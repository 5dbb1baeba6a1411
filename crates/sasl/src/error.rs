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
    #[error("{login} may not act as {authzid}")]
    NotAuthorized {
        /// Who logged in.
        login: String,
        /// Whom it asked to act as.
        authzid: String,
    },
    /// Nobody can tell now whether the credentials hold. Reply `454 4.7.0`: the client shall try again and keep its
    /// password.
    #[error("cannot be checked now: {0}")]
    Unavailable(String),
    /// The driver called [`step`] and [`answer`] in an order that no exchange has: a mistake in the server.
    ///
    /// [`step`]: crate::ServerExchange::step
    /// [`answer`]: crate::ServerExchange::answer
    #[error("exchange driven out of order: {0}")]
    OutOfOrder(&'static str),
}
