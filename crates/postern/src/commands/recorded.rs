//! Actions of commands that work without the server, recorded in the history on this machine.

use std::path::PathBuf;
use std::time::Duration;

use crate::args::ConfigArg;
use crate::config::Source;
use crate::control::acts;
use crate::{locate, rights};

/// Where actions of administrators are recorded on this machine, for commands that need no configuration: that of the configuration that other
/// commands would find, if a server has run with it.
pub(crate) fn acts_here() -> Option<(PathBuf, Duration)> {
    let named = ConfigArg {
        config: std::env::var_os("POSTERN_CONFIG").map(PathBuf::from),
    };
    let path = locate::configuration(&named).ok()??;
    let written = Source::read(&path).ok()?.written().ok()?;
    written.state_dir().is_dir().then(|| written.acts())
}

/// Records an action there, as the owner of the folder.
pub(crate) fn record_here(acts: &(PathBuf, Duration), act: &str, what: String) {
    match rights::enter(&acts.0) {
        Ok(()) => acts::record(acts, act, Some(what), None),
        Err(failure) => eprintln!("postern: not recorded in the history: {failure}"),
    }
}
