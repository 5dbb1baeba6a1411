//! The settings of a receiver, already checked.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ipnet::IpNet;
use postern_directory::aliases::Aliases;
use postern_directory::tables::{DomainTable, Down, Hit, Lookup, OwnerTables, RouteLookup, find_in};
use postern_directory::{Directories, Residents};
use postern_filter::Filter;
use postern_mail::{Domain, Mailbox};
use postern_policy::admission::AdmissionSettings;
use postern_policy::device::Device;
use postern_policy::identity::{IdentityRules, SenderRefusal};
use postern_policy::limit::Limit;
use postern_policy::local::LocalRules;
use postern_policy::login::{CertificateLogin, LoginTrust, MechanismRule};
use postern_policy::milter::{Conditions, OnFailure};
use postern_policy::patience::PatienceSettings;
use postern_policy::principal::PrincipalRules;
use postern_policy::privacy::Privacy;
use postern_policy::probe::ProbeSettings;
use postern_policy::recipient::RecipientRefusal;
use postern_policy::relay::RelayRules;
use postern_policy::room::RoomSettings;
use postern_policy::route::RouteTable;
use postern_policy::sandbox::SandboxRules;
use postern_policy::screen::ScreenSettings;
use postern_policy::srs::Srs;
use postern_policy::throttle::ThrottleSettings;
use postern_sasl::{ContextAcceptor, ITERATIONS_DEFAULT, Layers, Mechanism};
use postern_table::{Address, Plan, Subject};
use tracing::debug;

use crate::access::AccessSettings;
use crate::budgets::BudgetSettings;
use crate::content::settings::ContentSettings;
use crate::next_hops::{HopAnswer, NextHops};
use crate::scope::ScopeSettings;

pub use postern_smtp::body::BareLineEndings;
pub use postern_smtp::server::{Extensions, Limits};

/// The settings of all listeners. A reload swaps them; sessions keep those they began with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this server in greetings and trace fields (RFC 5321 section 4.1.3).
    pub hostname: String,
    /// The same, as a domain.
    pub domain: Domain,
    /// The domain given to addresses without one. Default: that of this host.
    pub origin: Domain,
    /// Greeting text, where `{hostname}` and `{date}` are filled in and `ESMTP` follows the host name.
    ///
    /// Default `{hostname}`: no program, no version.
    pub greeting: String,
    /// What strangers are not told, and what they must say first (sendmail's `PrivacyOptions`).
    pub privacy: Privacy,
    /// Who may send where.
    pub relay: RelayRules,
    /// Whether to accept recipients in local domains that no directory knows. Default no. If a server behind this one knows the
    /// mailboxes, it refuses unknown ones at delivery.
    pub accept_unknown: bool,
    /// Tables of the recipients that exist in relay domains. Without any, all are assumed to exist.
    pub relay_recipients: Vec<Lookup>,
    /// Domains whose recipients the next hop is asked about, if no table has them.
    pub next_hops: Option<Arc<NextHops>>,
    /// Tables of domains, looked up before a rule depends on a domain.
    pub domain_tables: Vec<Arc<DomainTable>>,
    /// Tables of the owners of sender addresses, looked up before `identity` is applied.
    pub owner_tables: Option<Arc<OwnerTables>>,
    /// Who a user may act as, and which sender addresses it may use. Default: only itself, and any address.
    pub identity: IdentityRules,
    /// Rules for local users who submit mail.
    pub local: LocalRules,
    /// Mail filters, in the order in which they are asked. Default none.
    pub milters: Vec<MilterSettings>,
    /// How clients authenticate.
    pub auth: AuthSettings,
    /// When new sessions wait or are refused, how large a message may be and how many recipients it may have, and when mail is
    /// only queued.
    pub admission: AdmissionSettings,
    /// How much disk and memory incoming messages may take.
    pub room: RoomSettings,
    /// How many errors a session may make.
    pub patience: PatienceSettings,
    /// How failed logins are slowed down.
    pub throttle: ThrottleSettings,
    /// How many recipients a stranger's network may try.
    pub probes: ProbeSettings,
    /// Access rules, with their tables and services. Default none.
    pub access: Arc<AccessSettings>,
    /// Rate limits for clients. The first that applies to a client counts. Default none.
    pub limits_of_clients: Vec<Limit>,
    /// How much users and networks may send, and what happens beyond that. Default: nothing is counted.
    pub budgets: Arc<BudgetSettings>,
    /// Lanes for devices, in order. Default none.
    pub devices: Vec<Arc<Device>>,
    /// What logins are good for. Default anything.
    pub scopes: Arc<ScopeSettings>,
    /// Whose mail is kept and never delivered. Default nobody's.
    pub sandbox: Arc<SandboxRules>,
    /// How strangers who bring mail from outside are screened. Default: they are not.
    pub screen: ScreenSettings,
    /// How senders of forwarded mail are rewritten, and their bounces returned. Default: they are not.
    pub srs: Option<Arc<Srs>>,
    /// What is changed in messages: checks, rewritten addresses, copies. Default: nothing.
    pub content: Option<Arc<ContentSettings>>,
    /// The routes, if some of them refuse mail, which is then done at `RCPT`. Default: none does.
    pub routes: Option<Arc<RouteTable>>,
    /// Those of their tables that must be asked for each recipient.
    pub route_tables: Vec<Arc<RouteLookup>>,
    /// Sizes and counts that a client cannot exceed.
    pub limits: Limits,
    /// How long to wait for a client.
    pub timeouts: Timeouts,
    /// Extensions that can be left out of the reply to `EHLO`, for clients that have trouble with them. Default: all are offered.
    /// `DSN` is also left out if [`privacy`](Self::privacy) has `noreceipts`.
    pub extensions: Extensions,
    /// Whether trace fields leave out the address, the name and the user name of an authenticated client.
    ///
    /// Default: no.
    pub hide_submitter: bool,
    /// Whether the trace field has the user name. Default: no, as in sendmail without `{auth_authen}`.
    pub show_login: bool,
    /// Most `Received` fields of a message before it counts as a mail loop (RFC 5321 section 6.3).
    ///
    /// Default 100, the least that the RFC recommends.
    pub received_max: u32,
}

/// A mail filter.
#[derive(Clone, Debug)]
pub struct MilterSettings {
    /// Its name, its address, and how to speak to it. Its `on_failure` is the same as the one below.
    pub filter: Filter,
    /// When it is skipped.
    pub conditions: Conditions,
    /// What happens to a message when it fails.
    pub on_failure: OnFailure,
    /// Most sessions of strangers that are connected to it at once. It is not told of further ones before their first `MAIL`,
    /// which is deferred (451) if no place is free then either. Default 200: twice Postfix's default process limit.
    pub strangers_max: u32,
    /// How long `MAIL` waits for a place; zero for not at all. As many as there are places may wait. Default ten seconds.
    pub strangers_wait: Duration,
}

/// How clients authenticate.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// Mechanisms, in the order in which they are offered.
    pub mechanisms: Vec<Mechanism>,
    /// Whether mechanisms that reveal the password to an eavesdropper are available without TLS.
    pub plaintext: Plaintext,
    /// Conditions on single mechanisms. Default none.
    pub rules: Vec<(Mechanism, MechanismRule)>,
    /// Fewest bits that must protect a session, by TLS or a mechanism's security layer. Default: as many as TLS has for
    /// mechanisms whose exchange lets an eavesdropper guess the password, none for the others.
    pub least_bits: Option<u32>,
    /// Security layers that DIGEST-MD5 and GSSAPI may use without TLS. Default none.
    pub layers: Layers,
    /// Whether mechanisms with channel binding are offered under TLS 1.2 too. There most clients use `tls-unique`, which this
    /// server does not support. Default no.
    pub binding_in_tls12: bool,
    /// Whether the channel binding that an NTLM client sends must match its session. Default yes.
    pub ntlm_channel_binding: bool,
    /// DIGEST-MD5's realm. Stored secrets are bound to it. Default the host name.
    pub realm: String,
    /// Names that clients may use for this server in DIGEST-MD5; empty accepts any. Default the host name.
    pub service_names: Vec<String>,
    /// The domain added to user names without one, in lower-case ASCII. Default none: they stay as they are.
    pub default_domain: Option<String>,
    /// Iteration count shown for SCRAM accounts that do not exist: that of new keys. Default 16,384.
    pub scram_iterations: u32,
    /// How often directories other than the own users are asked whether the login of an open session is still valid: at most this
    /// often, and only before a message. Default 1 minute.
    pub recheck: Duration,
    /// How old a login may become before its client has to log in again; zero for no limit. Default 1 day.
    pub login_lifetime: Duration,
    /// Which users verified certificates authenticate, for EXTERNAL. Default none.
    pub certificates: Vec<CertificateLogin>,
    /// Kerberos, for GSSAPI; without it, it is not offered. Default none.
    pub kerberos: Option<KerberosLogins>,
    /// Which logins may relay, and name a submitter with `AUTH=`. Default all.
    pub trust: LoginTrust,
}

/// How Kerberos tickets become logins.
#[derive(Clone, Debug)]
pub struct KerberosLogins {
    /// The library and the keytab.
    pub acceptor: Arc<dyn ContextAcceptor>,
    /// Which user a principal is.
    pub rules: PrincipalRules,
    /// Whether a directory must know the user. If not, an unknown user can log in too, and owns no addresses; a disabled account
    /// still cannot.
    pub account_required: bool,
}

/// Where mechanisms that reveal the password to an eavesdropper can be used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Plaintext {
    /// Only with TLS, sendmail's `AuthOptions` `p`.
    #[default]
    TlsOnly,
    /// Everywhere.
    Always,
}

/// Time limits for clients. Each ends the session with `421 4.4.2`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Longest silence between commands. Default 5 minutes, the least that RFC 5321 section
    /// 4.5.3.2.7 recommends; a shorter one frees sessions and cuts off slow but honest clients.
    pub command: Duration,
    /// Longest time from the start of a session to authentication where that is required. Default 3 minutes.
    pub login: Duration,
    /// Longest time without an accepted message, counted from the start, the login or the last message. Default 10 minutes.
    pub idle: Duration,
    /// Replaces all longer limits on silence for unknown clients while sessions are scarce; six times this replaces
    /// [`login`](Self::login) and [`idle`](Self::idle). Default 10 seconds.
    pub stress: Duration,
    /// Longest silence while a message is being sent. Default 5 minutes (RFC 5321 section 4.5.3.2.5
    /// gives the client 3 minutes for a block).
    pub data_block: Duration,
    /// Longest time for a whole message. Default 2 hours, enough for 25 MiB at 30 kbit/s.
    pub data_total: Duration,
    /// Longest silence in an `AUTH` exchange. Default 2 minutes.
    pub auth: Duration,
    /// Longest TLS handshake. Default 30 seconds.
    pub tls_handshake: Duration,
    /// Longest time to send a reply to a client. Default 1 minute.
    pub write: Duration,
    /// Longest wait for the host name of a client's address. Default 5 seconds; zero looks up no names.
    pub reverse_lookup: Duration,
    /// Longest wait for a PROXY header. Default 5 seconds.
    pub proxy_header: Duration,
    /// How long the greeting is delayed on listeners for other servers, to catch clients that talk first; they get `554 5.7.1`.
    /// Default zero: no wait and no check. Sendmail's `greet_pause`.
    pub greeting_delay: Duration,
    /// How long sessions within a transaction may go on after the server was told to stop. Idle
    /// ones end at once. Default 30 seconds.
    pub shutdown: Duration,
}

/// The settings of one listener.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Name in the log. Default: the address.
    pub name: String,
    /// Which clients it serves.
    pub role: Role,
    /// How TLS starts.
    pub tls: ListenerTls,
    /// Whether clients can or must authenticate.
    pub auth: AuthRule,
    /// Mechanisms in place of those of [`AuthSettings`]. Default: those.
    pub mechanisms: Option<Vec<Mechanism>>,
    /// Fewest bits in place of those of [`AuthSettings`]. Default: those.
    pub least_bits: Option<u32>,
    /// Access rules in place of those of [`Settings`]. Default: those.
    pub access: Option<Arc<AccessSettings>>,
    /// Networks that may relay here in place of those of [`Settings`]. Default: those.
    pub networks: Option<Vec<IpNet>>,
    /// Where mechanisms that reveal the password are available here, in place of what [`AuthSettings`] says. Default: as there.
    pub plaintext: Option<Plaintext>,
    /// Whether strangers are screened here ([`ScreenSettings`]), if the role is for other servers. Default yes.
    pub screen: bool,
    /// Largest message in place of that of [`AdmissionSettings`], in octets. Default: that.
    pub message_size: Option<u64>,
    /// What happens with a bare CR or LF in a body. Default: the message is refused.
    pub bare_line_endings: BareLineEndings,
    /// What happens with an address without a domain in the envelope. Default: it gets [`Settings::origin`] if the role is
    /// submission, and is refused otherwise.
    pub bare_addresses: BareAddresses,
    /// Networks whose connections start with a PROXY header (version 1 or 2). Default: none.
    pub proxy_from: Vec<IpNet>,
    /// Whether the after-queue filter hands back mail here. Default: no.
    pub filtered: bool,
    /// Whether all mail that comes here is kept and never delivered. Default no.
    pub sandbox: bool,
}

/// What happens with an address without a domain in the envelope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BareAddresses {
    /// It gets [`Settings::origin`].
    Complete,
    /// A recipient is a local user: it gets [`Settings::hostname`]. A sender is refused.
    Recipients,
    /// It is refused.
    Refuse,
}

/// Which clients a listener serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Other servers: strangers may send to local and relay domains.
    Mx,
    /// Own users: messages are completed (RFC 6409 section 8).
    Submission,
}

/// How TLS starts on a listener.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ListenerTls {
    /// Not at all.
    Off,
    /// With `STARTTLS` (RFC 3207), if a certificate is loaded.
    #[default]
    StartTls,
    /// At once, before the greeting (RFC 8314 section 3.3).
    Implicit,
}

/// Whether clients can or must authenticate on a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthRule {
    /// `AUTH` is not offered.
    Off,
    /// `AUTH` is offered.
    Offer,
    /// `MAIL` before authentication gets `530 5.7.0`.
    Require,
}

impl Settings {
    /// Settings for a host that relays for nobody, with all limits at their defaults.
    #[must_use]
    pub fn new(hostname: &str, domain: Domain) -> Self {
        Self {
            hostname: hostname.to_owned(),
            origin: domain.clone(),
            domain,
            greeting: "{hostname}".to_owned(),
            privacy: Privacy::default(),
            relay: RelayRules::default(),
            accept_unknown: false,
            relay_recipients: Vec::new(),
            next_hops: None,
            domain_tables: Vec::new(),
            owner_tables: None,
            identity: IdentityRules::default(),
            local: LocalRules::default(),
            milters: Vec::new(),
            auth: AuthSettings::new(hostname),
            admission: AdmissionSettings::default(),
            room: RoomSettings::default(),
            patience: PatienceSettings::default(),
            throttle: ThrottleSettings::default(),
            probes: ProbeSettings::default(),
            access: Arc::default(),
            limits_of_clients: Vec::new(),
            budgets: Arc::default(),
            devices: Vec::new(),
            scopes: Arc::default(),
            sandbox: Arc::default(),
            screen: ScreenSettings::default(),
            srs: None,
            content: None,
            routes: None,
            route_tables: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            extensions: Extensions::default(),
            hide_submitter: false,
            show_login: false,
            received_max: 100,
        }
    }

    /// The settings at a listener: these, with its overrides.
    #[must_use]
    pub fn at(self: &Arc<Self>, listener: &ListenerSettings) -> Arc<Self> {
        if listener.has_no_own() {
            return Arc::clone(self);
        }
        let mut own = Self::clone(self);
        if let Some(networks) = &listener.networks {
            own.relay.networks.clone_from(networks);
        }
        if let Some(plaintext) = listener.plaintext {
            own.auth.plaintext = plaintext;
        }
        if let Some(access) = &listener.access {
            own.access = Arc::clone(access);
        }
        if let Some(size) = listener.message_size {
            own.admission.message_size = size;
        }
        if !listener.screen {
            own.screen = ScreenSettings {
                timeout: own.screen.timeout,
                lookups: own.screen.lookups,
                ..ScreenSettings::default()
            };
        }
        Arc::new(own)
    }

    /// The domain of a bare `postmaster`, whose mail stays local whatever domains there are: that of address literals, or this
    /// host's if it is local, or else `localhost`, which is never another host's (RFC 6761 section 6.3).
    #[must_use]
    pub fn main_domain(&self) -> &Domain {
        match &self.relay.literal_domain {
            Some(domain) => domain,
            None if self.relay.local_domains.contains_by_name(&self.domain) => &self.domain,
            None => &LOCALHOST,
        }
    }

    /// Looks up a domain in the tables of domains, so that the rules know it; see [`DomainTable::learn`].
    ///
    /// # Errors
    ///
    /// [`Down`] if one of them cannot be asked: then no decision may depend on this domain now.
    pub async fn learn(&self, domain: &Domain) -> Result<(), Down> {
        for table in &self.domain_tables {
            table.learn(domain).await?;
        }
        Ok(())
    }

    /// Looks up a recipient in the tables of routes, so that its route is known; see [`RouteLookup::learn`]. If one cannot be
    /// asked, the recipient is deferred when its route is needed.
    pub async fn learn_route(&self, recipient: &Mailbox) {
        for table in &self.route_tables {
            if let Err(down) = table.learn(recipient).await {
                debug!(target: "postern::receive", %recipient, %down, "no route is known");
            }
        }
    }

    /// Looks up sender addresses in the tables of owners, so that the rules know them; see [`OwnerTables::learn`].
    ///
    /// # Errors
    ///
    /// [`SenderRefusal::Table`] if one of them cannot be asked.
    pub async fn learn_owners(&self, addresses: Vec<Mailbox>) -> Result<(), SenderRefusal> {
        let Some(tables) = &self.owner_tables else {
            return Ok(());
        };
        for address in addresses {
            tables
                .learn(&address)
                .await
                .map_err(|down| SenderRefusal::Table(down.to_string()))?;
        }
        Ok(())
    }

    /// Whether it can be found out that a recipient in a relay domain does not exist.
    #[must_use]
    pub fn lists_recipients(&self, recipient: &Mailbox) -> bool {
        let asked = self.next_hops.as_ref().is_some_and(|hops| hops.holds(recipient));
        asked || !self.relay_recipients.is_empty()
    }

    /// Why a recipient in a relay domain is assumed to exist: its entry in a table, looked up as [`Plan::Address`] does; or
    /// nothing, if the next hop says so or nothing is asked.
    ///
    /// # Errors
    ///
    /// It does not exist, or a table or next hop cannot be asked.
    pub async fn relay_recipient(&self, recipient: &Mailbox) -> Result<Option<Hit>, RecipientRefusal> {
        let asked = self.next_hops.as_ref().filter(|hops| hops.holds(recipient));
        if !self.relay_recipients.is_empty() {
            let (local, domain) = (recipient.unquoted_local(), recipient.domain().to_string());
            let separator = self.identity.tag_separator.map(String::from).unwrap_or_default();
            let keys = Plan::Address.keys(&Subject::Address(Address {
                local: &local,
                domain: &domain,
                separators: &separator,
                is_local: false,
            }));
            match find_in(&self.relay_recipients, &keys).await {
                Ok(Some(hit)) => return Ok(Some(hit)),
                Ok(None) if asked.is_none() => {
                    return Err(RecipientRefusal::Unlisted(recipient.to_string()));
                }
                Ok(None) => {}
                Err(down) => return Err(RecipientRefusal::Table(down.to_string())),
            }
        }
        let Some(hops) = asked else { return Ok(None) };
        match hops.ask(recipient).await {
            HopAnswer::Taken => Ok(None),
            HopAnswer::Refused(reply) => Err(RecipientRefusal::NextHop(format!("{recipient}: {reply}"))),
            HopAnswer::Unknown(reason) => {
                Err(RecipientRefusal::NextHopDown(format!("{recipient}: {reason}")))
            }
        }
    }

    /// The users with a mailbox here.
    #[must_use]
    pub fn residents<'a>(&'a self, directories: &'a Directories, aliases: &'a Aliases) -> Residents<'a> {
        Residents {
            directories,
            aliases,
            local_domains: &self.relay.local_domains,
            main_domain: self.main_domain(),
            separator: self.identity.tag_separator,
            accept_unknown: self.accept_unknown,
        }
    }
}

/// The local domain if there is no other.
static LOCALHOST: LazyLock<Domain> = LazyLock::new(|| Domain::Name("localhost".into()));

impl AuthSettings {
    /// The lowest encryption strength that the settings require, in bits; `None` if passwords may be sent in cleartext.
    #[must_use]
    pub fn least_bits(&self) -> Option<u32> {
        let always = self.plaintext == Plaintext::Always;
        self.least_bits.or_else(|| always.then_some(0))
    }

    /// PLAIN and LOGIN, only with TLS, for a server with this name.
    #[must_use]
    pub fn new(hostname: &str) -> Self {
        Self {
            mechanisms: vec![Mechanism::Plain, Mechanism::Login],
            plaintext: Plaintext::TlsOnly,
            rules: Vec::new(),
            least_bits: None,
            layers: Layers::default(),
            binding_in_tls12: false,
            ntlm_channel_binding: true,
            realm: hostname.to_owned(),
            service_names: vec![hostname.to_owned()],
            scram_iterations: ITERATIONS_DEFAULT,
            recheck: Duration::from_secs(60),
            login_lifetime: Duration::from_secs(86_400),
            default_domain: None,
            certificates: Vec::new(),
            kerberos: None,
            trust: LoginTrust::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(300),
            login: Duration::from_secs(180),
            idle: Duration::from_secs(600),
            stress: Duration::from_secs(10),
            data_block: Duration::from_secs(300),
            data_total: Duration::from_secs(7_200),
            auth: Duration::from_secs(120),
            tls_handshake: Duration::from_secs(30),
            write: Duration::from_secs(60),
            reverse_lookup: Duration::from_secs(5),
            proxy_header: Duration::from_secs(5),
            greeting_delay: Duration::ZERO,
            shutdown: Duration::from_secs(30),
        }
    }
}

/// The listener name of local submission.
pub const LOCAL: &str = "local";

/// The listener name of submission over HTTP.
pub const HTTP: &str = "api";

impl ListenerSettings {
    /// A listener with the defaults of its role.
    #[must_use]
    pub fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            tls: ListenerTls::StartTls,
            auth: match role {
                Role::Mx => AuthRule::Off,
                Role::Submission => AuthRule::Require,
            },
            mechanisms: None,
            least_bits: None,
            access: None,
            networks: None,
            plaintext: None,
            screen: true,
            message_size: None,
            bare_line_endings: BareLineEndings::Refuse,
            bare_addresses: match role {
                Role::Mx => BareAddresses::Refuse,
                Role::Submission => BareAddresses::Complete,
            },
            proxy_from: Vec::new(),
            filtered: false,
            sandbox: false,
        }
    }

    /// Whether it overrides no general settings.
    const fn has_no_own(&self) -> bool {
        self.networks.is_none()
            && self.plaintext.is_none()
            && self.access.is_none()
            && self.message_size.is_none()
            && self.screen
    }

    /// Local submission: a submission listener without TLS or authentication.
    #[must_use]
    pub fn local() -> Self {
        Self {
            tls: ListenerTls::Off,
            auth: AuthRule::Off,
            bare_line_endings: BareLineEndings::Normalise,
            ..Self::new(LOCAL, Role::Submission)
        }
    }

    /// Submission over HTTP: a submission listener whose clients authenticate there.
    #[must_use]
    pub fn http() -> Self {
        Self {
            tls: ListenerTls::Off,
            auth: AuthRule::Offer,
            mechanisms: Some(vec![Mechanism::Plain]),
            bare_line_endings: BareLineEndings::Normalise,
            ..Self::new(HTTP, Role::Submission)
        }
    }

    /// Whether a connection from this address starts with a PROXY header.
    #[must_use]
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        self.proxy_from.iter().any(|network| network.contains(&peer))
    }
}
