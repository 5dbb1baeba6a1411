//! Arguments of `probe`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use postern_sasl::Mechanism;

use super::identity::mechanism;
use super::{JsonArg, PasswordArgs};

/// Arguments of `probe`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ProbeArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ProbeCommand>,
    #[command(flatten)]
    pub(crate) host: ProbeHostArgs,
}

/// What else can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum ProbeCommand {
    /// Sends many messages to a server, and reports how fast it accepts them
    ///
    /// Ends after that many messages, or that much time, whichever comes first. Hosts other than this one need --remote: load on
    /// somebody else's server is an attack.
    Load(ProbeLoadArgs),
}

/// Arguments of `probe HOST`.
#[derive(Args, Debug)]
pub(crate) struct ProbeHostArgs {
    /// The server: a name or address, with or without a port
    #[arg(value_name = "HOST[:PORT]", required = true)]
    pub(crate) host: Option<String>,
    /// How TLS starts; by default implicit on port 465, otherwise with STARTTLS if offered
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) tls: Option<ProbeTls>,
    /// Trust the authorities in this file instead of the system's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// The name that the certificate must have; by default the host's
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The domain whose mail the server accepts: its MX records and MTA-STS policy are checked; by default those of the host's
    /// name
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Option<String>,
    /// Use this name server instead of the system's; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) nameserver: Vec<SocketAddr>,
    /// Trust anchors for DNSSEC, DNSKEY records as in a zone file; by default those of the root
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trust_anchors: Option<PathBuf>,
    /// A certificate to present, in PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// The name in EHLO; by default this machine's
    #[arg(long, value_name = "NAME")]
    pub(crate) helo: Option<String>,
    /// Try each mechanism with this login, with the right password and with a wrong one
    #[arg(long)]
    pub(crate) login: Option<String>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Only this mechanism
    #[arg(long, value_name = "NAME", value_parser = mechanism, requires = "login")]
    pub(crate) mechanism: Option<Mechanism>,
    /// Do not try a wrong password: each one counts as a guess there
    #[arg(long, requires = "login")]
    pub(crate) no_wrong_password: bool,
    /// Begin with a PROXY header with this client address
    #[arg(long, value_name = "IP")]
    pub(crate) proxy: Option<IpAddr>,
    /// The sender of a message; <> for none
    #[arg(long, value_name = "ADDRESS", default_value = "<>")]
    pub(crate) from: String,
    /// Try this recipient without sending; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: Vec<String>,
    /// Send a short message to them
    #[arg(long, requires = "to")]
    pub(crate) send: bool,
    /// Try to relay mail, with the tricks that strangers use. For your own servers
    #[arg(long)]
    pub(crate) relay_test: bool,
    /// The longest wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Arguments of `probe load`.
#[derive(Args, Debug)]
pub(crate) struct ProbeLoadArgs {
    /// The server: an address of this machine, with or without a port
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) host: String,
    /// The recipient
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: String,
    /// The sender; <> for none
    #[arg(long, value_name = "ADDRESS", default_value = "<>")]
    pub(crate) from: String,
    /// Most messages
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) messages: u64,
    /// Connections at once
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) connections: u64,
    /// The longest time in all, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) time: u64,
    /// Octets of each message
    #[arg(long, value_name = "OCTETS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) size: u64,
    /// The server is another machine, and yours
    #[arg(long)]
    pub(crate) remote: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ProbeTls {
    /// Require STARTTLS
    Starttls,
    /// Implicit TLS
    Implicit,
    /// No TLS
    None,
}
