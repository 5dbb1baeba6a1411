//! Arguments of `webhook`.

use clap::{Args, Subcommand};

use super::{ConfigArg, JsonArg};

/// Arguments of `webhook`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct WebhookArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) json: JsonArg,
    #[command(subcommand)]
    pub(crate) command: Option<WebhookCommand>,
}

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Sends a test event to a webhook and shows the answer
    ///
    /// The command sends it by itself, signed like those of the server, whether or not the server runs. Ends with 1 if the receiver does not accept it.
    Test {
        /// The name of the [[webhook]]
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        json: JsonArg,
    },
}
