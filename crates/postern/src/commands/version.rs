//! `postern version`, and the same for `--version`, the manual, the log and the control socket.

use serde::Serialize;

use crate::args::JsonArg;
use crate::exit::Failure;
use crate::output;

/// The version, with the commit that was built, if known: `0.1.0 (1f0c5a2b9d3e)`.
pub(crate) const TEXT: &str = env!("POSTERN_VERSION");

/// The commit that was built; none if neither git nor the packager provided it.
pub(crate) const COMMIT: Option<&str> = option_env!("POSTERN_BUILT_COMMIT");

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    commit: Option<&'static str>,
}

/// Prints the version.
pub(crate) fn run(json: JsonArg) -> Result<(), Failure> {
    if json.json {
        output::print_json(&Version {
            name: "postern",
            version: env!("CARGO_PKG_VERSION"),
            commit: COMMIT,
        })
    } else {
        output::print(&format!("postern {TEXT}"))
    }
}
