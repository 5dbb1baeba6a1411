//! The client that a filter is told of by `postern milters try`, with the macros that go along.

use std::borrow::Cow;
use std::net::IpAddr;

use postern_mail::{Mailbox, QueueId, ReversePath};
use postern_milter::{Macros, Peer};

use crate::args::TryArgs;
use crate::commands::version;
use crate::config::Config;
use crate::config::checked::ListenerConfig;

/// The port that the client is said to connect from.
const PORT: u16 = 49_152;

/// Values of macros, and for the recipient whose turn it is.
#[derive(Debug)]
pub(super) struct Values {
    fixed: Vec<(&'static str, String)>,
    recipient: Vec<(&'static str, String)>,
    recipients: usize,
    /// Domains for which mail stays here.
    local: postern_policy::DomainSet,
}

impl Macros for Values {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == "{nrcpts}" {
            return Some(Cow::Owned(self.recipients.to_string()));
        }
        let mut known = self.recipient.iter().chain(&self.fixed);
        let (_, value) = known.find(|(known, _)| *known == name)?;
        Some(Cow::Borrowed(value))
    }
}

impl Values {
    pub(super) fn of(
        args: &TryArgs,
        config: &Config,
        listener: &ListenerConfig,
        sender: &ReversePath,
        message_id: Option<&str>,
    ) -> Self {
        let local = config.receive.relay.local_domains.clone();
        let client = args.client.to_string();
        let name = client_name(args);
        let resolved = if args.client_name.is_some() { "OK" } else { "FAIL" };
        let own = match listener.address.ip() {
            own if own.is_unspecified() && args.client.is_ipv6() => "::1".to_owned(),
            own if own.is_unspecified() => "127.0.0.1".to_owned(),
            own => own.to_string(),
        };
        let now = jiff::Timestamp::now().as_millisecond();
        let mut fixed = vec![
            ("j", config.hostname.clone()),
            ("_", seen_as(&name, &client)),
            ("v", format!("Postern {}", version::TEXT)),
            ("i", QueueId::new(now, 0).to_string()),
            ("{daemon_name}", listener.settings.name.clone()),
            ("{daemon_addr}", own.clone()),
            ("{daemon_port}", listener.address.port().to_string()),
            ("{client_name}", name),
            ("{client_addr}", client),
            ("{client_port}", PORT.to_string()),
            ("{client_resolve}", resolved.to_owned()),
            ("{nbadrcpts}", "0".to_owned()),
            ("{verify}", "NONE".to_owned()),
        ];
        match listener.address.ip().is_loopback() {
            true => fixed.push(("{if_name}", "localhost".to_owned())),
            false => {
                fixed.push(("{if_name}", config.hostname.clone()));
                fixed.push(("{if_addr}", own));
            }
        }
        fixed.extend(args.client_name.clone().map(|name| ("{client_ptr}", name)));
        if let Some(login) = &args.login {
            fixed.push(("{auth_type}", "PLAIN".to_owned()));
            fixed.push(("{auth_authen}", login.clone()));
            fixed.push(("{auth_ssf}", "0".to_owned()));
        }
        fixed.extend(route("mail", sender.mailbox(), &local));
        if let Some(id) = message_id {
            fixed.push(("{msg_id}", id.to_owned()));
        }
        Self {
            fixed,
            recipient: Vec::new(),
            recipients: 0,
            local,
        }
    }

    /// The next recipient.
    pub(super) fn turn_to(&mut self, recipient: &Mailbox) {
        self.recipient = route("rcpt", Some(recipient), &self.local);
    }

    /// It was taken.
    pub(super) fn count(&mut self) {
        self.recipients += 1;
    }
}

/// `{mail_mailer}`, `{mail_host}` and `{mail_addr}`, or those of a recipient.
fn route(
    which: &str,
    mailbox: Option<&Mailbox>,
    local: &postern_policy::DomainSet,
) -> Vec<(&'static str, String)> {
    let names = match which {
        "mail" => ["{mail_mailer}", "{mail_host}", "{mail_addr}"],
        _ => ["{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"],
    };
    let values = match mailbox {
        None => ["local".to_owned(), String::new(), String::new()],
        Some(mailbox) => {
            let (domain, address) = (mailbox.domain(), mailbox.to_string());
            match local.contains_by_name(domain) {
                true => [
                    "local".to_owned(),
                    String::new(),
                    mailbox.unquoted_local().into_owned(),
                ],
                false => ["esmtp".to_owned(), domain.to_string(), address],
            }
        }
    };
    names.into_iter().zip(values).collect()
}

/// What the filter is told as the client's host.
pub(super) fn client_name(args: &TryArgs) -> String {
    args.client_name
        .clone()
        .unwrap_or_else(|| format!("[{}]", args.client))
}

/// The value of `_`: name and address.
fn seen_as(name: &str, client: &str) -> String {
    match name.starts_with('[') {
        true => name.to_owned(),
        false => format!("{name} [{client}]"),
    }
}

/// From where it connects.
pub(super) const fn peer(client: IpAddr) -> Peer {
    Peer::Network(client, PORT)
}
