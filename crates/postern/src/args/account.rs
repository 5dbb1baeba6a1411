//! Arguments of `account` and `budgets`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigArg, JsonArg, ReasonArg, TimesArgs};

/// Arguments of `account`.
#[derive(Args, Debug)]
pub(crate) struct AccountArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Lists the accounts that are on hold
    List {
        #[command(flatten)]
        json: JsonArg,
    },
    /// Shows what an account has sent, from where, and whether it is on hold
    ///
    /// Ends with 1 if nothing is known about it.
    Show {
        /// The user name; the address of a client that relays without one
        #[arg(value_name = "LOGIN")]
        account: String,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Puts an account on hold: its mail is accepted and waits
    ///
    /// Its queued mail is held, too. Mail to the user still arrives.
    Hold {
        /// The user name; the address of a client that relays without one
        #[arg(value_name = "LOGIN")]
        account: String,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Releases an account and all its held mail
    ///
    /// Its budget starts again. Ends with 1 if it is not on hold.
    Release {
        /// The user name; the address of a client that relays without one
        #[arg(value_name = "LOGIN")]
        account: String,
        /// Remove its held mail instead of delivering it
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Arguments of `budgets try`.
#[derive(Args, Debug)]
pub(crate) struct BudgetsTryArgs {
    /// The file with the [[budget]] tables, which may hold nothing else; the configuration in use if none is named
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) times: TimesArgs,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Arguments of `budgets`.
#[derive(Args, Debug)]
pub(crate) struct BudgetsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(subcommand)]
    pub(crate) command: BudgetsCommand,
}

/// What to do with budgets.
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetsCommand {
    /// Shows the budgets in force, and the accounts that have used most of each
    Show {
        #[command(flatten)]
        json: JsonArg,
    },
    /// Says what the budgets of a file would have caught, by the history
    ///
    /// Nothing is changed. What happened is counted again in order of time, as if nobody had been on hold before, and whoever
    /// would have been put on hold stays so to the end. Mail for own domains of clients without a login is left out.
    Try(BudgetsTryArgs),
}
