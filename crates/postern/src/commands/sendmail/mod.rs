//! `sendmail`, `mailq` and `newaliases`, for programs and people who know them by these names.

mod aliases;
mod deliver;
mod drop;
mod listing;
mod smtp;
mod verify;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nix::unistd::{User, geteuid, getuid};
use postern_submit::{ExitStatus, Mode, Name, Options, message};

use crate::exit::Failure;
use crate::visible;

/// Where the server takes mail of programs, unless the configuration of the server and a variable say otherwise.
pub(crate) const SOCKET: &str = "/run/postern/submit";

/// Where messages wait while it does not.
pub(crate) const DROP: &str = "/var/spool/postern/drop";

/// Variables for other places.
const SOCKET_VARIABLE: &str = "POSTERN_SUBMIT";
const DROP_VARIABLE: &str = "POSTERN_DROP";

/// Longest silence of the server. Filters may look at a message for minutes.
const SILENCE_MAX: Duration = Duration::from_secs(1_200);

/// Where to turn to.
struct Places {
    socket: PathBuf,
    /// The socket for questions about the queue.
    queue: PathBuf,
    drop: PathBuf,
}

impl Places {
    fn find() -> Self {
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
    fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(stream)
    }
}

/// Who calls.
struct Caller {
    /// The name of the account, or its number where it has none.
    name: String,
    full_name: Option<String>,
}

impl Caller {
    fn find() -> Self {
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

/// Does what the arguments behind the name say.
pub(crate) fn run(name: Name, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = arguments
        .into_iter()
        .map(|argument| argument.to_string_lossy().into_owned());
    let status = match Options::parse(name, arguments) {
        Ok(options) => match act(&options) {
            Ok(status) => status,
            Err(failure) => {
                if !failure.message.is_empty() {
                    complain(&failure.message);
                }
                return failure.exit.into();
            }
        },
        Err(error) => {
            complain(&error.to_string());
            ExitStatus::Usage
        }
    };
    ExitCode::from(status.code())
}

fn act(options: &Options) -> Result<ExitStatus, Failure> {
    let places = Places::find();
    match &options.mode {
        Mode::Deliver => Ok(deliver::run(options, &places)),
        Mode::Smtp => Ok(smtp::run(&places)),
        Mode::List => listing::list(&places),
        Mode::Flush(what) => listing::flush(what, &places),
        Mode::Aliases => aliases::run(),
        Mode::Verify => verify::run(options, &places),
        Mode::Test => verify::test(options, &places),
        Mode::Daemon => {
            complain("the server is started by `systemctl start postern`, or `postern serve`");
            Ok(ExitStatus::Usage)
        }
        Mode::Unknown(letter) => {
            complain(&format!(
                "-b{letter} has no counterpart here; `postern --help` shows what there is"
            ));
            Ok(ExitStatus::Usage)
        }
    }
}

/// Says something to whoever has called.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "sendmail: {}", visible::lines(text));
}

/// Whether this is somebody who may read the configuration and the queue.
fn is_administrator() -> bool {
    geteuid().is_root()
}
