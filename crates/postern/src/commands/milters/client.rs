//! The client that `postern milters try` presents to a filter, with the macros, made as the server makes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use postern_mail::{Mailbox, QueueId, ReversePath};
use postern_milter::facts::{Client, Facts, Login, Message, Resolved, Way};
use postern_receive::{Settings, way_of_recipient, way_of_sender};

use crate::args::TryArgs;
use crate::commands::version;
use crate::config::Config;
use crate::config::checked::ListenerConfig;

/// The client's pretended source port.
const PORT: u16 = 49_152;

/// What a filter is told, with the current recipient.
pub(super) struct Told<'a> {
    args: &'a TryArgs,
    settings: &'a Settings,
    version: String,
    listener: &'a str,
    local: SocketAddr,
    message: Message,
    recipient: Option<Way>,
}

impl<'a> Told<'a> {
    pub(super) fn of(
        args: &'a TryArgs,
        config: &'a Config,
        listener: &'a ListenerConfig,
        sender: &ReversePath,
        message_id: Option<&str>,
    ) -> Self {
        let settings = &config.receive;
        let own = match listener.address.ip() {
            own if !own.is_unspecified() => own,
            _ if args.client.is_ipv6() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let now = jiff::Timestamp::now().as_millisecond();
        Self {
            args,
            settings,
            version: format!("Postern {}", version::TEXT),
            listener: &listener.settings.name,
            local: SocketAddr::new(own, listener.address.port()),
            message: Message {
                id: Some(QueueId::new(now, 0).to_string()),
                sender: Some(way_of_sender(sender, settings)),
                message_id: message_id.map(str::to_owned),
                ..Message::default()
            },
            recipient: None,
        }
    }

    /// The pretended client.
    pub(super) fn client(&self) -> Client<'a> {
        Client {
            address: SocketAddr::new(self.args.client, PORT),
            resolved: match &self.args.client_name {
                Some(name) => Resolved::Confirmed(name),
                None => Resolved::Nameless,
            },
        }
    }

    /// Everything known now.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            hostname: &self.settings.hostname,
            version: &self.version,
            listener: self.listener,
            local: Some(self.local),
            client: self.client(),
            tls: None,
            login: self.args.login.as_deref().map(|login| Login {
                mechanism: "PLAIN",
                authcid: login,
                acts_as: None,
                layer_bits: 0,
            }),
            message: &self.message,
            recipient: self.recipient.as_ref(),
        }
    }

    /// Goes to the next recipient.
    pub(super) fn turn_to(&mut self, recipient: &Mailbox) {
        self.recipient = Some(way_of_recipient(recipient, self.settings));
    }

    /// Counts it as accepted or refused.
    pub(super) fn count(&mut self, taken: bool) {
        match taken {
            true => self.message.taken += 1,
            false => self.message.refused += 1,
        }
    }
}
