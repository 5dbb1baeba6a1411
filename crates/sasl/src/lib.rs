//! SASL (RFC 4422) without I/O.
//!
//! A mechanism is a state machine: it takes what the client sent, already decoded, and says what to do next. What it
//! cannot know itself (is this password right?), it asks its driver with a [`Question`], and the driver gives an
//! [`Answer`] once it has one, however long that takes. So nothing here opens a socket or a file, reads a clock, draws a
//! random number, or awaits, and every mechanism can be tested against the exchanges of its RFC byte for byte.
//!
//! ```
//! use postern_sasl::{Answer, DecoySecret, Mechanism, Nonce, Question, ServerContext, ServerStep};
//!
//! // Both from the driver's random generator.
//! let context = ServerContext::new("mail.example", Nonce::new([1; 32]), 1_795_000_000, DecoySecret::new([2; 32]));
//!
//! let mut exchange = Mechanism::from_wire("PLAIN").expect("listed").server(&context);
//! let ServerStep::Ask(Question::CheckPassword { authcid, .. }) = exchange.step(Some(b"\0acaird\0pass word")) else {
//!     panic!("PLAIN asks for the password to be checked");
//! };
//! assert_eq!(authcid, "acaird");
//! let ServerStep::Done(outcome) = exchange.answer(Answer::Granted { login: "acaird".into() }) else {
//!     panic!("a granted login is done");
//! };
//! assert_eq!(outcome.login, "acaird");
//! ```
//!
//! As client there is nothing to ask: [`choose()`] picks the strongest mechanism that server, credentials and the state of
//! TLS allow, and [`Mechanism::client`] runs it with [`Credentials`].
//!
//! # To add a mechanism
//!
//! 1. A file of its own with types that implement [`ServerMechanism`] and [`ClientMechanism`], and its RFC's exchanges as
//!    tests.
//! 2. A variant of [`Mechanism`] and its row in the table of `mechanism.rs`, its types in `start.rs`, and its place in the order of `choose.rs`.
//! 3. If it needs something new from outside (a stored key, facts about the TLS session), a variant of [`Question`] and
//!    one of [`StoredKey`], or a field of [`ServerContext`]; the compiler then points out each driver that must handle it.
//!
//! Limits, the order of calls and the bound on the number of steps are enforced by [`ServerExchange`] and
//! [`ClientExchange`] for all of them.

mod choose;
mod client;
mod context;
mod cram;
mod decoy;
mod digest;
mod error;
mod exchange;
mod external;
mod gssapi;
mod key_text;
mod keys;
mod layer;
mod login;
mod mechanism;
mod ntlm;
mod oauth;
mod plain;
mod prep;
mod question;
mod scram;
mod security_context;
mod start;
mod text;
pub mod wire;

pub use choose::{Choosing, NoChoice, Peer, Rejected, Unverified, choose};
pub use client::{CHALLENGE_MAX, ClientExchange, ClientMechanism, Credentials, Finish, Response};
pub use context::{ChannelBindings, ClientContext, Layers, Nonce, OauthAdvice, ServerContext};
pub use cram::CramSecret;
pub use decoy::DecoySecret;
pub use digest::DigestSecret;
pub use error::{ClientError, SaslError};
pub use exchange::{Outcome, RESPONSE_MAX, STEPS_MAX, ServerExchange, ServerMechanism, ServerStep};
pub use key_text::{KEY_TEXT_MAX, KeyError};
pub use keys::StoredKey;
pub use layer::{LayerError, Layered, SecurityLayer};
pub use mechanism::{Mechanism, Needs, Properties, UnknownMechanism};
pub use ntlm::NtHash;
pub use oauth::TOKEN_MAX;
pub use prep::PrepError;
pub use question::{Answer, Question};
pub use scram::{
    ITERATIONS_DEFAULT, ITERATIONS_MAX, ITERATIONS_MIN, SALT_MAX, ScramHash, ScramKeys, ScramShape,
};
pub use security_context::{
    ContextAcceptor, ContextError, ContextFeatures, ContextInitiator, ContextStep, Principals,
    SecurityContext, Unwrapped,
};
pub use text::{IDENTITY_MAX, PASSWORD_MAX};
