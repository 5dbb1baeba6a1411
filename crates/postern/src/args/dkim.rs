//! Arguments of `dkim`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use postern_mail::Domain;
use postern_seal::{Algorithm, RsaBits};

use super::{ConfigArg, JsonArg, ReasonArg};

/// Arguments of `dkim`.
#[derive(Args, Debug)]
pub(crate) struct DkimArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    #[command(flatten)]
    pub(crate) reason: ReasonArg,
    #[command(subcommand)]
    pub(crate) command: DkimCommand,
}

/// What to do with DKIM keys.
#[derive(Debug, Subcommand)]
pub(crate) enum DkimCommand {
    /// Makes the first keys of a domain, and prints the records for DNS
    ///
    /// The keys are below the state directory and never leave this machine. They sign once DNS shows their records: the running
    /// server looks every two minutes. With --dir they are written there, for [[dkim.key]].
    New(NewKeyArgs),
    /// Compares the keys with their records in DNS
    ///
    /// Asks the name servers of the configuration. Ends with 1 if a key that signs cannot be verified with what DNS has.
    Check {
        /// The domain; by default all in the configuration
        #[arg(value_parser = domain)]
        domain: Option<String>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Takes the next step of a rotation: creates the next keys, or makes them sign once DNS shows them
    ///
    /// The previous keys then no longer sign; their records are needed for as long as `keep_old` says, and after that they are
    /// removed. A running server takes the steps after the first automatically. Ends with 1 while DNS does not show the records.
    Rotate(RotateArgs),
    /// Prints the required DNS records of all keys of a domain
    Records {
        /// The domain
        #[arg(value_parser = domain)]
        domain: String,
        #[command(flatten)]
        json: JsonArg,
    },
}

/// Arguments of `dkim new`.
#[derive(Args, Debug)]
pub(crate) struct NewKeyArgs {
    /// The domain
    #[arg(value_parser = domain)]
    pub(crate) domain: String,
    /// The selector; the second of two keys gets its algorithm appended
    #[arg(long, value_name = "NAME", value_parser = selector)]
    pub(crate) selector: Option<String>,
    /// Which keys: every receiver verifies RSA, Ed25519 is shorter and newer; mail is signed with both
    #[arg(long, value_enum, default_value_t = AlgorithmsArg::Both)]
    pub(crate) algorithm: AlgorithmsArg,
    /// Bits of an RSA key; a record of more than 2048 does not always fit in one DNS answer over UDP
    #[arg(long, value_name = "BITS", default_value = "2048", value_parser = bits)]
    pub(crate) bits: RsaBits,
    /// A folder for the keys, instead of the state directory; created if missing
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Arguments of `dkim rotate`.
#[derive(Args, Debug)]
pub(crate) struct RotateArgs {
    /// The domain
    #[arg(value_parser = domain)]
    pub(crate) domain: String,
    /// Wait until DNS shows the records, for at most this many minutes, then continue
    #[arg(long, value_name = "MINUTES", num_args = 0..=1, default_missing_value = "60")]
    pub(crate) wait: Option<u64>,
    /// Only continue with keys that wait for DNS, including the first of a domain; if there are none, do nothing
    #[arg(long = "continue", conflicts_with_all = ["switch", "cancel", "finish"])]
    pub(crate) go_on: bool,
    /// Make the next keys sign now, whatever DNS shows
    #[arg(long, conflicts_with_all = ["cancel", "finish", "wait"])]
    pub(crate) switch: bool,
    /// Remove the next keys, which do not sign yet
    #[arg(long, conflicts_with_all = ["finish", "wait"])]
    pub(crate) cancel: bool,
    /// Remove the old keys now, however short the time since they signed
    #[arg(long, conflicts_with = "wait")]
    pub(crate) finish: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Which keys are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum AlgorithmsArg {
    /// RSA and Ed25519
    Both,
    /// RSA
    Rsa,
    /// Ed25519
    Ed25519,
}

impl AlgorithmsArg {
    /// The algorithms that it stands for.
    pub(crate) fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Both => &Algorithm::ALL,
            Self::Rsa => &[Algorithm::RsaSha256],
            Self::Ed25519 => &[Algorithm::Ed25519Sha256],
        }
    }
}

fn domain(text: &str) -> Result<String, String> {
    match Domain::parse(text, true) {
        Ok(Domain::Name(name)) if name.contains('.') => Ok(name.into()),
        Ok(_) => Err("not a full domain name".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn selector(text: &str) -> Result<String, String> {
    match Domain::parse(text, false) {
        Ok(Domain::Name(name)) => Ok(name.into()),
        _ => Err("a selector is made of letters, digits, hyphens and dots".to_owned()),
    }
}

fn bits(text: &str) -> Result<RsaBits, String> {
    match text {
        "2048" => Ok(RsaBits::Rsa2048),
        "3072" => Ok(RsaBits::Rsa3072),
        "4096" => Ok(RsaBits::Rsa4096),
        _ => Err("2048, 3072 or 4096".to_owned()),
    }
}
