//! What can keep a message from a mailbox, and whether that is permanent.

use std::fmt;
use std::io;

use postern_mail::Status;
use serde::{Deserialize, Serialize};

/// Most octets of a text.
const TEXT_MAX: usize = 600;

/// What went wrong. The kind decides whether the message is tried again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No user with this name has a mailbox here.
    NoUser,
    /// An agent or program refuses the message permanently.
    Refused,
    /// An agent or a program failed, or took too long.
    Agent,
    /// The user has no room left.
    Quota,
    /// The disk has no room left.
    DiskFull,
    /// The mailbox is locked by another program.
    Locked,
    /// The mailbox is not safe to write to, or a file cannot be read or written.
    Mailbox,
    /// The helper itself: name service, rights, resources.
    Helper,
}

impl Kind {
    /// Whether another attempt would be useless.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::NoUser | Self::Refused)
    }

    /// The enhanced status code (RFC 3463).
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::NoUser => Status(5, 1, 1),
            Self::Refused => Status(5, 7, 1),
            Self::Agent | Self::Helper => Status(4, 3, 0),
            Self::Quota => Status(4, 2, 2),
            Self::DiskFull => Status(4, 3, 1),
            Self::Locked => Status(4, 2, 0),
            Self::Mailbox => Status(4, 2, 1),
        }
    }
}

/// What went wrong, with a text for people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Trouble {
    /// The kind.
    pub kind: Kind,
    /// The text: what, where, and the remedy, without control characters.
    pub text: String,
}

impl Trouble {
    /// A trouble with this text.
    #[must_use]
    pub fn new(kind: Kind, text: impl fmt::Display) -> Self {
        Self {
            kind,
            text: clean(&text.to_string()),
        }
    }

    /// A system error about a file or folder.
    #[must_use]
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::QuotaExceeded => Kind::Quota,
            io::ErrorKind::StorageFull => Kind::DiskFull,
            _ => Kind::Mailbox,
        };
        Self::new(kind, format_args!("{what}: {error}"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Trouble {}

/// One line of text without control characters, cut if it is long.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        if out.len() >= TEXT_MAX {
            out.push('…');
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_says_is_told_apart() {
        let cases = [
            (28, Kind::DiskFull),
            (122, Kind::Quota),
            (13, Kind::Mailbox),
            (116, Kind::Mailbox),
        ];
        for (code, kind) in cases {
            let trouble = Trouble::io("/home/ann", &io::Error::from_raw_os_error(code));
            assert_eq!(trouble.kind, kind, "{trouble}");
            assert!(!trouble.kind.is_permanent() && trouble.kind.status().0 == 4);
        }
    }

    #[test]
    fn words_stay_on_one_line() {
        assert_eq!(clean("a\nb\u{7}c\n"), "a b c");
        assert!(clean(&"ä".repeat(1_000)).len() <= TEXT_MAX + 5);
    }
}
