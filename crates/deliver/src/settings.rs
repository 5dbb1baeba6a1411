//! The settings of delivery. Plain values that have been checked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use postern_mail::Mailbox;
use postern_policy::retry::RetrySettings;
use postern_policy::route::{Hop, RouteTable};
use postern_policy::srs::Srs;
use postern_policy::transport::TlsHosts;
use postern_sasl::{ContextInitiator, Layers, Mechanism};
use postern_smtp::client::needs::EightBit;
use secrecy::SecretString;

use crate::TlsClients;
use crate::ask_routes::AskRoutes;
use crate::outward::Outward;

/// How mail leaves the spool. A value of this type has been checked.
///
/// Swapped as a whole by a reload; a current attempt ends under the settings it began with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name given in `EHLO`, and the reporting MTA of bounces.
    pub hostname: String,

    /// Further names of this server. An MX record that points at one of them, or at [`Settings::hostname`],
    /// is a loop (RFC 5321 section 5.1); less preferred hosts than our own are not tried.
    pub own_names: Vec<String>,

    /// Which domains go where. Without a matching route MX records decide.
    pub routes: RouteTable,

    /// Those of their tables that must be asked for each recipient. Default: none.
    pub route_tables: Vec<Arc<dyn AskRoutes>>,

    /// The logins at hosts of routes, by the name in [`RouteLogin`](postern_policy::route::RouteLogin).
    pub logins: HashMap<Arc<str>, Arc<Login>>,

    /// When to try again, when to warn, when to give up.
    pub retry: RetrySettings,

    /// Limits on connections, messages and recipients.
    pub limits: Limits,

    /// Time limits.
    pub timeouts: Timeouts,

    /// Reports of failure, delay and success.
    pub reports: ReportSettings,

    /// The port of hosts that MX records name. Default 25; others are for test setups.
    pub mx_port: u16,

    /// Hosts to try when the hosts of a domain's MX records cannot be found, or all of them fail temporarily. Default none.
    pub fallback: Vec<Hop>,

    /// Networks that mail may reach by MX records and address literals although they are this host's or link-local: see
    /// [`reach`](postern_policy::reach). Default none; for test setups.
    pub mx_networks: Vec<IpNet>,

    /// Whether mail is sent to address literals such as `user@[192.0.2.1]`. Default no: it bounces.
    pub address_literals: bool,

    /// The addresses that this server listens on. A hop that leads to one of them is a loop.
    pub listeners: Vec<SocketAddr>,

    /// Whether `BDAT` is used with peers that offer `CHUNKING` (RFC 3030).
    ///
    /// Default yes: with `PIPELINING` it saves a round trip per message. Turning it off helps with peers that announce it but
    /// fail.
    pub chunking: bool,

    /// What happens with 8-bit content when the next hop does not offer `8BITMIME`. Default: it is converted (RFC 6152 section
    /// 3).
    pub eight_bit: EightBit,

    /// Most `Received` fields of a message before it counts as a mail loop (RFC 5321 section 6.3).
    ///
    /// Default 100, the least that the RFC asks for.
    pub received_max: u32,

    /// Hosts for which TLS differs from what routes say. Default: none.
    pub tls_hosts: TlsHosts,

    /// How the senders of forwarded mail are rewritten. Default: they are not.
    pub srs: Option<Arc<Srs>>,

    /// What changes in messages as they leave over SMTP. Default: nothing.
    pub outward: Option<Arc<dyn Outward>>,

    /// How mail is delivered to local users. Default: not at all.
    pub system: Option<SystemUsers>,
}

/// The helper that delivers to local users.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SystemUsers {
    /// Its socket.
    pub socket: PathBuf,
    /// Longest time from the end of a message to the reply.
    pub patience: Duration,
    /// Where the helper puts mail, for people: `/var/mail/{user}`, or the path of an agent.
    pub place: String,
}

/// The login at a smarthost, and its credentials.
#[derive(Debug)]
pub struct Login {
    /// Its name in the configuration, for log and listings.
    pub name: Arc<str>,
    /// The account.
    pub account: String,
    /// Who to act as, if somebody else.
    pub authzid: Option<String>,
    /// The Windows domain, for NTLM.
    pub domain: Option<String>,
    /// The credentials.
    pub secret: LoginSecret,
    /// The mechanisms that may be used; `None` for all.
    pub mechanisms: Option<Vec<Mechanism>>,
    /// Security layers that may be agreed on without TLS.
    pub layers: Layers,
    /// Obtains Kerberos tickets for it, if it uses them.
    pub kerberos: Option<Arc<dyn ContextInitiator>>,
    /// TLS with the login's own certificate, if it has one.
    pub tls: Option<TlsClients>,
}

/// The credentials of a login.
#[derive(Debug)]
pub enum LoginSecret {
    /// Only the certificate.
    Certificate,
    /// Only a Kerberos ticket.
    Ticket,
    /// A password.
    Password(SecretString),
    /// An OAuth token, which [`Tokens`](crate::Tokens) returns by the login's name.
    Token,
}

/// Limits on what delivery may use. All are at least 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Concurrent connections to one next hop. Default 20.
    ///
    /// A new destination starts with two and earns one more with every message it accepts.
    pub connections_per_destination: usize,

    /// Connections in all, except those for local delivery. Default 1,000. Each costs a socket and about 20 KiB. Half are
    /// reserved for users' mail, a fifth for strangers', a tenth for reports ([`Shares`](postern_policy::concurrency::Shares)).
    pub connections: usize,

    /// Messages per second to one next hop; `None` is unlimited, the default.
    pub rate_per_destination: Option<f64>,

    /// Recipients in one transaction. Default 100, which every server accepts (RFC 5321 section 4.5.3.1.8).
    pub recipients_per_transaction: usize,

    /// Messages sent over one connection before a new one is made. Default 1,000.
    pub messages_per_connection: u32,

    /// Deliveries on one connection whose outcome may be unsettled. Default 4.
    ///
    /// A crash repeats at most this many deliveries per connection; a higher number hides the time that a sync takes.
    pub unsettled_per_connection: usize,

    /// Messages of one next hop and one class of mail held in memory. Default 1,000; the rest waits in the spool.
    pub waiting_per_destination: usize,

    /// Deferred messages held in memory in all, without their bodies. Default 20,000, reserved for classes of mail like
    /// connections. Fresh ones are limited by the spool.
    pub waiting: usize,

    /// Hosts and addresses tried in one attempt, in total. Default 10.
    pub addresses_per_attempt: usize,

    /// Longest pause after all hosts of a destination could not be reached. Default 10 minutes.
    ///
    /// The pause follows the retry intervals, a little shorter than each, so that it is over when mail becomes due.
    pub dead_pause_max: Duration,

    /// Octets to be left free on the disks of Maildirs; mail that would use them is deferred. Default 100 MiB.
    pub min_free: u64,
}

impl Settings {
    /// Defaults for a server with this name and these routes.
    #[must_use]
    pub fn new(hostname: impl Into<String>, routes: RouteTable) -> Self {
        Self {
            hostname: hostname.into(),
            own_names: Vec::new(),
            routes,
            route_tables: Vec::new(),
            logins: HashMap::new(),
            retry: RetrySettings::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            reports: ReportSettings::default(),
            mx_port: 25,
            fallback: Vec::new(),
            mx_networks: Vec::new(),
            address_literals: false,
            tls_hosts: TlsHosts::default(),
            listeners: Vec::new(),
            chunking: true,
            eight_bit: EightBit::default(),
            received_max: 100,
            srs: None,
            outward: None,
            system: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_destination: 20,
            connections: 1_000,
            rate_per_destination: None,
            recipients_per_transaction: 100,
            messages_per_connection: 1_000,
            unsettled_per_connection: 4,
            waiting_per_destination: 1_000,
            waiting: 20_000,
            addresses_per_attempt: 10,
            dead_pause_max: Duration::from_secs(600),
            min_free: 100 * 1024 * 1024,
        }
    }
}

/// Time limits of a client (RFC 5321 section 4.5.3.2). Shorter ones than the RFC's give up on slow but working hosts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// For the TCP connection to one address. Default 30 s, as in Postfix; the kernel's own is minutes.
    pub connect: Duration,
    /// For the greeting (section 4.5.3.2.1). Default 5 minutes.
    pub greeting: Duration,
    /// For the answer to `EHLO`, `LHLO` or `STARTTLS`. Default 5 minutes.
    pub hello: Duration,
    /// For the TLS handshake. Default 1 minute.
    pub tls: Duration,
    /// For each reply in an authentication exchange. Default 5 minutes.
    pub login: Duration,
    /// For the answer to `MAIL` (section 4.5.3.2.2). Default 5 minutes.
    pub mail: Duration,
    /// For the answer to each `RCPT` (section 4.5.3.2.3). Default 5 minutes.
    pub recipient: Duration,
    /// For `354` after `DATA` (section 4.5.3.2.4). Default 2 minutes.
    pub data: Duration,
    /// For the peer to take one block of the body, 64 KiB at most (section 4.5.3.2.5). Default 3 minutes.
    pub block: Duration,
    /// For the answer to the final dot or last chunk (section 4.5.3.2.6). Default 10 minutes: a shorter one causes duplicates.
    pub end_of_data: Duration,
    /// For the answer to `QUIT`. Default 5 s; nothing depends on it.
    pub quit: Duration,
    /// How long an idle connection is kept for the next message. Default 5 s.
    pub idle: Duration,
    /// How long current attempts may go on when the server stops. Default 20 s.
    ///
    /// What does not end by then is repeated after the next start.
    pub shutdown: Duration,
    /// For finding addresses of one name. Default 30 s.
    pub resolve: Duration,
    /// For a next hop that has accepted no mail recently to be ready for mail, and for each reply after that except the one to
    /// the end of the data, while others wait for its place. Default 8 s: greeting delays are usually 5 or 6.
    pub crowded: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(5),
            hello: minutes(5),
            tls: minutes(1),
            login: minutes(5),
            mail: minutes(5),
            recipient: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end_of_data: minutes(10),
            quit: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            shutdown: Duration::from_secs(20),
            resolve: Duration::from_secs(30),
            crowded: Duration::from_secs(8),
        }
    }
}

/// Delivery status notifications (RFC 3461, RFC 3464).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportSettings {
    /// Largest message returned whole when that was asked for (`RET=FULL`), in octets; of a larger one only the header is
    /// returned. Default 50,000.
    pub return_size_max: u64,
    /// Who is told about a bounce that cannot be delivered itself. Default nobody: it is dropped, with its outcome recorded.
    pub double_bounce_to: Option<Mailbox>,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            return_size_max: 50_000,
            double_bounce_to: None,
        }
    }
}
