//! Channel bindings of a TLS session, for SASL mechanisms that use them.

use rustls::ConnectionCommon;
use rustls::ProtocolVersion;
use x509_parser::oid_registry::{
    OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512,
};

use super::certificate;

/// The channel bindings of a connection's TLS session.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266). `None` under TLS 1.2 without the extended master secret, where an attacker can make two
    /// sessions share it.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 section 4). `None` where the certificate's signature has no hash function of its own
    /// (Ed25519), or an unknown one.
    pub server_end_point: Option<Vec<u8>>,
}

/// Keying material of a session (RFC 9266 section 4.1): label `EXPORTER-Channel-Binding`, and a context that is present but
/// empty, which matters under TLS 1.2.
pub(super) fn exporter<Side>(
    connection: &ConnectionCommon<Side>,
    extended_master_secret: bool,
) -> Option<[u8; 32]> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) && !extended_master_secret {
        return None;
    }
    connection
        .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
        .ok()
}

/// The hash of a certificate, made with the hash function of its signature, or SHA-256 in place of MD5 and SHA-1.
pub(super) fn server_end_point(der: &[u8]) -> Option<Vec<u8>> {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    let certificate = certificate::parse(der).ok()?;
    let signature = &certificate.signature_algorithm;
    let oid = &signature.algorithm;
    let is_one_of = |list: &[x509_parser::oid_registry::Oid<'_>]| list.contains(oid);
    let algorithm = if is_one_of(&[
        OID_PKCS1_MD5WITHRSAENC,
        OID_PKCS1_SHA1WITHRSA,
        OID_PKCS1_SHA256WITHRSA,
        OID_SIG_ECDSA_WITH_SHA256,
    ]) || oid.to_id_string() == ECDSA_WITH_SHA1
    {
        &SHA256
    } else if is_one_of(&[OID_PKCS1_SHA384WITHRSA, OID_SIG_ECDSA_WITH_SHA384]) {
        &SHA384
    } else if is_one_of(&[OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA512]) {
        &SHA512
    } else if is_one_of(&[OID_PKCS1_RSASSAPSS]) {
        pss_hash(signature)?
    } else {
        return None;
    };
    Some(digest(algorithm, der).as_ref().to_vec())
}

const ECDSA_WITH_SHA1: &str = "1.2.840.10045.4.1";

/// The hash function that RSASSA-PSS names in its parameters (RFC 4055 section 3.1); SHA-1 unless it does.
fn pss_hash(
    signature: &x509_parser::x509::AlgorithmIdentifier<'_>,
) -> Option<&'static aws_lc_rs::digest::Algorithm> {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512};
    use x509_parser::signature_algorithm::SignatureAlgorithm;
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(signature) else {
        return None;
    };
    match parameters.hash_algorithm_oid().to_id_string().as_str() {
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(&SHA256),
        "2.16.840.1.101.3.4.2.2" => Some(&SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&SHA512),
        _ => None,
    }
}
