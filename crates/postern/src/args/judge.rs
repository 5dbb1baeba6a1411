//! Arguments of `judge`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use postern_mail::ReversePath;

use super::identity::sender;
use super::{ConfigArg, JsonArg};

/// Arguments of `judge`.
#[derive(Args, Debug)]
pub(crate) struct JudgeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The message; - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The address of the client that delivers it
    #[arg(long, value_name = "IP")]
    pub(crate) peer: IpAddr,
    /// The client's name in HELO or EHLO
    #[arg(long, value_name = "NAME", default_value = "client.example")]
    pub(crate) helo: String,
    /// The sender of the envelope; <> for none
    #[arg(long, value_name = "ADDRESS", value_parser = sender, default_value = "<>")]
    pub(crate) from: ReversePath,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
