//! Sources of accounts.

use std::path::PathBuf;

use postern_directory::{DirectorySettings, LdapSettings, PamSettings, SaslauthdSettings, UsersSettings};

use super::{Checking, clamp, files, logins, sql, values};
use crate::config::file::{Directory, LdapTable, PamTable, Postern, SaslauthdTable, UsersTable};
use crate::config::problem::Span;
use crate::config::read::At;

/// The file of own users in the state directory.
const DATABASE: &str = "users.db";

pub(super) fn check(c: &mut Checking<'_>) -> Vec<DirectorySettings> {
    let mut settings: Vec<DirectorySettings> = Vec::new();
    let file = c.file;
    for directory in &file.directory.value {
        let one = match &directory.value {
            Directory::Users(table) => Some(DirectorySettings::Users(users(table, c))),
            Directory::Ldap(table) => ldap(table, directory.span.clone(), c).map(DirectorySettings::Ldap),
            Directory::Sql(table) => sql::check(table, directory.span.clone(), c).map(DirectorySettings::Sql),
            Directory::Saslauthd(table) => Some(DirectorySettings::Saslauthd(saslauthd(table))),
            Directory::Pam(table) => Some(DirectorySettings::Pam(pam(table))),
        };
        let Some(one) = one else { continue };
        if settings.contains(&one) {
            c.problems.warning(
                directory.span.clone(),
                "the same directory twice",
                "as before",
                "remove one: the second is never asked",
            );
        } else {
            settings.push(one);
        }
    }
    settings
}

/// Where `postern user` keeps the users.
pub(crate) fn users_database(file: &Postern) -> PathBuf {
    let named = file
        .directory
        .iter()
        .find_map(|directory| match &directory.value {
            Directory::Users(table) => Some(table.database.as_ref().map(|at| at.value.clone())),
            _ => None,
        });
    named.flatten().unwrap_or_else(|| file.state_dir.join(DATABASE))
}

fn users(table: &UsersTable, c: &Checking<'_>) -> UsersSettings {
    let usual = UsersSettings::default();
    let domains = c
        .file
        .local_domains
        .iter()
        .map(|domain| domain.value.to_lowercase());
    UsersSettings {
        database: match &table.database {
            Some(path) => path.value.clone(),
            None => c.file.state_dir.join(DATABASE),
        },
        domains: domains.filter(|domain| !domain.contains('*')).collect(),
        cache_ttl: *table.cache_time,
        upgrade_hashes: *table.upgrade_hashes,
        workers: table
            .workers
            .as_ref()
            .map_or(usual.workers, |workers| clamp(workers.value)),
        timeout: *table.timeout,
        keys: logins::key_policy(c.file, &c.hostname),
        upgrade_keys: *table.upgrade_keys,
    }
}

fn ldap(table: &LdapTable, span: Option<Span>, c: &mut Checking<'_>) -> Option<LdapSettings> {
    let servers = table.servers.as_ref()?;
    check_servers(table, servers, c);
    check_bind(table, span, c);
    for (filter, name) in [
        (Some(&table.filter), "{login}"),
        (table.recipient_filter.as_ref(), "{address}"),
    ] {
        if let Some(filter) = filter {
            check_filter(filter, name, c);
        }
    }
    if let Some(ca) = &table.ca_file {
        files::readable(ca, "the authorities", c.problems);
    }
    Some(LdapSettings {
        servers: values(&servers.value),
        search_base: table.search_base.as_ref()?.value.clone(),
        scope: *table.scope,
        filter: table.filter.value.clone(),
        recipient_filter: table.recipient_filter.as_ref().map(|at| at.value.clone()),
        bind_dn: table.bind_dn.as_ref().map(|at| at.value.clone()),
        bind_password_file: table.bind_password_file.as_ref().map(|at| at.value.clone()),
        login_attribute: table.login_attribute.value.clone(),
        mail_attribute: table.mail_attribute.value.clone(),
        starttls: *table.starttls,
        ca_file: table.ca_file.as_ref().map(|at| at.value.clone()),
        timeout: *table.timeout,
        pool_size: clamp(*table.pool_size),
        retry_primary_after: *table.retry_primary_after,
        cache_ttl: *table.cache_time,
    })
}

fn check_servers(table: &LdapTable, servers: &At<Vec<At<String>>>, c: &mut Checking<'_>) {
    if servers.is_empty() && c.problems.are_within(servers.span.as_ref()) {
        // Those in the list were complained of.
    } else if servers.is_empty() {
        c.problems.error(
            servers.span.clone(),
            "`servers` in [[directory]] is empty",
            "nobody to ask",
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
            "whose password?",
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
    let known = ["{login}", "{address}", "{local}", "{domain}"];
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
            "the filter is no LDAP filter",
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

/// The directories behind PAM's helper.
pub(crate) fn pam_directories(file: &Postern) -> Vec<PamSettings> {
    let tables = file
        .directory
        .iter()
        .filter_map(|directory| match &directory.value {
            Directory::Pam(table) => Some(pam(table)),
            _ => None,
        });
    tables.collect()
}

fn pam(table: &PamTable) -> PamSettings {
    PamSettings {
        socket: table.socket.value.clone(),
        service: table.service.value.clone(),
        service_folder: table.service_folder.as_ref().map(|folder| folder.value.clone()),
        timeout: *table.timeout,
        cache_ttl: *table.cache_time,
        workers: clamp(*table.workers),
    }
}

fn saslauthd(table: &SaslauthdTable) -> SaslauthdSettings {
    SaslauthdSettings {
        socket: table.socket.value.clone(),
        service: table.service.value.clone(),
        realm: table
            .realm
            .as_ref()
            .map(|realm| realm.value.clone())
            .unwrap_or_default(),
        split_realm: *table.split_realm,
        timeout: *table.timeout,
        cache_ttl: *table.cache_time,
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
