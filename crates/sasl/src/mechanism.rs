//! The table of mechanisms.

use crate::exchange::{ServerExchange, ServerMechanism};
use crate::login::LoginServer;
use crate::plain::PlainServer;

/// A mechanism that this version has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: never a standard, and the only one that many Outlook versions speak.
    Login,
}

/// What is to be known of a mechanism before it is offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Properties {
    /// Its name in the IANA registry, as sent and taken on the wire (RFC 4422 section 3.1).
    pub name: &'static str,
    /// Whether who reads the wire learns the password. Such a mechanism is offered inside TLS only, unless the
    /// configuration says so.
    pub plaintext: bool,
    /// Whether the server speaks first, so that an initial response makes no sense (RFC 4422 section 5).
    pub server_first: bool,
    /// Strongest security layer it can put in place, in bits; 0 for none.
    pub layer_bits_max: u32,
}

impl Mechanism {
    /// All mechanisms, in the order of the table.
    pub const ALL: &'static [Self] = &[Self::Plain, Self::Login];

    /// The mechanism's row of the table.
    #[must_use]
    pub const fn properties(self) -> &'static Properties {
        match self {
            Self::Plain => &Properties {
                name: "PLAIN",
                plaintext: true,
                server_first: false,
                layer_bits_max: 0,
            },
            // Its first challenge is constant, and clients do send the user name along with `AUTH LOGIN`.
            Self::Login => &Properties {
                name: "LOGIN",
                plaintext: true,
                server_first: false,
                layer_bits_max: 0,
            },
        }
    }

    /// The registered name, in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.properties().name
    }

    /// Whether who reads the wire learns the password.
    #[must_use]
    pub const fn is_plaintext(self) -> bool {
        self.properties().plaintext
    }

    /// Finds the mechanism that a client named in `AUTH`, in any case. `None` for all others: reply `504`.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Finds the mechanism that the configuration names, in any case.
    ///
    /// # Errors
    ///
    /// [`UnknownMechanism`], which tells a name that nobody has from one that this version does not have.
    pub fn from_config(name: &str) -> Result<Self, UnknownMechanism> {
        if let Some(mechanism) = Self::from_wire(name) {
            return Ok(mechanism);
        }
        let name = name.to_ascii_uppercase();
        if GONE.contains(&name.as_str()) {
            Err(UnknownMechanism::Gone { name })
        } else if NEVER.contains(&name.as_str()) {
            Err(UnknownMechanism::Never { name })
        } else if LATER.contains(&name.as_str()) {
            Err(UnknownMechanism::NotInThisVersion { name, known: known() })
        } else {
            Err(UnknownMechanism::NoSuch { name, known: known() })
        }
    }

    /// Starts an exchange as server.
    #[must_use]
    pub fn server(self) -> ServerExchange {
        let machine: Box<dyn ServerMechanism> = match self {
            Self::Plain => Box::new(PlainServer::default()),
            Self::Login => Box::new(LoginServer::default()),
        };
        ServerExchange::new(self, machine)
    }
}

impl std::fmt::Display for Mechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name in the configuration that is no mechanism of this version.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnknownMechanism {
    /// Kerberos 4, which the oldest guides still name.
    #[error(
        "{name} no longer exists: Kerberos version 4 was withdrawn (RFC 6649) and no library has it any more; \
         remove it from the list"
    )]
    Gone {
        /// The name, in capitals.
        name: String,
    },
    /// A mechanism that proves nothing and would let anyone relay.
    #[error(
        "{name} proves nothing about the client and is never offered by a relay; remove it from the list"
    )]
    Never {
        /// The name, in capitals.
        name: String,
    },
    /// A real mechanism that is not built yet.
    #[error("{name} is a mechanism that this version does not have; it has {known}")]
    NotInThisVersion {
        /// The name, in capitals.
        name: String,
        /// The mechanisms of this version, for the remedy.
        known: String,
    },
    /// No mechanism has this name.
    #[error("there is no mechanism {name}; this version has {known}")]
    NoSuch {
        /// The name, in capitals.
        name: String,
        /// The mechanisms of this version, for the remedy.
        known: String,
    },
}

fn known() -> String {
    let names: Vec<&str> = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
    names.join(" and ")
}

const GONE: &[&str] = &["KERBEROS_V4", "KERBEROS4", "KERBEROS_4"];

const NEVER: &[&str] = &["ANONYMOUS"];

const LATER: &[&str] = &[
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-512-PLUS",
    "GSSAPI",
    "NTLM",
    "EXTERNAL",
    "OAUTHBEARER",
    "XOAUTH2",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_registered_ones_and_found_in_any_case() {
        for &mechanism in Mechanism::ALL {
            let name = mechanism.name();
            // RFC 4422 section 3.1.
            assert!((1..=20).contains(&name.len()), "{name}");
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(&b))
            );
            assert_eq!(Mechanism::from_wire(&name.to_ascii_lowercase()), Some(mechanism));
            assert_eq!(Mechanism::from_config(&name.to_ascii_lowercase()), Ok(mechanism));
            assert!(!LATER.contains(&name), "{name} is here already");
        }
    }

    #[test]
    fn the_configuration_is_told_why_a_name_is_refused() {
        let cases = [
            ("Kerberos 4", "kerberos_v4", "no longer exists"),
            ("a relay for everyone", "ANONYMOUS", "never offered"),
            ("to come", "cram-md5", "does not have"),
            (
                "to come, with channel binding",
                "SCRAM-SHA-256-PLUS",
                "does not have",
            ),
            (
                "a slip",
                "PLAINN",
                "no mechanism PLAINN; this version has PLAIN and LOGIN",
            ),
            ("nothing", "", "no mechanism"),
        ];
        for (shows, name, text) in cases {
            let error = Mechanism::from_config(name).expect_err(shows).to_string();
            assert!(error.contains(text), "{shows}: {error}");
            assert_eq!(Mechanism::from_wire(name), None, "{shows}");
        }
    }
}
