//! `[local]`: local users who submit mail.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::unistd::User;
use postern_policy::identity::IdentityRules;
use postern_policy::local::LocalRules;

use super::sockets::PATH_MAX;
use super::{Checking, SocketFile, clamp, values};
use crate::config::read::At;

/// The suffix of the second socket's name.
pub(crate) const QUEUE_SUFFIX: &str = ".queue";

/// The entry point for local users.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LocalConfig {
    /// The socket for submitting mail.
    pub(crate) socket: SocketFile,
    /// The socket where users see their mail in the queue.
    pub(crate) queue_socket: SocketFile,
    /// Where messages wait while the server is down.
    pub(crate) drop: PathBuf,
    /// Who sees the whole queue.
    pub(crate) queue_users: Vec<String>,
}

impl LocalConfig {
    /// Whether it has the same paths.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (&self.socket, &self.queue_socket, &self.drop) == (&other.socket, &other.queue_socket, &other.drop)
    }
}

pub(super) fn check(c: &mut Checking<'_>) -> Option<LocalConfig> {
    let file = c.file;
    let written = file.local.as_ref()?;
    let queue = with_suffix(&written.socket);
    if queue.as_os_str().as_bytes().len() > PATH_MAX {
        let most = PATH_MAX - QUEUE_SUFFIX.len();
        c.problems.error(
            written.socket.span.clone(),
            format!("the path of this socket has at most {most} octets"),
            "too long",
            "choose a shorter one",
        );
    }
    warn_of_unknown(&written.trusted_users.value, c);
    warn_of_unknown(&written.queue_users.value, c);
    let at = |path: PathBuf| SocketFile {
        path,
        mode: clamp(*written.mode),
        owner: None,
        group: None,
    };
    Some(LocalConfig {
        socket: at(written.socket.value.clone()),
        queue_socket: at(queue),
        drop: written.drop.value.clone(),
        queue_users: values(&written.queue_users.value),
    })
}

fn with_suffix(socket: &std::path::Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(QUEUE_SUFFIX);
    name.into()
}

fn warn_of_unknown(names: &[At<String>], c: &mut Checking<'_>) {
    for name in names {
        if let Ok(None) = User::from_name(&name.value) {
            c.problems.warning(
                name.span.clone(),
                format!("there is no account {:?} on this machine", name.value),
                "has no effect",
                "write the name as in /etc/passwd, or remove it",
            );
        }
    }
}

/// The rules for those users; `usual` are those for logins.
pub(super) fn rules(usual: &IdentityRules, c: &Checking<'_>) -> LocalRules {
    let usual = usual.clone();
    let Some(written) = &c.file.local else {
        return LocalRules {
            identity: usual,
            ..LocalRules::default()
        };
    };
    let senders = written
        .senders
        .as_ref()
        .map_or(usual.senders, |senders| senders.value);
    LocalRules {
        trusted: values(&written.trusted_users.value),
        identity: IdentityRules { senders, ..usual },
        sessions: clamp(*written.sessions_per_user),
        messages_per_minute: clamp(*written.messages_per_minute),
    }
}
