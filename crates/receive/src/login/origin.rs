//! Where a login comes from and the rules that apply there: everything in which the ways to log in differ.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_directory::Directories;
use postern_mail::complete_login;
use postern_net::tls;
use postern_policy::login::SessionFacts;
use postern_policy::relay::CertificateFacts;
use postern_policy::throttle::Source;
use postern_sasl::{
    ChannelBindings, Layers, Mechanism, Needs, Nonce, OauthAdvice, ScramShape, ServerContext,
};

use crate::Settings;
use crate::judge::Offer;
use crate::shared::Shared;

/// TLS version for which every client with channel binding knows `tls-exporter` (RFC 9266 section 3).
const BINDING_VERSION: &str = "TLSv1.3";

/// Where a login comes from, and the rules that apply there.
pub(crate) struct Origin<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) settings: &'a Settings,
    /// The mechanisms of the listener or socket, in order.
    pub(crate) mechanisms: &'a [Mechanism],
    /// Fewest bits that must protect a session there, if configured.
    pub(crate) least_bits: Option<u32>,
    /// The registered name of the service, such as `smtp`.
    pub(crate) service: &'a str,
    /// The session id in the log.
    pub(crate) session: &'a str,
    /// The listener's or socket's name in the log.
    pub(crate) place: &'a str,
    /// The client's address, if known.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) tls: Option<TlsOrigin<'a>>,
    /// The client's certificate, if it was verified.
    pub(crate) certificate: Option<CertificateOrigin<'a>>,
    /// Whether a mechanism with channel binding was offered.
    pub(crate) plus_offered: bool,
    /// Whether the client's connection ends here, so that its TLS facts are known.
    pub(crate) ends_here: bool,
    /// Whether a security layer can be used.
    pub(crate) layers_possible: bool,
    /// Whether a user may act as another if the rules allow it. The rules are about sending mail; what another server would allow
    /// is not known here.
    pub(crate) may_act: bool,
    /// The longest wait before a check, if the asking server has a limit.
    pub(crate) delay_max: Option<Duration>,
}

/// The TLS session of a client.
#[derive(Clone, Copy)]
pub(crate) struct TlsOrigin<'a> {
    pub(crate) version: &'a str,
    pub(crate) bits: u32,
    /// Its channel bindings, if it ends here.
    pub(crate) bindings: Option<&'a tls::ChannelBindings>,
}

/// A verified client certificate.
#[derive(Clone, Copy)]
pub(crate) enum CertificateOrigin<'a> {
    /// It was presented here.
    Shown {
        facts: &'a CertificateFacts,
        emails: &'a [String],
    },
    /// A trusted server names its user.
    Told(&'a str),
}

impl Origin<'_> {
    /// Its key in the record of failed logins.
    pub(crate) fn source(&self) -> Source {
        match self.peer {
            Some(peer) => Source::Peer(peer),
            None => Source::Place(self.place.into()),
        }
    }

    /// The client's user name, completed with the default domain.
    pub(super) fn meant(&self, login: &str) -> String {
        complete_login(login, self.settings.auth.default_domain.as_deref()).into_owned()
    }

    /// The facts that decide which mechanisms are offered.
    pub(crate) fn facts(&self) -> SessionFacts {
        let binds_in_12 = self.settings.auth.binding_in_tls12;
        let channel_known = self.tls.is_some_and(|tls| {
            let any = tls
                .bindings
                .is_some_and(|bindings| bindings.exporter.is_some() || bindings.server_end_point.is_some());
            any && (binds_in_12 || tls.version == BINDING_VERSION)
        });
        SessionFacts {
            peer: self.peer,
            tls_bits: self.tls.map(|tls| tls.bits),
            channel_known,
            certificate: self.certificate.is_some(),
            today: TimeZone::UTC.to_datetime(Timestamp::now()).date(),
        }
    }

    /// Security layers that may be agreed on; none with TLS, which makes them useless.
    pub(crate) fn layers(&self) -> Layers {
        if self.tls.is_some() || !self.layers_possible {
            Layers::default()
        } else {
            self.settings.auth.layers
        }
    }

    /// What the keys of unknown accounts look like: as most keys seen so far, or else as new ones are made.
    fn decoy_shape(&self, mechanism: Mechanism) -> ScramShape {
        let seen = match mechanism.properties().needs {
            Needs::ScramKeys(hash) => self.shared.deps.directories.load().scram_shape(hash),
            _ => None,
        };
        seen.unwrap_or_else(|| ScramShape {
            iterations: self.settings.auth.scram_iterations,
            ..ScramShape::default()
        })
    }

    /// The facts that decide which mechanisms can be used there.
    pub(crate) fn offer<'b>(&'b self, directories: &'b Directories) -> Offer<'b> {
        Offer {
            auth: &self.settings.auth,
            mechanisms: self.mechanisms,
            least_bits: self.least_bits,
            facts: self.facts(),
            layers: self.layers(),
            directories,
            takes_tokens: !self.shared.deps.tokens.load().is_empty(),
        }
    }

    /// The context of a new exchange.
    pub(super) fn context(&self, mechanism: Mechanism) -> ServerContext {
        let auth = &self.settings.auth;
        let decoy_shape = self.decoy_shape(mechanism);
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let decoy = self.shared.deps.decoy.clone();
        let bindings = self.tls.and_then(|tls| tls.bindings);
        ServerContext {
            service: self.service.to_owned(),
            realm: auth.realm.clone(),
            names: auth.service_names.clone(),
            bindings: bindings.map_or_else(ChannelBindings::default, |bindings| ChannelBindings {
                exporter: bindings.exporter,
                server_end_point: bindings.server_end_point.clone(),
            }),
            ntlm_binds: self.ends_here && auth.ntlm_channel_binding,
            plus_offered: self.plus_offered,
            decoy_iterations: decoy_shape.iterations,
            decoy_salt_octets: decoy_shape.salt_octets,
            default_domain: auth.default_domain.clone(),
            layers: self.layers(),
            oauth: self.advice(),
            kerberos: auth
                .kerberos
                .as_ref()
                .map(|kerberos| Arc::clone(&kerberos.acceptor)),
            ..ServerContext::new(&self.settings.hostname, Nonce::new(rand::random()), now, decoy)
        }
    }

    /// What a client whose token was refused is told.
    fn advice(&self) -> OauthAdvice {
        let advice = self.shared.deps.tokens.load().advice();
        OauthAdvice {
            scope: advice.scope,
            openid_configuration: advice.openid_configuration,
        }
    }
}
