//! A login that another server has checked: what is known of it, as the origin of an exchange.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_events::LoginRefused;
use postern_policy::rule::Rule;
use postern_sasl::{Mechanism, Needs};
use postern_smtp::server::AuthFailure;

use super::context::Context;
use super::settings::SocketSettings;
use crate::Settings;
use crate::judge::NotOffered;
use crate::login::origin::{CertificateOrigin, Origin, TlsOrigin};
use crate::login::{Exchange, workable};
use crate::shared::Shared;

/// Bits assumed for a session of which the other server says only that it is secured. TLS has no weaker ciphers any more.
const SECURED_BITS: u32 = 128;

/// What is known of one login.
pub(super) struct Request {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<Settings>,
    pub(super) socket: Arc<SocketSettings>,
    /// The registered name of the service, such as `imap`.
    pub(super) service: String,
    /// Its session id in the log.
    pub(super) session: String,
    /// The client's address, if the other server tells.
    pub(super) remote: Option<IpAddr>,
    /// Version and bits of TLS, or a substitute for it.
    pub(super) tls: Option<(String, u32)>,
    /// The user of the client's certificate, as told by a trusted server.
    pub(super) certificate: Option<String>,
    /// The longest wait before a check.
    pub(super) delay_max: Duration,
}

impl Request {
    /// A login of which nothing is known yet.
    pub(super) fn new(context: &Context, delay_max: Duration) -> Self {
        Self {
            shared: Arc::clone(&context.shared),
            settings: context.shared.deps.settings.load_full(),
            socket: context.socket.load_full(),
            service: "smtp".to_owned(),
            session: context.shared.ids.next(),
            remote: None,
            tls: None,
            certificate: None,
            delay_max,
        }
    }

    /// Takes the service. Dovecot has names of its own for some services.
    pub(super) fn serves(&mut self, service: &str) {
        let registered = match service {
            "pop3" => "pop",
            "submission" => "smtp",
            other => other,
        };
        self.service = registered.to_owned();
    }

    /// Notes that the client's connection is secured.
    pub(super) fn secured(&mut self, version: Option<String>, bits: Option<u32>) {
        let version = version.unwrap_or_else(|| "secured".to_owned());
        self.tls = Some((version, bits.unwrap_or(SECURED_BITS)));
    }

    /// Its origin, for the exchange.
    pub(super) fn origin(&self) -> Origin<'_> {
        let auth = &self.settings.auth;
        Origin {
            shared: &self.shared,
            settings: &self.settings,
            mechanisms: self.socket.mechanisms.as_deref().unwrap_or(&auth.mechanisms),
            least_bits: self.socket.least_bits.or_else(|| auth.least_bits()),
            service: &self.service,
            session: &self.session,
            place: &self.socket.name,
            peer: self.remote,
            tls: self.tls.as_ref().map(|(version, bits)| TlsOrigin {
                version,
                bits: *bits,
                bindings: None,
            }),
            certificate: self.certificate.as_deref().map(CertificateOrigin::Told),
            plus_offered: false,
            ends_here: false,
            layers_possible: false,
            may_act: false,
            delay_max: Some(self.delay_max),
        }
    }

    /// Begins an exchange, if this client can use the mechanism. There is no other way to start one on a socket, so every
    /// protocol obeys the networks, the list and the rules of mechanisms.
    pub(super) fn begin(&self, mechanism: &str) -> Result<Exchange, Unfit> {
        let mechanism = self.mechanism(mechanism)?;
        Ok(Exchange::begin(mechanism, &self.origin()))
    }

    /// Logs that a client could not begin. `theirs` is the session id in the other server's log.
    pub(super) fn note_unfit(
        &self,
        (rule, reason): (Rule, &str),
        mechanism: &str,
        theirs: Option<&str>,
        reply: &str,
    ) {
        // An unknown mechanism is not logged by name, since it may be anything.
        let mechanism = Mechanism::from_wire(mechanism).map(Mechanism::name);
        self.shared.deps.observers.tell(LoginRefused {
            session: &self.session,
            listener: &self.socket.name,
            peer: self.remote,
            login: None,
            mechanism,
            neighbour: theirs,
            rule,
            reply: &reply,
            reason: &reason,
        });
    }

    fn mechanism(&self, name: &str) -> Result<Mechanism, Unfit> {
        let networks = &self.socket.networks;
        let is_listed = |peer: IpAddr| networks.iter().any(|network| network.contains(&peer));
        if !networks.is_empty() && !self.remote.is_some_and(is_listed) {
            return Err(Unfit::Network);
        }
        let origin = self.origin();
        let mechanism = Mechanism::from_wire(name).ok_or(Unfit::Mechanism)?;
        let directories = self.shared.deps.directories.load();
        match origin.offer(&directories).open(mechanism) {
            Ok(()) => Ok(mechanism),
            Err(NotOffered::Plaintext) => Err(Unfit::Clear),
            Err(_) => Err(Unfit::Mechanism),
        }
    }
}

/// The mechanisms that another server is told: those that some client can use.
pub(super) fn mechanisms(context: &Context) -> Vec<Mechanism> {
    let mut best = Request::new(context, Duration::ZERO);
    best.secured(None, None);
    let believed = best.socket.trust_certificates;
    let is_fit = |mechanism: &Mechanism| {
        !mechanism.binds_channel() && (mechanism.properties().needs != Needs::Certificate || believed)
    };
    workable(&best.origin()).into_iter().filter(is_fit).collect()
}

/// Why a client cannot begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    /// There is no such mechanism, or not for this client.
    Mechanism,
    /// It would reveal the password to an eavesdropper.
    Clear,
    /// Not from this network.
    Network,
    /// Its address is malformed.
    Address,
}

impl Unfit {
    /// The rule and the text for the log.
    pub(super) fn noted(self) -> (Rule, &'static str) {
        (self.rule(), self.words())
    }

    const fn rule(self) -> Rule {
        match self {
            Self::Mechanism => Rule::SocketMechanism,
            Self::Clear => Rule::SocketCleartext,
            Self::Network => Rule::SocketNetwork,
            Self::Address => Rule::SocketAddress,
        }
    }

    /// The text for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Mechanism => "Mechanism not available",
            Self::Clear => "Encryption needed for this mechanism",
            Self::Network => "Not from this network",
            Self::Address => "Address is not valid",
        }
    }
}

/// Whether a failure is temporary, and the text for people. There is none for wrong credentials.
pub(super) fn told(failure: AuthFailure) -> (bool, Option<&'static str>) {
    match failure {
        AuthFailure::Denied => (false, None),
        AuthFailure::Unavailable => (true, Some("Logins cannot be checked now, try again later")),
        AuthFailure::TooWeak => (false, Some("Stronger encryption needed")),
        AuthFailure::LockedOut => (true, Some("Too many failed logins, try again later")),
        AuthFailure::Malformed => (false, Some("Response is not valid")),
        AuthFailure::TooLong => (false, Some("Response too long")),
    }
}
