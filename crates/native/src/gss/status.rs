//! Errors reported by the library.

use super::Gss;
use super::ffi::{self, Buffer, FAILURE_MASK, routine};
use crate::LibraryError;

/// Longest status text kept, in characters.
const TEXT_MAX: usize = 300;

/// Most messages read for one status.
const MESSAGES_MAX: usize = 4;

/// First of the Kerberos library's own numbers (`ERROR_TABLE_BASE_krb5`, -1765328384).
const KRB5_BASE: u32 = 0x96c7_3a00;

/// `KRB5KRB_AP_ERR_SKEW`, counted from there.
const SKEW: u32 = 37;

/// Why a call to the library failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GssError {
    /// The library cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// An error of the library.
    #[error(transparent)]
    Status(#[from] Status),
    /// A path, name or principal with a NUL in it.
    #[error("{0} has a NUL in it")]
    Nul(&'static str),
    /// A context that is not established, or no longer.
    #[error("the security context is not established")]
    NoContext,
    /// The Kerberos configuration names no default realm.
    #[error("the Kerberos configuration has no default realm")]
    NoRealm,
    /// A mechanism other than Kerberos 5 was used.
    #[error("the client used another mechanism than Kerberos 5")]
    Mechanism,
}

/// A library status that means failure.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct Status {
    major: u32,
    minor: u32,
    text: String,
}

impl Status {
    /// Whether the peer's token is malformed.
    #[must_use]
    pub fn is_defective_token(&self) -> bool {
        self.routine() == routine::DEFECTIVE_TOKEN
    }

    /// Whether there are no credentials on this side, or they cannot be read.
    #[must_use]
    pub fn is_about_own_credentials(&self) -> bool {
        // Small numbers are `errno` values: no such file, no permission, disk full.
        matches!(self.routine(), routine::NO_CRED | routine::CREDENTIALS_EXPIRED)
            || (1..1_000).contains(&self.minor)
    }

    /// Whether the hosts' clocks differ by more than Kerberos allows.
    #[must_use]
    pub fn is_clock_skew(&self) -> bool {
        self.minor == KRB5_BASE + SKEW
    }

    fn routine(&self) -> u32 {
        (self.major & FAILURE_MASK) >> 16 & 0xff
    }
}

impl Gss {
    /// Turns a status into a result; `Ok` has the non-failure bits, such as `CONTINUE`.
    pub(super) fn check(&self, major: u32, minor: u32) -> Result<u32, Status> {
        if major & FAILURE_MASK == 0 {
            return Ok(major);
        }
        Err(self.status(major, minor))
    }

    /// A status with its text.
    pub(super) fn status(&self, major: u32, minor: u32) -> Status {
        let mut parts = self.texts(major, ffi::GSS_CODE);
        if minor != 0 {
            parts.extend(self.texts(minor, ffi::MECH_CODE));
        }
        // "Unspecified GSS failure.  Minor code may provide more information" says nothing if there is more detail.
        if parts.len() > 1 && parts[0].starts_with("Unspecified GSS failure") {
            parts.remove(0);
        }
        let text = parts.join(": ");
        Status {
            major,
            minor,
            text: if text.is_empty() {
                format!("status {major:#x}, {minor:#x}")
            } else {
                text.chars().take(TEXT_MAX).collect()
            },
        }
    }

    fn texts(&self, code: u32, kind: std::ffi::c_int) -> Vec<String> {
        let mut texts = Vec::new();
        let mut more = 0;
        for _ in 0..MESSAGES_MAX {
            let mut buffer = Buffer::EMPTY;
            let mut minor = 0;
            // SAFETY: All pointers are to variables of this call or to the constant of the mechanism; the library fills the
            // buffer, and `take` gives it back.
            let major = unsafe {
                (self.api().gss_display_status)(
                    &raw mut minor,
                    code,
                    kind,
                    &raw const ffi::KRB5,
                    &raw mut more,
                    &raw mut buffer,
                )
            };
            if major & FAILURE_MASK != 0 {
                break;
            }
            let text = self.take(buffer);
            let text: String = String::from_utf8_lossy(&text)
                .chars()
                .filter(|c| !c.is_control())
                .collect();
            if !text.is_empty() {
                texts.push(text);
            }
            if more == 0 {
                break;
            }
        }
        texts
    }
}
