//! Certificates and keys: already loaded, so that mistakes are found before anything changes.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::User;
use postern_deliver::TlsClients;
use postern_net::tls::{
    ClientTls, ClientTlsSettings, ServerTls, ServerTlsSettings, TlsError, TlsIdentityFiles, TlsWarning,
    Verification,
};
use postern_trust::TrustError;

use super::{Checking, files, values};
use crate::config::file::{Postern, Tls};
use crate::config::problem::{Problems, Span};
use crate::config::read::At;
use crate::exit::chain;

/// How long before a certificate's expiry to warn.
const EXPIRES_SOON: Duration = Duration::from_secs(21 * 86_400);

pub(super) fn check(c: &mut Checking<'_>) -> Option<ServerTls> {
    let written = c.file.tls.as_ref()?;
    let before = c.problems.len();
    let mut identities = Vec::new();
    let first = (&written.certificate, &written.key, &written.passphrase_file);
    let others = written
        .identity
        .iter()
        .map(|one| (&one.certificate, &one.key, &one.passphrase_file));
    for (certificate, key, passphrase) in std::iter::once(first).chain(others) {
        identities.extend(identity(
            certificate.as_ref(),
            key.as_ref(),
            passphrase.as_ref(),
            c.problems,
        ));
    }
    if let Some(ca) = &written.client_ca {
        files::readable(ca, "the authorities", c.problems);
    }
    for crl in written.client_crl.iter() {
        files::readable(crl, "the revocation list", c.problems);
    }
    if written.client_ca.is_none()
        && let Some(span) = revocation_span(written)
    {
        c.problems.error(
            Some(span),
            "revoked client certificates are listed, but no client certificate is requested",
            "has no effect",
            "name the authorities of client certificates in `client_ca`, or remove this",
        );
    }
    if c.problems.len() > before || identities.is_empty() {
        return None;
    }
    let settings = ServerTlsSettings {
        identities,
        client_ca: written.client_ca.as_ref().map(|ca| ca.value.clone()),
        client_crls: values(&written.client_crl),
        client_denied: values(&written.client_denied),
        min_version: *written.min_version,
        exporter_in_tls12: *c.file.auth.channel_binding_in_tls12,
    };
    match ServerTls::load(&settings) {
        Ok(tls) => {
            warn_of_names(&tls, c);
            warn_of_owner(c);
            let now = Timestamp::now();
            c.problems.append(certificate_problems(&tls, now));
            c.problems.append(crl_problems(&tls, now));
            Some(tls)
        }
        Err(error) => {
            let ca = written.client_ca.as_ref().and_then(|ca| ca.span.clone());
            let crl = matches!(error, TlsError::BadCrl { .. })
                .then(|| revocation_span(written))
                .flatten();
            let span = crl.or(ca).or_else(|| written.span.clone());
            c.problems.error(
                span,
                format!("TLS cannot be set up: {}", chain(&error)),
                "",
                "correct the file",
            );
            None
        }
    }
}

/// Where something that revokes client certificates is written.
fn revocation_span(written: &Tls) -> Option<Span> {
    let crl = written.client_crl.iter().find_map(|at| at.span.clone());
    crl.or_else(|| written.client_denied.iter().find_map(|at| at.span.clone()))
}

/// TLS to next hops.
pub(super) fn check_client(c: &mut Checking<'_>) -> Option<TlsClients> {
    let written = &c.file.delivery.tls;
    let verification = match &written.ca_file {
        Some(ca) if !files::readable(ca, "the authorities", c.problems) => return None,
        Some(ca) => Verification::CaFile(ca.value.clone()),
        None => Verification::SystemRoots,
    };
    let verify = c.file.route.iter().find(|route| route.verifies());
    match load_clients(c.file, verification, None) {
        Ok(clients) => Some(clients),
        Err(error) => {
            let ca = written.ca_file.as_ref().and_then(|ca| ca.span.clone());
            let span = ca.or_else(|| verify.and_then(|route| route.tls.span.clone()));
            c.problems.error(
                span,
                format!("next hops cannot be verified: {}", chain(&error)),
                "",
                "name the authorities in `ca_file` of [delivery.tls], or install those of the system (Debian: ca-certificates)",
            );
            None
        }
    }
}

/// The two kinds of TLS to next hops, with or without a client certificate.
fn load_clients(
    file: &Postern,
    verification: Verification,
    identity: Option<TlsIdentityFiles>,
) -> Result<TlsClients, TlsError> {
    let load = |verification| {
        ClientTls::load(&ClientTlsSettings {
            min_version: *file.delivery.tls.min_version,
            identity: identity.clone(),
            ..ClientTlsSettings::new(verification)
        })
    };
    let unverified = load(Verification::None)?;
    // A machine without authorities does not need them until a route does.
    let needed = file.route.iter().any(|route| route.verifies()) || !file.delivery.tls.verified.is_empty();
    let verified = match load(verification) {
        Err(TlsError::Trust(TrustError::NoSystemRoots(_))) if !needed => unverified.clone(),
        other => other?,
    };
    Ok(TlsClients { unverified, verified })
}

/// TLS to a smarthost with the certificate of a login. Mistakes in the authorities are reported elsewhere.
pub(super) fn check_own(
    certificate: Option<&At<PathBuf>>,
    key: Option<&At<PathBuf>>,
    passphrase: Option<&At<PathBuf>>,
    c: &mut Checking<'_>,
) -> Option<TlsClients> {
    let files = identity(certificate, key, passphrase, c.problems)?;
    let ca = c.file.delivery.tls.ca_file.as_ref();
    let verification = ca.map_or(Verification::SystemRoots, |ca| {
        Verification::CaFile(ca.value.clone())
    });
    load_clients(c.file, verification, Some(files)).ok()
}

/// One certificate with its key, tried separately so that a mistake can be located.
fn identity(
    certificate: Option<&At<PathBuf>>,
    key: Option<&At<PathBuf>>,
    passphrase: Option<&At<PathBuf>>,
    problems: &mut Problems,
) -> Option<TlsIdentityFiles> {
    let before = problems.len();
    if let Some(certificate) = certificate {
        files::readable(certificate, "the certificate", problems);
    }
    for (file, what) in [(key, "the key"), (passphrase, "the passphrase file")] {
        if let Some(file) = file {
            files::secret(file, what, problems);
        }
    }
    if problems.len() > before {
        return None;
    }
    let (certificate, key) = (certificate?, key?);
    let files = TlsIdentityFiles {
        certificate: certificate.value.clone(),
        key: key.value.clone(),
        passphrase_file: passphrase.map(|file| file.value.clone()),
    };
    let alone = ServerTlsSettings {
        identities: vec![files.clone()],
        ..ServerTlsSettings::default()
    };
    match ServerTls::load(&alone) {
        Ok(_) => Some(files),
        Err(error) => {
            let (at, label, remedy) = explain(&error, certificate, key, passphrase);
            problems.error(at.span.clone(), chain(&error), label, remedy);
            None
        }
    }
}

/// Where the mistake is, and the remedy.
fn explain<'a>(
    error: &TlsError,
    certificate: &'a At<PathBuf>,
    key: &'a At<PathBuf>,
    passphrase: Option<&'a At<PathBuf>>,
) -> (&'a At<PathBuf>, &'static str, String) {
    let (shown_key, shown_certificate) = (key.display(), certificate.display());
    match error {
        TlsError::PassphraseMissing { .. } => (
            key,
            "encrypted",
            "add `passphrase_file = \"…\"`, a file of one line that only its owner can read".to_owned(),
        ),
        TlsError::PassphraseWrong { .. } => (
            passphrase.unwrap_or(key),
            "does not decrypt the key",
            format!("put the passphrase of {shown_key} into the first line"),
        ),
        TlsError::Mismatch { .. } => (
            key,
            "the key of another certificate",
            format!(
                "name the key that {shown_certificate} was made for; `postern cert issue NAME` makes a new pair"
            ),
        ),
        TlsError::Trust(_) => (
            certificate,
            "no usable certificate",
            "`postern cert show FILE` shows what is in it; `postern cert issue NAME` makes one".to_owned(),
        ),
        TlsError::LegacyEncryption { .. } | TlsError::OutdatedEncryption { .. } => (
            key,
            "outdated encryption",
            format!(
                "openssl pkcs8 -topk8 -in {shown_key} -out {shown_key}.new && mv {shown_key}.new {shown_key}"
            ),
        ),
        TlsError::NoKey { .. } | TlsError::BadKey { .. } => (
            key,
            "no usable key",
            "a key in PEM form (PKCS #8, PKCS #1 or SEC 1) is expected".to_owned(),
        ),
        TlsError::Exposed { path, .. } => (key, "open to others", format!("chmod 600 {}", path.display())),
        TlsError::Read { path, .. } => (
            key,
            "cannot be read",
            format!(
                "correct the path, or let the user that serves read {}",
                path.display()
            ),
        ),
        TlsError::BadCrl { path, .. } => (
            certificate,
            "no usable revocation list",
            format!(
                "name one in PEM form that is still valid: openssl crl -text -in {}",
                path.display()
            ),
        ),
        _ => (
            certificate,
            "TLS does not take it",
            format!(
                "`postern cert show {shown_certificate}` shows what is in it; `postern cert issue NAME` makes a new pair"
            ),
        ),
    }
}

/// Clients that verify certificates will disconnect if the host's own name is in none of them.
fn warn_of_names(tls: &ServerTls, c: &mut Checking<'_>) {
    let matches = |name: &String| {
        let name = name.to_lowercase();
        match name.strip_prefix("*.") {
            Some(parent) => c.hostname.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => name == c.hostname,
        }
    };
    if tls
        .identities()
        .iter()
        .any(|identity| identity.names.iter().any(matches))
    {
        return;
    }
    let written = c.file.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
    let names: Vec<&str> = tls
        .identities()
        .iter()
        .flat_map(|identity| &identity.names)
        .map(String::as_str)
        .take(8)
        .collect();
    c.problems.warning(
        written.and_then(|at| at.span.clone()),
        format!("no certificate is valid for {}", c.hostname),
        if names.is_empty() {
            "for no name at all".to_owned()
        } else {
            format!("for {}", names.join(", "))
        },
        "clients that check the name will not connect; get a certificate for it, or correct `hostname`",
    );
}

/// A key that only root can read is read at start, but cannot be read on reload, when the process has become another
/// user.
fn warn_of_owner(c: &mut Checking<'_>) {
    let Some(user) = &c.file.user else { return };
    let Ok(Some(owner)) = User::from_name(user) else {
        return;
    };
    let keys = c.file.tls.iter().flat_map(|tls| {
        let others = tls.identity.iter().filter_map(|identity| identity.key.as_ref());
        tls.key.iter().chain(others)
    });
    for key in keys {
        let belongs =
            std::fs::metadata(&key.value).is_ok_and(|metadata| metadata.uid() == owner.uid.as_raw());
        if !belongs {
            c.problems.warning(
                key.span.clone(),
                format!("{} cannot read the key {} at a reload", user.value, key.display()),
                "belongs to another user",
                format!("chown {} {}", user.value, key.display()),
            );
        }
    }
}

/// Revocation lists that are out of date, as warnings.
fn crl_problems(tls: &ServerTls, now: Timestamp) -> Problems {
    let mut problems = Problems::default();
    for warning in tls.warnings(now) {
        if matches!(warning, TlsWarning::CrlOverdue { .. }) {
            problems.warning(
                None,
                warning.to_string(),
                "",
                "fetch the authority's newest list, then `postern reload`",
            );
        }
    }
    problems
}

/// Certificates that clients reject, or soon will, as warnings.
fn certificate_problems(tls: &ServerTls, now: Timestamp) -> Problems {
    let mut problems = Problems::default();
    for identity in tls.identities() {
        if identity.common_name_only {
            problems.warning(
                None,
                format!(
                    "the certificate {} names its host in the common name only",
                    identity.certificate.display()
                ),
                "",
                "clients look for it among the subject alternative names, and will not connect: \
                 get a certificate that has it there; `postern cert issue NAME` makes one",
            );
        }
        let left = identity.not_after.as_second() - now.as_second();
        if left > i64::try_from(EXPIRES_SOON.as_secs()).unwrap_or(i64::MAX) {
            continue;
        }
        let file = identity.certificate.display();
        let title = if left <= 0 {
            format!(
                "the certificate {file} expired {} ago",
                crate::output::span(-left)
            )
        } else {
            format!("the certificate {file} expires in {}", crate::output::span(left))
        };
        problems.warning(
            None,
            title,
            "",
            "renew it (one of an own authority by `postern cert issue NAME`), then `postern reload`",
        );
    }
    problems
}
