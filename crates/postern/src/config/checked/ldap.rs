//! LDAP directories.

use postern_directory::{LdapSettings, SchemeRules};

use super::{Checking, clamp, directory_mistakes, files, logins, values};
use crate::config::file::{FlavourWord, LdapTable};
use crate::config::problem::Span;
use crate::config::read::At;

/// The settings; `None` if the problems say why not.
pub(super) fn check(table: &LdapTable, span: Option<Span>, c: &mut Checking<'_>) -> Option<LdapSettings> {
    check_place(table, span.clone(), c)?;
    if let Some(file) = &table.bind_password_file
        && table.bind_dn.is_some()
    {
        files::secret(file, "the password file", c.problems);
    }
    if let Some(ca) = &table.ca_file {
        files::readable(ca, "the authorities", c.problems);
    }
    let usual = match *table.flavour {
        FlavourWord::Generic => LdapSettings::default(),
        FlavourWord::ActiveDirectory => LdapSettings::active_directory(),
    };
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    let settings = LdapSettings {
        servers: table
            .servers
            .as_ref()
            .map(|at| values(&at.value))
            .unwrap_or_default(),
        discover: text(&table.discover),
        search_base: table.search_base.as_ref()?.value.clone(),
        scope: *table.scope,
        filter: text(&table.filter).unwrap_or(usual.filter),
        recipient_filter: text(&table.recipient_filter),
        check: *table.check,
        direct_bind: text(&table.direct_bind),
        password_attribute: table.password_attribute.value.clone(),
        schemes: SchemeRules {
            allow_plain: *table.allow_plain,
            default_scheme: text(&table.default_scheme),
        },
        keys: logins::foreign_keys(&table.keys.value, *table.derive_keys, c),
        key_attribute: table.key_attribute.value.clone(),
        nt_attribute: table.nt_attribute.value.clone(),
        workers: table
            .workers
            .as_ref()
            .map_or(usual.workers, |workers| clamp(workers.value)),
        member_of_attribute: text(&table.member_of_attribute).or(usual.member_of_attribute),
        group_filter: text(&table.group_filter),
        group_base: text(&table.group_base),
        group_attribute: table.group_attribute.value.clone(),
        allowed_groups: values(&table.allowed_groups.value),
        bind_dn: text(&table.bind_dn),
        bind_password_file: table.bind_password_file.as_ref().map(|at| at.value.clone()),
        login_attribute: text(&table.login_attribute).unwrap_or(usual.login_attribute),
        mail_attributes: table
            .mail_attribute
            .as_ref()
            .map_or(usual.mail_attributes, |at| values(&at.value)),
        starttls: *table.starttls,
        ca_file: table.ca_file.as_ref().map(|at| at.value.clone()),
        timeout: *table.timeout,
        pool_size: clamp(*table.pool_size),
        retry_primary_after: *table.retry_primary_after,
        cache_ttl: *table.cache_time,
    };
    for mistake in settings.mistakes() {
        let at = place_of(table, mistake.key).or_else(|| span.clone());
        directory_mistakes::tell(mistake, at, c.problems);
    }
    Some(settings)
}

/// Where a key that can be wrong is written.
fn place_of(table: &LdapTable, key: &str) -> Option<Span> {
    fn at<T>(at: &Option<At<T>>) -> Option<Span> {
        at.as_ref()?.span.clone()
    }
    match key {
        "servers" => at(&table.servers),
        "discover" => at(&table.discover),
        "bind_dn" => at(&table.bind_dn),
        "bind_password_file" => at(&table.bind_password_file),
        "filter" => at(&table.filter),
        "recipient_filter" => at(&table.recipient_filter),
        "group_filter" => at(&table.group_filter),
        "direct_bind" => at(&table.direct_bind),
        "allowed_groups" => table.allowed_groups.span.clone(),
        "mail_attribute" => at(&table.mail_attribute),
        "default_scheme" => at(&table.default_scheme),
        "pool_size" => table.pool_size.span.clone(),
        "workers" => at(&table.workers),
        "timeout" => table.timeout.span.clone(),
        _ => None,
    }
}

/// Where the servers are: listed, or found in DNS.
fn check_place(table: &LdapTable, span: Option<Span>, c: &mut Checking<'_>) -> Option<()> {
    match (&table.servers, &table.discover) {
        // Those in the list have been reported.
        (Some(servers), None) if servers.is_empty() && c.problems.are_within(servers.span.as_ref()) => {
            return None;
        }
        (Some(servers), None) => check_servers(table, servers, c),
        (None, Some(domain)) => {
            if !*table.starttls {
                c.problems.warning(
                    domain.span.clone(),
                    format!(
                        "passwords cross the network in the clear to the servers of {}",
                        domain.value
                    ),
                    "without StartTLS",
                    "set `starttls = true`",
                );
            }
        }
        // Reported below.
        (Some(_), Some(_)) => {}
        (None, None) => {
            c.problems.error(
                span,
                "`servers` is missing in [[directory]] of kind \"ldap\"",
                "no server to ask",
                "add for example `servers = [\"ldap://ldap1.example.org/\", \"ldap://ldap2.example.org/\"]`",
            );
            return None;
        }
    }
    Some(())
}

fn check_servers(table: &LdapTable, servers: &At<Vec<At<String>>>, c: &mut Checking<'_>) {
    if *table.starttls {
        return;
    }
    for server in servers.iter().filter(|server| is_plain_and_remote(server)) {
        c.problems.warning(
            server.span.clone(),
            format!("passwords cross the network in the clear to {}", server.value),
            "neither ldaps nor StartTLS",
            "write `ldaps://…`, or set `starttls = true`",
        );
    }
}

/// Whether the server is reached without TLS and not on this machine.
fn is_plain_and_remote(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("ldap://") else {
        return false;
    };
    let rest = rest.trim_end_matches('/');
    let host = match rest.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or(literal),
        None => rest.split(':').next().unwrap_or(rest),
    };
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => !ip.is_loopback(),
        Err(_) => host != "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_remote_servers() {
        #[rustfmt::skip]
        let cases = [
            ("ldap://127.0.0.1:3899/", false), ("ldap://[::1]/", false), ("ldap://localhost/", false),
            ("ldaps://ldap.example.org/", false), ("ldap://ldap.example.org/", true), ("ldap://192.0.2.1:389", true),
            ("ldap://[2001:db8::1]:389/", true),
        ];
        for (url, want) in cases {
            assert_eq!(is_plain_and_remote(url), want, "{url}");
        }
    }
}
