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

/// What to do about access over HTTP.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiCommand {
    /// Makes, lists and revokes tokens of the API
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Shows and removes second factors of logins at the page
    Factor {
        #[command(subcommand)]
        command: FactorCommand,
    },
    /// Makes a link that opens the page once, as an administrator
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
    /// Makes a token, and shows it once
    Create {
        /// What it is for; this is its name
        name: String,
        /// What may be done with it
        #[arg(long, value_enum)]
        role: RoleWord,
        /// The login as which it submits mail, and whose mail is its own
        #[arg(long)]
        login: Option<String>,
        /// When it expires: after a time such as 90d, or at the end of a day such as 2027-03-31
        #[arg(long, visible_alias = "until", value_name = "WHEN", value_parser = expiry)]
        expires: Option<Timestamp>,
        /// A network from which it may be used; may be given several times; without it everywhere
        #[arg(long = "network", value_name = "NETWORK", value_parser = network)]
        networks: Vec<IpNet>,
        /// A request that it is limited to, such as "queue list", or a kind of requests such as queue; may be given several times
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
    /// Removes one, for a user who has lost it
    Remove {
        /// The user name
        login: String,
    },
}

/// A role.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleWord {
    /// The mail of its login, and nothing else
    Own,
    /// Everything but the content of mail; nothing is changed
    Read,
    /// Also the queue, sessions, lockouts and accounts on hold
    Operate,
    /// Everything that the command line can do
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
