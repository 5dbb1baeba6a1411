//! Which configuration file a command means.

use std::path::{Path, PathBuf};

use crate::args::ConfigArg;
use crate::exit::{Exit, Failure};
use crate::firstrun;

/// The usual places, in the order in which they are tried; the folder of the first start comes last.
const PLACES: [&str; 2] = ["postern.toml", "/etc/postern/postern.toml"];

/// The file that was named, or the first of the usual places that exists.
pub(crate) fn configuration(arg: &ConfigArg) -> Option<PathBuf> {
    if let Some(named) = &arg.config {
        return Some(named.clone());
    }
    let made = Path::new(firstrun::FOLDER).join(firstrun::FILE);
    PLACES
        .iter()
        .map(PathBuf::from)
        .chain([made])
        .find(|place| place.exists())
}

/// The same for commands that cannot do without.
///
/// # Errors
///
/// There is none; the message says where was looked.
pub(crate) fn existing(arg: &ConfigArg) -> Result<PathBuf, Failure> {
    configuration(arg).ok_or_else(|| {
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
