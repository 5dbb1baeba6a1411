//! The envelope: sender, recipients, and what the client asked for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::{Mailbox, ReversePath};

/// What one transaction collected: who sends, to whom, and under which conditions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// `MAIL FROM` (RFC 5321 section 4.1.1.2).
    pub sender: ReversePath,
    /// `RCPT TO`, in the order given; never empty once spooled.
    pub recipients: Vec<Recipient>,
    /// `RET=`, how much of the message a failure report should return (RFC 3461 section 4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded from xtext (RFC 3461 section 4.4); at most 100 octets.
    pub envid: Option<String>,
    /// `BODY=` (RFC 6152, RFC 3030).
    pub body: BodyKind,
    /// Whether `SMTPUTF8` was given (RFC 6531).
    pub smtputf8: bool,
    /// `AUTH=` on `MAIL`, decoded, if this client is trusted to say so (RFC 4954 section 5). `<>` is `Some("")`.
    pub auth: Option<String>,
}

/// One recipient with its delivery status notification requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Where to deliver. Always qualified: a bare `postmaster` has been given a domain.
    pub address: Mailbox,
    /// `NOTIFY=` (RFC 3461 section 4.1).
    pub notify: Notify,
    /// `ORCPT=` as `type;address`, decoded from xtext (RFC 3461 section 4.2).
    pub orcpt: Option<String>,
    /// The sender for this recipient: the owner of the mailing list, who gets the bounces (RFC 5321 section 3.9.2). `None` for
    /// the envelope's. A message is split by it before it is queued, so in the queue it is always `None`.
    pub sender: Option<Mailbox>,
}

impl Recipient {
    /// A recipient for whom nothing special was asked.
    #[must_use]
    pub fn new(address: Mailbox) -> Self {
        Self {
            address,
            notify: Notify::default(),
            orcpt: None,
            sender: None,
        }
    }
}

/// `NOTIFY=` of one recipient (RFC 3461 section 4.1).
///
/// By default, failures and delays are reported, successes are not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Notify {
    /// The parameter was not given.
    #[default]
    Unspecified,
    /// The parameter was not given, by a client that is told about failures only: one that may not relay.
    FailureAlone,
    /// `NEVER`.
    Never,
    /// Any of the three, at least one set.
    On {
        /// `SUCCESS`.
        success: bool,
        /// `FAILURE`.
        failure: bool,
        /// `DELAY`.
        delay: bool,
    },
}

impl Notify {
    /// Whether to report a failure. The default is yes.
    #[must_use]
    pub fn failure(self) -> bool {
        matches!(
            self,
            Self::Unspecified | Self::FailureAlone | Self::On { failure: true, .. }
        )
    }

    /// Whether to report a delay. The default is yes.
    #[must_use]
    pub fn delay(self) -> bool {
        matches!(self, Self::Unspecified | Self::On { delay: true, .. })
    }

    /// The request reduced to failures, for an unknown client: it can forge the sender, and must not have reports sent to anybody
    /// it likes.
    #[must_use]
    pub fn without_success_and_delay(self) -> Self {
        match self {
            Self::Unspecified | Self::FailureAlone => Self::FailureAlone,
            Self::On { failure: true, .. } => Self::On {
                success: false,
                failure: true,
                delay: false,
            },
            Self::Never | Self::On { .. } => Self::Never,
        }
    }

    /// Whether to report success.
    #[must_use]
    pub fn success(self) -> bool {
        matches!(self, Self::On { success: true, .. })
    }
}

/// Writes the value of `NOTIFY=`: `NEVER`, `SUCCESS,FAILURE`; nothing when unspecified.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On {
            success,
            failure,
            delay,
        } = *self
        else {
            return f.write_str(if *self == Self::Never { "NEVER" } else { "" });
        };
        let mut comma = "";
        for (wanted, word) in [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")] {
            if wanted {
                write!(f, "{comma}{word}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

/// An invalid value of `NOTIFY=`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")]
pub struct BadNotify;

/// Reads the value of `NOTIFY=` in any case; the empty text is [`Notify::Unspecified`].
impl FromStr for Notify {
    type Err = BadNotify;

    fn from_str(text: &str) -> Result<Self, BadNotify> {
        if text.is_empty() {
            return Ok(Self::Unspecified);
        }
        if text.eq_ignore_ascii_case("NEVER") {
            return Ok(Self::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for word in text.split(',') {
            let flag = match word {
                w if w.eq_ignore_ascii_case("SUCCESS") => &mut success,
                w if w.eq_ignore_ascii_case("FAILURE") => &mut failure,
                w if w.eq_ignore_ascii_case("DELAY") => &mut delay,
                _ => return Err(BadNotify),
            };
            *flag = true;
        }
        Ok(Self::On {
            success,
            failure,
            delay,
        })
    }
}

/// `RET=` (RFC 3461 section 4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Header fields only.
    Headers,
}

/// What the client declared about the body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum BodyKind {
    /// No declaration, or `BODY=7BIT`.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME` (RFC 6152).
    EightBitMime,
    /// `BODY=BINARYMIME` (RFC 3030): may hold bare CR and LF, and lines of any length.
    BinaryMime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_read_and_written() {
        let on = |success, failure, delay| {
            Ok(Notify::On {
                success,
                failure,
                delay,
            })
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows        text                       read as                  written
            ("not given",                 "",                        Ok(Notify::Unspecified), ""),
            ("never",                     "never",                   Ok(Notify::Never),       "NEVER"),
            ("one",                       "SUCCESS",                 on(true, false, false),  "SUCCESS"),
            ("all, in any order",         "Delay,failure,SUCCESS",   on(true, true, true),    "SUCCESS,FAILURE,DELAY"),
            ("twice is once",             "DELAY,DELAY",             on(false, false, true),  "DELAY"),
            ("never with another",        "NEVER,DELAY",             Err(BadNotify),          ""),
            ("empty word",                "DELAY,",                  Err(BadNotify),          ""),
            ("unknown word",              "ALWAYS",                  Err(BadNotify),          ""),
            ("blank",                     "DELAY, FAILURE",          Err(BadNotify),          ""),
        ];
        for (shows, text, read, written) in cases {
            assert_eq!(text.parse(), read, "{shows}");
            if let Ok(notify) = read {
                assert_eq!(notify.to_string(), written, "{shows}");
            }
        }
    }

    #[test]
    fn strangers_hear_of_failures_alone() {
        for (asked, left) in [
            ("", Notify::FailureAlone),
            ("NEVER", Notify::Never),
            ("SUCCESS,DELAY", Notify::Never),
            (
                "SUCCESS,FAILURE,DELAY",
                Notify::On {
                    success: false,
                    failure: true,
                    delay: false,
                },
            ),
        ] {
            let asked: Notify = asked.parse().expect("a request of the test");
            assert_eq!(asked.without_success_and_delay(), left);
            assert_eq!(left.without_success_and_delay(), left);
        }
    }

    #[test]
    fn failures_and_delays_are_reported_unless_declined() {
        let wants = |notify: Notify| (notify.success(), notify.failure(), notify.delay());
        assert_eq!(
            wants(Notify::Unspecified),
            (false, true, true),
            "RFC 3461 section 4.1"
        );
        assert_eq!(wants(Notify::Never), (false, false, false));
        assert_eq!(wants(Notify::FailureAlone), (false, true, false));
        assert_eq!(
            wants(Notify::On {
                success: true,
                failure: false,
                delay: false
            }),
            (true, false, false)
        );
        assert_eq!(
            wants(Notify::On {
                success: false,
                failure: true,
                delay: false
            }),
            (false, true, false)
        );
    }
}
