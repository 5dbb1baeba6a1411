//! Arguments of `explain`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Parser, ValueHint};
use postern_mail::{AddressLimits, Mailbox, ParseOptions, ReversePath};
use postern_sasl::Mechanism;

use super::identity::{mechanism, sender};
use super::{ConfigArg, JsonArg};

/// These arguments alone.
#[derive(Debug, Parser)]
struct Alone {
    #[command(flatten)]
    args: ExplainSessionArgs,
}

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainSessionArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// A past session, by its id as in the log and in refusals, instead of a simulated one
    #[arg(long, value_name = "ID", conflicts_with_all = [
        "peer", "listener", "bits", "certificate", "helo", "login", "mechanism", "acts_as", "from", "to", "size", "author", "message",
    ])]
    pub(crate) session: Option<String>,
    /// A local user, whose program submits a message through `sendmail`
    #[arg(long, value_name = "USER", conflicts_with_all = [
        "session", "peer", "listener", "bits", "certificate", "helo", "login", "mechanism", "acts_as",
    ])]
    pub(crate) local: Option<String>,
    /// The client's address
    #[arg(long, value_name = "IP", required_unless_present_any = ["session", "local"])]
    peer: Option<IpAddr>,
    /// The listener it connects to, by name or address; by default the first
    #[arg(long, value_name = "NAME")]
    pub(crate) listener: Option<String>,
    /// Bits of its TLS session; 0 for none; by default 256 if the listener has TLS
    #[arg(long, value_name = "BITS")]
    pub(crate) bits: Option<u32>,
    /// The certificate that it presents, in PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) certificate: Option<PathBuf>,
    /// The name in HELO or EHLO; empty for a client that sends neither
    #[arg(long, value_name = "NAME", default_value = "client.example")]
    pub(crate) helo: String,
    /// It sends data before the greeting
    #[arg(long)]
    pub(crate) early_talk: bool,
    /// The user who logs in; by default none
    #[arg(long)]
    pub(crate) login: Option<String>,
    /// The mechanism; by default the first available
    #[arg(long, value_name = "NAME", value_parser = mechanism, requires = "login")]
    pub(crate) mechanism: Option<Mechanism>,
    /// The identity it acts as, if different (the authorization identity)
    #[arg(long = "as", value_name = "LOGIN", requires = "login")]
    pub(crate) acts_as: Option<String>,
    /// The sender of the envelope; <> for none. Without a domain, it gets the one that the server would add
    #[arg(long, value_name = "ADDRESS", value_parser = any_sender, default_value = "<>")]
    pub(crate) from: ReversePath,
    /// A recipient; may be given several times
    #[arg(long, value_name = "ADDRESS", value_parser = any_recipient, required_unless_present = "session")]
    pub(crate) to: Vec<Mailbox>,
    /// The size of the message, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = 0)]
    pub(crate) size: u64,
    /// The value of the field From; by default the address of the sender
    #[arg(long, value_name = "VALUE")]
    pub(crate) author: Option<String>,
    /// The message; - for standard input. Its From and its size are used for the session, and the SPF, DKIM, DMARC and ARC
    /// results are shown if the server would check them
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["size", "author"])]
    pub(crate) message: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

impl ExplainSessionArgs {
    /// A user of this machine with a message for these.
    ///
    /// # Errors
    ///
    /// Which address makes no sense.
    pub(crate) fn for_local(
        config: ConfigArg,
        user: &str,
        from: Option<&str>,
        to: &[String],
    ) -> Result<Self, String> {
        let mut words = vec!["explain".to_owned(), "--local".to_owned(), user.to_owned()];
        for recipient in to {
            words.extend(["--to".to_owned(), recipient.clone()]);
        }
        if let Some(from) = from {
            words.extend([
                "--from".to_owned(),
                if from.is_empty() {
                    "<>".to_owned()
                } else {
                    from.to_owned()
                },
            ]);
        }
        let parsed = Alone::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(Self {
            config,
            ..parsed.args
        })
    }

    /// Of a client that brings a message for one recipient, as a log says.
    ///
    /// # Errors
    ///
    /// Which address makes no sense.
    pub(crate) fn of_client(
        config: ConfigArg,
        (peer, listener, helo): (IpAddr, &str, &str),
        login: Option<&str>,
        (from, to): (&str, &str),
    ) -> Result<Self, String> {
        let peer = peer.to_string();
        let from = if from.is_empty() { "<>" } else { from };
        let mut words = vec![
            "explain",
            "--peer",
            &peer,
            "--listener",
            listener,
            "--helo",
            helo,
            "--to",
            to,
        ];
        // A value may begin with a dash.
        let sender = format!("--from={from}");
        let who = login.map(|login| format!("--login={login}"));
        words.push(&sender);
        words.extend(who.as_deref());
        let parsed = Alone::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(Self {
            config,
            ..parsed.args
        })
    }

    /// From a form: names of options with their values; empty values are left out.
    ///
    /// # Errors
    ///
    /// The first value that makes no sense.
    pub(crate) fn of_form(given: &[(&'static str, String)]) -> Result<Self, String> {
        let words = given.iter().filter(|(_, value)| !value.is_empty());
        // A value may begin with a dash.
        let words = words.map(|(name, value)| format!("--{name}={value}"));
        let words = std::iter::once("explain".to_owned()).chain(words);
        let parsed = Alone::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })?;
        Ok(parsed.args)
    }

    /// The client's address: the loopback's for a user of this machine, one that nobody has where a session is named.
    pub(crate) fn peer(&self) -> IpAddr {
        if self.local.is_some() {
            return IpAddr::V4(Ipv4Addr::LOCALHOST);
        }
        self.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// The domain of an address that was given without one, until the configuration says which it gets. Nobody else can have it (RFC 6761
/// section 6.4).
pub(crate) const NO_DOMAIN: &str = "without-domain.invalid";

/// An address with [`NO_DOMAIN`], where it has none.
fn with_domain(text: &str) -> String {
    let bare = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    match bare.unwrap_or(text) {
        bare if bare.is_empty() || bare.contains('@') => text.to_owned(),
        bare => format!("{bare}@{NO_DOMAIN}"),
    }
}

fn any_sender(text: &str) -> Result<ReversePath, String> {
    sender(&with_domain(text))
}

fn any_recipient(text: &str) -> Result<Mailbox, String> {
    recipient(&with_domain(text))
}

pub(super) fn recipient(text: &str) -> Result<Mailbox, String> {
    let options = ParseOptions {
        utf8: true,
        limits: AddressLimits::STORED,
        ..ParseOptions::default()
    };
    let bare = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    Mailbox::parse(bare.unwrap_or(text), &options).map_err(|error| error.to_string())
}
