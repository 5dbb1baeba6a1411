//! DANE: checking a server against its TLSA records (RFC 7672 section 3), or against fingerprints.

use super::signature::Possession;
use super::{ClientTls, certificate, provider};
use crate::resolver::TlsaRecord;
use aws_lc_rs::digest::{Algorithm, SHA256, SHA512, digest};
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// Most TLSA records of one host that are used. Each may cost a digest for each certificate that the host shows.
const RECORDS_MAX: usize = 32;

/// Which certificate a TLSA record is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Usage {
    /// DANE-TA(2): the authority that the server's chain leads to.
    Authority,
    /// DANE-EE(3): the server's own certificate, whatever it says.
    Own,
}

/// Which part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Selector {
    /// Cert(0): the whole.
    Certificate,
    /// SPKI(1): its public key.
    Key,
}

/// How the part is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Matching {
    /// Full(0): unhashed.
    Full,
    /// SHA2-256(1).
    Sha256,
    /// SHA2-512(2).
    Sha512,
}

/// A TLSA record that can be used for SMTP.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Usable {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Vec<u8>,
}

impl Usable {
    /// Reads a record. `None` for what SMTP does not use: PKIX-TA(0) and PKIX-EE(1) (RFC 7672 section 3.1.3), unknown numbers,
    /// and digests of the wrong length.
    fn read(record: &TlsaRecord) -> Option<Self> {
        let usage = match record.usage {
            2 => Usage::Authority,
            3 => Usage::Own,
            _ => return None,
        };
        let selector = match record.selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            _ => return None,
        };
        let (matching, length) = match record.matching {
            0 => (Matching::Full, None),
            1 => (Matching::Sha256, Some(32)),
            2 => (Matching::Sha512, Some(64)),
            _ => return None,
        };
        let fits = length.map_or(!record.data.is_empty(), |length| record.data.len() == length);
        fits.then(|| Self {
            usage,
            selector,
            matching,
            data: record.data.clone(),
        })
    }

    /// Whether it matches this certificate.
    fn names(&self, der: &[u8]) -> bool {
        let part = match self.selector {
            Selector::Certificate => der.to_vec(),
            Selector::Key => match certificate::parse(der) {
                Ok(parsed) => parsed.public_key().raw.to_vec(),
                Err(_) => return false,
            },
        };
        let is = |algorithm: &'static Algorithm| digest(algorithm, &part).as_ref() == self.data;
        match self.matching {
            Matching::Full => part == self.data,
            Matching::Sha256 => is(&SHA256),
            Matching::Sha512 => is(&SHA512),
        }
    }

    /// The certificate of an authority, if the record holds all of it: then the server need not send it.
    fn certificate(&self) -> Option<CertificateDer<'_>> {
        let whole = (self.usage, self.selector, self.matching)
            == (Usage::Authority, Selector::Certificate, Matching::Full);
        whole.then(|| CertificateDer::from(self.data.as_slice()))
    }
}

/// The usable TLSA records of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsaSet(Vec<Usable>);

impl TlsaSet {
    /// Reads the records of a host, at most 32 of them. `None` if none of them is usable.
    ///
    /// If digests of two kinds are given for the same part of the same certificate, the weaker ones are ignored (RFC 7671 section
    /// 9).
    #[must_use]
    pub fn read(records: &[TlsaRecord]) -> Option<Self> {
        let read: Vec<Usable> = records
            .iter()
            .take(RECORDS_MAX)
            .filter_map(Usable::read)
            .collect();
        let outdone = |one: &Usable| {
            one.matching == Matching::Sha256
                && read.iter().any(|other| {
                    (other.usage, other.selector, other.matching)
                        == (one.usage, one.selector, Matching::Sha512)
                })
        };
        let kept: Vec<Usable> = read.iter().filter(|one| !outdone(one)).cloned().collect();
        (!kept.is_empty()).then_some(Self(kept))
    }
}

impl ClientTls {
    /// The same client, accepting only a server that matches `records`: by its own certificate, whose names and dates do not
    /// matter then (RFC 7672 section 3.1.1), or by an authority's and one of `names` (sections 3.1.2 and 3.2.2). Sessions are not
    /// resumed.
    #[must_use]
    pub fn held_to(&self, records: TlsaSet, names: &[&str]) -> Self {
        let name = |name: &&str| ServerName::try_from(name.trim_end_matches('.').to_owned()).ok();
        self.taking(NamedServer {
            records,
            names: names.iter().filter_map(name).collect(),
            keys: Possession::new(),
            mismatch: NotNamed::ByRecords,
        })
    }

    /// The same client, which takes a server that shows one of the certificates that `fingerprints` name: SHA-256 of the certificate or
    /// of its public key, in DER. What else stands in it does not matter. Sessions are not resumed.
    #[must_use]
    pub fn pinned_to(&self, fingerprints: &[[u8; 32]]) -> Self {
        let of = |selector| {
            fingerprints.iter().map(move |fingerprint| Usable {
                usage: Usage::Own,
                selector,
                matching: Matching::Sha256,
                data: fingerprint.to_vec(),
            })
        };
        self.taking(NamedServer {
            records: TlsaSet(of(Selector::Certificate).chain(of(Selector::Key)).collect()),
            names: Vec::new(),
            keys: Possession::new(),
            mismatch: NotNamed::ByFingerprints,
        })
    }

    fn taking(&self, server: NamedServer) -> Self {
        let mut config = (*self.config).clone();
        config.resumption = Resumption::disabled();
        config.dangerous().set_certificate_verifier(Arc::new(server));
        Self {
            config: Arc::new(config),
            verified: true,
        }
    }
}

/// Accepts a certificate that matches the records; fingerprints are records, too.
#[derive(Debug)]
struct NamedServer {
    records: TlsaSet,
    names: Vec<ServerName<'static>>,
    keys: Possession,
    mismatch: NotNamed,
}

impl NamedServer {
    fn of(&self, usage: Usage) -> impl Iterator<Item = &Usable> {
        self.records.0.iter().filter(move |record| record.usage == usage)
    }

    /// Judges a chain by the authorities in the records. `None` if none of them is in the chain.
    fn by_authority(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<Result<(), Error>> {
        let mut roots = RootCertStore::empty();
        for record in self.of(Usage::Authority) {
            for authority in others.iter().filter(|one| record.names(one)) {
                // One that is not a CA certificate is skipped.
                let _ = roots.add(authority.clone().into_owned());
            }
            if let Some(authority) = record.certificate() {
                let _ = roots.add(authority.into_owned());
            }
        }
        if roots.is_empty() {
            return None;
        }
        let algorithms = provider().signature_verification_algorithms.all;
        Some(ParsedCertificate::try_from(own).and_then(|parsed| {
            verify_server_cert_signed_by_trust_anchor(&parsed, &roots, others, now, algorithms)?;
            let mut names = self.names.iter();
            match names.next() {
                Some(first) => verify_server_name(&parsed, first).or_else(|error| {
                    let other = names.any(|name| verify_server_name(&parsed, name).is_ok());
                    if other { Ok(()) } else { Err(error) }
                }),
                None => Err(CertificateError::NotValidForName.into()),
            }
        }))
    }
}

impl ServerCertVerifier for NamedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.of(Usage::Own).any(|record| record.names(end_entity)) {
            return Ok(ServerCertVerified::assertion());
        }
        match self.by_authority(end_entity, intermediates, now) {
            Some(judged) => judged.map(|()| ServerCertVerified::assertion()),
            None => Err(CertificateError::Other(OtherError(Arc::new(self.mismatch))).into()),
        }
    }

    postern_trust::verify_handshakes_by!(keys);
}

/// No record matches any certificate that the server presented.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum NotNamed {
    #[error("it matches none of the host's TLSA records (DANE)")]
    ByRecords,
    #[error("it matches none of the fingerprints that are set for the host")]
    ByFingerprints,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(usage: u8, selector: u8, matching: u8, length: usize) -> TlsaRecord {
        TlsaRecord {
            usage,
            selector,
            matching,
            data: vec![7; length],
        }
    }

    #[test]
    fn records_of_use() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows                    usage selector matching octets  used
            ("the server's key, SHA-256",             3,    1,       1,       32,     true),
            ("the server's certificate, SHA-512",     3,    0,       2,       64,     true),
            ("an authority",                          2,    0,       1,       32,     true),
            ("an authority, whole",                   2,    0,       0,       700,    true),
            ("PKIX-TA: not for SMTP",                 0,    0,       1,       32,     false),
            ("PKIX-EE: not for SMTP",                 1,    1,       1,       32,     false),
            ("a usage that nobody knows",             4,    1,       1,       32,     false),
            ("a selector that nobody knows",          3,    2,       1,       32,     false),
            ("a digest that nobody knows",            3,    1,       3,       32,     false),
            ("a digest cut short",                    3,    1,       1,       31,     false),
            ("SHA-256 that says it is SHA-512",       3,    1,       2,       32,     false),
            ("nothing",                               3,    1,       0,       0,      false),
        ];
        for (shows, usage, selector, matching, octets, used) in cases {
            let record = record(usage, selector, matching, octets);
            assert_eq!(Usable::read(&record).is_some(), used, "{shows}");
            assert_eq!(TlsaSet::read(&[record]).is_some(), used, "{shows}");
        }
        assert_eq!(TlsaSet::read(&[]), None);
    }

    #[test]
    fn weaker_digests_give_way() {
        let all = [
            record(3, 1, 1, 32),
            record(3, 1, 2, 64),
            record(3, 0, 1, 32),
            record(2, 1, 1, 32),
        ];
        let kept = TlsaSet::read(&all).unwrap();
        let kinds: Vec<_> = kept
            .0
            .iter()
            .map(|one| (one.usage, one.selector, one.matching))
            .collect();
        let want = [
            (Usage::Own, Selector::Key, Matching::Sha512),
            (Usage::Own, Selector::Certificate, Matching::Sha256),
            (Usage::Authority, Selector::Key, Matching::Sha256),
        ];
        assert_eq!(kinds, want);
        assert_eq!(
            TlsaSet::read(&vec![record(3, 1, 1, 32); 100]).unwrap().0.len(),
            RECORDS_MAX
        );
    }
}
