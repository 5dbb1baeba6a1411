//! Sources of accounts.

use std::path::PathBuf;

use postern_directory::{
    DirectorySettings, KeyPolicy, PamSettings, SaslauthdSettings, SystemSettings, TableSettings,
    UsersSettings,
};
use postern_sasl::Mechanism;

use super::places::DirectoryPlace;
use super::{Checking, clamp, dovecot, ldap, logins, sql, tables, values};
use crate::config::file::{
    Directory, LocalRecipients, PamTable, Postern, RecipientsTable, SaslauthdTable, SystemTable, UsersTable,
};
use crate::config::read::At;

/// The file of own users in the state directory.
const DATABASE: &str = "users.db";

/// The minimum password length if no directory of own users sets one: the setting's default.
const PASSWORD_LENGTH: u64 = 8;

/// The directories, each with the place of its table.
pub(super) fn check(c: &mut Checking<'_>) -> Vec<(DirectorySettings, DirectoryPlace)> {
    let mut settings: Vec<(DirectorySettings, DirectoryPlace)> = Vec::new();
    let file = c.file;
    for (number, directory) in file.directory.value.iter().enumerate() {
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
            Directory::Table(table) => recipients(table, c).map(DirectorySettings::Table),
            Directory::System(table) => Some(DirectorySettings::System(system(table, c.file))),
        };
        check_domains(&directory.value, c);
        let Some(one) = one else { continue };
        if settings.iter().any(|(earlier, _)| *earlier == one) {
            c.problems.warning(
                directory.span.clone(),
                "the same directory twice",
                "as before",
                "remove one: the second is never asked",
            );
        } else {
            let table = directory.span.clone();
            settings.push((one, DirectoryPlace { table, number }));
        }
    }
    check_recipients(&settings, c);
    settings
}

/// The users of this machine.
fn system(table: &SystemTable, file: &Postern) -> SystemSettings {
    SystemSettings {
        min_uid: clamp(*file.system_users.min_uid),
        domains: table
            .domains
            .iter()
            .map(|domain| domain.value.to_lowercase())
            .collect(),
    }
}

/// Tables of recipients; `None` if the problems say why not.
fn recipients(table: &RecipientsTable, c: &mut Checking<'_>) -> Option<TableSettings> {
    let list = &table.recipients.as_ref()?.value;
    let recipients = tables::open_all(list, c);
    (recipients.len() == list.len()).then_some(TableSettings { recipients })
}

/// The title of a mistake in spite of which a server can still relay.
pub(crate) const NOBODY_TELLS: &str = "no directory can tell which recipients in `local_domains` exist";

/// A site that cannot confirm that any recipient exists would refuse all its mail.
fn check_recipients(settings: &[(DirectorySettings, DirectoryPlace)], c: &mut Checking<'_>) {
    let file = c.file;
    let asks = *file.local_recipients == LocalRecipients::Known && !file.local_domains.is_empty();
    let is_known = file.aliases.is_some() || settings.iter().any(|(one, _)| one.knows_recipients());
    if asks
        && !is_known
        && let Some(first) = file.directory.value.first()
        // A directory with a mistake may be the one that knows.
        && settings.len() == file.directory.len()
    {
        // Relaying works all the same, so the server starts; `postern check` calls it a mistake.
        c.problems.warning(
            first.span.clone(),
            NOBODY_TELLS,
            "knows passwords, not addresses: all mail for them would be refused",
            "add users (`kind = \"users\"`), an LDAP directory, a SQL one with `recipient_query`, or \
             `aliases` that name each user (`ann: ann`); or, with `lmtp` in \
             [delivery], `local_recipients = \"any\"`, which leaves it to that server",
        );
    }
    if !asks
        && !file.local_domains.is_empty()
        && file.delivery.lmtp.is_empty()
        && file.delivery.pipe.is_none()
        && !*file.delivery.system_users
        && let Some(span) = &file.local_recipients.span
    {
        c.problems.warning(
            Some(span.clone()),
            "every name in `local_domains` that somebody writes to gets a Maildir",
            "meant for servers behind this one that know the mailboxes",
            "add `lmtp` to [delivery], or remove `local_recipients`",
        );
    }
}

/// A directory that finds the same account for any domain, next to others that distinguish logins by it: `ann@PARTNER.TEST`
/// would be `ann`.
fn check_domains(directory: &Directory, c: &mut Checking<'_>) {
    let Some((text, key, placeholder)) = any_domain(directory) else {
        return;
    };
    let kerberos = &c.file.kerberos;
    let realms = kerberos.realms.as_ref().map_or(0, |realms| realms.value.len());
    let remedy = format!("name the domain in `{key}`: {placeholder}");
    if kerberos.keytab.is_some() && realms > 1 {
        c.problems.error(
            text.span.clone(),
            format!("`{key}` does not look at the domain, and [kerberos] has {realms} realms"),
            "whoever has this name in another realm would have this account",
            remedy.clone(),
        );
    }
    if c.file.auth.provider.iter().any(|table| table.domains.is_empty()) {
        c.problems.warning(
            text.span.clone(),
            format!("`{key}` does not look at the domain, and a provider of tokens may vouch for any"),
            "whoever has this name in another domain gets this account",
            format!("{remedy}; or add `domains = [\"example.org\"]` to each [[auth.provider]]"),
        );
    }
}

/// The setting that finds an account by name, if it only uses the local part; the key, and how to include the domain.
fn any_domain(directory: &Directory) -> Option<(&At<String>, &'static str, &'static str)> {
    match directory {
        Directory::Ldap(table) => {
            let filter = table.filter.as_ref()?;
            let has = |name: &str| filter.value.contains(name);
            let alone = has("{local}") && !["{login}", "{address}", "{domain}"].into_iter().any(has);
            alone.then_some((filter, "filter", "`{login}`, or `{domain}` too"))
        }
        Directory::Sql(table) => {
            let account = table.account_query.as_ref().map(|query| (query, "account_query"));
            let password = table
                .password_query
                .as_ref()
                .map(|query| (query, "password_query"));
            let (query, key) = account.or(password)?;
            sql::takes_any_domain(table, &query.value).then_some((query, key, "`:login`, or `:domain` too"))
        }
        _ => None,
    }
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

/// Postern's own users, for those who administer them.
#[derive(Clone, Debug)]
pub(crate) struct OwnUsers {
    pub(crate) database: PathBuf,
    /// The keys that users get with their password.
    pub(crate) keys: KeyPolicy,
    /// The mechanisms that are enabled on any listener.
    pub(crate) mechanisms: Vec<Mechanism>,
    /// The minimum length of a password, in characters.
    pub(crate) password_length: usize,
}

pub(super) fn own_users(file: &Postern, hostname: &str) -> OwnUsers {
    OwnUsers {
        database: users_database(file),
        keys: super::key_policy(file, hostname),
        mechanisms: super::all_mechanisms(file),
        password_length: password_length(file),
    }
}

/// The minimum length of a password that `postern user` sets, in characters.
pub(crate) fn password_length(file: &Postern) -> usize {
    let written = file
        .directory
        .iter()
        .find_map(|directory| match &directory.value {
            Directory::Users(table) => Some(*table.password_length),
            _ => None,
        });
    clamp(written.unwrap_or(PASSWORD_LENGTH))
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
        domains: values(&table.domains.value),
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
        realms: values(&table.realms.value),
        timeout: *table.timeout,
        cache_ttl: *table.cache_time,
    }
}
