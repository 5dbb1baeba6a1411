//! Arguments of `api`.

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use jiff::Timestamp;

use super::user::{expiry, network};
use super::{ConfigArg, JsonArg, ReasonArg};
use crate::admin::Role;

/// Arguments of `api`.
#[derive(Args, Debug)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: ApiCommand,
}

/// Manages access over HTTP
#[derive(Debug, Subcommand)]
pub(crate) enum ApiCommand {
    /// Creates, lists and revokes API tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Shows and removes second factors of logins at the page
    Factor {
        #[command(subcommand)]
        command: FactorCommand,
    },
    /// Creates a link that opens the page once, as an administrator
    ///
    /// It is valid for 15 minutes, and replaces the previous one.
    Link {
        #[command(flatten)]
        json: JsonArg,
    },
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Creates a token, and shows it once
    Create {
        /// What it is for; this is its name
        name: String,
        /// What it allows
        #[arg(long, value_enum)]
        role: RoleWord,
        /// The login that it submits mail as, and whose mail is its own
        #[arg(long)]
        login: Option<String>,
        /// When it expires: after a time such as 90d, or at the end of a day such as 2027-03-31
        #[arg(long, visible_alias = "until", value_name = "WHEN", value_parser = expiry)]
        expires: Option<Timestamp>,
        /// A network that it may be used from; may be given several times; by default all
        #[arg(long = "network", value_name = "NETWORK", value_parser = network)]
        networks: Vec<IpNet>,
        /// A request that it is limited to, such as "queue list", or a group of requests such as queue; may be given several
        /// times
        #[arg(long = "scope", value_name = "REQUEST")]
        scope: Vec<String>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Lists the tokens with their last use
    List {
        #[command(flatten)]
        json: JsonArg,
    },
    /// Revokes a token
    Revoke {
        /// Its name
        name: String,
    },
}

/// What to do with second factors.
#[derive(Debug, Subcommand)]
pub(crate) enum FactorCommand {
    /// Lists the logins that have one
    List {
        #[command(flatten)]
        json: JsonArg,
    },
    /// Removes a second factor, for a user who has lost it
    Remove {
        /// The user name
        login: String,
    },
}

/// A role.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleWord {
    /// Only the mail of its login
    Own,
    /// Everything but the content of mail; no changes
    Read,
    /// Also the queue, sessions, lockouts and accounts on hold
    Operate,
    /// Everything that is possible on the command line
    Administer,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Own => Self::Own,
            RoleWord::Read => Self::Read,
            RoleWord::Operate => Self::Operate,
            RoleWord::Administer => Self::Administer,
        }
    }
}
