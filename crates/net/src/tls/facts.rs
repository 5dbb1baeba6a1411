//! What a finished handshake has shown.

use super::{ChannelBindings, certificate, cipher};
use jiff::Timestamp;
use rustls::{CipherSuite, ProtocolVersion};
use rustls_pki_types::CertificateDer;

/// The verdict on the peer's certificate, in sendmail's terms.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verify {
    /// A certificate was presented and its chain ends in a trusted authority.
    Ok,
    /// No certificate was presented, or (as a client) none was checked.
    No,
    /// A certificate was presented and could not be verified; the reason, for the log.
    Fail(String),
}

impl Verify {
    /// The word in a trace field: `OK`, `NO` or `FAIL`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Fail(_) => "FAIL",
        }
    }

    /// Whether the peer's certificate was verified.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// What a certificate says about its holder.
///
/// Whether any of this may be trusted is what [`Verify`] says. The holder has proved possession of the key, unless the key is
/// of a kind that cannot be checked, which is also a [`Verify::Fail`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    /// Subject as `openssl x509 -noout -subject -nameopt RFC2253` prints it after `subject=` (RFC 4514).
    pub subject: String,
    /// Issuer, in the same form.
    pub issuer: String,
    /// SHA-256 over the DER form, 64 lower-case hexadecimal digits.
    pub fingerprint_sha256: String,
    /// When it ends.
    pub not_after: Timestamp,
    /// `rfc822Name` entries of the subject alternative name, as written there.
    pub emails: Vec<String>,
}

impl CertificateFacts {
    /// Reads a certificate in DER form. `None` if it is not one.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let parsed = certificate::parse(der).ok()?;
        Some(Self {
            subject: certificate::subject(&parsed),
            issuer: certificate::issuer(&parsed),
            fingerprint_sha256: certificate::fingerprint(der),
            not_after: certificate::validity(&parsed).1,
            emails: certificate::names(&parsed).emails,
        })
    }
}

/// What a server knows after a handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by OpenSSL's name, as sendmail prints it, such as `ECDHE-RSA-AES256-GCM-SHA384`.
    pub cipher: &'static str,
    /// Key length of the cipher, in bits.
    pub bits: u32,
    /// The verdict on the client's certificate.
    pub verify: Verify,
    /// The client's certificate, if it presented one (verified or not).
    pub client_certificate: Option<CertificateFacts>,
    /// The chain that the client presented, its own certificate first, if it was verified, so that it can be judged again.
    pub client_chain: Vec<CertificateDer<'static>>,
    /// The server name that the client asked for (RFC 6066 section 3), lower-case.
    pub sni: Option<String>,
    /// Whether an earlier session was resumed. The certificate facts hold all the same: the chain is verified
    /// anew.
    pub resumed: bool,
    /// The session's channel bindings.
    pub bindings: ChannelBindings,
}

/// What a client knows after a handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientTlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by OpenSSL's name.
    pub cipher: &'static str,
    /// Key length of the cipher, in bits.
    pub bits: u32,
    /// `Ok` when the certificate was verified, `No` under [`Verification::None`](super::Verification::None).
    /// A failed verification is an error, never a fact.
    pub verify: Verify,
    /// The server's certificate.
    pub server_certificate: Option<CertificateFacts>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The session's channel bindings.
    pub bindings: ChannelBindings,
}

/// The part that both sides know.
pub(super) struct Negotiated {
    pub(super) version: &'static str,
    pub(super) cipher: &'static str,
    pub(super) bits: u32,
    pub(super) resumed: bool,
}

impl Negotiated {
    pub(super) fn new<Side>(connection: &rustls::ConnectionCommon<Side>) -> Self {
        let suite = connection
            .negotiated_cipher_suite()
            .map_or(CipherSuite::Unknown(0), |suite| suite.suite());
        let (cipher, bits) = cipher::describe(suite);
        Self {
            version: cipher::version(
                connection
                    .protocol_version()
                    .unwrap_or(ProtocolVersion::Unknown(0)),
            ),
            cipher,
            bits,
            resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        }
    }
}
