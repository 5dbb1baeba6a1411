//! Certificates: from file to DER, and what they say.

use super::{TlsError, name};
use jiff::Timestamp;
pub(crate) use postern_trust::parse;
use rustls_pki_types::CertificateDer;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use x509_parser::prelude::{GeneralName, X509Certificate};
use x509_parser::time::ASN1Time;

/// Reads all certificates of a PEM file; at least one.
pub(crate) fn load(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    Ok(postern_trust::read_certificates(path)?)
}

/// The holder's name as text; see [`CertificateFacts::subject`](super::CertificateFacts::subject).
pub(crate) fn subject(certificate: &X509Certificate<'_>) -> String {
    name::to_text(certificate.subject())
}

/// The issuer's name as text.
pub(crate) fn issuer(certificate: &X509Certificate<'_>) -> String {
    name::to_text(certificate.issuer())
}

/// SHA-256 of the DER form in lower-case hexadecimal.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let mut text = String::with_capacity(64);
    for octet in digest.as_ref() {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// The subject alternative names by kind (RFC 5280 section 4.2.1.6); kinds not used here are left out.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Host names, lower-case, wildcards as `*.example.org`.
    pub(crate) hosts: Vec<String>,
    /// Addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Mail addresses.
    pub(crate) emails: Vec<String>,
    /// Whether the host names stand in the common name alone, which modern clients ignore (RFC 9525 section 2).
    pub(crate) common_only: bool,
}

/// The names of a certificate. If there is no host name, the common name is used if it looks like one.
pub(crate) fn names(certificate: &X509Certificate<'_>) -> Names {
    let mut names = Names::default();
    let alternative = certificate.subject_alternative_name().ok().flatten();
    for name in alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
    {
        match name {
            GeneralName::DNSName(host) => names.hosts.push(host.to_ascii_lowercase()),
            GeneralName::RFC822Name(email) => names.emails.push((*email).to_owned()),
            GeneralName::IPAddress(octets) => names.addresses.extend(address(octets)),
            _ => {}
        }
    }
    if alternative.is_none() {
        let common = certificate
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok());
        names.hosts.extend(
            common
                .filter(|name| name.contains('.') && !name.contains(' '))
                .map(str::to_ascii_lowercase),
        );
        names.common_only = !names.hosts.is_empty();
    }
    names
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// First and last moment of a certificate's validity.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    (timestamp(validity.not_before), timestamp(validity.not_after))
}

fn timestamp(time: ASN1Time) -> Timestamp {
    let fallback = if time.timestamp() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(time.timestamp()).unwrap_or(fallback)
}

/// The authorities with this name, in DER form.
pub(super) fn named<'a>(
    anchors: &'a [CertificateDer<'_>],
    name: &'a [u8],
) -> impl Iterator<Item = X509Certificate<'a>> {
    anchors
        .iter()
        .filter_map(|anchor| parse(anchor).ok())
        .filter(move |anchor| anchor.subject().as_raw() == name)
}
