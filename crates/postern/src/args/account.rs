//! Arguments of `account` and `budgets`.

use clap::{Args, Subcommand};

use super::{ConfigArg, JsonArg, ReasonArg};

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
}
