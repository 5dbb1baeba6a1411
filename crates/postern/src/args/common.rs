//! Arguments that many commands share, and what some default to.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// The folder that `serve` makes in the current one when there is no configuration anywhere.
pub(crate) const FOLDER: &str = "postern-data";

/// The host's name at a first start unless another one is given. Names below `localhost` are always this machine (RFC 6761 section 6.3).
pub(crate) const HOSTNAME: &str = "postern.localhost";

/// Which configuration.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArg {
    /// The configuration file
    ///
    /// Without it the first that exists of ./postern.toml, /etc/postern/postern.toml and ./postern-data/postern.toml.
    #[arg(long, short, value_name = "FILE", env = "POSTERN_CONFIG", value_hint = ValueHint::FilePath, global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// Whether a program reads the output.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct JsonArg {
    /// Print JSON for programs; errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Why something is done.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ReasonArg {
    /// Why: it is recorded with what is changed (postern history acts)
    #[arg(long, value_name = "TEXT", global = true)]
    pub(crate) reason: Option<String>,
}

/// Configuration and form of output.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListingArg {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
