//! Arguments of `sessions`.

use clap::{ArgGroup, Args, Subcommand};
use ipnet::IpNet;

use super::{ConfigArg, JsonArg, ReasonArg};

/// Arguments of `sessions`.
#[derive(Args, Debug)]
pub(crate) struct SessionsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: SessionsCommand,
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Lists the open sessions, oldest first
    List {
        #[command(flatten)]
        filter: SessionFilterArgs,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Ends sessions at once
    ///
    /// The client is told 421 and may reconnect: `postern user disable` prevents that. A message that is being written to
    /// disk still gets its reply. Ends with 1 if no session matches.
    #[command(group = ArgGroup::new("which").required(true).multiple(true).args(["login", "network", "listener", "all"]))]
    End {
        #[command(flatten)]
        filter: SessionFilterArgs,
        /// Every session
        #[arg(long, conflicts_with_all = ["login", "network", "listener"])]
        all: bool,
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Which sessions; everything given must match.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SessionFilterArgs {
    /// Those of this user, and those that act as this user
    #[arg(long, value_name = "LOGIN")]
    pub(crate) login: Option<String>,
    /// Those from this address or network, such as 192.0.2.0/24
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    pub(crate) network: Option<IpNet>,
    /// Those of this listener
    #[arg(long, value_name = "NAME")]
    pub(crate) listener: Option<String>,
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = || {
        text.parse()
            .map(|address: std::net::IpAddr| IpNet::from(address.to_canonical()))
    };
    let network = text.parse::<IpNet>().or_else(|_| address());
    network.map_err(|_| "neither an address nor a network such as 192.0.2.0/24".into())
}
