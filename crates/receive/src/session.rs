//! What is known of one session.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use postern_mail::{Domain, ForwardPath};
use postern_net::dial;
use postern_net::tls::{TlsFacts, Verify};
use postern_policy::identity::Identity;
use postern_policy::relay::{CertificateFacts, RelayFacts};
use postern_smtp::Reply;
use tracing::info;

use crate::Role;
use crate::login::{CertificateOrigin, Origin, TlsOrigin};
use crate::profile::Profile;
use crate::receiver::Shared;

/// The name of SMTP among services of SASL.
const SERVICE: &str = "smtp";

/// What is known of one session. Everything but the profile can change while it lasts.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) peer: SocketAddr,
    /// The forward-confirmed name of the peer's address.
    pub(crate) peer_name: Option<String>,
    pub(crate) tls: Option<TlsFacts>,
    /// The client's certificate, if it was verified.
    pub(crate) certificate: Option<CertificateFacts>,
    /// Whether a mechanism that binds to the channel was offered.
    pub(crate) plus_offered: bool,
    pub(crate) login: Option<Login>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) shared: Arc<Shared>,
}

/// Who has logged in on this connection.
pub(crate) struct Login {
    /// Whom the session acts as.
    pub(crate) identity: Identity,
    /// Who has proved himself, where that is somebody else.
    pub(crate) authcid: Option<String>,
    /// Whether it may relay, by mechanism and strength.
    pub(crate) trusted: bool,
    /// Strength of the SASL security layer.
    pub(crate) layer_bits: u32,
}

impl Login {
    /// The login of whom the session acts as.
    pub(crate) fn name(&self) -> &str {
        self.identity.login()
    }

    /// Who has proved himself.
    pub(crate) fn authcid(&self) -> &str {
        self.authcid.as_deref().unwrap_or_else(|| self.name())
    }

    /// Whom the session acts as, where that is somebody else than who has proved himself.
    pub(crate) fn acts_as(&self) -> Option<&str> {
        self.authcid.is_some().then(|| self.name())
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, profile: Arc<Profile>, peer: SocketAddr) -> Self {
        Self {
            id: shared.ids.next(),
            peer,
            peer_name: None,
            tls: None,
            certificate: None,
            plus_offered: false,
            login: None,
            profile,
            shared,
        }
    }

    /// Takes over what a handshake has shown.
    pub(crate) fn secured(&mut self, facts: TlsFacts) {
        self.login = None;
        self.certificate = match (&facts.verify, &facts.client_certificate) {
            (Verify::Ok, Some(certificate)) => Some(CertificateFacts {
                subject: certificate.subject.clone(),
                issuer: certificate.issuer.clone(),
                fingerprint: certificate.fingerprint_sha256.clone(),
            }),
            _ => None,
        };
        self.tls = Some(facts);
    }

    /// As the ways to log in see it.
    pub(crate) fn origin(&self) -> Origin<'_> {
        let profile = &self.profile;
        let shown = self.tls.as_ref().and_then(|tls| tls.client_certificate.as_ref());
        Origin {
            shared: &self.shared,
            settings: &profile.settings,
            mechanisms: profile.mechanisms(),
            least_bits: profile.listener.least_bits.or(profile.settings.auth.least_bits()),
            service: SERVICE,
            session: &self.id,
            place: self.listener(),
            peer: Some(self.peer.ip()),
            tls: self.tls.as_ref().map(|tls| TlsOrigin {
                version: tls.version,
                bits: tls.bits,
                bindings: Some(&tls.bindings),
            }),
            certificate: self.certificate.as_ref().map(|facts| CertificateOrigin::Shown {
                facts,
                emails: shown.map_or(&[], |certificate| &certificate.emails),
            }),
            plus_offered: self.plus_offered,
            layers_possible: true,
            may_act: true,
            delay_max: None,
        }
    }

    /// What decides whether it may relay to `recipient`.
    pub(crate) fn relay_facts<'a>(&'a self, recipient: &'a ForwardPath) -> RelayFacts<'a> {
        RelayFacts {
            peer: self.peer.ip(),
            login: self.login.as_ref().map(Login::name),
            login_trusted: self.login.as_ref().is_some_and(|login| login.trusted),
            certificate: self.certificate.as_ref(),
            recipient,
            own_literal: is_own_literal(recipient),
            listener_allows_strangers: self.profile.listener.role == Role::Mx,
        }
    }

    /// Whether it may relay at all; the recipient makes no difference to that.
    pub(crate) fn may_relay(&self) -> bool {
        let facts = self.relay_facts(&ForwardPath::Postmaster);
        self.profile.settings.relay.reason(&facts).is_some()
    }

    /// What the client is called in the answer to `EHLO`: `name [address]`.
    pub(crate) fn peer_label(&self) -> String {
        let address = literal(self.peer.ip());
        match &self.peer_name {
            Some(name) => format!("{name} {address}"),
            None => address,
        }
    }

    /// What a refused client may quote to the administrator; it tells nothing else.
    pub(crate) fn mark(&self) -> String {
        format!(" (session {})", self.id)
    }

    pub(crate) fn listener(&self) -> &str {
        &self.profile.listener.name
    }

    /// Logs a refusal with the rule that decided.
    pub(crate) fn log_refusal(&self, rule: &str, reply: &Reply, reason: &dyn Display) {
        info!(
            target: "postern::refuse",
            session = %self.id,
            listener = self.listener(),
            peer = %self.peer.ip(),
            login = self.login.as_ref().map(Login::authcid),
            acts_as = self.login.as_ref().and_then(Login::acts_as),
            rule,
            reply = %reply,
            reason = %reason,
            "refused"
        );
    }
}

/// Whether a path leads to an address literal of this host.
fn is_own_literal(path: &ForwardPath) -> bool {
    match path {
        ForwardPath::Mailbox { mailbox, .. } => match mailbox.domain() {
            Domain::Literal(ip) => dial::is_own(*ip),
            Domain::Name(_) => false,
        },
        ForwardPath::Postmaster => false,
    }
}

/// An address as SMTP writes it: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
pub(crate) fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

/// Names sessions: the second of the start, a dash, a running number; both hexadecimal.
#[derive(Debug)]
pub(crate) struct SessionIds {
    start: i64,
    next: AtomicU32,
}

impl SessionIds {
    pub(crate) fn new() -> Self {
        Self {
            start: Timestamp::now().as_second(),
            next: AtomicU32::new(1),
        }
    }

    pub(crate) fn next(&self) -> String {
        format!("{:x}-{:x}", self.start, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
