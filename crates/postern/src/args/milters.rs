//! Arguments of `milters`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use postern_mail::{Mailbox, ReversePath};

use super::explain::recipient;
use super::identity::sender;
use super::{ConfigArg, JsonArg};

/// Arguments of `milters`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct MiltersArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) json: JsonArg,
    #[command(subcommand)]
    pub(crate) command: Option<MiltersCommand>,
}

/// What to do with filters.
#[derive(Debug, Subcommand)]
pub(crate) enum MiltersCommand {
    /// Runs a message through one filter, and shows each answer and each change
    ///
    /// Nothing is sent, and nothing is queued; what the filter itself does, such as counting senders, it also does here. It is
    /// asked whatever its conditions say, and the first line says whether the server would skip it. Ends with 0 if the filter
    /// lets the message through, with 1 if it refuses, discards or holds it, and with 69 if it fails.
    Try(Box<TryArgs>),
}

/// Arguments of `milters try`.
#[derive(Args, Debug)]
pub(crate) struct TryArgs {
    /// The name of the [[milter]]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file with the message; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The sender of the envelope; <> for none. By default the address in From
    #[arg(long, value_name = "ADDRESS", value_parser = sender)]
    pub(crate) from: Option<ReversePath>,
    /// A recipient; may be given several times; by default the addresses in To
    #[arg(long, value_name = "ADDRESS", value_parser = recipient)]
    pub(crate) to: Vec<Mailbox>,
    /// The client's name in HELO or EHLO
    #[arg(long, value_name = "NAME", default_value = "client.example")]
    pub(crate) helo: String,
    /// The address of the client
    #[arg(long, value_name = "IP", default_value = "192.0.2.1")]
    pub(crate) client: IpAddr,
    /// The name of that address; by default none
    #[arg(long, value_name = "NAME")]
    pub(crate) client_name: Option<String>,
    /// The authenticated user; by default none
    #[arg(long)]
    pub(crate) login: Option<String>,
    /// The listener the client connects to, by name or address; by default the first that the filter serves
    #[arg(long, value_name = "NAME")]
    pub(crate) listener: Option<String>,
    /// Write the message with all changes to this file. It is empty if the filter does not let the message through
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
