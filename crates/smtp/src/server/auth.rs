//! `AUTH` (RFC 4954): the framing of a mechanism's exchange.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Answer, Cause, Dialogue, OfferedMechanism, Step};
use crate::reply::{Reply, texts};

/// The driver's turn in an exchange: it has the client's message and answers in one of three ways.
#[derive(Debug)]
#[must_use]
pub struct AuthTurn<'d> {
    dialogue: &'d mut Dialogue,
    mechanism: &'static str,
    input: Option<Zeroizing<Vec<u8>>>,
    first: bool,
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthFailure {
    /// The credentials are wrong: `535 5.7.0`.
    Denied,
    /// They cannot be checked now: `454 4.7.0`, so that the client keeps its password.
    Unavailable,
    /// They are right, but the session is less secure than required: `534 5.7.9`.
    TooWeak,
    /// Too many failures from this network for this user name: `454 4.7.0`.
    LockedOut,
    /// The client's message does not follow the mechanism: `501 5.5.2`.
    Malformed,
    /// The client's message is over the limit: `500 5.5.6`.
    TooLong,
}

impl Dialogue {
    /// Says that authentication is required, or `STARTTLS` before it.
    pub(super) fn login_wanted(&self) -> Reply {
        let offers_tls = self.rules.starttls && !self.tls && !self.layered;
        if offers_tls && self.open_mechanisms().next().is_none() {
            texts::TLS_NEEDED
        } else {
            texts::AUTH_NEEDED
        }
    }

    /// The mechanisms that may be used now.
    pub(super) fn open_mechanisms(&self) -> impl Iterator<Item = &OfferedMechanism> {
        let plaintext = self.tls || self.rules.auth.plaintext_anywhere;
        self.rules
            .auth
            .mechanisms
            .iter()
            .enumerate()
            .filter(|(place, _)| {
                1_u64
                    .checked_shl(u32::try_from(*place).unwrap_or(u32::MAX))
                    .is_some_and(|bit| self.withheld & bit == 0)
            })
            .map(|(_, mechanism)| mechanism)
            .filter(move |mechanism| plaintext || !mechanism.plaintext)
    }

    /// Whether `AUTH` is permitted now, whatever its arguments.
    pub(super) fn auth_state(&self) -> Result<(), (Reply, Cause)> {
        if self.open_mechanisms().next().is_none() {
            Err((texts::AUTH_UNAVAILABLE, Cause::AuthNotOffered))
        } else if self.authenticated {
            Err((texts::ALREADY_AUTHENTICATED, Cause::AuthOutOfOrder))
        } else if self.offer_forgotten {
            Err((texts::HELO_FIRST, Cause::AuthOutOfOrder))
        } else if self.transaction.is_some() {
            Err((texts::AUTH_IN_TRANSACTION, Cause::AuthOutOfOrder))
        } else {
            Ok(())
        }
    }

    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) -> Step<'_> {
        if let Err((refusal, cause)) = self.auth_state() {
            return self.mistake(refusal).because(cause).into();
        }
        let open = self
            .open_mechanisms()
            .find(|open| open.name.eq_ignore_ascii_case(mechanism));
        let Some(&OfferedMechanism { name, .. }) = open else {
            let reply = texts::mechanism_unavailable(mechanism);
            return self.mistake(reply).because(Cause::MechanismNotOffered).into();
        };
        let input = match initial {
            None => None,
            Some("=") => Some(Zeroizing::new(Vec::new())),
            Some(text) => match decode(text.as_bytes()) {
                Some(input) => Some(input),
                None => return self.unreadable().into(),
            },
        };
        Step::Auth(AuthTurn {
            dialogue: self,
            mechanism: name,
            input,
            first: true,
        })
    }

    fn unreadable(&mut self) -> Answer {
        self.mistake(texts::BASE64_INVALID).because(Cause::AuthSyntax)
    }

    pub(super) fn auth_response(&mut self, line: &[u8]) -> Step<'_> {
        let Some(mechanism) = self.exchange.take() else {
            return self.mistake(texts::BAD_LINE).into();
        };
        if line == b"*" {
            let aborted = self.mistake(texts::AUTH_ABORTED);
            return aborted.because(Cause::AuthGivenUp).into();
        }
        let Some(input) = decode(line) else {
            return self.unreadable().into();
        };
        Step::Auth(AuthTurn {
            dialogue: self,
            mechanism,
            input: Some(input),
            first: false,
        })
    }
}

impl AuthTurn<'_> {
    /// The mechanism's name, in capitals.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// Whether the exchange starts here.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// The client's message, decoded; `None` when `AUTH` came without an initial response.
    #[must_use]
    pub fn input(&self) -> Option<&[u8]> {
        self.input.as_ref().map(|input| input.as_slice())
    }

    /// The exchange goes on with this challenge.
    pub fn challenge(self, octets: &[u8]) -> Reply {
        self.dialogue.exchange = Some(self.mechanism);
        texts::challenge(STANDARD.encode(octets))
    }

    /// Authentication succeeds.
    pub fn succeed(self) -> Reply {
        self.dialogue.authenticated = true;
        texts::AUTHENTICATED
    }

    /// Authentication fails. Only wrong credentials count against the client.
    pub fn fail(self, failure: AuthFailure) -> Answer {
        let reply = match failure {
            AuthFailure::Denied => texts::AUTH_FAILED,
            AuthFailure::Unavailable => return self.dialogue.idle(texts::AUTH_TEMPORARY),
            AuthFailure::TooWeak => return self.dialogue.mistake(texts::AUTH_TOO_WEAK),
            AuthFailure::LockedOut => texts::AUTH_LOCKED_OUT,
            AuthFailure::Malformed => return self.dialogue.mistake(texts::AUTH_PROTOCOL),
            AuthFailure::TooLong => return self.dialogue.mistake(texts::AUTH_LINE_TOO_LONG),
        };
        self.dialogue.failed_logins += 1;
        if self.dialogue.failed_logins > self.dialogue.rules.limits.failed_logins_max {
            return Answer::close(texts::AUTH_TOO_MANY);
        }
        Answer::stay(reply)
    }
}

/// Reads Base64 strictly, into memory that is wiped.
fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(text).ok().map(Zeroizing::new)
}
