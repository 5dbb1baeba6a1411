//! What GSSAPI needs from a Kerberos library: a security context (RFC 2743), supplied by the driver.
//!
//! The mechanism itself opens no file and no socket, and is tested with a scripted context. A real one reads a keytab and
//! a replay cache, and as a client talks to the Kerberos servers: see [`crate::Properties::blocking`].

use std::fmt;
use std::time::Duration;

/// Creates contexts as server.
pub trait ContextAcceptor: Send + Sync + fmt::Debug {
    /// A context for one client.
    ///
    /// # Errors
    ///
    /// [`ContextError::Unavailable`] if the library or the keytab cannot be used.
    fn accept(&self) -> Result<Box<dyn SecurityContext>, ContextError>;
}

/// Creates contexts as client, with its own credentials.
pub trait ContextInitiator: Send + Sync + fmt::Debug {
    /// A context for the service `service` on `host`, with mutual authentication, sequence and replay detection, and with
    /// confidentiality if the library supports it.
    ///
    /// # Errors
    ///
    /// [`ContextError::Unavailable`] if the library or the credentials cannot be used.
    fn initiate(&self, service: &str, host: &str) -> Result<Box<dyn SecurityContext>, ContextError>;
}

/// One security context, being established or established.
pub trait SecurityContext: Send {
    /// Takes the peer's next token; an empty one starts as client.
    ///
    /// # Errors
    ///
    /// [`ContextError`]: the context cannot be used any more.
    fn step(&mut self, token: &[u8]) -> Result<ContextStep, ContextError>;

    /// The features of the established context.
    fn features(&self) -> ContextFeatures;

    /// The principals of both ends of the established context.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if the library cannot name them.
    fn principals(&self) -> Result<Principals, ContextError>;

    /// Effective bits of the key that encrypts, such as 256 for AES-256.
    fn bits(&self) -> u32;

    /// Most octets that fit into a token of at most `token_max` octets; 0 if none do.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if the context has no such protection.
    fn wrap_size_max(&self, confidential: bool, token_max: usize) -> Result<usize, ContextError>;

    /// Protects a message.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if it cannot be protected as requested.
    fn wrap(&mut self, plain: &[u8], confidential: bool) -> Result<Vec<u8>, ContextError>;

    /// Opens the peer's next message, in order.
    ///
    /// # Errors
    ///
    /// [`ContextError`] for one that was changed, repeated, left out or sent out of order.
    fn unwrap(&mut self, token: &[u8]) -> Result<Unwrapped, ContextError>;
}

/// The result of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContextStep {
    /// What to send; empty for nothing.
    pub token: Vec<u8>,
    /// Whether the context is established.
    pub established: bool,
}

/// Which optional features (RFC 2743 section 1.2) a context has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContextFeatures {
    /// The server is authenticated too.
    pub mutual: bool,
    /// Repeated, missing or reordered messages are detected.
    pub sequence: bool,
    /// Messages can be protected against changes.
    pub integrity: bool,
    /// Messages can be encrypted.
    pub confidentiality: bool,
}

/// The names of both ends, as `name@REALM` and `service/host@REALM`, and how long they are valid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principals {
    /// The client.
    pub initiator: String,
    /// The service it addressed.
    pub acceptor: String,
    /// How long the client's ticket is still valid, including allowed clock skew; `None` if it does not expire.
    pub left: Option<Duration>,
}

/// A message from the peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unwrapped {
    /// Its content.
    pub plain: Vec<u8>,
    /// Whether it was encrypted.
    pub confidential: bool,
}

/// Why a security context cannot be established, or fails. The texts are the library's, for the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ContextError {
    /// What the peer sent is not a token.
    #[error("defective token: {0}")]
    Malformed(String),
    /// It is a token but not valid: ticket expired, for another service, clock skew, used before.
    #[error("{0}")]
    Refused(String),
    /// That cannot be determined: no library, no keytab, no credentials, no answer from the Kerberos servers.
    #[error("{0}")]
    Unavailable(String),
}
