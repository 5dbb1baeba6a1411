//! `sendmail`, `mailq` and `newaliases`, for programs and people who know them by these names.

mod aliases;
mod common;
mod deliver;
mod drop;
mod listing;
mod smtp;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use postern_submit::{ExitStatus, Mode, Name, Options};

pub(crate) use self::common::DROP;

use self::common::{Places, complain};
use crate::exit::Failure;

/// Does what the arguments after the name say.
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
