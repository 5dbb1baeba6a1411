//! A certificate authority of one's own, and what a certificate says.
//!
//! For sites without a public authority: [`Authority::create`] makes the authority, [`Authority::issue`] issues certificates
//! under it, and [`CertificateInfo`] shows what is in a file. Extensions follow RFC 5280 section 4.2: the authority is marked as
//! one that issues to ends only, certificates carry their names, their purpose and the key identifiers that link them.

mod error;
mod info;
mod seal;

pub use error::{CaError, DAYS_MAX, NAMES_MAX};
pub use info::CertificateInfo;

use crate::file::{self, Existing};
use crate::tls::{TlsError, key};
use jiff::Timestamp;
use postern_trust::TrustError;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, RsaKeySize, SanType,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// Days that an authority is valid unless told otherwise: 10 years.
pub const CA_DAYS: u32 = 3_650;

/// Days that a certificate is valid unless told otherwise: the most that Apple's software accepts.
pub const CERTIFICATE_DAYS: u32 = 825;

/// How far in the past a certificate begins, for peers whose clock is slow.
const BACKDATE_SECONDS: i64 = 3_600;

/// Longest common name (RFC 5280 appendix A.1, `ub-common-name`).
const COMMON_NAME_MAX: usize = 64;

/// Kind of a new key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum KeyKind {
    /// ECDSA on P-256: small, fast, understood by everything since 2012. The default.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA of 2,048 bits, for old devices.
    Rsa2048,
    /// RSA of 4,096 bits; a handshake costs the server about fifty times that of P-256.
    Rsa4096,
}

/// What a new certificate is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Purpose {
    /// A mail host: TLS server, and client of other hosts.
    #[default]
    Host,
    /// A user or a device: TLS client only.
    Client,
}

/// What a new authority is to contain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorityRequest {
    /// Its common name, 1 to 64 characters, such as `example.org mail CA`.
    pub common_name: String,
    /// The organisation that runs it.
    pub organization: Option<String>,
    /// How long it is valid, in days; usually [`CA_DAYS`].
    pub days: u32,
    /// Kind of its key.
    pub key: KeyKind,
}

impl AuthorityRequest {
    /// An authority of ten years with an ECDSA key.
    #[must_use]
    pub fn new(common_name: impl Into<String>) -> Self {
        Self {
            common_name: common_name.into(),
            organization: None,
            days: CA_DAYS,
            key: KeyKind::default(),
        }
    }
}

/// What a new certificate is to contain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateRequest {
    /// Host names (`*.example.org` among them), IP addresses and mail addresses; 1 to [`NAMES_MAX`]. The
    /// first is also the common name.
    pub names: Vec<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// How long it is valid, in days; usually [`CERTIFICATE_DAYS`]. It never outlasts its authority.
    pub days: u32,
    /// Kind of its key.
    pub key: KeyKind,
}

impl CertificateRequest {
    /// A host certificate of 825 days with an ECDSA key.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names,
            purpose: Purpose::default(),
            days: CERTIFICATE_DAYS,
            key: KeyKind::default(),
        }
    }
}

/// A certificate with its private key.
pub struct Credentials {
    certificate: CertificateDer<'static>,
    key: Zeroizing<PrivateKeyDer<'static>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// The certificate in PEM.
    ///
    /// # Errors
    ///
    /// [`CaError::Crypto`].
    pub fn certificate_pem(&self) -> Result<String, CaError> {
        seal::certificate_pem(&self.certificate)
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The key in PEM; encrypted (PBES2, PBKDF2 with 600,000 rounds of HMAC-SHA-256, AES-256) if there is a
    /// passphrase.
    ///
    /// # Errors
    ///
    /// [`CaError::Crypto`]: a key that was loaded in a form other than PKCS #8 cannot be encrypted.
    pub fn key_pem(&self, passphrase: Option<&SecretString>) -> Result<Zeroizing<String>, CaError> {
        seal::key_pem(&self.key, passphrase)
    }

    /// Writes both files, the key with mode 0600. The key comes first, so that there is never a certificate
    /// without one.
    ///
    /// # Errors
    ///
    /// [`CaError::Write`], naming the file.
    pub fn save(
        &self,
        certificate: &Path,
        key: &Path,
        passphrase: Option<&SecretString>,
        existing: Existing,
    ) -> Result<(), CaError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CaError::Write { path, source }
        };
        if existing == Existing::Keep && certificate.exists() {
            return Err(failed(certificate)(io::ErrorKind::AlreadyExists.into()));
        }
        file::write_private(key, self.key_pem(passphrase)?.as_bytes(), existing).map_err(failed(key))?;
        file::write_public(certificate, self.certificate_pem()?.as_bytes(), existing)
            .map_err(failed(certificate))
    }
}

/// A certificate authority, able to issue.
#[derive(Debug)]
pub struct Authority {
    credentials: Credentials,
    not_after: Timestamp,
}

impl Authority {
    /// Makes a new authority, valid from `now`.
    ///
    /// # Errors
    ///
    /// [`CaError`] for what the request asks.
    pub fn create(request: &AuthorityRequest, now: Timestamp) -> Result<Self, CaError> {
        if !(1..=COMMON_NAME_MAX).contains(&request.common_name.chars().count()) {
            return Err(CaError::BadCommonName);
        }
        let end = end_of(now, request.days)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(organization) = &request.organization {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organization.as_str());
        }
        params
            .distinguished_name
            .push(DnType::CommonName, request.common_name.as_str());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_time(&mut params, now, end);

        let pair = Wiped(generate(request.key)?);
        let certificate = params.self_signed(&pair.0)?;
        Ok(Self {
            credentials: pair.with(certificate.der().clone()),
            not_after: end,
        })
    }

    /// Loads an authority from its files. The key may be encrypted.
    ///
    /// # Errors
    ///
    /// [`CaError::Load`] naming the file; [`CaError::NotAnAuthority`] and [`CaError::Mismatch`].
    pub fn load(certificate: &Path, key: &Path, passphrase_file: Option<&Path>) -> Result<Self, CaError> {
        let chain = crate::tls::certificate::load(certificate)?;
        let key = key::load(key, passphrase_file)?;
        let certificate = chain.into_iter().next().ok_or(CaError::Mismatch)?;
        Self::assemble(certificate, key)
    }

    /// Loads an authority from PEM text. Errors about the key name the file as `name`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_pem(
        name: &str,
        certificate: &[u8],
        key: &[u8],
        passphrase: Option<&SecretString>,
    ) -> Result<Self, CaError> {
        let key = key::from_pem(Path::new(name), key, passphrase)?;
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|_| TrustError::NoCertificate {
                path: PathBuf::from(name),
            })
            .map_err(TlsError::from)?;
        Self::assemble(certificate, key)
    }

    fn assemble(
        certificate: CertificateDer<'static>,
        key: Zeroizing<PrivateKeyDer<'static>>,
    ) -> Result<Self, CaError> {
        let pair = Wiped(KeyPair::try_from(&*key)?);
        let parsed = crate::tls::certificate::parse(&certificate)
            .map_err(|reason| CaError::Crypto(reason.to_owned()))?;
        if !parsed.is_ca() {
            return Err(CaError::NotAnAuthority(crate::tls::certificate::subject(&parsed)));
        }
        if parsed.public_key().subject_public_key.data.as_ref() != pair.0.public_key_raw() {
            return Err(CaError::Mismatch);
        }
        let (_, not_after) = crate::tls::certificate::validity(&parsed);
        Ok(Self {
            credentials: Credentials { certificate, key },
            not_after,
        })
    }

    /// Certificate and key, to be written to files.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// When the authority ends.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Issues a certificate with a new key, valid from `now`.
    ///
    /// # Errors
    ///
    /// [`CaError`] for what the request asks, and [`CaError::Expired`].
    pub fn issue(&self, request: &CertificateRequest, now: Timestamp) -> Result<Credentials, CaError> {
        if now >= self.not_after {
            return Err(CaError::Expired(self.not_after));
        }
        let end = end_of(now, request.days)?.min(self.not_after);
        let mut params = CertificateParams::default();
        params.subject_alt_names = alternative_names(&request.names)?;
        params.distinguished_name = DistinguishedName::new();
        let common = request.names.iter().find(|name| name.len() <= COMMON_NAME_MAX);
        params
            .distinguished_name
            .push(DnType::CommonName, common.map_or("mail host", String::as_str));
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match request.purpose {
            Purpose::Host => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        set_time(&mut params, now, end);

        let key = Wiped(KeyPair::try_from(&*self.credentials.key)?);
        let issuer = Issuer::from_ca_cert_der(&self.credentials.certificate, &key.0)?;
        let pair = Wiped(generate(request.key)?);
        let certificate = params.signed_by(&pair.0, &issuer)?;
        Ok(pair.with(certificate.der().clone()))
    }
}

/// A key pair that is wiped from memory when dropped.
struct Wiped(KeyPair);

impl Wiped {
    fn with(&self, certificate: CertificateDer<'static>) -> Credentials {
        let key = PrivatePkcs8KeyDer::from(self.0.serialized_der().to_vec());
        Credentials {
            certificate,
            key: Zeroizing::new(key.into()),
        }
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn generate(kind: KeyKind) -> Result<KeyPair, CaError> {
    Ok(match kind {
        KeyKind::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?,
        KeyKind::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?,
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?,
        KeyKind::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096)?,
    })
}

/// The last second of a lifetime of `days` that begins [`BACKDATE_SECONDS`] before `now`.
fn end_of(now: Timestamp, days: u32) -> Result<Timestamp, CaError> {
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(CaError::BadDays);
    }
    let length = i64::from(days) * 86_400 - BACKDATE_SECONDS - 1;
    Timestamp::from_second(now.as_second().saturating_add(length)).map_err(|_| CaError::BadDays)
}

fn set_time(params: &mut CertificateParams, now: Timestamp, end: Timestamp) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let seconds = |moment: i64| Duration::from_secs(u64::try_from(moment).unwrap_or(0));
    params.not_before = epoch + seconds(now.as_second() - BACKDATE_SECONDS);
    params.not_after = epoch + seconds(end.as_second());
}

fn alternative_names(names: &[String]) -> Result<Vec<SanType>, CaError> {
    if !(1..=NAMES_MAX).contains(&names.len()) {
        return Err(CaError::NameCount);
    }
    names
        .iter()
        .map(|name| alternative_name(name).ok_or_else(|| CaError::BadName(name.clone())))
        .collect()
}

fn alternative_name(name: &str) -> Option<SanType> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(SanType::IpAddress(address));
    }
    if let Some((local, domain)) = name.rsplit_once('@') {
        let sound =
            !local.is_empty() && local.bytes().all(|octet| octet.is_ascii_graphic()) && is_host(domain);
        return sound.then(|| name.try_into().ok().map(SanType::Rfc822Name))?;
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    is_host(host).then(|| name.to_ascii_lowercase().try_into().ok().map(SanType::DnsName))?
}

/// Letters, digits and hyphens in labels of 1 to 63, 253 in all (RFC 5890 section 2.3.1).
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253
        && text.split('.').all(label)
        && !text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.')
}

#[cfg(test)]
mod tests;
