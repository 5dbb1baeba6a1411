//! A login that a neighbour has checked: what is known of it, and how the exchange sees it.

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

/// Bits that count for a session of which the neighbour says no more than that nobody else can read it. TLS has no weaker
/// cipher any more.
const SECURED_BITS: u32 = 128;

/// What is known of one login.
pub(super) struct Request {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<Settings>,
    pub(super) socket: Arc<SocketSettings>,
    /// What is logged in to, by its registered name.
    pub(super) service: String,
    /// Its name in the log.
    pub(super) session: String,
    /// From where, as far as the neighbour tells.
    pub(super) remote: Option<IpAddr>,
    /// Version and bits of TLS, or what stands for it.
    pub(super) tls: Option<(String, u32)>,
    /// Who the client's certificate is, as a neighbour that is believed tells.
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

    /// Takes note of what is logged in to. Dovecot has names of its own for some services.
    pub(super) fn serves(&mut self, service: &str) {
        let registered = match service {
            "pop3" => "pop",
            "submission" => "smtp",
            other => other,
        };
        self.service = registered.to_owned();
    }

    /// Takes note that nobody else can read what the client sends.
    pub(super) fn secured(&mut self, version: Option<String>, bits: Option<u32>) {
        let version = version.unwrap_or_else(|| "secured".to_owned());
        self.tls = Some((version, bits.unwrap_or(SECURED_BITS)));
    }

    /// As the exchange sees it.
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

    /// Begins an exchange, if this client can use the mechanism. There is no other way to one on a socket, so every protocol
    /// holds to the networks, the list and the rules of mechanisms.
    pub(super) fn begin(&self, mechanism: &str) -> Result<Exchange, Unfit> {
        let mechanism = self.mechanism(mechanism)?;
        Ok(Exchange::begin(mechanism, &self.origin()))
    }

    /// Notes in the log that a client could not begin. `theirs` is the session's name in the neighbour's log.
    pub(super) fn note_unfit(
        &self,
        (rule, reason): (Rule, &str),
        mechanism: &str,
        theirs: Option<&str>,
        reply: &str,
    ) {
        // What a neighbour's client names is its own affair, unless it is one of ours.
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

/// The mechanisms that a neighbour is told of: those that can be used by some client.
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
    /// It shows the password to who listens.
    Clear,
    /// Not from this network.
    Network,
    /// Where it comes from makes no sense.
    Address,
}

impl Unfit {
    /// The rule and the words for the log.
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

    /// What people are told.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Mechanism => "Mechanism not available",
            Self::Clear => "Encryption needed for this mechanism",
            Self::Network => "Not from this network",
            Self::Address => "Address is not valid",
        }
    }
}

/// Whether a failure may be over later, and what people are told of it. Of wrong logins nothing is told.
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
