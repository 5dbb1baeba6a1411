//! A server's or client's own certificates: loaded, checked, and chosen by name.

use super::{TlsError, binding, certificate, key};
use jiff::Timestamp;
use postern_trust::TrustError;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SignatureAlgorithm};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// One certificate with its key, as files in PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsIdentityFiles {
    /// The certificate, followed by the intermediates that lead to its root.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1, SEC1 or encrypted PKCS#8. Neither group nor others may read the file.
    pub key: PathBuf,
    /// The file whose first line decrypts the key; with the same permissions as the key.
    pub passphrase_file: Option<PathBuf>,
}

/// Something an administrator should know although it does not prevent the start.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsWarning {
    /// The certificate has expired.
    #[error("the certificate in {} expired on {not_after}", certificate.display())]
    Expired {
        /// Its file.
        certificate: PathBuf,
        /// When it ended.
        not_after: Timestamp,
    },
    /// The certificate is not valid yet.
    #[error("the certificate in {} is not valid before {not_before}", certificate.display())]
    NotYetValid {
        /// Its file.
        certificate: PathBuf,
        /// When it begins.
        not_before: Timestamp,
    },
    /// The revocation list is past its next update.
    #[error("the revocation list in {} was to be renewed by {due}; what has been revoked since is not known", path.display())]
    CrlOverdue {
        /// Its file.
        path: PathBuf,
        /// When the next one was due.
        due: Timestamp,
    },
}

/// A loaded certificate, for listings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityInfo {
    /// Its file.
    pub certificate: PathBuf,
    /// The names it is shown for, lower-case; a wildcard as `*.example.org`.
    pub names: Vec<String>,
    /// Whether they stand in its common name alone, which modern clients ignore (RFC 9525 section 2).
    pub common_name_only: bool,
    /// The addresses that it is for.
    pub addresses: Vec<IpAddr>,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl IdentityInfo {
    /// What is wrong with the certificate at `now` that does not prevent its use.
    pub(super) fn warning(&self, now: Timestamp) -> Option<TlsWarning> {
        let certificate = self.certificate.clone();
        if now > self.not_after {
            Some(TlsWarning::Expired {
                certificate,
                not_after: self.not_after,
            })
        } else if now < self.not_before {
            Some(TlsWarning::NotYetValid {
                certificate,
                not_before: self.not_before,
            })
        } else {
            None
        }
    }
}

/// Loads a certificate chain with its key and makes sure that they are a pair.
pub(super) fn load(files: &TlsIdentityFiles) -> Result<(Arc<CertifiedKey>, IdentityInfo), TlsError> {
    let chain = certificate::load(&files.certificate)?;
    let key = key::load(&files.key, files.passphrase_file.as_deref())?;
    let key = any_supported_type(&key).map_err(|error| TlsError::BadKey {
        path: files.key.clone(),
        reason: format!(
            "{error}; RSA of 2048 to 8192 bits, ECDSA P-256, P-384, P-521 and Ed25519 are supported"
        ),
    })?;

    let leaf = chain.first().ok_or_else(|| TrustError::NoCertificate {
        path: files.certificate.clone(),
    })?;
    let parsed = certificate::parse(leaf).map_err(|reason| TrustError::BadCertificate {
        path: files.certificate.clone(),
        reason: reason.to_owned(),
    })?;
    // Compared here and not by rustls, which would refuse certificates of X.509 version 1.
    if key
        .public_key()
        .is_none_or(|public| public.as_ref() != parsed.public_key().raw)
    {
        return Err(TlsError::Mismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        });
    }
    let (not_before, not_after) = certificate::validity(&parsed);
    let names = certificate::names(&parsed);
    let info = IdentityInfo {
        certificate: files.certificate.clone(),
        common_name_only: names.common_only,
        names: names.hosts,
        addresses: names.addresses,
        not_before,
        not_after,
    };
    Ok((Arc::new(CertifiedKey::new(chain, key)), info))
}

/// Chooses among a server's certificates by the name that the client asks for (RFC 6066 section 3).
///
/// An exact name goes before a wildcard. If several certificates have the name, the first one whose key the
/// client supports is used, so an ECDSA and an RSA certificate can stand side by side. A client that asks for
/// no name, or for an unknown one, is shown the first certificate of all.
#[derive(Debug)]
pub(super) struct Identities {
    keys: Vec<Arc<CertifiedKey>>,
    /// `tls-server-end-point` of each.
    end_points: Vec<Option<Vec<u8>>>,
    exact: HashMap<Box<str>, Vec<usize>>,
    wildcard: HashMap<Box<str>, Vec<usize>>,
}

impl Identities {
    pub(super) fn new(identities: Vec<(Arc<CertifiedKey>, Vec<String>)>) -> Self {
        let mut all = Self {
            keys: Vec::new(),
            end_points: Vec::new(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        for (index, (key, names)) in identities.into_iter().enumerate() {
            all.end_points
                .push(key.cert.first().and_then(|leaf| binding::server_end_point(leaf)));
            all.keys.push(key);
            for name in names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut all.wildcard, parent),
                    None => (&mut all.exact, name.as_str()),
                };
                table.entry(name.into()).or_default().push(index);
            }
        }
        all
    }

    /// The certificates for a name, in lower case: `*.example.org` covers `a.example.org` but not
    /// `a.b.example.org`.
    fn bearing(&self, name: &str) -> &[usize] {
        self.exact
            .get(name)
            .or_else(|| {
                name.split_once('.')
                    .and_then(|(_, parent)| self.wildcard.get(parent))
            })
            .map_or(&[], Vec::as_slice)
    }

    fn choose(
        &self,
        name: Option<&str>,
        works: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<&Arc<CertifiedKey>> {
        let bearing = name.map_or(&[][..], |name| self.bearing(name));
        let named = bearing.iter().filter_map(|&index| self.keys.get(index));
        named
            .chain(&self.keys)
            .find(|key| works(key))
            .or_else(|| self.keys.first())
    }
}

impl Identities {
    /// `tls-server-end-point` of the certificate that this client will be shown.
    pub(super) fn end_point(&self, hello: &ClientHello<'_>) -> Option<Vec<u8>> {
        let shown = self.shown(hello)?;
        let index = self.keys.iter().position(|key| Arc::ptr_eq(key, shown))?;
        self.end_points.get(index)?.clone()
    }

    fn shown(&self, hello: &ClientHello<'_>) -> Option<&Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        self.choose(name.as_deref(), |key| usable(key, hello))
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.shown(&hello).cloned()
    }
}

/// Whether the client can verify a signature made with this key and offers a matching cipher suite.
fn usable(key: &CertifiedKey, hello: &ClientHello<'_>) -> bool {
    let algorithm = key.key.algorithm();
    key.key.choose_scheme(hello.signature_schemes()).is_some()
        && hello
            .cipher_suites()
            .iter()
            .any(|&suite| goes_with(suite, algorithm))
}

fn goes_with(suite: CipherSuite, algorithm: SignatureAlgorithm) -> bool {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => true,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            matches!(algorithm, SignatureAlgorithm::ECDSA | SignatureAlgorithm::ED25519)
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => algorithm == SignatureAlgorithm::RSA,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(names: &[&str]) -> (Arc<CertifiedKey>, Vec<String>) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&pair)
            .unwrap();
        let key = any_supported_type(&pair.into()).unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        (
            Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)),
            names,
        )
    }

    #[test]
    fn choice_by_name() {
        let all = Identities::new(vec![
            identity(&["default.test"]),
            identity(&["*.wild.test", "wild.test"]),
            identity(&["exact.wild.test", "twice.test"]),
            identity(&["twice.test"]),
        ]);
        let last = all.keys.get(3).unwrap().clone();

        #[rustfmt::skip]
        let cases = [
            // what the case shows                    name asked for             index
            ("no name: the first",                    None,                      0),
            ("unknown name: the first",               Some("other.test"),        0),
            ("its own name",                          Some("default.test"),      0),
            ("wildcard",                              Some("a.wild.test"),       1),
            ("a wildcard is one label",               Some("a.b.wild.test"),     0),
            ("the parent is listed apart",            Some("wild.test"),         1),
            ("exact goes before wildcard",            Some("exact.wild.test"),   2),
            ("the first of two",                      Some("twice.test"),        2),
            ("not even a dot",                        Some("test"),              0),
            ("empty",                                 Some(""),                  0),
        ];
        for (shows, name, index) in cases {
            let chosen = all.choose(name, |_| true).unwrap();
            assert!(Arc::ptr_eq(chosen, all.keys.get(index).unwrap()), "{shows}");
        }

        let only_last = |key: &CertifiedKey| std::ptr::eq(key, &*last);
        let chosen = all.choose(Some("twice.test"), only_last).unwrap();
        assert!(
            Arc::ptr_eq(chosen, &last),
            "the client cannot work with the first of two"
        );
        let chosen = all.choose(Some("wild.test"), |_| false).unwrap();
        assert!(
            Arc::ptr_eq(chosen, all.keys.first().unwrap()),
            "nothing works: the handshake will say so"
        );
    }
}
