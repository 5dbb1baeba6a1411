//! Exit codes: those of `sysexits.h`, if they say more than "failed".

use std::fmt;
use std::process::ExitCode;

pub(crate) use postern_mail::chain;

/// How a command ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// The command did its work and the answer is no: `check` found errors, or a message or user does not
    /// exist.
    No = 1,
    /// `status`: somebody must act. There, 1 is a warning, as for monitoring plugins.
    Critical = 2,
    /// `status`: the state cannot be determined.
    Unknown = 3,
    /// The command line cannot be understood.
    Usage = 64,
    /// What is needed does not run: the server for `reload`.
    Unavailable = 69,
    /// A fault in Postern.
    Software = 70,
    /// The operating system refused something basic, such as a thread.
    System = 71,
    /// A file cannot be created, or already exists.
    CannotCreate = 73,
    /// Reading or writing failed.
    InputOutput = 74,
    /// Another server uses the state directory, or the address; possibly temporary.
    TryAgain = 75,
    /// Not allowed for this user.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// The same as a text, below every `--help`.
pub(crate) const HELP: &str = "\
Exit codes: 0 done; 1 the answer is no (errors found, no such name); 64 wrong command line; 69 the server is \
not running; 70 a fault of Postern; 71 refused by the system; 73 cannot create; 74 cannot read or write; 75 in use, try \
again; 77 not permitted; 78 wrong configuration.";

impl Exit {
    /// This one, unless the cause of the error is a missing permission, which has a code of its own.
    pub(crate) fn unless_forbidden(self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        let forbidden = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
        };
        if causes.any(forbidden) {
            Self::NoPermission
        } else {
            self
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not succeed: what to say, and with which code to end.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// For people; may have several lines. Empty if everything has been printed already.
    pub(crate) message: String,
    /// For programs: the problems of a configuration that are to blame, as `check` lists them.
    pub(crate) problems: Option<serde_json::Value>,
}

impl Failure {
    /// A failure with something to say.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            problems: None,
        }
    }

    /// A failure for which everything has been printed already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self {
            exit,
            message: String::new(),
            problems: None,
        }
    }

    /// A failure from an error with all its causes: `doing: error: cause`.
    pub(crate) fn from_error(exit: Exit, doing: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(exit.unless_forbidden(error), format!("{doing}: {}", chain(error)))
    }

    /// A failed read or write; a missing permission has its own code.
    pub(crate) fn io(doing: &str, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
            std::io::ErrorKind::AlreadyExists => Exit::CannotCreate,
            _ => Exit::InputOutput,
        };
        Self::new(exit, format!("{doing}: {error}"))
    }
}

impl Failure {
    /// For programs: `{ "error": "…", "exit": 78 }`, with `problems` if there are any.
    pub(crate) fn as_json(&self) -> serde_json::Value {
        let mut value = serde_json::json!({ "error": self.message, "exit": self.exit as u8 });
        if let Some(problems) = &self.problems {
            value["problems"] = problems.clone();
        }
        value
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
