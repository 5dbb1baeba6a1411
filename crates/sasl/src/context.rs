//! What the driver knows when an exchange begins: names, the time, random octets, facts about the TLS session.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::decoy::DecoySecret;
use crate::security_context::ContextAcceptor;

/// Random octets for one exchange, from a generator fit for keys. Never used twice: replay protection depends on it.
#[derive(Clone)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// Takes 32 random octets.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// 24 of the octets as 32 characters that are safe in every mechanism: no comma, no quote, no angle bracket.
    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0[..24])
    }

    /// The other eight octets: NTLM's challenge.
    pub(crate) fn eight(&self) -> [u8; 8] {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.0[24..]);
        eight
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// The channel bindings of the TLS session in which the exchange runs; empty without TLS.
///
/// With them, a mechanism that ends in `-PLUS` detects a man in the middle who has a TLS session with either side.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelBindings {
    /// `tls-exporter`: 32 octets of keying material with label `EXPORTER-Channel-Binding` and an empty context (RFC 9266
    /// section 2). Under TLS 1.2 only with the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point`: the server certificate's hash, made with the hash function of its signature, or SHA-256 in place
    /// of MD5 and SHA-1 (RFC 5929 section 4.1).
    pub server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// Whether there is nothing to bind to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.server_end_point.is_none()
    }

    /// The data of the type that RFC 5802 section 4 calls `cb-name`.
    pub(crate) fn by_name(&self, name: &str) -> Option<&[u8]> {
        match name {
            EXPORTER => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            END_POINT => self.server_end_point.as_deref(),
            _ => None,
        }
    }

    /// The type that a client takes: the session's own rather than the certificate's.
    pub(crate) fn best(&self) -> Option<(&'static str, &[u8])> {
        [EXPORTER, END_POINT]
            .into_iter()
            .find_map(|name| Some((name, self.by_name(name)?)))
    }
}

pub(crate) const EXPORTER: &str = "tls-exporter";
pub(crate) const END_POINT: &str = "tls-server-end-point";

/// Security layers that may be agreed on, by DIGEST-MD5 (`qop`) and GSSAPI. Inside TLS they are not needed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Layers {
    /// `auth-int`: data carries a code that reveals changes.
    pub integrity: bool,
    /// `auth-conf`: data is also encrypted: with RC4 (128 bits) or triple DES (112 bits) in DIGEST-MD5, with the ticket's key in
    /// GSSAPI.
    pub confidentiality: bool,
}

/// What OAUTHBEARER tells a client whose token was not accepted (RFC 7628 section 3.2.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OauthAdvice {
    /// The scope that a token needs.
    pub scope: Option<String>,
    /// The address of the provider's description, `https`.
    pub openid_configuration: Option<String>,
}

/// What a server knows at the start of an exchange.
#[derive(Clone, Debug)]
pub struct ServerContext {
    /// The server's name, as in its greeting: part of CRAM-MD5's challenge and NTLM's target.
    pub host: String,
    /// The service, by its registered name (RFC 4422 section 4): part of DIGEST-MD5's `digest-uri`.
    pub service: String,
    /// DIGEST-MD5's realm and NTLM's domain. Stored DIGEST-MD5 secrets are bound to it.
    pub realm: String,
    /// Names that clients may use for this server in DIGEST-MD5's `digest-uri`. Empty accepts any, which lets a rogue server
    /// forward a login to this one.
    pub names: Vec<String>,
    /// Random octets for this exchange only.
    pub nonce: Nonce,
    /// Seconds since 1970, UTC.
    pub now_unix_seconds: u64,
    /// The TLS session's channel bindings; empty without TLS.
    pub bindings: ChannelBindings,
    /// Whether the channel that an NTLM client reports must be this one, TLS or none. False if the client's connection ends
    /// elsewhere, so that its channel is unknown.
    pub ntlm_binds: bool,
    /// Whether a mechanism that ends in `-PLUS` was offered on this connection. A client that could bind but says that none was
    /// offered has been deceived (RFC 5802 section 6).
    pub plus_offered: bool,
    /// See [`DecoySecret`].
    pub decoy: DecoySecret,
    /// Iterations shown for nonexistent SCRAM accounts: the number used for new keys.
    pub decoy_iterations: u32,
    /// Octets of the salt shown for them: as many as real ones have.
    pub decoy_salt_octets: usize,
    /// The domain of logins without one. The driver completes logins itself ([`postern_mail::complete_login`]); here it is used
    /// for what is shown for nonexistent accounts.
    pub default_domain: Option<String>,
    /// Layers that DIGEST-MD5 and GSSAPI offer besides plain authentication.
    pub layers: Layers,
    /// The source of GSSAPI contexts; without it, GSSAPI cannot be used.
    pub kerberos: Option<Arc<dyn ContextAcceptor>>,
    /// What clients are told when their token is not accepted.
    pub oauth: OauthAdvice,
}

impl ServerContext {
    /// A context for SMTP without TLS, layers or advice; the realm is the host name, and so is the only name clients may use for
    /// it.
    #[must_use]
    pub fn new(host: &str, nonce: Nonce, now_unix_seconds: u64, decoy: DecoySecret) -> Self {
        Self {
            host: host.to_owned(),
            service: "smtp".to_owned(),
            realm: host.to_owned(),
            names: vec![host.to_owned()],
            nonce,
            now_unix_seconds,
            bindings: ChannelBindings::default(),
            ntlm_binds: true,
            plus_offered: false,
            decoy,
            decoy_iterations: crate::scram::ITERATIONS_DEFAULT,
            decoy_salt_octets: crate::scram::ScramShape::default().salt_octets,
            default_domain: None,
            layers: Layers::default(),
            kerberos: None,
            oauth: OauthAdvice::default(),
        }
    }
}

/// What a client knows at the start of an exchange.
#[derive(Clone, Debug)]
pub struct ClientContext {
    /// The server's name from the route, for which its certificate was verified.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The client's own host name: NTLM's workstation.
    pub workstation: String,
    /// Random octets for this exchange only.
    pub nonce: Nonce,
    /// Seconds since 1970, UTC.
    pub now_unix_seconds: u64,
    /// The TLS session's channel bindings; empty without TLS.
    pub bindings: ChannelBindings,
    /// Whether the server offered any mechanism that ends in `-PLUS`.
    pub plus_offered: bool,
    /// Layers that DIGEST-MD5 and GSSAPI may agree on besides plain authentication; the strongest that the server offers is used.
    pub layers: Layers,
}

impl ClientContext {
    /// A context without TLS and layers.
    #[must_use]
    pub fn new(host: &str, port: u16, nonce: Nonce, now_unix_seconds: u64) -> Self {
        Self {
            host: host.to_owned(),
            port,
            workstation: String::new(),
            nonce,
            now_unix_seconds,
            bindings: ChannelBindings::default(),
            plus_offered: false,
            layers: Layers::default(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A server's context for tests.
    pub(crate) fn server_context() -> ServerContext {
        let random = std::array::from_fn(|index| u8::try_from(index).unwrap());
        ServerContext::new(
            "mail.fccc.example",
            Nonce::new(random),
            1_795_000_000,
            DecoySecret::new([7; 32]),
        )
    }

    /// The matching client's.
    pub(crate) fn client_context() -> ClientContext {
        ClientContext::new("mail.fccc.example", 587, Nonce::new([0xa5; 32]), 1_795_000_000)
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?}", server_context());
        assert!(
            shown.contains("DecoySecret,") && !shown.contains("7, 7"),
            "{shown}"
        );
    }

    #[test]
    fn the_sessions_own_binding_goes_before_the_certificates() {
        let mut bindings = ChannelBindings::default();
        assert!(bindings.is_empty() && bindings.best().is_none());
        bindings.server_end_point = Some(vec![1; 48]);
        assert_eq!(bindings.best(), Some((END_POINT, [1; 48].as_slice())));
        bindings.exporter = Some([2; 32]);
        assert_eq!(bindings.best(), Some((EXPORTER, [2; 32].as_slice())));
        assert_eq!(
            bindings.by_name("tls-unique"),
            None,
            "broken under renegotiation (RFC 7627)"
        );
    }

    #[test]
    fn nonce_text_suits_every_mechanism() {
        let text = Nonce::new([0xff; 32]).text();
        assert_eq!(text.len(), 32);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        );
    }
}
