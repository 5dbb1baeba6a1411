//! Signatures over handshakes and certificates, checked with a certificate's public key alone.
//!
//! webpki refuses to examine a certificate with any fault, such as X.509 version 1, which `openssl x509 -req` makes by
//! default on many systems. Whether a peer holds the key does not depend on such faults, so this works on the public key and
//! leaves the rest of the certificate to others.

use super::{der, provider};
use pkcs8::der::Tag;
use postern_trust::HandshakeSignatures;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key as parsed;

/// A SubjectPublicKeyInfo taken apart (RFC 5280 section 4.1.2.7).
#[derive(Clone, Copy)]
pub(super) struct PublicKey<'a> {
    /// Content of the AlgorithmIdentifier.
    algorithm: &'a [u8],
    /// The key itself.
    key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Takes apart the DER form of a SubjectPublicKeyInfo.
    pub(super) fn from_spki(spki: &'a [u8]) -> Option<Self> {
        let inside = der::expect(spki, Tag::Sequence)?.content;
        let algorithm = der::expect(inside, Tag::Sequence)?;
        let key = der::bits(der::expect(algorithm.rest, Tag::BitString)?.content)?;
        Some(Self {
            algorithm: algorithm.content,
            key,
        })
    }

    fn suits(&self, algorithm: &dyn SignatureVerificationAlgorithm) -> bool {
        algorithm.public_key_alg_id().as_ref() == self.algorithm
    }
}

/// Which protocol a handshake signature belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Handshake {
    /// TLS 1.2, where a scheme names the hash but leaves the curve open.
    Tls12,
    /// TLS 1.3, where a scheme means exactly one algorithm and PKCS #1 v1.5 is not allowed (RFC 8446 section 4.2.3).
    Tls13,
}

/// Verifies that peers hold the keys to the certificates they show, whatever else is wrong with those.
#[derive(Debug)]
pub(super) struct Possession {
    supported: WebPkiSupportedAlgorithms,
}

impl Possession {
    pub(super) fn new() -> Self {
        Self {
            supported: provider().signature_verification_algorithms,
        }
    }
}

impl HandshakeSignatures for Possession {
    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_possession(Handshake::Tls12, message, certificate, signed, &self.supported)
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_possession(Handshake::Tls13, message, certificate, signed, &self.supported)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.supported.supported_schemes()
    }
}

/// Verifies that the peer holds the key to the certificate it has shown.
///
/// A key that [cannot be checked](is_checkable) does not end the handshake: nothing is proved then, and the code that judges
/// the certificate must take that into account.
///
/// # Errors
///
/// The signature is wrong, of a kind that was not offered, or cannot be checked.
fn verify_possession(
    handshake: Handshake,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if handshake == Handshake::Tls13 && !allowed_in_tls13(signed.scheme) {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    let (_, algorithms) = supported
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let usable = match handshake {
        Handshake::Tls12 => algorithms,
        Handshake::Tls13 => algorithms.get(..1).unwrap_or_default(),
    };
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    if !has_checkable_key(&parsed, supported.all) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    let key = PublicKey::from_spki(parsed.public_key().raw).ok_or(CertificateError::BadEncoding)?;
    let algorithm = usable
        .iter()
        .find(|algorithm| key.suits(**algorithm))
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    algorithm
        .verify_signature(key.key, message, signed.signature())
        .map_err(|_| CertificateError::BadSignature)?;
    Ok(HandshakeSignatureValid::assertion())
}

/// Whether signatures made with the key of `certificate` can be verified: it is of a known kind, and an RSA key has 2,048 to
/// 8,192 bits.
pub(super) fn is_checkable(
    certificate: &CertificateDer<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| has_checkable_key(&parsed, algorithms))
}

fn has_checkable_key(
    parsed: &X509Certificate<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let key = parsed.public_key();
    let strong = match key.parsed() {
        Ok(parsed::PublicKey::RSA(rsa)) => (2_048..=8_192).contains(&rsa.key_size()),
        _ => true,
    };
    strong
        && PublicKey::from_spki(key.raw)
            .is_some_and(|key| algorithms.iter().any(|algorithm| key.suits(*algorithm)))
}

/// Whether `certificate` was signed with the key that belongs to `issuer` (RFC 5280 section 4.1.1.3).
pub(super) fn signed_by(
    certificate: &[u8],
    issuer: PublicKey<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let parts = || {
        let inside = der::expect(certificate, Tag::Sequence)?.content;
        let signed = der::expect(inside, Tag::Sequence)?;
        let algorithm = der::expect(signed.rest, Tag::Sequence)?;
        let signature = der::bits(der::expect(algorithm.rest, Tag::BitString)?.content)?;
        Some((signed.whole, algorithm.content, signature))
    };
    let Some((signed, algorithm_id, signature)) = parts() else {
        return false;
    };
    algorithms
        .iter()
        .filter(|algorithm| {
            algorithm.signature_alg_id().as_ref() == algorithm_id && issuer.suits(**algorithm)
        })
        .any(|algorithm| algorithm.verify_signature(issuer.key, signed, signature).is_ok())
}

fn allowed_in_tls13(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
            | SignatureScheme::ED25519
    )
}
