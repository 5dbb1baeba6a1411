//! Arguments of `user import` and `user app-password`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use ipnet::IpNet;
use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
use postern_directory::users::import::Format;
use postern_policy::scope::Written;
use postern_sasl::Mechanism;

use super::JsonArg;
use super::identity::mechanism;

/// Arguments of `user import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// What the file is
    #[arg(long, value_enum)]
    pub(crate) format: ImportFormat,
    /// The file; - for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Append @DOMAIN to names without a domain
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Option<String>,
    /// Give existing users the password and state from the file
    ///
    /// Without it they are not changed. Addresses and app passwords are never changed.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Only say what would be imported
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// What can be imported.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Apache's htpasswd
    Htpasswd,
    /// /etc/passwd of a system that keeps hashes in it
    Passwd,
    /// /etc/shadow
    Shadow,
    /// Dovecot's passwd-file
    Dovecot,
    /// Cyrus SASL's /etc/sasldb2, or the output of `db_dump` for it
    Sasldb,
}

impl From<ImportFormat> for Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Htpasswd => Self::Htpasswd,
            ImportFormat::Passwd => Self::Passwd,
            ImportFormat::Shadow => Self::Shadow,
            ImportFormat::Dovecot => Self::Dovecot,
            ImportFormat::Sasldb => Self::Sasldb,
        }
    }
}

/// What to do with app passwords.
#[derive(Debug, Subcommand)]
pub(crate) enum AppPasswordCommand {
    /// Generates a password for one device or program, and shows it once
    Add {
        /// The user name
        login: String,
        /// What the password is for; this is its name
        label: String,
        /// When it expires: after a time such as 90d, or at the end of a day such as 2027-03-31
        #[arg(long, value_name = "WHEN", value_parser = expiry)]
        expires: Option<Timestamp>,
        /// A network from which it may be used; may be given several times; by default everywhere
        #[arg(long = "network", visible_alias = "networks", value_delimiter = ',', value_name = "NETWORK", value_parser = network)]
        networks: Vec<IpNet>,
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Lists a user's app passwords with their last use
    List {
        /// The user name
        login: String,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Revokes an app password
    Revoke {
        /// The user name
        login: String,
        /// What the password is for
        label: String,
    },
}

/// What an app password is good for; without any of these it is for anything.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ScopeArgs {
    /// A listener or socket where it may be used, by its name; may be given several times, or several with commas between
    #[arg(
        long = "listener",
        visible_alias = "listeners",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    listeners: Vec<String>,
    /// A mechanism with which it may be used, likewise
    #[arg(long = "mechanism", visible_alias = "mechanisms", value_delimiter = ',', value_name = "NAME", value_parser = mechanism)]
    mechanisms: Vec<Mechanism>,
    /// Days and times at which it may be used, as "Mon-Fri 08:00-18:00"; may be given several times
    #[arg(long = "hours", value_name = "TIMES")]
    hours: Vec<String>,
    /// The time zone of the hours, as Europe/Berlin; without it that of the server
    #[arg(long, value_name = "ZONE", requires = "hours")]
    zone: Option<String>,
    /// A sender with which it may be used: an address, @domain, .domain for all below it, or <>; as for listeners
    #[arg(
        long = "sender",
        visible_alias = "senders",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    senders: Vec<String>,
    /// A recipient to whom it may send, likewise
    #[arg(
        long = "recipient",
        visible_alias = "recipients",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    recipients: Vec<String>,
}

impl ScopeArgs {
    /// The scope in texts.
    pub(crate) fn written(&self) -> Written {
        Written {
            listeners: self.listeners.clone(),
            mechanisms: self.mechanisms.iter().map(|one| one.name().to_owned()).collect(),
            networks: Vec::new(),
            hours: self.hours.clone(),
            zone: self.zone.clone(),
            senders: self.senders.clone(),
            recipients: self.recipients.clone(),
        }
    }
}

/// A length of time from now, or a day, which still counts.
pub(super) fn expiry(text: &str) -> Result<Timestamp, String> {
    let wrong = || "write a time such as 90d or a day such as 2027-03-31".to_owned();
    if let Ok(day) = text.parse::<civil::Date>() {
        let next = day.checked_add(1.day()).map_err(|_| wrong())?;
        let midnight = next.to_zoned(TimeZone::system()).map_err(|_| wrong())?;
        return Ok(midnight.timestamp());
    }
    let duration = postern_policy::units::duration(text).map_err(|_| wrong())?;
    Timestamp::now().checked_add(duration).map_err(|_| wrong())
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .map(|network| network.trunc())
        .or_else(|_| one())
        .map(postern_policy::breadth::canonical)
        .map_err(|_| "write a network such as 192.0.2.0/24 or an address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_and_networks() {
        let now = Timestamp::now().as_second();
        let in_a_day = expiry("1d").unwrap().as_second() - now;
        assert!((86_399..86_402).contains(&in_a_day), "{in_a_day}");
        let end = expiry("2027-03-31").unwrap().to_zoned(TimeZone::system());
        assert_eq!(
            end.date().to_string(),
            "2027-04-01",
            "the day itself still counts"
        );
        for wrong in ["", "soon", "31.3.2027", "-1d", "99999999w"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
        let cases = [
            ("192.0.2.0/24", Some("192.0.2.0/24")),
            ("192.0.2.77/24", Some("192.0.2.0/24")),
            ("192.0.2.1", Some("192.0.2.1/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::ffff:192.0.2.0/120", Some("192.0.2.0/24")),
            ("192.0.2.0/33", None),
            ("home", None),
        ];
        for (text, want) in cases {
            assert_eq!(
                network(text).ok().map(|net| net.to_string()).as_deref(),
                want,
                "{text}"
            );
        }
    }
}
