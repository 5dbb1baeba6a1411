//! Arguments of `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{ConfigArg, JsonArg, ReasonArg};

/// Arguments of `import`.
#[derive(Args, Debug)]
pub(crate) struct ImportSiteArgs {
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

/// Which server's files are read.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// Reads sendmail's files: sendmail.mc, and the tables, lists and settings of Cyrus SASL that it names
    ///
    /// m4 is not run. Passwords go into separate files that only the owner can read, never into the report.
    Sendmail(ImportSendmailArgs),
    /// Reads Postfix's files: main.cf, master.cf, and the tables, lists and settings of Dovecot or Cyrus SASL that they name
    ///
    /// Tables are copied next to the new configuration. Passwords, and files that configure database access, go into separate
    /// files that only the owner can read, never into the report.
    Postfix(ImportPostfixArgs),
    /// Repeats the old server's decisions from its log with the new configuration, and shows where they differ
    ///
    /// The rules are those of `postern explain`, with the real directories and name servers; policy services are not asked, since
    /// some remember requests. Nothing is accepted and nothing is sent. Ends with 1 if decisions differ.
    Check(ImportCheckArgs),
}

/// Arguments of `import check`.
#[derive(Args, Debug)]
pub(crate) struct ImportCheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Logs of sendmail or Postfix, such as /var/log/mail.log; those whose names end in .gz are decompressed; - for standard
    /// input
    #[arg(long, value_name = "FILE", required = true, num_args = 1.., value_hint = ValueHint::FilePath)]
    pub(crate) log: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Arguments of `import postfix`.
#[derive(Args, Debug)]
pub(crate) struct ImportPostfixArgs {
    /// The folder below which the old server's files are; / for this machine
    #[arg(value_name = "ROOT", default_value = "/", value_hint = ValueHint::DirPath)]
    pub(crate) root: PathBuf,
    /// The main.cf, as a path below ROOT; master.cf is beside it
    #[arg(long, value_name = "FILE", default_value = "/etc/postfix/main.cf")]
    pub(crate) main: String,
    #[command(flatten)]
    pub(crate) output: ImportOutputArgs,
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
    /// The folder for postern.toml, report.txt, tables and secrets; created if missing
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Replace files of an earlier import in DIR
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
