//! Listeners: addresses that do not collide, TLS with a certificate, authentication with TLS.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use postern_oauth::verify::AccountRule;
use postern_receive::{AuthRule, ListenerSettings, ListenerTls, Plaintext, Role};
use postern_sasl::{Mechanism, Needs};

use super::access::Access;
use super::{Checking, clamp, logins, networks, values};
use crate::config::file::Listener;
use crate::config::problem::{Problems, Span};
use crate::config::read::At;

/// One listener with the address to bind.
#[derive(Clone, Debug)]
pub(crate) struct ListenerConfig {
    pub(crate) address: SocketAddr,
    pub(crate) settings: ListenerSettings,
}

pub(super) fn check(access: &Access, c: &mut Checking<'_>) -> Vec<ListenerConfig> {
    let Some(written) = &c.file.listener else {
        return Vec::new();
    };
    if written.is_empty() {
        c.problems.error(
            written.span.clone(),
            "no listener",
            "empty",
            "add `[[listener]]` with an address, for example `address = \"0.0.0.0:25\"`",
        );
    }
    refuse_collisions(&written.value, c.problems);
    warn_of_open_passwords(&written.value, c);
    let list = written.value.iter();
    list.filter_map(|listener| {
        let address = listener.address.as_ref()?.value;
        Some(ListenerConfig {
            address,
            settings: settings(listener, address, access, c),
        })
    })
    .collect()
}

fn settings(
    listener: &At<Listener>,
    address: SocketAddr,
    access: &Access,
    c: &mut Checking<'_>,
) -> ListenerSettings {
    let role = *listener.role;
    let name = listener
        .name
        .as_ref()
        .map_or_else(|| address.to_string(), |name| name.value.clone());
    let usual = ListenerSettings::new(&name, role);
    let with_tls = c.file.tls.is_some();
    let tls = match &listener.tls {
        Some(tls) => {
            if !with_tls && tls.value != ListenerTls::Off {
                c.problems.error(
                    tls.span.clone(),
                    format!("the listener {name} offers TLS, but there is no certificate"),
                    "needs [tls]",
                    "add [tls] with `certificate` and `key`; `postern cert ca` and `postern cert issue NAME` make them",
                );
            }
            tls.value
        }
        None if with_tls => usual.tls,
        None => ListenerTls::Off,
    };
    let auth = listener.auth.as_ref().map_or(usual.auth, |auth| auth.value);
    let mechanisms = listener
        .mechanisms
        .as_ref()
        .map(|list| logins::mechanisms(&list.value, c));
    networks::refuse_everybody(
        &listener.proxy_protocol,
        "`proxy_protocol` in [[listener]]",
        "anyone could claim any address",
        c.problems,
    );
    warn_of_dead_ends(listener, &name, auth, tls, c);
    if let Some(networks) = &listener.networks {
        networks::refuse_everybody(
            networks,
            "`networks` in [[listener]]",
            "an open relay",
            c.problems,
        );
    }
    let own_access = listener
        .access
        .as_ref()
        .and_then(|class| access.of_listener(class, c));
    check_filtered(listener, address, c);
    check_sandbox(listener, &name, c);
    ListenerSettings {
        tls,
        auth,
        mechanisms,
        least_bits: listener.least_bits.as_ref().map(|bits| clamp(bits.value)),
        access: own_access,
        networks: listener.networks.as_ref().map(|networks| values(networks)),
        plaintext: listener.plaintext.as_ref().map(|plaintext| plaintext.value),
        screen: *listener.screen,
        message_size: listener.message_size_limit.as_ref().map(|size| size.value),
        bare_line_endings: *listener.bare_newlines,
        proxy_from: values(&listener.proxy_protocol),
        filtered: *listener.filtered,
        sandbox: *listener.sandbox,
        bare_addresses: listener
            .bare_addresses
            .as_ref()
            .map_or(usual.bare_addresses, |bare| bare.value),
        ..usual
    }
}

/// Passwords without TLS are only for networks without eavesdroppers; an address open to the Internet is not in one.
fn warn_of_open_passwords(listeners: &[At<Listener>], c: &mut Checking<'_>) {
    let auth = &c.file.auth;
    if *auth.plaintext != Plaintext::Always {
        return;
    }
    let is_open = |listener: &&At<Listener>| {
        let logins = match &listener.auth {
            Some(auth) => auth.value != AuthRule::Off,
            None => ListenerSettings::new("", *listener.role).auth != AuthRule::Off,
        };
        let list = listener.mechanisms.as_ref().unwrap_or(&auth.mechanisms);
        let implicit = listener
            .tls
            .as_ref()
            .is_some_and(|tls| tls.value == ListenerTls::Implicit);
        let address = listener.address.as_ref();
        let public = address.is_some_and(|address| is_public(address.ip()));
        logins && !implicit && public && list.iter().any(|mechanism| mechanism.is_plaintext())
    };
    if let Some(address) = listeners
        .iter()
        .find(is_open)
        .and_then(|listener| listener.address.as_ref())
    {
        c.problems.warning(
            auth.plaintext.span.clone(),
            format!("passwords cross the network in the clear to {}", address.value),
            "takes them without TLS on every listener",
            "remove `plaintext = \"always\"`, or listen on an address of loopback or of a private network",
        );
    }
}

/// The after-queue filter must be able to return mail, and nobody else should.
fn check_filtered(listener: &At<Listener>, address: SocketAddr, c: &mut Checking<'_>) {
    if !*listener.filtered {
        return;
    }
    let networks = listener.networks.as_ref().unwrap_or(&c.file.relay.networks);
    let trusted = |ip: IpAddr| networks.iter().any(|network| network.contains(&ip));
    if networks.is_empty() || (address.ip().is_loopback() && !trusted(address.ip())) {
        c.problems.error(
            listener.filtered.span.clone(),
            "nobody may hand mail back to the listener with `filtered = true`",
            "only its `networks` may, or those of [relay]",
            "add the filter's network, for example `networks = [\"127.0.0.0/8\"]`, to this [[listener]]",
        );
    } else if is_public(address.ip()) {
        c.problems.warning(
            listener.filtered.span.clone(),
            "the listener for filtered mail is open to the network",
            "mail of its networks goes by no filter here",
            "listen on an address of loopback, or of the filter's network",
        );
    }
}

/// What the filter behind the queue hands back is on its way out, and would never leave.
fn check_sandbox(listener: &At<Listener>, name: &str, c: &mut Checking<'_>) {
    if *listener.sandbox && *listener.filtered {
        c.problems.error(
            listener.sandbox.span.clone(),
            format!("mail that the filter hands back to the listener {name} would never be delivered"),
            "with `filtered = true`",
            "leave `sandbox` out here; write it at the listener where test mail comes in",
        );
    }
}

/// Whether an address, or one of all addresses of this host, can be reached from the Internet.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}

/// Finds listeners on which nobody can ever authenticate.
fn warn_of_dead_ends(
    listener: &At<Listener>,
    name: &str,
    auth: AuthRule,
    tls: ListenerTls,
    c: &mut Checking<'_>,
) {
    let place = |at: Option<&Option<Span>>| at.cloned().flatten().or_else(|| listener.span.clone());
    let span = place(listener.auth.as_ref().map(|auth| &auth.span));
    let list = listener.mechanisms.as_ref().unwrap_or(&c.file.auth.mechanisms);
    let plaintext = listener.plaintext.as_ref().unwrap_or(&c.file.auth.plaintext);
    let tls_only = **plaintext == Plaintext::TlsOnly;
    // Tokens are only accepted inside TLS, whatever the setting for passwords.
    let is_token = |mechanism: &Mechanism| mechanism.properties().needs == Needs::Token;
    let needs_tls = |mechanism: &Mechanism| is_token(mechanism) || (tls_only && mechanism.is_plaintext());
    let none_without_tls = list.iter().all(|mechanism| needs_tls(&mechanism.value));
    if auth != AuthRule::Off && tls == ListenerTls::Off && none_without_tls {
        let title = format!("nobody can authenticate on the listener {name}");
        let label = "no TLS here, but passwords are for TLS only";
        let remedy =
            "add [tls] or set `plaintext = \"always\"` in [auth] if nobody can eavesdrop on this network";
        // A listener that requires the impossible accepts mail from nobody; one that only offers it is useful to others.
        if auth == AuthRule::Require {
            c.problems.error(span.clone(), title, label, remedy);
        } else {
            c.problems.warning(span.clone(), title, label, remedy);
        }
    }
    if auth != AuthRule::Off && list.is_empty() {
        c.problems.error(
            list.span.clone().or_else(|| span.clone()),
            format!("nobody can authenticate on the listener {name}"),
            "no mechanism",
            "list mechanisms, for example `mechanisms = [\"PLAIN\", \"LOGIN\"]`, or set `auth = \"off\"` on the listener",
        );
    }
    let strangers_may = c
        .file
        .auth
        .provider
        .iter()
        .any(|provider| *provider.account == AccountRule::Optional)
        && list.iter().any(|mechanism| is_token(&mechanism.value));
    if auth == AuthRule::Require && c.file.directory.is_empty() && !strangers_may {
        c.problems.warning(
            span,
            format!("nobody can authenticate on the listener {name}"),
            "requires authentication, but there is no directory of users",
            "add `[[directory]]` with `kind = \"users\"`, then `postern user add LOGIN`",
        );
    }
    let networks = listener.networks.as_ref().unwrap_or(&c.file.relay.networks);
    let has_devices = c.file.device.iter().any(|device| {
        let named = device.listeners.as_ref();
        named.is_none_or(|listed| listed.iter().any(|one| one.value == name))
    });
    if auth == AuthRule::Off && *listener.role == Role::Submission && networks.is_empty() && !has_devices {
        c.problems.warning(
            place(Some(&listener.role.span)),
            format!("the listener {name} takes mail from nobody"),
            "no logins here, and no networks in [relay]",
            "set `auth = \"require\"`, or list `networks` in [relay]",
        );
    }
}

/// Two listeners cannot share a port on the same address, nor on all addresses and one of them; nor a name.
fn refuse_collisions(listeners: &[At<Listener>], problems: &mut Problems) {
    let mut names: HashMap<&str, ()> = HashMap::new();
    let mut seen: Vec<SocketAddr> = Vec::new();
    for listener in listeners {
        if let Some(name) = &listener.name
            && names.insert(&name.value, ()).is_some()
        {
            problems.error(
                name.span.clone(),
                format!("two listeners are named {:?}", name.value),
                "used before",
                "give each its own name",
            );
        }
        let Some(address) = &listener.address else {
            continue;
        };
        if let Some(other) = seen.iter().find(|other| collide(**other, address.value)) {
            problems.error(
                address.span.clone(),
                format!("two listeners on {}", address.value),
                if *other == address.value {
                    "used before".to_owned()
                } else {
                    format!("{other} covers it")
                },
                "give one of them another address or port, or remove it",
            );
        }
        seen.push(address.value);
    }
}

/// Whether both cannot be bound at once. IPv4 and IPv6 do not collide: IPv6 listeners only accept IPv6. Port 0 is a different
/// one each time.
fn collide(left: SocketAddr, right: SocketAddr) -> bool {
    let same_family = left.is_ipv4() == right.is_ipv4();
    let all = |ip: IpAddr| ip.is_unspecified();
    left.port() == right.port()
        && left.port() != 0
        && same_family
        && (left.ip() == right.ip() || all(left.ip()) || all(right.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        #[rustfmt::skip]
        let cases = [
            ("127.0.0.1", false), ("10.1.2.3", false), ("192.168.0.1", false), ("169.254.1.1", false), ("::1", false),
            ("fd00::1", false), ("fe80::1", false), ("0.0.0.0", true), ("::", true), ("192.0.2.1", true), ("2001:db8::1", true),
        ];
        for (ip, want) in cases {
            assert_eq!(is_public(ip.parse().unwrap()), want, "{ip}");
        }
    }

    #[test]
    fn collisions() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows            one               other             collide
            ("the same",                      "127.0.0.1:25",   "127.0.0.1:25",   true),
            ("another port",                  "127.0.0.1:25",   "127.0.0.1:26",   false),
            ("another address",               "127.0.0.1:25",   "127.0.0.2:25",   false),
            ("all addresses and one",         "0.0.0.0:25",     "127.0.0.1:25",   true),
            ("all of IPv6, one of IPv4",      "[::]:25",        "127.0.0.1:25",   false),
            ("all of both",                   "[::]:25",        "0.0.0.0:25",     false),
            ("any free port",                 "127.0.0.1:0",    "127.0.0.1:0",    false),
        ];
        for (shows, one, other, want) in cases {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(collide(one, other), want, "{shows}");
            assert_eq!(collide(other, one), want, "{shows}");
        }
    }
}
