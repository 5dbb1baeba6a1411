//! What GSSAPI needs of a Kerberos library: a security context (RFC 2743), which the driver supplies.
//!
//! The mechanism itself opens no file and no socket, and is tested with a scripted context. A real one reads a keytab and
//! a replay cache, and as client it talks to the Kerberos servers: see [`crate::Properties::blocking`].

use std::fmt;
use std::time::Duration;

/// Begins contexts as server.
pub trait ContextAcceptor: Send + Sync + fmt::Debug {
    /// A context for one client.
    ///
    /// # Errors
    ///
    /// [`ContextError::Unavailable`] when the library or the keytab cannot be used.
    fn accept(&self) -> Result<Box<dyn SecurityContext>, ContextError>;
}

/// Begins contexts as client, with credentials of its own.
pub trait ContextInitiator: Send + Sync + fmt::Debug {
    /// A context towards the service `service` on `host`, with mutual authentication, sequence and replay detection, and
    /// with confidentiality where the library has it.
    ///
    /// # Errors
    ///
    /// [`ContextError::Unavailable`] when the library or the credentials cannot be used.
    fn initiate(&self, service: &str, host: &str) -> Result<Box<dyn SecurityContext>, ContextError>;
}

/// One security context, on its way or established.
pub trait SecurityContext: Send {
    /// Takes the peer's next token; an empty one begins as client.
    ///
    /// # Errors
    ///
    /// [`ContextError`]: the context is of no use any more.
    fn step(&mut self, token: &[u8]) -> Result<ContextStep, ContextError>;

    /// What the established context has.
    fn features(&self) -> ContextFeatures;

    /// The principals of both ends of the established context.
    ///
    /// # Errors
    ///
    /// [`ContextError`] when the library cannot name them.
    fn principals(&self) -> Result<Principals, ContextError>;

    /// Effective bits of the key that encrypts, such as 256 for AES-256.
    fn bits(&self) -> u32;

    /// Most octets that fit into a token of at most `token_max` octets; 0 where none do.
    ///
    /// # Errors
    ///
    /// [`ContextError`] when the context has no such protection.
    fn wrap_size_max(&self, confidential: bool, token_max: usize) -> Result<usize, ContextError>;

    /// Protects a message.
    ///
    /// # Errors
    ///
    /// [`ContextError`] when it cannot be, as it was asked for.
    fn wrap(&mut self, plain: &[u8], confidential: bool) -> Result<Vec<u8>, ContextError>;

    /// Opens a message of the peer, in its order.
    ///
    /// # Errors
    ///
    /// [`ContextError`] for one that was changed, repeated, left out or sent out of order.
    fn unwrap(&mut self, token: &[u8]) -> Result<Unwrapped, ContextError>;
}

/// What came of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContextStep {
    /// What to send; empty for nothing.
    pub token: Vec<u8>,
    /// Whether the context is established.
    pub established: bool,
}

/// What a context has, of what RFC 2743 section 1.2 calls optional features.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContextFeatures {
    /// The server has proved itself too.
    pub mutual: bool,
    /// Messages that are repeated, left out or out of order are noticed.
    pub sequence: bool,
    /// Messages can be protected from changes.
    pub integrity: bool,
    /// Messages can be encrypted.
    pub confidentiality: bool,
}

/// The names of both ends, as `name@REALM` and `service/host@REALM`, and how long they hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principals {
    /// Who began.
    pub initiator: String,
    /// The service it meant.
    pub acceptor: String,
    /// For how long the client's ticket still holds, with what clocks may differ; `None` where it has no end.
    pub left: Option<Duration>,
}

/// A message of the peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unwrapped {
    /// What it says.
    pub plain: Vec<u8>,
    /// Whether it was encrypted.
    pub confidential: bool,
}

/// Why a security context does not come about, or breaks. The texts are the library's, for the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ContextError {
    /// What the peer sent is no token.
    #[error("defective token: {0}")]
    Malformed(String),
    /// It is one, and does not hold: ticket expired, for another service, from another time, used before.
    #[error("{0}")]
    Refused(String),
    /// It cannot be told: no library, no keytab, no credentials, no answer from the Kerberos servers.
    #[error("{0}")]
    Unavailable(String),
}
