//! Signatures over handshakes: the part that every certificate verifier delegates.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerifier as _};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::CertificateDer;

/// Whether a peer holds the key to the certificate that it has shown. A verifier that has one of these as a field implements that
/// half of its trait with [`verify_handshakes_by`](crate::verify_handshakes_by).
pub trait HandshakeSignatures {
    /// In TLS 1.2 (RFC 5246 section 7.4.8).
    ///
    /// # Errors
    ///
    /// The signature is wrong, or of a kind that was not offered.
    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error>;

    /// In TLS 1.3 (RFC 8446 section 4.4.3).
    ///
    /// # Errors
    ///
    /// As for [`HandshakeSignatures::tls12`].
    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error>;

    /// The kinds of signatures that are offered.
    fn schemes(&self) -> Vec<SignatureScheme>;
}

impl HandshakeSignatures for Arc<WebPkiServerVerifier> {
    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12_signature(message, certificate, signed)
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls13_signature(message, certificate, signed)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.supported_verify_schemes()
    }
}

/// Inside an implementation of rustls' `ServerCertVerifier` or `ClientCertVerifier`: its methods for handshake signatures,
/// delegated to the named field, which is a [`HandshakeSignatures`].
#[macro_export]
macro_rules! verify_handshakes_by {
    ($field:ident) => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &::rustls_pki_types::CertificateDer<'_>,
            signed: &::rustls::DigitallySignedStruct,
        ) -> Result<::rustls::client::danger::HandshakeSignatureValid, ::rustls::Error> {
            $crate::HandshakeSignatures::tls12(&self.$field, message, certificate, signed)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &::rustls_pki_types::CertificateDer<'_>,
            signed: &::rustls::DigitallySignedStruct,
        ) -> Result<::rustls::client::danger::HandshakeSignatureValid, ::rustls::Error> {
            $crate::HandshakeSignatures::tls13(&self.$field, message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<::rustls::SignatureScheme> {
            $crate::HandshakeSignatures::schemes(&self.$field)
        }
    };
}
