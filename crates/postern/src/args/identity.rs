//! Arguments of `user address`, `user group`, `user delegate` and `auth explain`.

use clap::{Args, Subcommand};
use postern_mail::{Mailbox, ParseOptions, ReversePath};
use postern_sasl::Mechanism;

use super::JsonArg;

/// What to do with further addresses.
#[derive(Debug, Subcommand)]
pub(crate) enum AddressCommand {
    /// Adds an address at which a user receives mail and with which the user may send
    Add {
        /// The user name
        login: String,
        /// The address
        address: String,
    },
    /// Removes an address
    Remove {
        /// The user name
        login: String,
        /// The address
        address: String,
    },
}

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Adds a user to a group, for the grants to it in [[identity.grant]]
    Add {
        /// The user name
        login: String,
        /// The group; it exists as long as it has members
        group: String,
    },
    /// Removes a user from a group
    Remove {
        /// The user name
        login: String,
        /// The group
        group: String,
    },
}

/// What to do with delegates.
#[derive(Debug, Subcommand)]
pub(crate) enum DelegateCommand {
    /// Lets a user send with another user's addresses, and act as that user
    Add {
        /// The user whose addresses they are
        owner: String,
        /// The delegate
        delegate: String,
    },
    /// Revokes that
    Remove {
        /// The user whose addresses they are
        owner: String,
        /// The delegate
        delegate: String,
    },
}

/// Arguments of `auth explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The user name
    #[arg(long)]
    pub(crate) login: String,
    /// The authorization identity, if it differs
    #[arg(long = "as", value_name = "LOGIN")]
    pub(crate) acts_as: Option<String>,
    /// The sender of the envelope; <> for none
    #[arg(long, value_name = "ADDRESS", value_parser = sender)]
    pub(crate) sender: Option<ReversePath>,
    /// The value of the field From; may be given several times, like the field in a message
    #[arg(long, value_name = "VALUE")]
    pub(crate) from: Vec<String>,
    /// The value of the field Sender
    #[arg(long = "header-sender", value_name = "VALUE")]
    pub(crate) header_sender: Vec<String>,
    /// The submitter in AUTH= of MAIL
    #[arg(long, value_name = "ADDRESS", value_parser = mailbox)]
    pub(crate) submitter: Option<Mailbox>,
    /// The mechanism, to show whether it is offered and may relay
    #[arg(long, value_name = "NAME", value_parser = mechanism)]
    pub(crate) mechanism: Option<Mechanism>,
    /// The listener, by its name or address
    #[arg(long, value_name = "NAME")]
    pub(crate) listener: Option<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) peer: std::net::IpAddr,
    /// Bits of the client's TLS session; 0 for none
    #[arg(long, value_name = "BITS", default_value_t = 256)]
    pub(crate) bits: u32,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    let bare = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    Mailbox::parse(bare.unwrap_or(text), &options).map_err(|error| error.to_string())
}

pub(super) fn sender(text: &str) -> Result<ReversePath, String> {
    match text {
        "" | "<>" => Ok(ReversePath::Null),
        _ => mailbox(text).map(ReversePath::Mailbox),
    }
}

pub(super) fn mechanism(text: &str) -> Result<Mechanism, String> {
    Mechanism::from_config(text).map_err(|error| error.to_string())
}
