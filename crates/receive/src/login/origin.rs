//! Where a login comes from, and the rules that hold there: all that the ways to log in differ in.

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

/// Version of TLS in which every client that binds knows `tls-exporter` (RFC 9266 section 3).
const BINDING_VERSION: &str = "TLSv1.3";

/// Where a login comes from, and the rules that hold there.
pub(crate) struct Origin<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) settings: &'a Settings,
    /// The mechanisms of the listener or socket, in order.
    pub(crate) mechanisms: &'a [Mechanism],
    /// Least bits that protect a session there, if somebody has said how many.
    pub(crate) least_bits: Option<u32>,
    /// What is logged in to, by its registered name.
    pub(crate) service: &'a str,
    /// The session's name in the log.
    pub(crate) session: &'a str,
    /// The listener's or socket's name in the log.
    pub(crate) place: &'a str,
    /// The client's address, where it is known.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) tls: Option<TlsOrigin<'a>>,
    /// The client's certificate, if it was verified.
    pub(crate) certificate: Option<CertificateOrigin<'a>>,
    /// Whether a mechanism that binds to the channel was offered.
    pub(crate) plus_offered: bool,
    /// Whether the client's connection ends here, so that it is known whether there is TLS, and which.
    pub(crate) ends_here: bool,
    /// Whether a security layer can be put in place.
    pub(crate) layers_possible: bool,
    /// Whether a login may act as another where the rules say so. They are about sending mail; what another server would open to
    /// it is not known here.
    pub(crate) may_act: bool,
    /// The longest wait before a check, where who asks waits no longer.
    pub(crate) delay_max: Option<Duration>,
}

/// The TLS session of a client.
#[derive(Clone, Copy)]
pub(crate) struct TlsOrigin<'a> {
    pub(crate) version: &'a str,
    pub(crate) bits: u32,
    /// What names the session, where it ends here.
    pub(crate) bindings: Option<&'a tls::ChannelBindings>,
}

/// A client's certificate that was verified.
#[derive(Clone, Copy)]
pub(crate) enum CertificateOrigin<'a> {
    /// It was shown here.
    Shown {
        facts: &'a CertificateFacts,
        emails: &'a [String],
    },
    /// A neighbour that is believed tells whose login it is.
    Told(&'a str),
}

impl Origin<'_> {
    /// The key under which the memory of failed logins keeps it.
    pub(crate) fn source(&self) -> Source {
        match self.peer {
            Some(peer) => Source::Peer(peer),
            None => Source::Place(self.place.into()),
        }
    }

    /// The login that is meant by a name of the client's.
    pub(super) fn meant(&self, login: &str) -> String {
        complete_login(login, self.settings.auth.default_domain.as_deref()).into_owned()
    }

    /// What decides which mechanisms are offered.
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

    /// Security layers that may be agreed on. Inside TLS there is no use for another one.
    pub(crate) fn layers(&self) -> Layers {
        if self.tls.is_some() || !self.layers_possible {
            Layers::default()
        } else {
            self.settings.auth.layers
        }
    }

    /// What the keys of accounts look like: as most do that were seen, and before that as new ones are made.
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

    /// What decides which mechanisms can be used there.
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

    /// What an exchange begins with.
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

    /// What a client is told whose token is not taken.
    fn advice(&self) -> OauthAdvice {
        let advice = self.shared.deps.tokens.load().advice();
        OauthAdvice {
            scope: advice.scope,
            openid_configuration: advice.openid_configuration,
        }
    }
}
