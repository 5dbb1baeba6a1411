//! The questions put to an LDAP directory, over its servers in turn.

use std::net::IpAddr;
use std::time::Instant;

use ldap3::{LdapConnSettings, Scope, SearchEntry};
use postern_mail::Mailbox;
use secrecy::SecretString;
use tracing::warn;
use url::Url;

use super::code::{of_search, of_user_bind};
use super::pool::{Identity, Pool, Search};
use super::settings::{LdapSettings, SearchScope};
use super::template::Template;
use crate::directories::{Environment, SetUpError};
use crate::failover::{Failover, Fault};
use crate::secret_file::read_secret;
use crate::tls;
use crate::verdict::{Account, DenyReason, Finding, Outage};

/// Most servers of one directory.
const SERVERS_MAX: usize = 16;

/// An LDAP directory.
#[derive(Debug)]
pub(crate) struct Ldap {
    settings: LdapSettings,
    filter: Template,
    recipient_filter: Template,
    servers: Vec<Server>,
    failover: Failover,
}

/// One server: searches on some connections, user binds on others.
#[derive(Debug)]
struct Server {
    searches: Pool,
    binds: Pool,
}

#[derive(Clone, Copy)]
enum Question<'a> {
    Password {
        login: &'a str,
        password: &'a SecretString,
    },
    Account {
        login: &'a str,
    },
    Recipient {
        address: &'a str,
    },
}

enum Reply {
    Finding(Finding),
    Exists(bool),
}

impl Ldap {
    /// Checks the settings and reads their files; connects to nothing yet.
    pub(crate) fn new(settings: LdapSettings, _environment: &Environment) -> Result<Self, SetUpError> {
        let count = settings.servers.len();
        if !(1..=SERVERS_MAX).contains(&count) {
            let message = format!("has {count} servers, must have from 1 to {SERVERS_MAX}");
            return Err(SetUpError::setting("servers", message));
        }
        if !(1..=256).contains(&settings.pool_size) {
            let message = format!("is {}, must be from 1 to 256", settings.pool_size);
            return Err(SetUpError::setting("pool_size", message));
        }
        if settings.timeout.is_zero() {
            return Err(SetUpError::setting(
                "timeout",
                "must be longer than zero, such as \"5s\"",
            ));
        }
        let filter = Template::parse(&settings.filter).map_err(|e| SetUpError::setting("filter", e))?;
        let recipient_filter = match &settings.recipient_filter {
            Some(text) => text.clone(),
            None => format!("({}={{address}})", settings.mail_attribute),
        };
        let recipient_filter =
            Template::parse(&recipient_filter).map_err(|e| SetUpError::setting("recipient_filter", e))?;
        let identity = identity(&settings)?;
        let urls = settings
            .servers
            .iter()
            .map(|url| check_url(url, settings.starttls));
        let urls = urls.collect::<Result<Vec<_>, _>>()?;
        let secured = urls.iter().any(|url| is_secured(url, settings.starttls));
        let mut connect = LdapConnSettings::new().set_starttls(settings.starttls);
        if secured {
            let config = tls::client_config(settings.ca_file.as_deref());
            connect = connect.set_config(config.map_err(|e| SetUpError::setting("ca_file", e))?);
        }
        let servers = urls
            .iter()
            .map(|url| Server::new(url, &connect, identity.clone(), &settings))
            .collect();
        let names = urls.iter().map(Url::to_string).collect();
        let failover = Failover::new("LDAP", names, settings.retry_primary_after);
        Ok(Self {
            settings,
            filter,
            recipient_filter,
            servers,
            failover,
        })
    }

    /// Whether this is the login's password. The caller has refused empty ones.
    pub(crate) async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
    ) -> Result<Finding, Outage> {
        match self.ask(Question::Password { login, password }).await? {
            Reply::Finding(finding) => Ok(finding),
            Reply::Exists(_) => Ok(Finding::Denied(DenyReason::UnknownUser)),
        }
    }

    /// The account of a login, without its password.
    pub(crate) async fn find_account(&self, login: &str) -> Result<Finding, Outage> {
        match self.ask(Question::Account { login }).await? {
            Reply::Finding(finding) => Ok(finding),
            Reply::Exists(_) => Ok(Finding::Denied(DenyReason::UnknownUser)),
        }
    }

    /// Whether an entry has this address.
    pub(crate) async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        let address = address.key();
        Ok(matches!(
            self.ask(Question::Recipient { address: &address }).await?,
            Reply::Exists(true)
        ))
    }

    async fn ask(&self, question: Question<'_>) -> Result<Reply, Outage> {
        let end = Instant::now() + self.settings.timeout;
        let ask = |index: usize, deadline| self.ask_server(&self.servers[index], question, deadline);
        self.failover.ask(end, ask).await
    }

    async fn ask_server(
        &self,
        server: &Server,
        question: Question<'_>,
        deadline: Instant,
    ) -> Result<Reply, Fault> {
        match question {
            Question::Password { login, password } => self
                .check_at(server, login, password, deadline)
                .await
                .map(Reply::Finding),
            Question::Account { login } => {
                let mut entries = self.entries_of(server, login, deadline).await?;
                let account = entries.pop().map(|entry| self.account(&entry, login));
                Ok(Reply::Finding(match (account, entries.is_empty()) {
                    (Some(account), true) => Finding::Granted(account),
                    (Some(_), false) => Finding::Denied(DenyReason::Ambiguous),
                    (None, _) => Finding::Denied(DenyReason::UnknownUser),
                }))
            }
            Question::Recipient { address } => {
                let entries = self
                    .find(server, &self.recipient_filter.fill(address), &["1.1"], deadline)
                    .await?;
                Ok(Reply::Exists(!entries.is_empty()))
            }
        }
    }

    async fn check_at(
        &self,
        server: &Server,
        login: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<Finding, Fault> {
        let mut entries = self.entries_of(server, login, deadline).await?;
        let entry = match (entries.pop(), entries.is_empty()) {
            (Some(entry), true) => entry,
            (found, _) => {
                self.bind_in_vain(server, deadline).await?;
                let reason = if found.is_some() {
                    DenyReason::Ambiguous
                } else {
                    DenyReason::UnknownUser
                };
                return Ok(Finding::Denied(reason));
            }
        };
        // A bind without a name is anonymous whatever the password (RFC 4513 section 5.1.1).
        if entry.dn.is_empty() {
            return Err(Fault::Question(
                "the entry found has no name to bind as: the search base is too wide".into(),
            ));
        }
        let result = server.binds.bind(&entry.dn, password, deadline).await?;
        Ok(match of_user_bind(&result)? {
            None => Finding::Granted(self.account(&entry, login)),
            Some(reason) => Finding::Denied(reason),
        })
    }

    /// The entries that answer to a login.
    async fn entries_of(
        &self,
        server: &Server,
        login: &str,
        deadline: Instant,
    ) -> Result<Vec<SearchEntry>, Fault> {
        let attributes = [
            self.settings.login_attribute.as_str(),
            self.settings.mail_attribute.as_str(),
        ];
        self.find(server, &self.filter.fill(login), &attributes, deadline)
            .await
    }

    async fn find(
        &self,
        server: &Server,
        filter: &str,
        attributes: &[&str],
        deadline: Instant,
    ) -> Result<Vec<SearchEntry>, Fault> {
        let scope = match self.settings.scope {
            SearchScope::Base => Scope::Base,
            SearchScope::OneLevel => Scope::OneLevel,
            SearchScope::Subtree => Scope::Subtree,
        };
        let search = Search {
            base: &self.settings.search_base,
            scope,
            filter,
            attributes,
        };
        let (entries, result) = server.searches.search(&search, deadline).await?;
        of_search(&result)?;
        Ok(entries)
    }

    /// Binds as nobody with a password of our own making, so that an unknown login takes as long as a known one.
    async fn bind_in_vain(&self, server: &Server, deadline: Instant) -> Result<(), Fault> {
        let nobody = format!("uid={:016x}", rand::random::<u64>());
        let dn = match self.settings.search_base.as_str() {
            "" => nobody,
            base => format!("{nobody},{base}"),
        };
        let password = SecretString::from(format!("{:032x}", rand::random::<u128>()));
        server.binds.bind(&dn, &password, deadline).await.map(drop)
    }

    fn account(&self, entry: &SearchEntry, typed: &str) -> Account {
        let names = values(entry, &self.settings.login_attribute);
        let login = names
            .iter()
            .find(|name| name.eq_ignore_ascii_case(typed))
            .or_else(|| names.first())
            .map_or_else(|| typed.to_owned(), Clone::clone);
        let mut addresses = Vec::new();
        for address in values(entry, &self.settings.mail_attribute) {
            let address = address.to_lowercase();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Account {
            login,
            addresses,
            ..Account::default()
        }
    }
}

impl Server {
    fn new(
        url: &Url,
        connect: &LdapConnSettings,
        identity: Option<Identity>,
        settings: &LdapSettings,
    ) -> Self {
        let size = settings.pool_size;
        Self {
            searches: Pool::new(url.as_str(), connect.clone(), identity, size),
            binds: Pool::new(url.as_str(), connect.clone(), None, size),
        }
    }
}

/// The values of an attribute, whose name the server may write in another case than asked for.
fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
    entry
        .attrs
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
        .map_or(&[], |(_, values)| values.as_slice())
}

fn identity(settings: &LdapSettings) -> Result<Option<Identity>, SetUpError> {
    match (&settings.bind_dn, &settings.bind_password_file) {
        (None, None) => Ok(None),
        (Some(dn), Some(file)) if !dn.is_empty() => {
            let password = read_secret(file).map_err(SetUpError::SecretFile)?;
            Ok(Some(Identity {
                dn: dn.clone(),
                password,
            }))
        }
        (Some(_), Some(_)) => Err(SetUpError::setting(
            "bind_dn",
            "is empty; leave it out for anonymous searches",
        )),
        (Some(_), None) => Err(SetUpError::setting(
            "bind_password_file",
            "is missing: a bind_dn needs its password",
        )),
        (None, Some(_)) => Err(SetUpError::setting(
            "bind_dn",
            "is missing: whose password is in the file?",
        )),
    }
}

fn is_secured(url: &Url, starttls: bool) -> bool {
    starttls || url.scheme() == "ldaps"
}

fn check_url(text: &str, starttls: bool) -> Result<Url, SetUpError> {
    let refuse = |why: &str| {
        let message = format!("{text:?} {why}; write ldap://host[:port]/ or ldaps://host[:port]/");
        SetUpError::setting("servers", message)
    };
    let url = Url::parse(text).map_err(|error| refuse(&format!("is no URL ({error})")))?;
    if !matches!(url.scheme(), "ldap" | "ldaps") {
        return Err(refuse("is not of LDAP"));
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(refuse("names no host"));
    };
    if is_secured(&url, starttls) && host.starts_with('[') {
        return Err(refuse(
            "has an IPv6 address, which certificates are not checked against here: use a name",
        ));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(
            "says more than where the server is: the search base and filter have keys of their own",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("has a login in it: use bind_dn and bind_password_file"));
    }
    if !is_secured(&url, starttls) && !is_loopback(host) {
        warn!(target: "postern::directory", server = %url, "LDAP passwords go over the network in the clear");
    }
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
