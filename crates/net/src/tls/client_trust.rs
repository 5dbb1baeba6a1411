//! Client certificates, on the server side.
//!
//! During the handshake only possession of the key is verified. The chain is judged after the handshake,
//! from the certificates that rustls keeps with the session, so a resumed session is judged by the current
//! date and the current authorities.

use super::revocation::Revocations;
use super::signature::{self, Possession, PublicKey};
use super::{TlsError, Verify, certificate, error, provider};
use postern_trust::TrustError;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DistinguishedName, Error};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

/// Most octets that a client's chain may have in all. It is kept with the session and put into tickets.
const CHAIN_MAX: usize = 16 << 10;

/// Most authorities named to clients so that they can choose a certificate. With more, none are named, which
/// means any.
const HINTS_MAX: usize = 32;

/// The authorities for client certificates, and the verdict on chains.
#[derive(Debug)]
pub(super) struct ClientTrust {
    chains: Arc<dyn ClientCertVerifier>,
    anchors: Vec<CertificateDer<'static>>,
    hints: Vec<DistinguishedName>,
    revocations: Revocations,
}

impl ClientTrust {
    /// Reads the authorities from the PEM file `path`, and what they have revoked.
    pub(super) fn load(path: &Path, crls: &[PathBuf], denied: &[String]) -> Result<Self, TlsError> {
        let anchors = certificate::load(path)?;
        let roots = postern_trust::store(path, &anchors)?;
        let mut hints = roots.subjects();
        if hints.len() > HINTS_MAX {
            hints.clear();
        }
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider()))
            .build()
            .map_err(|error| TrustError::BadCertificate {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            chains,
            revocations: Revocations::load(crls, denied, &anchors)?,
            anchors,
            hints,
        })
    }

    /// What has been revoked.
    pub(super) fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Judges the chain that a client has presented, own certificate first.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Verify {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Verify::No;
        };
        if let Some(objection) = self.revocations.objection(chain) {
            return Verify::Fail(objection.to_owned());
        }
        // With a key of a kind that cannot be checked, the handshake proved nothing.
        if !signature::is_checkable(leaf, provider().signature_verification_algorithms.all) {
            return Verify::Fail("its key is too weak, or of a kind that is not supported".to_owned());
        }
        match self.chains.verify_client_cert(leaf, intermediates, now) {
            Ok(_) => Verify::Ok,
            Err(_) if self.vouches_directly(leaf, now) => Verify::Ok,
            // webpki fails on the form before it looks for the issuer, and that error tells less.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if !self.lists_issuer_of(leaf) => {
                Verify::Fail(error::reason(&CertificateError::UnknownIssuer.into()))
            }
            Err(error) => Verify::Fail(error::reason(&error)),
        }
    }

    fn lists_issuer_of(&self, leaf: &[u8]) -> bool {
        certificate::parse(leaf).is_ok_and(|leaf| {
            certificate::named(&self.anchors, leaf.issuer().as_raw())
                .next()
                .is_some()
        })
    }

    /// Accepts what webpki refuses for its form alone: a certificate that is itself listed, and one issued
    /// by a listed authority that is X.509 version 1 or marked as a CA, as many small CAs make them.
    fn vouches_directly(&self, leaf: &CertificateDer<'_>, now: UnixTime) -> bool {
        let Ok(parsed) = certificate::parse(leaf) else {
            return false;
        };
        let in_time = i64::try_from(now.as_secs())
            .ok()
            .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok())
            .is_some_and(|now| parsed.validity().is_valid_at(now));
        if !in_time || !fit_for_clients(&parsed) {
            return false;
        }
        let odd_form = parsed.version() != x509_parser::x509::X509Version::V3 || parsed.is_ca();
        let algorithms = provider().signature_verification_algorithms.all;
        self.anchors.iter().any(|anchor| {
            anchor.as_ref() == leaf.as_ref() || odd_form && issued_by(leaf, &parsed, anchor, algorithms)
        })
    }
}

/// Whether `anchor` has issued `leaf`. One with name constraints is left to webpki, which knows how to apply
/// them.
fn issued_by(
    leaf: &[u8],
    parsed: &X509Certificate<'_>,
    anchor: &[u8],
    algorithms: &[&dyn rustls_pki_types::SignatureVerificationAlgorithm],
) -> bool {
    let Ok(anchor) = certificate::parse(anchor) else {
        return false;
    };
    anchor.subject().as_raw() == parsed.issuer().as_raw()
        && matches!(anchor.name_constraints(), Ok(None))
        && PublicKey::from_spki(anchor.public_key().raw)
            .is_some_and(|key| signature::signed_by(leaf, key, algorithms))
}

/// Whether nothing in the certificate forbids its use by a client: its extended key usage, if any, names
/// clients, and it has no critical extension that is not understood (RFC 5280 sections 4.2 and 4.2.1.12).
fn fit_for_clients(certificate: &X509Certificate<'_>) -> bool {
    let heeded = [
        oid::OID_X509_EXT_BASIC_CONSTRAINTS,
        oid::OID_X509_EXT_KEY_USAGE,
        oid::OID_X509_EXT_EXTENDED_KEY_USAGE,
        oid::OID_X509_EXT_SUBJECT_ALT_NAME,
    ];
    let usage = match certificate.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.client_auth || usage.value.any,
        Err(_) => false,
    };
    usage
        && certificate
            .iter_extensions()
            .all(|extension| !extension.critical || heeded.contains(&extension.oid))
}

/// Asks clients for a certificate and takes any, or none.
#[derive(Debug)]
pub(super) struct AnyClient {
    hints: Vec<DistinguishedName>,
    keys: Possession,
}

impl AnyClient {
    pub(super) fn new(trust: &ClientTrust) -> Self {
        Self {
            hints: trust.hints.clone(),
            keys: Possession::new(),
        }
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let size = intermediates
            .iter()
            .fold(end_entity.len(), |size, more| size + more.len());
        if size > CHAIN_MAX {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    postern_trust::verify_handshakes_by!(keys);
}
