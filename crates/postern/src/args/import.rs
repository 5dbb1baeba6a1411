//! Arguments of `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::JsonArg;

/// Arguments of `import`.
#[derive(Args, Debug)]
pub(crate) struct ImportSiteArgs {
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

/// Which server's files are read.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// Reads sendmail's files: sendmail.mc, and the tables, lists and settings of Cyrus SASL that it names
    ///
    /// m4 is not run. Passwords go into files of their own that only the owner can read, never into the report.
    Sendmail(ImportSendmailArgs),
}

/// Arguments of `import sendmail`.
#[derive(Args, Debug)]
pub(crate) struct ImportSendmailArgs {
    /// The folder below which the old server's files are; / for this machine
    #[arg(value_name = "ROOT", default_value = "/", value_hint = ValueHint::DirPath)]
    pub(crate) root: PathBuf,
    /// The .mc file, as a path below ROOT
    #[arg(long, value_name = "FILE", default_value = "/etc/mail/sendmail.mc")]
    pub(crate) mc: String,
    #[command(flatten)]
    pub(crate) output: ImportOutputArgs,
}

/// Where the result goes.
#[derive(Args, Debug)]
pub(crate) struct ImportOutputArgs {
    /// The folder for postern.toml, report.txt, tables and secrets; made if missing
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Replace files of an earlier import in DIR
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
