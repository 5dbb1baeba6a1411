//! Where settings are written, for problems found later: when checking the system, or by the service that uses them.

use std::path::{Path, PathBuf};

use postern_policy::route::Hop;

use crate::config::document::Document;
use crate::config::file::Directory;
use crate::config::problem::Span;
use crate::config::read::At;

/// The places of settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    paths: Vec<At<PathBuf>>,
    servers: Vec<At<String>>,
    providers: Vec<At<String>>,
    logins: Vec<At<String>>,
    hops: Vec<At<Hop>>,
    milters: Vec<At<String>>,
    tables: Vec<At<String>>,
    directories: Vec<DirectoryPlace>,
    /// The keys of each [[directory]] as written.
    directory_keys: Vec<Vec<(String, Span)>>,
    dkim: Vec<At<String>>,
    local_domains: Option<Span>,
    aliases: Option<Span>,
    user: Option<Span>,
}

/// Where a directory is written.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryPlace {
    pub(super) table: Option<Span>,
    /// Which [[directory]] it is, from 0.
    pub(super) number: usize,
}

impl Places {
    /// From a document, with the places of the directories.
    pub(super) fn of(document: &Document, directories: Vec<DirectoryPlace>) -> Self {
        let file = &document.file;
        let tables = document.shown.tables.iter();
        let directory_keys = tables
            .filter(|table| table.header == "[[directory]]")
            .map(|table| {
                let written = table
                    .keys
                    .iter()
                    .filter_map(|key| Some((key.key.clone(), key.span.clone()?)));
                written.collect()
            });
        let via = file.route.iter().filter_map(|route| route.via.as_ref());
        let via = via.chain([&file.delivery.lmtp, &file.delivery.fallback]);
        let servers = file.directory.iter().flat_map(|table| match &table.value {
            Directory::Ldap(ldap) => ldap.servers.as_ref().map_or(&[][..], |list| &list.value),
            Directory::Sql(sql) => sql.servers.as_ref().map_or(&[][..], |list| &list.value),
            Directory::Dovecot(dovecot) => dovecot.server.as_slice(),
            Directory::Users(_)
            | Directory::Saslauthd(_)
            | Directory::Pam(_)
            | Directory::Table(_)
            | Directory::System(_) => &[],
        });
        Self {
            paths: document.paths.clone(),
            directory_keys: directory_keys.collect(),
            servers: servers.cloned().collect(),
            providers: file
                .auth
                .provider
                .iter()
                .filter_map(|provider| provider.issuer.clone())
                .collect(),
            logins: file.login.iter().filter_map(|login| login.name.clone()).collect(),
            milters: file
                .milter
                .iter()
                .filter_map(|milter| milter.name.clone())
                .collect(),
            tables: file
                .table
                .iter()
                .filter_map(|table| table.value.name().cloned())
                .collect(),
            hops: via.flat_map(|list| list.value.clone()).collect(),
            directories,
            dkim: file
                .dkim
                .iter()
                .filter_map(|table| table.domain.clone())
                .collect(),
            local_domains: file.local_domains.span.clone(),
            aliases: file.aliases.as_ref().and_then(|aliases| aliases.span.clone()),
            user: file.user.as_ref().and_then(|user| user.span.clone()),
        }
    }

    /// Where a file or folder is set.
    pub(crate) fn path(&self, path: &Path) -> Option<Span> {
        span_of(&self.paths, |named| named == path)
    }

    /// Where a server of a directory is named.
    pub(crate) fn server(&self, server: &str) -> Option<Span> {
        span_of(&self.servers, |named| named == server)
    }

    /// Where a provider of tokens is named.
    pub(crate) fn provider(&self, issuer: &str) -> Option<Span> {
        span_of(&self.providers, |named| named == issuer)
    }

    /// Where a login at smarthosts is named.
    pub(crate) fn login(&self, name: &str) -> Option<Span> {
        span_of(&self.logins, |named| named == name)
    }

    /// Where a delivery host is set.
    pub(crate) fn hop(&self, hop: &Hop) -> Option<Span> {
        span_of(&self.hops, |named| named == hop)
    }

    /// Where a filter is named.
    pub(crate) fn milter(&self, name: &str) -> Option<Span> {
        span_of(&self.milters, |named| named == name)
    }

    /// Where a table is named.
    pub(crate) fn table(&self, name: &str) -> Option<Span> {
        span_of(&self.tables, |named| named == name)
    }

    /// The [[directory]] with this number, from 0.
    pub(crate) fn directory(&self, number: usize) -> Option<Span> {
        self.directories.get(number)?.table.clone()
    }

    /// Its key, or the table if the key is not written.
    pub(crate) fn directory_key(&self, number: usize, key: Option<&str>) -> Option<Span> {
        let place = self.directories.get(number)?;
        let keys = self.directory_keys.get(place.number)?;
        let written = keys.iter().find(|(name, _)| Some(name.as_str()) == key);
        written
            .map(|(_, span)| span.clone())
            .or_else(|| place.table.clone())
    }

    /// Where the domain of a [[dkim]] is named.
    pub(crate) fn dkim(&self, domain: &str) -> Option<Span> {
        span_of(&self.dkim, |named| named == domain)
    }

    /// `local_domains`.
    pub(crate) fn local_domains(&self) -> Option<Span> {
        self.local_domains.clone()
    }

    /// `aliases`.
    pub(crate) fn aliases(&self) -> Option<Span> {
        self.aliases.clone()
    }

    /// `user`.
    pub(crate) fn user(&self) -> Option<Span> {
        self.user.clone()
    }
}

fn span_of<T>(list: &[At<T>], is_it: impl Fn(&T) -> bool) -> Option<Span> {
    list.iter()
        .find(|at| is_it(&at.value))
        .and_then(|at| at.span.clone())
}
