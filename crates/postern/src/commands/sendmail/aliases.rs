//! `newaliases`: there is no database to build; the file is checked, and the running server reads it
//! again.

use std::os::unix::fs::MetadataExt;

use nix::unistd::geteuid;
use postern_submit::ExitStatus;

use super::listing::from_environment;
use crate::args::{JsonArg, ListingArg, ReasonArg, ReloadArgs};
use crate::commands::{checked, reload, written};
use crate::exit::{Exit, Failure};
use crate::{locate, output};

/// Checks the aliases with the rest of the configuration, and makes the server read them.
pub(super) fn run() -> Result<ExitStatus, Failure> {
    let path = locate::existing(&from_environment())?;
    let is_ours = || {
        let written = written(&path).ok()?;
        let found = std::fs::metadata(written.state_dir()).ok()?;
        Some(found.uid() == geteuid().as_raw())
    };
    if !geteuid().is_root() && is_ours() != Some(true) {
        return Err(Failure::new(
            Exit::NoPermission,
            "only root and the user of the server may do this".to_owned(),
        ));
    }
    let config = checked(&path)?;
    output::print(&format!(
        "{} has no mistakes in the aliases",
        config.path.display()
    ))?;
    let listing = ListingArg {
        config: from_environment(),
        json: JsonArg { json: false },
    };
    match reload::run(&ReloadArgs {
        listing,
        reason: ReasonArg::default(),
    }) {
        Err(failure) if failure.exit == Exit::Unavailable => {
            output::print("the server is not running: it reads them when it starts")?;
            Ok(ExitStatus::Ok)
        }
        Err(failure) => Err(failure),
        Ok(()) => Ok(ExitStatus::Ok),
    }
}
