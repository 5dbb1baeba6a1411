//! What its modes share: the places used, the caller, and messages to the caller.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{User, geteuid, getuid};
use postern_submit::message;

use crate::visible;

/// Where the server accepts mail from programs, unless the server's configuration and an environment variable
/// say otherwise.
pub(crate) const SOCKET: &str = "/run/postern/submit";

/// Where messages wait while the server is down.
pub(crate) const DROP: &str = "/var/spool/postern/drop";

/// Environment variables for other places.
pub(super) const SOCKET_VARIABLE: &str = "POSTERN_SUBMIT";

pub(super) const DROP_VARIABLE: &str = "POSTERN_DROP";

/// Longest silence of the server. Filters may take minutes for a message.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(1_200);

/// The sockets and folders to use.
pub(super) struct Places {
    pub(super) socket: PathBuf,
    /// The socket for questions about the queue.
    pub(super) queue: PathBuf,
    pub(super) drop: PathBuf,
}

impl Places {
    pub(super) fn find() -> Self {
        let variable = |name: &str, usual: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map_or_else(|| PathBuf::from(usual), PathBuf::from)
        };
        let socket = variable(SOCKET_VARIABLE, SOCKET);
        let mut queue = socket.clone().into_os_string();
        queue.push(".queue");
        Self {
            socket,
            queue: queue.into(),
            drop: variable(DROP_VARIABLE, DROP),
        }
    }

    /// Connects to the server.
    pub(super) fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(stream)
    }
}

/// The calling user.
pub(super) struct Caller {
    /// The name of the account, or its uid if it has none.
    pub(super) name: String,
    pub(super) full_name: Option<String>,
}

impl Caller {
    pub(super) fn find() -> Self {
        let uid = getuid();
        match User::from_uid(uid) {
            Ok(Some(user)) => Self {
                full_name: message::person(&user.gecos.to_string_lossy(), &user.name),
                name: user.name,
            },
            _ => Self {
                name: format!("uid-{uid}"),
                full_name: None,
            },
        }
    }
}

/// Reports an error to the caller.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "sendmail: {}", visible::lines(text));
}

/// Whether this user may read the configuration and the queue.
pub(super) fn is_administrator() -> bool {
    geteuid().is_root()
}
