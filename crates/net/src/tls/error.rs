//! Errors of TLS, while loading and during the handshake.

use postern_trust::TrustError;
use rustls::CertificateError;
use rustls_pki_types::{ServerName, UnixTime};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why certificates and keys could not be loaded. Each message names the file and, if there is one, the
/// remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A secret that others can read.
    #[error("{} can be read or changed by others (mode {mode:04o}); mend it with: chmod 600 {}", path.display(), Quoted(path))]
    Exposed {
        /// The key or passphrase file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },

    /// No identity was given.
    #[error("TLS needs at least one certificate with its key")]
    NoIdentity,

    /// A revocation list that cannot be used.
    #[error("cannot use the revocation list in {}: {reason}", path.display())]
    BadCrl {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// Certificates cannot be read or used.
    #[error(transparent)]
    Trust(#[from] TrustError),

    /// A file without any private key.
    #[error("no private key in {}; a PEM file is expected (from DER: openssl pkey -inform DER -in {} -out NEW)", path.display(), Quoted(path))]
    NoKey {
        /// The file.
        path: PathBuf,
    },

    /// A key that cannot be understood or is of a kind that cannot be used.
    #[error("cannot use the private key in {}: {reason}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// A key encrypted in OpenSSL's traditional form, whose key derivation is a single MD5.
    #[error("{} is encrypted in OpenSSL's old form (Proc-Type: 4,ENCRYPTED), which protects it badly; convert it with: openssl pkcs8 -topk8 -in {} -out NEW", path.display(), Quoted(path))]
    LegacyEncryption {
        /// The file.
        path: PathBuf,
    },

    /// A key encrypted with an outdated method (PKCS #5 version 1 or PKCS #12).
    #[error("{} is encrypted with an outdated method; convert it with: openssl pkcs8 -in {} | openssl pkcs8 -topk8 -out NEW", path.display(), Quoted(path))]
    OutdatedEncryption {
        /// The file.
        path: PathBuf,
    },

    /// An encrypted key without a passphrase.
    #[error("{} is encrypted; name a passphrase file, or take the encryption off with: openssl pkey -in {} -out NEW", path.display(), Quoted(path))]
    PassphraseMissing {
        /// The key file.
        path: PathBuf,
    },

    /// The passphrase does not decrypt the key.
    #[error("the passphrase does not decrypt {}", path.display())]
    PassphraseWrong {
        /// The key file.
        path: PathBuf,
    },

    /// Certificate and key are not a pair.
    #[error("the key in {} does not belong to the first certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },

    /// rustls does not accept the settings as a whole.
    #[error("cannot set up TLS")]
    Setup(#[from] rustls::Error),
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer took longer than allowed.
    #[error("TLS handshake not finished after {} s", .0.as_secs_f32())]
    Timeout(Duration),

    /// The connection broke, or ended, in the middle.
    #[error("connection lost in the TLS handshake")]
    Lost(#[source] io::Error),

    /// The two sides could not agree, or one broke the protocol.
    #[error("TLS handshake failed")]
    Protocol(#[source] rustls::Error),

    /// As a client: the server's certificate failed the verification that was asked for.
    #[error("certificate of {server_name} not verified: {reason}")]
    Unverified {
        /// The name or address the certificate had to be for.
        server_name: String,
        /// What is wrong with it.
        reason: String,
    },

    /// As a client: neither a host name nor an address.
    #[error("{0:?} is not a server name that TLS can check")]
    ServerName(String),

    /// TLS was asked for on a stream that already uses it.
    #[error("TLS is already in use")]
    AlreadyTls,
}

impl HandshakeError {
    /// Classifies what tokio-rustls reports: it wraps rustls' own errors in I/O errors.
    pub(super) fn from_io(error: io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            Some(inner) => Self::Protocol(inner.clone()),
            None => Self::Lost(error),
        }
    }
}

/// Says in plain words what is wrong with a certificate. For other errors, rustls' own words.
pub(super) fn reason(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(error) = error else {
        return error.to_string();
    };
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!("expired on {}", Date(*not_after)),
        CertificateError::Expired => "expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("not valid before {}", Date(*not_before))
        }
        CertificateError::UnknownIssuer => "not issued by a trusted authority".to_owned(),
        CertificateError::BadSignature => "wrong signature".to_owned(),
        CertificateError::Revoked => "revoked".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "issued for another purpose".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => wrong_name(expected, presented),
        // What rustls does not distinguish arrives as webpki's text.
        CertificateError::Other(inner) => match inner.0.to_string().as_str() {
            "CaUsedAsEndEntity" => "marked as an authority (CA:TRUE)".to_owned(),
            "UnsupportedCertVersion" => "of X.509 version 1; issue it with extensions".to_owned(),
            other => other.to_owned(),
        },
        other => rustls::Error::InvalidCertificate(other.clone()).to_string(),
    }
}

fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let expected = expected.to_str();
    if presented.is_empty() {
        return format!("has no subject alternative name, needed: {expected}");
    }
    let shown: Vec<_> = presented.iter().take(8).map(|name| bare(name)).collect();
    let more = if presented.len() > shown.len() { " …" } else { "" };
    format!("issued for {}{more}, not for {expected}", shown.join(" "))
}

/// `mx.example.org` of `DnsName("mx.example.org")`, which is how webpki formats names.
fn bare(name: &str) -> &str {
    name.split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .map_or(name, |inner| inner.trim_matches('"'))
}

/// A point in time as certificates give it.
struct Date(UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_second(seconds) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{seconds} s after 1970"),
        }
    }
}

/// A path quoted for the shell.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        if text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"/._-+@%:=,".contains(&octet))
        {
            f.write_str(&text)
        } else {
            write!(f, "'{}'", text.replace('\'', "'\\''"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_can_be_pasted_into_a_shell() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows   path              remedy
            ("plain",                "/etc/k.pem",     "chmod 600 /etc/k.pem"),
            ("a blank",              "/etc/my k.pem",  "chmod 600 '/etc/my k.pem'"),
            ("a quote",              "it's",           "chmod 600 'it'\\''s'"),
        ];
        for (shows, path, remedy) in cases {
            let text = TlsError::Exposed {
                path: path.into(),
                mode: 0o644,
            }
            .to_string();
            assert!(text.ends_with(remedy), "{shows}: {text}");
            assert!(text.contains("0644"), "{shows}: {text}");
        }
    }
}
