//! Kerberos: the library exists, and the keytab can be used by the user that Postern becomes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{User, geteuid};
use postern_native::gss::{Gss, Source};
use postern_native::kerberos::{KeytabAcceptor, TicketInitiator};
use postern_policy::principal::PrincipalRules;
use postern_receive::KerberosLogins;
use postern_sasl::{ContextInitiator, Mechanism};

use super::{Checking, files, values};
use crate::config::Libraries;
use crate::config::file::{AccountWord, LoginTable, Postern};
use crate::config::problem::Span;
use crate::config::read::At;
use crate::rights;

/// The library's replay cache file in the state directory.
const REPLAY_CACHE: &str = "kerberos.rcache";

pub(super) fn check(c: &mut Checking<'_>) -> Option<KerberosLogins> {
    let written = &c.file.kerberos;
    match (first_gssapi(c.file), &written.keytab) {
        (None, None) => None,
        (None, Some(keytab)) => {
            c.problems.warning(
                keytab.span.clone(),
                "a keytab is configured, but GSSAPI is off",
                "never used",
                "add \"GSSAPI\" to `mechanisms` in [auth]",
            );
            None
        }
        (Some(mechanism), None) => {
            c.problems.error(
                mechanism.span.clone(),
                "GSSAPI needs a keytab, but [kerberos] has none",
                "nobody could authenticate",
                format!(
                    "run `ktadd -k smtp.keytab smtp/{}` in kadmin, and write `keytab = \"smtp.keytab\"` below [kerberos]",
                    c.hostname
                ),
            );
            None
        }
        (Some(mechanism), Some(keytab)) => {
            // Both are checked, so that all mistakes are shown at once.
            let usable = files::secret(keytab, "the keytab", c.problems) && owned(keytab, c);
            if c.libraries == Libraries::Leave {
                return None;
            }
            let gss = load(&mechanism.span, c)?;
            usable.then(|| logins(gss, keytab, c)).flatten()
        }
    }
}

fn first_gssapi(file: &Postern) -> Option<&At<Mechanism>> {
    let listeners = file.listener.iter().flat_map(|listeners| &listeners.value);
    let theirs = listeners.filter_map(|listener| listener.mechanisms.as_ref());
    let mut all = [&file.auth.mechanisms]
        .into_iter()
        .chain(theirs)
        .flat_map(|list| &list.value);
    all.find(|mechanism| mechanism.value == Mechanism::Gssapi)
}

fn load(wanted: &Option<Span>, c: &mut Checking<'_>) -> Option<Gss> {
    let library = &c.file.kerberos.library;
    if library.contains('/') && !may_be_loaded(library, c) {
        return None;
    }
    let error = match Gss::load(library) {
        Ok(gss) => return Some(gss),
        Err(error) => error,
    };
    c.problems.error(
        library.span.clone().or_else(|| wanted.clone()),
        format!("GSSAPI cannot be used: {error}"),
        "needs the Kerberos library",
        "apt install libgssapi-krb5-2, or remove GSSAPI",
    );
    None
}

/// A library's code is executed. So its path must be absolute, and root only loads what only root can have put
/// there.
fn may_be_loaded(library: &At<String>, c: &mut Checking<'_>) -> bool {
    let path = Path::new(&library.value);
    let (title, label, remedy) = if !path.is_absolute() {
        (
            format!("`library` in [kerberos] is a relative path: {}", library.value),
            "relative",
            "write the whole path, or the name of the library alone".to_owned(),
        )
    } else if let Err(failure) = rights::believe(path) {
        let (title, remedy) = failure.message.split_once('\n').unwrap_or((&failure.message, ""));
        (title.to_owned(), "loaded by root", remedy.to_owned())
    } else {
        return true;
    };
    c.problems.error(library.span.clone(), title, label, remedy);
    false
}

/// The keytab is read at each login, and therefore by the user that Postern becomes.
fn owned(keytab: &At<PathBuf>, c: &mut Checking<'_>) -> bool {
    let Some(user) = c.file.user.as_ref().filter(|_| geteuid().is_root()) else {
        return true;
    };
    let owner = std::fs::metadata(&keytab.value).map_or(0, |metadata| metadata.uid());
    match User::from_name(&user.value) {
        Ok(Some(known)) if known.uid.as_raw() != owner => {
            c.problems.error(
                keytab.span.clone(),
                format!(
                    "the keytab {} does not belong to {}",
                    keytab.display(),
                    user.value
                ),
                "is read at each login",
                format!("chown {} {}", user.value, keytab.display()),
            );
            false
        }
        _ => true,
    }
}

fn logins(gss: Gss, keytab: &At<PathBuf>, c: &mut Checking<'_>) -> Option<KerberosLogins> {
    let written = &c.file.kerberos;
    let replay_cache = c.file.state_dir.join(REPLAY_CACHE);
    let acceptor = KeytabAcceptor::new(gss.clone(), keytab.value.clone(), replay_cache);
    if let Err(error) = acceptor.check() {
        c.problems.error(
            keytab.span.clone(),
            format!("the keytab {} cannot be used: {error}", keytab.display()),
            "the Kerberos library refuses it",
            format!(
                "inspect it with `klist -k {}`; `ktadd -k` in kadmin makes one",
                keytab.display()
            ),
        );
        return None;
    }
    if written.services.value.is_empty() {
        c.problems.error(
            written.services.span.clone(),
            "`services` in [kerberos] is empty",
            "no ticket would be accepted",
            "leave the key out, for `[\"smtp\"]`",
        );
    }
    let realms = realms(&gss, keytab, c)?;
    Some(KerberosLogins {
        acceptor: Arc::new(acceptor),
        rules: PrincipalRules {
            services: values(&written.services.value),
            realms,
            domain: written.domain.as_ref().map(|domain| domain.value.clone()),
        },
        account_required: *written.account == AccountWord::Required,
    })
}

/// The realms as written, or the host's own.
fn realms(gss: &Gss, keytab: &At<PathBuf>, c: &mut Checking<'_>) -> Option<Vec<String>> {
    let error = match &c.file.kerberos.realms {
        Some(realms) if realms.value.is_empty() => "`realms` in [kerberos] is empty".to_owned(),
        Some(realms) => return Some(values(&realms.value)),
        None => match gss.default_realm() {
            Ok(realm) => return Some(vec![realm]),
            Err(error) => format!("the realm of this host is unknown: {error}"),
        },
    };
    let span = c
        .file
        .kerberos
        .realms
        .as_ref()
        .map_or_else(|| keytab.span.clone(), |realms| realms.span.clone());
    c.problems.error(
        span,
        error,
        "nobody could authenticate",
        "write for example `realms = [\"EXAMPLE.ORG\"]` below [kerberos]",
    );
    None
}

/// The ticket source for a login at a smarthost; `None` after a mistake.
#[expect(clippy::option_option, reason = "a mistake, no Kerberos, Kerberos")]
pub(super) fn initiator(
    written: &At<LoginTable>,
    c: &mut Checking<'_>,
) -> Option<Option<Arc<dyn ContextInitiator>>> {
    let Some(file) = written.keytab.as_ref().or(written.tickets.as_ref()) else {
        if let Some(principal) = &written.principal {
            c.problems.warning(
                principal.span.clone(),
                "`principal` in [[login]] without `keytab` and `tickets`",
                "without effect",
                "add `keytab = \"…\"`, or remove it",
            );
        }
        return Some(None);
    };
    if let (Some(keytab), Some(tickets)) = (&written.keytab, &written.tickets) {
        c.problems.error(
            tickets.span.clone(),
            format!("`tickets` in [[login]] beside the keytab {}", keytab.display()),
            "which one is meant?",
            "remove one",
        );
        return None;
    }
    if c.libraries == Libraries::Leave {
        if let Some(keytab) = &written.keytab {
            files::secret(keytab, "the keytab", c.problems);
        }
        return Some(None);
    }
    let gss = load(&file.span, c)?;
    let source = match &written.keytab {
        Some(keytab) => {
            if !files::secret(keytab, "the keytab", c.problems) || !owned(keytab, c) {
                return None;
            }
            // Fetched tickets are kept in memory, separately for each login.
            let name = written.name.as_ref().map_or("", |name| name.value.as_str());
            Source::tickets(&format!("MEMORY:postern-{name}")).with_client_keytab(keytab)
        }
        // It may be created later, and be renewed at any time.
        None => Source::tickets(&format!("FILE:{}", file.display())),
    };
    let principal = written.principal.as_ref().or(written.login.as_ref());
    let principal = principal.map(|principal| principal.value.clone());
    Some(Some(Arc::new(TicketInitiator::new(gss, principal, source))))
}
