//! Where a user's mail goes, as configured. The server and the helper read the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How mail is delivered to local users.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Settings {
    /// The mailbox, with `~` for the home folder and `{user}` for the name. A path that ends in `/` is a Maildir, any other an mbox.
    pub mailbox: String,
    /// The delivery agent with its arguments, in place of the mailbox; empty without one.
    pub agent: Vec<String>,
    /// Whether `~/.forward` counts.
    pub forward: bool,
    /// Whether programs in it are run.
    pub forward_programs: bool,
    /// Whether files in it are written to.
    pub forward_files: bool,
    /// The lowest uid that has a mailbox.
    pub min_uid: u32,
    /// Longest run of an agent, or of all programs of one delivery together.
    pub timeout: Duration,
    /// Longest wait for a locked mailbox.
    pub lock_timeout: Duration,
    /// Octets to be left free on the disk of a mailbox.
    pub min_free: u64,
    /// The name of this host, for file names in Maildirs and for `.forward.HOST`.
    pub hostname: String,
    /// Programs that take all mail of a route.
    pub pipes: Vec<Pipe>,
}

impl Settings {
    /// Longest time for one delivery, with a margin for slow disks, after which the process is killed. A `.forward` may have a
    /// program and a mailbox.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.timeout + 2 * self.lock_timeout + Duration::from_secs(120)
    }
}

/// The two forms of mailboxes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Form {
    /// A folder with a file for each message.
    Maildir(PathBuf),
    /// One file with all messages.
    Mbox(PathBuf),
}

impl Form {
    /// The mailbox of a user.
    #[must_use]
    pub fn of(pattern: &str, user: &str, home: &Path) -> Self {
        let text = pattern.replace("{user}", user);
        let path = match text.strip_prefix("~/") {
            Some(below) => home.join(below),
            None => PathBuf::from(&text),
        };
        match text.ends_with('/') {
            true => Self::Maildir(path),
            false => Self::Mbox(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_mailboxes() {
        let maildir = |path: &str| Form::Maildir(path.into());
        let mbox = |path: &str| Form::Mbox(path.into());
        #[rustfmt::skip]
        let cases = [
            ("/var/mail/{user}",   mbox("/var/mail/ann")),
            ("/srv/mail/{user}/",  maildir("/srv/mail/ann/")),
            ("~/Maildir/",         maildir("/home/ann/Maildir/")),
            ("~/Mailbox",          mbox("/home/ann/Mailbox")),
            ("/m/{user}/{user}",   mbox("/m/ann/ann")),
        ];
        for (pattern, want) in cases {
            assert_eq!(
                Form::of(pattern, "ann", Path::new("/home/ann")),
                want,
                "{pattern}"
            );
        }
    }
}

/// A program, as configured.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pipe {
    /// Its name, as used in routes.
    pub name: String,
    /// The program with its arguments.
    pub command: Vec<String>,
    /// The user that it runs as. Never root.
    pub user: String,
    /// Its group, in place of all groups of the user.
    pub group: Option<String>,
    /// What is added before the message.
    pub add: Vec<Field>,
    /// The parts of addresses that it gets in lower case.
    pub lowercase: Vec<Part>,
    /// Octets of the largest message that it accepts; 0 for any.
    pub size_max: u64,
}

/// A part of an address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What stands before the `@`, of recipients.
    Local,
    /// What stands behind it, and the next hop.
    Domain,
}

/// What can be added before a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// The line `From sender date` of an mbox.
    From,
    /// `Return-Path`.
    ReturnPath,
    /// `X-Original-To`.
    OriginalTo,
    /// `Delivered-To`.
    DeliveredTo,
}
