//! Logins: mechanisms that can work, conditions that can be true, keys that own users need.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_directory::{ForeignKeys, KeyKind, KeyPolicy};
use postern_net::tls::ServerTls;
use postern_policy::login::{CertificateLogin, LoginSource, LoginTrust, MechanismRule};
use postern_policy::relay::CertificateRule;
use postern_receive::{AuthSettings, Plaintext};
use postern_sasl::{Layers, Mechanism, Needs};
use std::net::IpAddr;

use super::{Checking, clamp, kerberos, values};
use crate::config::file::{CertificateLoginTable, Directory, LayerWord, MechanismTable, Postern, TlsWord};
use crate::config::read::At;

/// The value of `login` that means the certificate's mail address.
const EMAIL: &str = "{email}";

/// The value in `service_names` that means any name.
const ANY: &str = "*";

pub(super) fn check(c: &mut Checking<'_>, tls: Option<&ServerTls>) -> AuthSettings {
    let file = c.file;
    let written = &file.auth;
    check_external(c);
    check_trust(c);
    check_layers(c);
    let relay = &file.relay;
    AuthSettings {
        mechanisms: mechanisms(&written.mechanisms.value, c),
        plaintext: *written.plaintext,
        rules: rules(c),
        least_bits: written.least_bits.as_ref().map(|bits| clamp(bits.value)),
        layers: Layers {
            integrity: written.layers.iter().any(|layer| **layer == LayerWord::Integrity),
            confidentiality: written
                .layers
                .iter()
                .any(|layer| **layer == LayerWord::Confidentiality),
        },
        binding_in_tls12: *written.channel_binding_in_tls12,
        ntlm_channel_binding: *written.ntlm_channel_binding,
        realm: realm(file, &c.hostname),
        service_names: service_names(c, tls),
        scram_iterations: clamp(*written.scram_iterations),
        recheck: *written.recheck,
        login_lifetime: *written.login_lifetime,
        default_domain: written
            .default_domain
            .as_ref()
            .map(|domain| domain.to_ascii_lowercase()),
        certificates: certificates(c),
        kerberos: kerberos::check(c),
        trust: LoginTrust {
            mechanisms: relay
                .login_mechanisms
                .iter()
                .map(|mechanism| mechanism.name().to_owned())
                .collect(),
            least_bits: clamp(*relay.login_least_bits),
        },
    }
}

/// Layers are for sessions outside TLS, where DIGEST-MD5 is not offered unless configured.
fn check_layers(c: &mut Checking<'_>) {
    let auth = &c.file.auth;
    let digest = auth
        .mechanisms
        .iter()
        .any(|mechanism| **mechanism == Mechanism::DigestMd5);
    let unsaid = auth.least_bits.is_none() && *auth.plaintext == Plaintext::TlsOnly;
    if let (Some(layer), true) = (auth.layers.first(), digest && unsaid) {
        c.problems.warning(
            layer.span.clone(),
            "`layers` are for sessions outside TLS, and DIGEST-MD5 is not offered there",
            "an eavesdropper could try passwords",
            "set `least_bits = 1` in [auth] to offer it with a layer alone, or leave DIGEST-MD5 to TLS",
        );
    }
}

/// A mechanism that may relay but is offered nowhere is a mistake, and if there is no other, nobody can relay.
fn check_trust(c: &mut Checking<'_>) {
    let file = c.file;
    let offered = all_mechanisms(file);
    for mechanism in &file.relay.login_mechanisms.value {
        if !offered.contains(&mechanism.value) {
            c.problems.warning(
                mechanism.span.clone(),
                format!("{} may relay but is not offered", mechanism.value),
                "nobody can use it",
                "add it to `mechanisms` in [auth], or remove it here",
            );
        }
    }
}

/// The mechanisms of a list, each once.
pub(super) fn mechanisms(written: &[At<Mechanism>], c: &mut Checking<'_>) -> Vec<Mechanism> {
    let mut list = Vec::new();
    for mechanism in written {
        if list.contains(&mechanism.value) {
            c.problems.warning(
                mechanism.span.clone(),
                format!("the mechanism {} is listed twice", mechanism.value),
                "again",
                "remove it here",
            );
            continue;
        }
        list.push(mechanism.value);
        check_mechanism(mechanism, c);
    }
    list
}

/// Finds mechanisms that nobody can ever use.
fn check_mechanism(mechanism: &At<Mechanism>, c: &mut Checking<'_>) {
    let name = mechanism.name();
    match mechanism.properties().needs {
        Needs::Token if c.file.auth.provider.is_empty() => c.problems.error(
            mechanism.span.clone(),
            format!("{name} needs a provider of tokens, but none is configured"),
            "nobody could authenticate",
            "add [[auth.provider]], or remove it from the list",
        ),
        needs if KeyKind::needed(needs, "").is_some_and(|kind| !is_kept(&kind, c.file)) => c.problems.warning(
            mechanism.span.clone(),
            format!("{name} is never offered: no directory has keys for it"),
            "needs a stored key",
            "add `[[directory]]` with `kind = \"users\"`, or `keys` to that of LDAP or SQL, or remove the mechanism",
        ),
        _ => {}
    }
}

/// Whether any directory has keys of this kind, in any realm.
fn is_kept(kind: &KeyKind, file: &Postern) -> bool {
    let listed = |keys: &[At<Mechanism>]| {
        let mut kinds = keys
            .iter()
            .filter_map(|key| KeyKind::needed(key.properties().needs, ""));
        kinds.any(|listed| listed == *kind)
    };
    file.directory.iter().any(|directory| match &directory.value {
        Directory::Users(_) => true,
        Directory::Ldap(table) => listed(&table.keys.value),
        Directory::Sql(table) => listed(&table.keys.value),
        _ => false,
    })
}

/// The keys that a foreign directory is configured to have.
pub(super) fn foreign_keys(written: &[At<Mechanism>], derive: bool, c: &mut Checking<'_>) -> ForeignKeys {
    let realm = realm(c.file, &c.hostname);
    let mut kinds = Vec::new();
    for mechanism in written {
        match KeyKind::needed(mechanism.properties().needs, &realm) {
            Some(kind) if !kinds.contains(&kind) => kinds.push(kind),
            Some(_) => {}
            None => c.problems.error(
                mechanism.span.clone(),
                format!("{} needs no stored key", mechanism.value),
                "not one of these",
                "name SCRAM-SHA-256, SCRAM-SHA-1, SCRAM-SHA-512, CRAM-MD5, DIGEST-MD5 or NTLM",
            ),
        }
    }
    ForeignKeys {
        kinds,
        derive,
        iterations: clamp(*c.file.auth.scram_iterations),
    }
}

/// All mechanisms enabled anywhere.
pub(crate) fn all_mechanisms(file: &Postern) -> Vec<Mechanism> {
    let listeners = file.listener.iter().flat_map(|listeners| &listeners.value);
    let theirs = listeners.filter_map(|listener| listener.mechanisms.as_ref());
    let sockets = file
        .auth_socket
        .iter()
        .filter_map(|socket| socket.mechanisms.as_ref());
    let written = theirs
        .chain(sockets)
        .chain([&file.auth.mechanisms])
        .flat_map(|list| &list.value);
    let mut all: Vec<Mechanism> = written.map(|mechanism| mechanism.value).collect();
    all.sort();
    all.dedup();
    all
}

/// DIGEST-MD5's realm.
pub(crate) fn realm(file: &Postern, hostname: &str) -> String {
    let written = file.auth.realm.as_ref();
    written.map_or_else(|| hostname.to_owned(), |realm| realm.value.clone())
}

/// The keys for own users: those that the enabled mechanisms need.
pub(crate) fn key_policy(file: &Postern, hostname: &str) -> KeyPolicy {
    let realm = realm(file, hostname);
    let mut kinds = Vec::new();
    for mechanism in all_mechanisms(file) {
        if let Some(kind) = KeyKind::needed(mechanism.properties().needs, &realm)
            && !kinds.contains(&kind)
        {
            kinds.push(kind);
        }
    }
    KeyPolicy {
        kinds,
        iterations: clamp(*file.auth.scram_iterations),
    }
}

fn rules(c: &mut Checking<'_>) -> Vec<(Mechanism, MechanismRule)> {
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let on = all_mechanisms(c.file);
    let mut rules: Vec<(Mechanism, MechanismRule)> = Vec::new();
    for table in &c.file.auth.mechanism.value {
        let Some(name) = &table.name else { continue };
        if rules.iter().any(|(mechanism, _)| *mechanism == name.value) {
            c.problems.error(
                name.span.clone(),
                format!("two tables with conditions for {}", name.value),
                "again",
                "join them",
            );
        } else if !on.contains(&name.value) {
            c.problems.warning(
                name.span.clone(),
                format!("conditions for {}, which is off", name.value),
                "not in any list of `mechanisms`",
                "add it to `mechanisms` in [auth] or of a listener, or remove the table",
            );
        }
        if let Some(until) = &table.until
            && until.value < today
        {
            c.problems.warning(
                until.span.clone(),
                format!("{} is no longer offered", name.value),
                "in the past",
                "remove it from `mechanisms`",
            );
        }
        rules.push((name.value, rule(table)));
    }
    rules
}

fn rule(table: &MechanismTable) -> MechanismRule {
    MechanismRule {
        until: table.until.as_ref().map(|until| until.value),
        networks: values(&table.networks.value),
        tls: *table.tls == TlsWord::Required,
    }
}

fn service_names(c: &Checking<'_>, tls: Option<&ServerTls>) -> Vec<String> {
    let written = values(&c.file.auth.service_names.value);
    if written.iter().any(|name| name == ANY) {
        return Vec::new();
    }
    let certified = tls
        .iter()
        .flat_map(|tls| tls.identities())
        .flat_map(|identity| &identity.names);
    let addresses = tls
        .iter()
        .flat_map(|tls| tls.identities())
        .flat_map(|identity| &identity.addresses);
    let mut names = vec![c.hostname.clone()];
    names.extend(certified.filter(|name| !name.starts_with('*')).cloned());
    // Devices are often configured with an address. Some put IPv6 in brackets, as in a URL.
    names.extend(addresses.flat_map(|address| match address {
        IpAddr::V4(_) => vec![address.to_string()],
        IpAddr::V6(_) => vec![address.to_string(), format!("[{address}]")],
    }));
    names.extend(written);
    names
}

fn certificates(c: &mut Checking<'_>) -> Vec<CertificateLogin> {
    let mut logins = Vec::new();
    for table in &c.file.auth.certificate.value {
        if table.issuer.is_none()
            && table.subject.is_none()
            && table.fingerprint.is_none()
            && table.email.is_none()
            && !c.problems.are_about("fingerprint")
        {
            c.problems.error(
                table.span.clone(),
                "a certificate rule without `email`, `issuer`, `subject` and `fingerprint` matches nothing",
                "names no certificate",
                "add one of them; `postern cert show FILE` prints them",
            );
        }
        logins.extend(certificate(table));
    }
    logins
}

fn certificate(table: &CertificateLoginTable) -> Option<CertificateLogin> {
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    let login = text(&table.login)?;
    Some(CertificateLogin {
        certificate: CertificateRule {
            name: login.clone(),
            issuer: text(&table.issuer),
            subject: text(&table.subject),
            fingerprint: text(&table.fingerprint),
        },
        email: text(&table.email),
        login: if login == EMAIL {
            LoginSource::Email
        } else {
            LoginSource::Fixed(login)
        },
    })
}

/// EXTERNAL needs certificates to be requested, verified and mapped to users.
fn check_external(c: &mut Checking<'_>) {
    let file = c.file;
    let without_ca = file.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none());
    let first = file.auth.certificate.value.first();
    let is_on = all_mechanisms(file).contains(&Mechanism::External);
    match first {
        Some(first) if without_ca => c.problems.error(
            first.span.clone(),
            "client certificates cannot be used without `client_ca`, which verifies them",
            "can never match",
            "add `client_ca` to [tls]",
        ),
        Some(first) if !is_on => c.problems.warning(
            first.span.clone(),
            "certificates are mapped to users, but EXTERNAL is off",
            "never used",
            "add \"EXTERNAL\" to `mechanisms` in [auth]",
        ),
        None if is_on => c.problems.warning(
            file.auth.mechanisms.span.clone(),
            "EXTERNAL is on, but no certificate is mapped to a user",
            "nobody can authenticate with it",
            "add [[auth.certificate]], and `client_ca` to [tls]",
        ),
        _ => {}
    }
}
