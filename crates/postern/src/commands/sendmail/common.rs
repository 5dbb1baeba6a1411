//! What its modes share: where to turn to, who calls, and what is said to them.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{User, geteuid, getuid};
use postern_submit::message;

use crate::visible;

/// Where the server takes mail of programs, unless the configuration of the server and a variable say otherwise.
pub(crate) const SOCKET: &str = "/run/postern/submit";

/// Where messages wait while it does not.
pub(crate) const DROP: &str = "/var/spool/postern/drop";

/// Variables for other places.
pub(super) const SOCKET_VARIABLE: &str = "POSTERN_SUBMIT";

pub(super) const DROP_VARIABLE: &str = "POSTERN_DROP";

/// Longest silence of the server. Filters may look at a message for minutes.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(1_200);

/// Where to turn to.
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

/// Who calls.
pub(super) struct Caller {
    /// The name of the account, or its number where it has none.
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

/// Says something to whoever has called.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "sendmail: {}", visible::lines(text));
}

/// Whether this is somebody who may read the configuration and the queue.
pub(super) fn is_administrator() -> bool {
    geteuid().is_root()
}
