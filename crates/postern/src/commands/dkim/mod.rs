//! `postern dkim`: keys with which mail is signed, and their records in DNS.

mod check;
mod common;
mod new;
mod records;
mod rotate;

pub(crate) use self::check::look;

use crate::args::{DkimArgs, DkimCommand};
use crate::control::acts;
use crate::exit::Failure;

/// Runs one of the subcommands.
pub(crate) fn run(args: DkimArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    match args.command {
        DkimCommand::New(new) => new::run(&args.config, &new),
        DkimCommand::Check { domain, json } => check::run(&args.config, domain.as_deref(), json),
        DkimCommand::Rotate(rotate) => rotate::run(&args.config, &rotate),
        DkimCommand::Records { domain, json } => records::run(&args.config, &domain, json),
    }
}
