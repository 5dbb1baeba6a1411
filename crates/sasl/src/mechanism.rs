//! The table of mechanisms.

use crate::oauth::Form;
use crate::scram::{ScramHash, name as scram_name};

/// A mechanism that this version supports.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: never a standard, but the only one that many Outlook versions support.
    Login,
    /// RFC 2195.
    CramMd5,
    /// RFC 2831.
    DigestMd5,
    /// RFC 5802 and RFC 7677, without channel binding.
    Scram(ScramHash),
    /// The same with channel binding: `-PLUS`.
    ScramPlus(ScramHash),
    /// RFC 4752: Kerberos 5.
    Gssapi,
    /// MS-NLMP, version 2 only.
    Ntlm,
    /// RFC 4422 appendix A: the TLS client certificate.
    External,
    /// RFC 7628.
    OauthBearer,
    /// Google's and Microsoft's variant of it.
    Xoauth2,
}

/// What must be known about a mechanism before it is offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Properties {
    /// Its name in the IANA registry, as used on the wire (RFC 4422 section 3.1).
    pub name: &'static str,
    /// Whether an eavesdropper learns what is needed to log in: the password, or a token. Such a mechanism is only
    /// offered inside TLS, unless the configuration says otherwise.
    pub plaintext: bool,
    /// Whether the server speaks first, so that an initial response makes no sense (RFC 4422 section 5).
    pub server_first: bool,
    /// Strongest security layer it can put in place, in bits; 0 for none.
    pub layer_bits_max: u32,
    /// Whether its steps may read files or wait for other servers, so that they belong on a thread that may block.
    pub blocking: bool,
    /// What the server must have for an account.
    pub needs: Needs,
}

/// What a server must have for an account for a mechanism to work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Anything that a password can be checked against.
    Password,
    /// A [`crate::CramSecret`].
    CramSecret,
    /// A [`crate::DigestSecret`] for the realm.
    DigestSecret,
    /// [`crate::ScramKeys`] for the hash function.
    ScramKeys(ScramHash),
    /// A [`crate::NtHash`].
    NtHash,
    /// A rule that turns the client's certificate into a login; only useful inside TLS.
    Certificate,
    /// A provider whose tokens are accepted.
    Token,
    /// A Kerberos library and a keytab.
    Kerberos,
}

impl Needs {
    /// Whether someone who reads an exchange can try passwords against it offline.
    #[must_use]
    pub const fn is_guessable(self) -> bool {
        match self {
            Self::CramSecret | Self::DigestSecret | Self::ScramKeys(_) | Self::NtHash => true,
            Self::Password | Self::Certificate | Self::Token | Self::Kerberos => false,
        }
    }
}

impl Mechanism {
    /// All mechanisms, in the order of the table.
    pub const ALL: &'static [Self] = &[
        Self::Plain,
        Self::Login,
        Self::CramMd5,
        Self::DigestMd5,
        Self::Scram(ScramHash::Sha1),
        Self::ScramPlus(ScramHash::Sha1),
        Self::Scram(ScramHash::Sha256),
        Self::ScramPlus(ScramHash::Sha256),
        Self::Scram(ScramHash::Sha512),
        Self::ScramPlus(ScramHash::Sha512),
        Self::Gssapi,
        Self::Ntlm,
        Self::External,
        Self::OauthBearer,
        Self::Xoauth2,
    ];

    /// The mechanism's row of the table.
    #[must_use]
    pub const fn properties(self) -> Properties {
        match self {
            Self::Plain => row("PLAIN", Needs::Password).revealing(),
            // Its first challenge is constant, and some clients send the user name along with `AUTH LOGIN`.
            Self::Login => row("LOGIN", Needs::Password).revealing(),
            Self::CramMd5 => row("CRAM-MD5", Needs::CramSecret).server_first(),
            Self::DigestMd5 => row("DIGEST-MD5", Needs::DigestSecret).server_first().layer(128),
            Self::Scram(hash) => row(scram_name(hash, false), Needs::ScramKeys(hash)),
            Self::ScramPlus(hash) => row(scram_name(hash, true), Needs::ScramKeys(hash)),
            // As strong as the ticket's key: AES-256 at best.
            Self::Gssapi => row("GSSAPI", Needs::Kerberos).layer(256).blocking(),
            Self::Ntlm => row("NTLM", Needs::NtHash),
            Self::External => row("EXTERNAL", Needs::Certificate),
            Self::OauthBearer => row(Form::Bearer.name(), Needs::Token).revealing(),
            Self::Xoauth2 => row(Form::Google.name(), Needs::Token).revealing(),
        }
    }

    /// The registered name, in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.properties().name
    }

    /// Whether an eavesdropper learns what is needed to log in.
    #[must_use]
    pub const fn is_plaintext(self) -> bool {
        self.properties().plaintext
    }

    /// Whether it binds to the TLS session, and so can be offered only inside one whose [`crate::ChannelBindings`] are
    /// known.
    #[must_use]
    pub const fn binds_channel(self) -> bool {
        matches!(self, Self::ScramPlus(_))
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
    /// [`UnknownMechanism`], which distinguishes an unknown name from one that is refused for a reason.
    pub fn from_config(name: &str) -> Result<Self, UnknownMechanism> {
        if let Some(mechanism) = Self::from_wire(name) {
            return Ok(mechanism);
        }
        let name = name.to_ascii_uppercase();
        if GONE.contains(&name.as_str()) {
            Err(UnknownMechanism::Gone { name })
        } else if NEVER.contains(&name.as_str()) {
            Err(UnknownMechanism::Never { name })
        } else {
            Err(UnknownMechanism::NoSuch { name, known: known() })
        }
    }
}

/// A row with what most mechanisms have in common.
const fn row(name: &'static str, needs: Needs) -> Properties {
    Properties {
        name,
        plaintext: false,
        server_first: false,
        layer_bits_max: 0,
        blocking: false,
        needs,
    }
}

impl Properties {
    const fn revealing(mut self) -> Self {
        self.plaintext = true;
        self
    }

    const fn server_first(mut self) -> Self {
        self.server_first = true;
        self
    }

    const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }

    const fn layer(mut self, bits: u32) -> Self {
        self.layer_bits_max = bits;
        self
    }
}

impl std::fmt::Display for Mechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name in the configuration that is not a mechanism of this version.
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
    /// No mechanism has this name.
    #[error("unknown mechanism {name}; this version has {known}")]
    NoSuch {
        /// The name, in capitals.
        name: String,
        /// The mechanisms of this version, to be listed as the remedy.
        known: String,
    },
}

fn known() -> String {
    let names: Vec<&str> = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
    names.join(", ")
}

const GONE: &[&str] = &["KERBEROS_V4", "KERBEROS4", "KERBEROS_4"];

const NEVER: &[&str] = &["ANONYMOUS"];

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
        }
    }

    #[test]
    fn the_configuration_is_told_why_a_name_is_refused() {
        let cases = [
            ("Kerberos 4", "kerberos_v4", "no longer exists"),
            ("a relay for everyone", "ANONYMOUS", "never offered"),
            (
                "a slip",
                "PLAINN",
                "unknown mechanism PLAINN; this version has PLAIN, LOGIN, CRAM-MD5,",
            ),
            ("nothing", "", "unknown mechanism"),
        ];
        for (shows, name, text) in cases {
            let error = Mechanism::from_config(name).expect_err(shows).to_string();
            assert!(error.contains(text), "{shows}: {error}");
            assert_eq!(Mechanism::from_wire(name), None, "{shows}");
        }
    }
}
