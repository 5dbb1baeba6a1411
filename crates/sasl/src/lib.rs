//! SASL (RFC 4422) without I/O.
//!
//! A mechanism is a state machine: it takes what the client sent, already decoded, and says what to do next. What it
//! cannot know itself (is this password right?) it puts to its driver as a [`Question`], and the driver gives an
//! [`Answer`] once it has one, after however many awaits. So nothing here opens a socket or a file, reads a clock,
//! draws a random number, or awaits, and every mechanism can be tested against the exchanges of its RFC byte for byte.
//!
//! ```
//! use postern_sasl::{Answer, Mechanism, Question, ServerStep};
//!
//! let mut exchange = Mechanism::from_wire("PLAIN").expect("listed").server();
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
//! # To add a mechanism
//!
//! 1. A file of its own with a type that implements [`ServerMechanism`], and its RFC's exchanges as tests.
//! 2. A variant of [`Mechanism`] and its row in the table of `mechanism.rs`; drop its name from the list of names
//!    that this version does not have.
//! 3. If it needs something new from outside (a stored key, the facts of the TLS session), a variant of [`Question`]
//!    and one of [`Answer`]; the compiler then shows each driver that has to learn it.
//!
//! Limits, the order of calls and the bound on the number of steps are kept by [`ServerExchange`] for all of them.

mod error;
mod exchange;
mod login;
mod mechanism;
mod plain;
mod question;
mod text;
pub mod wire;

pub use error::SaslError;
pub use exchange::{Outcome, RESPONSE_MAX, STEPS_MAX, ServerExchange, ServerMechanism, ServerStep};
pub use mechanism::{Mechanism, Properties, UnknownMechanism};
pub use question::{Answer, Question};
pub use text::{IDENTITY_MAX, PASSWORD_MAX};
