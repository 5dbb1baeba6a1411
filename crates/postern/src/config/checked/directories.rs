//! Sources of accounts.

use std::path::PathBuf;

use postern_directory::{DirectorySettings, PamSettings, SaslauthdSettings, UsersSettings};

use super::{Checking, clamp, dovecot, ldap, logins, sql};
use crate::config::file::{Directory, PamTable, Postern, SaslauthdTable, UsersTable};

/// The file of own users in the state directory.
const DATABASE: &str = "users.db";

pub(super) fn check(c: &mut Checking<'_>) -> Vec<DirectorySettings> {
    let mut settings: Vec<DirectorySettings> = Vec::new();
    let file = c.file;
    for directory in &file.directory.value {
        let one = match &directory.value {
            Directory::Users(table) => Some(DirectorySettings::Users(users(table, c))),
            Directory::Ldap(table) => {
                ldap::check(table, directory.span.clone(), c).map(DirectorySettings::Ldap)
            }
            Directory::Sql(table) => sql::check(table, directory.span.clone(), c).map(DirectorySettings::Sql),
            Directory::Saslauthd(table) => Some(DirectorySettings::Saslauthd(saslauthd(table))),
            Directory::Dovecot(table) => {
                dovecot::check(table, directory.span.clone(), c).map(DirectorySettings::Dovecot)
            }
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
