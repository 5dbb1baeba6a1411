//! LDAP directories.

use postern_directory::{LdapSettings, SchemeRules};

use super::{Checking, clamp, files, logins, values};
use crate::config::file::{FlavourWord, LdapTable};
use crate::config::problem::Span;
use crate::config::read::At;

/// The settings; `None` when the problems say why not.
pub(super) fn check(table: &LdapTable, span: Option<Span>, c: &mut Checking<'_>) -> Option<LdapSettings> {
    check_place(table, span.clone(), c)?;
    check_bind(table, span, c);
    for (filter, name) in [
        (table.filter.as_ref(), "{login}"),
        (table.recipient_filter.as_ref(), "{address}"),
        (table.group_filter.as_ref(), "{dn}"),
    ] {
        if let Some(filter) = filter {
            check_filter(filter, name, c);
        }
    }
    check_groups(table, c);
    if let Some(ca) = &table.ca_file {
        files::readable(ca, "the authorities", c.problems);
    }
    let usual = match *table.flavour {
        FlavourWord::Generic => LdapSettings::default(),
        FlavourWord::ActiveDirectory => LdapSettings::active_directory(),
    };
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    Some(LdapSettings {
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
    })
}

/// Where the servers are: listed, or named in DNS.
fn check_place(table: &LdapTable, span: Option<Span>, c: &mut Checking<'_>) -> Option<()> {
    match (&table.servers, &table.discover) {
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
        (Some(_), Some(domain)) => c.problems.error(
            domain.span.clone(),
            "`discover` beside `servers`",
            "one of them is too many",
            "keep `servers`, or let DNS name them by `discover`",
        ),
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

fn check_groups(table: &LdapTable, c: &mut Checking<'_>) {
    let known = table.group_filter.is_some()
        || table.member_of_attribute.is_some()
        || *table.flavour == FlavourWord::ActiveDirectory;
    if !known && let Some(first) = table.allowed_groups.first() {
        c.problems.error(
            first.span.clone(),
            "`allowed_groups` without a way to find groups",
            "nobody could authenticate",
            "add `member_of_attribute = \"memberOf\"`, or a `group_filter`",
        );
    }
}

fn check_servers(table: &LdapTable, servers: &At<Vec<At<String>>>, c: &mut Checking<'_>) {
    if servers.is_empty() && c.problems.are_within(servers.span.as_ref()) {
        // Those in the list were complained of.
    } else if servers.is_empty() {
        c.problems.error(
            servers.span.clone(),
            "`servers` in [[directory]] is empty",
            "no server to ask",
            "name at least one, such as `servers = [\"ldap://127.0.0.1/\"]`",
        );
    } else if servers.len() > 16 {
        c.problems.error(
            servers.span.clone(),
            "more than 16 LDAP servers",
            "too many",
            "keep up to 16",
        );
    }
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

fn check_bind(table: &LdapTable, span: Option<Span>, c: &mut Checking<'_>) {
    match (&table.bind_dn, &table.bind_password_file) {
        (Some(dn), None) => c.problems.error(
            dn.span.clone(),
            "`bind_dn` without `bind_password_file`",
            "has no password",
            "add `bind_password_file = \"…\"`; without both, searches are anonymous",
        ),
        (None, Some(file)) => c.problems.error(
            file.span.clone().or(span),
            "`bind_password_file` without `bind_dn`",
            "the password of which user?",
            "add `bind_dn = \"…\"`; without both, searches are anonymous",
        ),
        (None, None) => {}
        (Some(_), Some(file)) => {
            files::secret(file, "the password file", c.problems);
        }
    }
}

/// A filter that does not mention the login finds the same entry for everybody.
fn check_filter(filter: &At<String>, placeholder: &str, c: &mut Checking<'_>) {
    let known = ["{login}", "{address}", "{local}", "{domain}", "{dn}"];
    if !known.iter().any(|name| filter.contains(name)) {
        c.problems.error(
            filter.span.clone(),
            "the filter finds the same entries whoever logs in",
            format!("no {placeholder} in it"),
            format!("write for example `(uid={placeholder})`"),
        );
    } else if !filter.starts_with('(') || !is_balanced(filter) {
        c.problems.error(
            filter.span.clone(),
            "the filter is not a valid LDAP filter",
            "parentheses do not match",
            format!("write for example `(uid={placeholder})`; RFC 4515 describes the form"),
        );
    }
}

fn is_balanced(filter: &str) -> bool {
    let mut depth = 0_i32;
    for c in filter.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth < 0 {
            return false;
        }
    }
    depth == 0
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
