//! Client certificates that no longer count although they have not expired.

use super::signature::{self, PublicKey};
use super::{TlsError, certificate, provider};
use jiff::Timestamp;
use postern_trust::{read_bounded, without_mark};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

/// Largest file of lists that is read, in octets: about 400,000 revoked certificates.
const FILE_MAX: u64 = 16 << 20;

/// An issuer's name in DER form, and one of its serial numbers without leading zeros.
type Serial = (Box<[u8]>, Box<[u8]>);

/// Revocation lists and denied fingerprints, checked for each certificate of a chain.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    serials: HashSet<Serial>,
    /// SHA-256, lower-case hexadecimal.
    denied: HashSet<String>,
    /// Each list's file with the moment by which its issuer promised a newer one (RFC 5280 section 5.1.2.5).
    due: Vec<(PathBuf, Timestamp)>,
}

impl Revocations {
    /// Reads the lists, each of which must be signed by one of the authorities.
    pub(super) fn load(
        files: &[PathBuf],
        denied: &[String],
        anchors: &[CertificateDer<'static>],
    ) -> Result<Self, TlsError> {
        let mut all = Self {
            denied: denied.iter().cloned().collect(),
            ..Self::default()
        };
        for path in files {
            for list in read_lists(path)? {
                all.add(path, &list, anchors).map_err(|reason| TlsError::BadCrl {
                    path: path.clone(),
                    reason,
                })?;
            }
        }
        Ok(all)
    }

    fn add(&mut self, path: &Path, der: &[u8], anchors: &[CertificateDer<'static>]) -> Result<(), String> {
        let (_, list) =
            CertificateRevocationList::from_der(der).map_err(|_| "malformed revocation list".to_owned())?;
        understood(&list)?;
        let issuer = list.issuer().as_raw();
        let algorithms = provider().signature_verification_algorithms.all;
        let mut signers = certificate::named(anchors, issuer).peekable();
        if signers.peek().is_none() {
            return Err(format!(
                "{} has issued it, and is not in `client_ca`",
                list.issuer()
            ));
        }
        let signed = signers.any(|signer| {
            PublicKey::from_spki(signer.public_key().raw)
                .is_some_and(|key| signature::signed_by(der, key, algorithms))
        });
        if !signed {
            return Err(format!(
                "not signed by {}, which it names as its issuer",
                list.issuer()
            ));
        }
        self.serials.extend(
            list.iter_revoked_certificates()
                .map(|revoked| (issuer.into(), significant(revoked.raw_serial()).into())),
        );
        let due = list.next_update();
        let due = due.and_then(|due| Timestamp::from_second(due.timestamp()).ok());
        self.due.extend(due.map(|due| (path.to_owned(), due)));
        Ok(())
    }

    /// Why a chain no longer counts: one of its certificates is denied, or was revoked by its issuer.
    pub(super) fn objection(&self, chain: &[CertificateDer<'_>]) -> Option<&'static str> {
        if self.serials.is_empty() && self.denied.is_empty() {
            return None;
        }
        chain.iter().find_map(|der| {
            if !self.denied.is_empty() && self.denied.contains(&certificate::fingerprint(der)) {
                return Some("denied by `client_denied`");
            }
            let parsed = certificate::parse(der).ok()?;
            self.revokes(&parsed).then_some("revoked")
        })
    }

    fn revokes(&self, parsed: &X509Certificate<'_>) -> bool {
        let key = (
            Box::from(parsed.issuer().as_raw()),
            Box::from(significant(parsed.raw_serial())),
        );
        self.serials.contains(&key)
    }

    /// The lists whose newer version is overdue. They still count: what was revoked stays revoked.
    pub(super) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &(PathBuf, Timestamp)> {
        self.due.iter().filter(move |(_, due)| *due < now)
    }
}

/// The lists in a file: several in PEM form, or one in DER form, as authorities publish them.
fn read_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let octets = read_bounded(path, FILE_MAX)?;
    let bad = |reason: String| TlsError::BadCrl {
        path: path.to_owned(),
        reason,
    };
    if octets.first() == Some(&u8::from(pkcs8::der::Tag::Sequence)) {
        return Ok(vec![octets.into()]);
    }
    let lists = CertificateRevocationListDer::pem_slice_iter(without_mark(&octets))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if lists.is_empty() {
        return Err(bad(
            "no list in it; PEM with \"BEGIN X509 CRL\", or DER, is expected".to_owned(),
        ));
    }
    Ok(lists)
}

/// Refuses lists that cover other issuers, or only changes: treating them as complete would miss revocations.
fn understood(list: &CertificateRevocationList<'_>) -> Result<(), String> {
    for extension in list.extensions() {
        if let ParsedExtension::IssuingDistributionPoint(point) = extension.parsed_extension()
            && !point.indirect_crl
        {
            continue;
        }
        if extension.oid == oid::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT {
            return Err("an indirect list, which is not supported".to_owned());
        }
        if extension.critical {
            return Err(format!(
                "the critical extension {} is not supported (a delta list?)",
                extension.oid
            ));
        }
    }
    let odd = list
        .iter_revoked_certificates()
        .flat_map(|revoked| revoked.extensions())
        .find(|extension| extension.critical && extension.oid != oid::OID_X509_EXT_REASON_CODE);
    match odd {
        Some(extension) => Err(format!(
            "the critical extension {} is not supported",
            extension.oid
        )),
        None => Ok(()),
    }
}

/// An INTEGER without leading zeros.
fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|&&octet| octet == 0).count();
    serial.get(zeros..).unwrap_or_default()
}
