//! `postern version`.

use serde::Serialize;

use crate::args::JsonArg;
use crate::exit::Failure;
use crate::output;

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

/// Prints the version.
pub(crate) fn run(json: JsonArg) -> Result<(), Failure> {
    let version = Version {
        name: "postern",
        version: env!("CARGO_PKG_VERSION"),
    };
    if json.json {
        output::print_json(&version)
    } else {
        output::print(&format!("{} {}", version.name, version.version))
    }
}
