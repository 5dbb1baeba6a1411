//! The servers of an LDAP directory: those of the configuration, or those that DNS lists for a domain.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ldap3::LdapConnSettings;
use parking_lot::RwLock;
use postern_events::{Observers, notice, shown};
use url::Url;

use super::mistakes::of_servers;
use super::pool::{Identity, Pool};
use super::settings::LdapSettings;
use crate::discover::{FindServers, ServiceRecord, in_order, is_within};
use crate::environment::Environment;
use crate::error::SetUpError;
use crate::failover::Failover;
use crate::secret_file::read_secret;
use crate::time::now;
use crate::verdict::Outage;

/// Most servers of one directory.
const SERVERS_MAX: usize = 16;

/// How long discovered servers are used before DNS is asked again. The resolver caches answers as long as DNS says.
const REFRESH: Duration = Duration::from_secs(60);

/// One server: searches and user binds use separate connections.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) searches: Pool,
    pub(super) binds: Pool,
}

/// The servers to ask, and in which order.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) servers: Vec<Server>,
    pub(crate) failover: Failover,
    /// As discovered, unordered.
    records: Vec<ServiceRecord>,
}

/// How the servers are found.
pub(crate) struct Fleets {
    connector: Connector,
    discovery: Option<Discovery>,
    current: RwLock<Option<Arc<Fleet>>>,
}

struct Connector {
    connect: LdapConnSettings,
    identity: Option<Identity>,
    pool_size: usize,
    retry_after: Duration,
    observers: Observers,
}

struct Discovery {
    domain: String,
    find: Arc<dyn FindServers>,
    /// When DNS was last asked. The holder of the lock asks; the others use what is there.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

impl Fleets {
    /// Checks the settings and reads their files; makes no connection yet.
    pub(crate) fn new(settings: &LdapSettings, environment: &Environment) -> Result<Self, SetUpError> {
        Self::with_identity(settings, identity(settings)?, environment)
    }

    /// The same with an identity that has no password file of its own.
    pub(crate) fn with_identity(
        settings: &LdapSettings,
        identity: Option<Identity>,
        environment: &Environment,
    ) -> Result<Self, SetUpError> {
        if let Some(mistake) = of_servers(settings) {
            return Err(mistake.into());
        }
        let discovery = discovery(settings, environment)?;
        let urls = settings
            .servers
            .iter()
            .map(|url| check_url(url, settings.starttls, &environment.observers));
        let urls = urls.collect::<Result<Vec<_>, _>>()?;
        let secured = settings.starttls || urls.iter().any(|url| is_secured(url, settings.starttls));
        let mut connect = LdapConnSettings::new().set_starttls(settings.starttls);
        if secured {
            let config = postern_trust::client_config(settings.ca_file.as_deref());
            let config = config.map_err(|error| SetUpError::setting("ca_file", error.to_string()))?;
            connect = connect.set_config(Arc::new(config));
        }
        let connector = Connector {
            connect,
            identity,
            pool_size: settings.pool_size,
            retry_after: settings.retry_primary_after,
            observers: environment.observers.clone(),
        };
        let fixed = urls.iter().map(Url::to_string).collect::<Vec<_>>();
        let current = match &discovery {
            Some(_) => None,
            None => Some(Arc::new(connector.fleet(&fixed, Vec::new()))),
        };
        Ok(Self {
            connector,
            discovery,
            current: RwLock::new(current),
        })
    }

    /// Whether searches can be made without a user's password.
    pub(super) fn has_identity(&self) -> bool {
        self.connector.identity.is_some()
    }

    /// The servers to ask now. Servers discovered earlier are kept while DNS does not answer.
    pub(crate) async fn current(&self, deadline: Instant) -> Result<Arc<Fleet>, Outage> {
        let Some(discovery) = &self.discovery else {
            return self.known().ok_or_else(|| Outage::new("there are no servers"));
        };
        if let Some(fleet) = self.known() {
            // One task asks, the others need not wait.
            if let Ok(mut looked) = discovery.looked.try_lock()
                && looked.is_none_or(|at| now().saturating_duration_since(at) >= REFRESH)
            {
                *looked = Some(now());
                if let Err(error) = self.look(discovery, deadline).await {
                    notice!(
                        self.connector.observers,
                        Directory Warning "servers not discovered again",
                        Domain = discovery.domain,
                        Reason = shown(&error),
                    );
                }
            }
            return Ok(self.known().unwrap_or(fleet));
        }
        let mut looked = discovery.looked.lock().await;
        if let Some(fleet) = self.known() {
            return Ok(fleet);
        }
        self.look(discovery, deadline).await?;
        *looked = Some(now());
        self.known().ok_or_else(|| Outage::new("there are no servers"))
    }

    fn known(&self) -> Option<Arc<Fleet>> {
        self.current.read().clone()
    }

    async fn look(&self, discovery: &Discovery, deadline: Instant) -> Result<(), Outage> {
        let name = format!("_ldap._tcp.{}", discovery.domain);
        let found = tokio::time::timeout_at(deadline.into(), discovery.find.services(&name)).await;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Err(Outage::new(format!("cannot discover LDAP servers: {error}"))),
            Err(_) => {
                return Err(Outage::new(format!(
                    "cannot discover LDAP servers: {name} has no answer yet"
                )));
            }
        };
        let (mut inside, outside): (Vec<_>, Vec<_>) = found
            .into_iter()
            .filter(|record| !record.host.is_empty())
            .partition(|record| is_within(&record.host, &discovery.domain));
        inside.sort_by(|one, other| {
            (one.priority, &one.host, one.port).cmp(&(other.priority, &other.host, other.port))
        });
        if self.known().is_some_and(|fleet| fleet.records == inside) {
            return Ok(());
        }
        for record in &outside {
            notice!(
                self.connector.observers,
                Directory Warning "a discovered server outside of its domain is not asked",
                Domain = discovery.domain,
                Server = record.host,
            );
        }
        if inside.is_empty() {
            return Err(Outage::new(format!(
                "{name} names no server within {}",
                discovery.domain
            )));
        }
        let order = in_order(&inside, |below| rand::random_range(0..below));
        let urls: Vec<String> = order
            .iter()
            .take(SERVERS_MAX)
            .map(|record| format!("ldap://{}:{}/", record.host, record.port))
            .collect();
        notice!(
            self.connector.observers,
            Directory Info "servers discovered",
            Domain = discovery.domain,
            Servers = urls.join(" "),
        );
        *self.current.write() = Some(Arc::new(self.connector.fleet(&urls, inside)));
        Ok(())
    }
}

impl std::fmt::Debug for Fleets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleets")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl Connector {
    fn fleet(&self, urls: &[String], records: Vec<ServiceRecord>) -> Fleet {
        let server = |url: &String| Server {
            searches: Pool::new(url, self.connect.clone(), self.identity.clone(), self.pool_size),
            binds: Pool::new(url, self.connect.clone(), None, self.pool_size),
        };
        Fleet {
            servers: urls.iter().map(server).collect(),
            failover: Failover::new("LDAP", urls.to_vec(), self.retry_after, self.observers.clone()),
            records,
        }
    }
}

fn discovery(settings: &LdapSettings, environment: &Environment) -> Result<Option<Discovery>, SetUpError> {
    let Some(domain) = &settings.discover else {
        return Ok(None);
    };
    let Some(find) = &environment.find_servers else {
        return Err(SetUpError::setting(
            "discover",
            "needs a resolver, which is missing here",
        ));
    };
    let domain = domain.trim_end_matches('.').to_lowercase();
    if domain.is_empty() {
        return Err(SetUpError::setting(
            "discover",
            "is empty; name a domain such as example.org",
        ));
    }
    if !settings.starttls {
        notice!(
            environment.observers,
            Directory Warning "LDAP passwords go over the network in the clear",
            Domain = domain,
        );
    }
    Ok(Some(Discovery {
        domain,
        find: Arc::clone(find),
        looked: tokio::sync::Mutex::new(None),
    }))
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

fn check_url(text: &str, starttls: bool, observers: &Observers) -> Result<Url, SetUpError> {
    let refuse = |why: &str| {
        let message = format!("{text:?} {why}; write ldap://host[:port]/ or ldaps://host[:port]/");
        SetUpError::setting("servers", message)
    };
    let url = Url::parse(text).map_err(|error| refuse(&format!("is not a URL ({error})")))?;
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
        notice!(
            observers,
            Directory Warning "LDAP passwords go over the network in the clear",
            Server = shown(&url),
        );
    }
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
