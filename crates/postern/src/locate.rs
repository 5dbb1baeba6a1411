//! Which configuration file a command uses.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};

use crate::args::ConfigArg;
use crate::exit::{Exit, Failure};
use crate::{firstrun, rights};

/// The usual places, in search order; the folder of the first start comes last.
const PLACES: [&str; 2] = ["postern.toml", "/etc/postern/postern.toml"];

/// The given file, or the first of the usual places that exists.
///
/// The configuration decides what a command does. So root only uses a file that only root can have written, and nobody uses one
/// that a third party put in the current folder: it is skipped, and that is reported.
///
/// # Errors
///
/// Root was given a file that others can write, or there are only such files.
pub(crate) fn configuration(arg: &ConfigArg) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = &arg.config {
        rights::believe(named)?;
        return Ok(Some(named.clone()));
    }
    let made = Path::new(firstrun::FOLDER).join(firstrun::FILE);
    let mut passed_by = false;
    for place in PLACES.iter().map(Path::new).chain([made.as_path()]) {
        // A file that cannot be checked is assumed to exist: reading it will report the error.
        if place.metadata().is_err_and(|error| is_missing(&error)) {
            continue;
        }
        if place.is_absolute() {
            rights::believe(place)?;
        } else if let Some(stranger) = stranger_at(place) {
            eprintln!(
                "postern: ./{} is not used: {stranger}; name it with --config to use it",
                place.display()
            );
            passed_by = true;
            continue;
        }
        return Ok(Some(place.to_owned()));
    }
    // A user whose own file is skipped does not want another one created next to it.
    match passed_by {
        true => Err(Failure::new(
            Exit::Config,
            "no configuration that may be used; name one with --config FILE or $POSTERN_CONFIG",
        )),
        false => Ok(None),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Who, besides root and the calling user, could have put something at a path in the current folder.
fn stranger_at(place: &Path) -> Option<rights::Stranger> {
    let steps = rights::Steps::walk(place).ok()?;
    steps.stranger(&[Uid::from_raw(0), geteuid()])
}

/// Checks whether a first configuration may be created in the current folder: root does not create one where others could change
/// it.
///
/// # Errors
///
/// Who could change it.
pub(crate) fn may_make_here() -> Result<(), Failure> {
    let stranger = geteuid().is_root().then(|| stranger_at(Path::new("."))).flatten();
    match stranger {
        None => Ok(()),
        Some(stranger) => Err(Failure::new(
            Exit::Config,
            format!(
                "no configuration, and root makes none here: {stranger}\n\
                 go to a folder of root's, or name a configuration with --config FILE or $POSTERN_CONFIG"
            ),
        )),
    }
}

/// The same for commands that need a configuration.
///
/// # Errors
///
/// There is none; the message says where it was searched.
pub(crate) fn existing(arg: &ConfigArg) -> Result<PathBuf, Failure> {
    configuration(arg)?.ok_or_else(|| {
        Failure::new(
            Exit::Config,
            format!(
                "no configuration: neither ./{}, {} nor ./{}/{} exists\n\
                 name one with --config FILE or $POSTERN_CONFIG, or make one with `postern init`",
                PLACES[0],
                PLACES[1],
                firstrun::FOLDER,
                firstrun::FILE
            ),
        )
    })
}
