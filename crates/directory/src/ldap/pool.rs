//! Connections to one server for one use: searches, or user binds.

use std::fmt;
use std::time::{Duration, Instant};

use ldap3::exop::WhoAmI;
use ldap3::{
    DerefAliases, Ldap as Handle, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry,
    SearchOptions,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use tracing::debug;

use super::code::tell;
use crate::failover::Fault;
use crate::pool;

/// How long to wait for the cause of a broken connection: its task is about to end.
const CAUSE_MAX: Duration = Duration::from_secs(1);

/// The identity used for searches.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) dn: String,
    pub(crate) password: SecretString,
}

/// A bounded number of connections; unused ones are kept for later.
pub(crate) struct Pool {
    settings: LdapConnSettings,
    /// Bound once, when the connection is made; `None` for anonymous searches, and for a pool of user binds.
    identity: Option<Identity>,
    lines: pool::Pool<Line>,
}

/// A connection, and why it ended if it has.
struct Line {
    handle: Handle,
    cause: oneshot::Receiver<String>,
}

impl Line {
    /// Why a connection broke. The library's own error for a connection that ended during a question does not say
    /// why.
    async fn broken(&mut self, error: LdapError) -> Fault {
        let ended = matches!(
            error,
            LdapError::EndOfStream
                | LdapError::OpSend { .. }
                | LdapError::ResultRecv { .. }
                | LdapError::IdScrubSend { .. }
        );
        if !ended {
            return broken(error);
        }
        match tokio::time::timeout(CAUSE_MAX, &mut self.cause).await {
            Ok(Ok(cause)) => Fault::Server(cause),
            Ok(Err(_)) | Err(_) => broken(error),
        }
    }
}

/// One connection, for one caller. Unless given back, it is closed, since its state is unknown.
struct Lease<'a> {
    pool: &'a Pool,
    place: pool::Lease<'a, Line>,
    line: Line,
    /// Whether it was used before, in which case the server may have closed it meanwhile.
    reused: bool,
}

/// A connection that is bound as a user, for questions about this user.
pub(crate) struct Bound<'a>(Lease<'a>);

/// What a search asks for.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) base: &'a str,
    pub(crate) scope: Scope,
    pub(crate) filter: &'a str,
    pub(crate) attributes: &'a [&'a str],
    /// Most entries.
    pub(crate) limit: i32,
}

impl Pool {
    pub(crate) fn new(
        url: &str,
        settings: LdapConnSettings,
        identity: Option<Identity>,
        size: usize,
    ) -> Self {
        Self {
            settings,
            identity,
            lines: pool::Pool::new(url, size),
        }
    }

    /// Searches; a connection that the server has closed since its last use is replaced by a new one.
    pub(crate) async fn search(
        &self,
        search: &Search<'_>,
        deadline: Instant,
    ) -> Result<(Vec<SearchEntry>, LdapResult), Fault> {
        let mut lease = self.lease(deadline).await?;
        let result = match lease.search(search).await {
            Err(fault) if lease.reused => {
                debug!(target: "postern::directory", server = self.url(), ?fault, "connection was stale");
                lease.renew().await?;
                lease.search(search).await
            }
            result => result,
        };
        let (entries, result) = result?.into_parts();
        if matches!(result.rc, 0 | 4 | 32) {
            lease.give_back();
        }
        Ok((entries, result))
    }

    /// Binds as a user; a stale connection is replaced as in [`Self::search`].
    pub(crate) async fn bind(
        &self,
        dn: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<LdapResult, Fault> {
        let (result, lease) = self.try_bind(dn, password, deadline).await?;
        if matches!(result.rc, 0 | 49) {
            lease.give_back();
        }
        Ok(result)
    }

    /// Binds as a user and keeps the connection for questions with the user's rights, if the bind succeeds.
    ///
    /// The pool must be one for binds: its next user binds first.
    pub(crate) async fn bind_and_stay(
        &self,
        name: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<(LdapResult, Option<Bound<'_>>), Fault> {
        let (result, lease) = self.try_bind(name, password, deadline).await?;
        if result.rc == 0 {
            return Ok((result, Some(Bound(lease))));
        }
        if result.rc == 49 {
            lease.give_back();
        }
        Ok((result, None))
    }

    async fn try_bind(
        &self,
        name: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<(LdapResult, Lease<'_>), Fault> {
        let mut lease = self.lease(deadline).await?;
        let result = match lease.bind(name, password).await {
            Err(fault) if lease.reused => {
                debug!(target: "postern::directory", server = self.url(), ?fault, "connection was stale");
                lease.renew().await?;
                lease.bind(name, password).await
            }
            result => result,
        };
        Ok((result?, lease))
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease<'_>, Fault> {
        let mut place = self
            .lines
            .lease(deadline, |line| !line.handle.is_closed())
            .await?;
        let (line, reused) = match place.left_over.take() {
            Some(line) => (line, true),
            None => (self.connect().await?, false),
        };
        Ok(Lease {
            pool: self,
            place,
            line,
            reused,
        })
    }

    fn url(&self) -> &str {
        self.lines.server()
    }

    async fn connect(&self) -> Result<Line, Fault> {
        let (connection, handle) = LdapConnAsync::with_settings(self.settings.clone(), self.url())
            .await
            .map_err(broken)?;
        let url = self.url().to_owned();
        let (ended, cause) = oneshot::channel();
        // Ends when the last handle is dropped.
        tokio::spawn(async move {
            let cause = match connection.drive().await {
                Ok(()) => "the server closed the connection".to_owned(),
                Err(error) => {
                    debug!(target: "postern::directory", server = %url, %error, "connection lost");
                    error.to_string()
                }
            };
            let _ = ended.send(cause);
        });
        let mut line = Line { handle, cause };
        if let Some(identity) = &self.identity {
            let password = identity.password.expose_secret();
            let result = match line.handle.simple_bind(&identity.dn, password).await {
                Ok(result) => result,
                Err(error) => return Err(line.broken(error).await),
            };
            if result.rc != 0 {
                return Err(Fault::Server(format!(
                    "cannot bind as {}: {}",
                    identity.dn,
                    tell(&result)
                )));
            }
        }
        Ok(line)
    }
}

impl Lease<'_> {
    async fn search(&mut self, search: &Search<'_>) -> Result<Found, Fault> {
        let options = SearchOptions::new()
            .deref(DerefAliases::Never)
            .sizelimit(search.limit);
        let found = self
            .line
            .handle
            .with_search_options(options)
            .search(search.base, search.scope, search.filter, search.attributes)
            .await;
        match found {
            Ok(found) => Ok(Found(found)),
            Err(error) => Err(self.line.broken(error).await),
        }
    }

    async fn bind(&mut self, name: &str, password: &SecretString) -> Result<LdapResult, Fault> {
        match self.line.handle.simple_bind(name, password.expose_secret()).await {
            Ok(result) => Ok(result),
            Err(error) => Err(self.line.broken(error).await),
        }
    }

    /// Replaces a connection that turned out dead. The other idle ones are most likely dead too.
    async fn renew(&mut self) -> Result<(), Fault> {
        self.place.close_others();
        self.line = self.pool.connect().await?;
        self.reused = false;
        Ok(())
    }

    fn give_back(self) {
        self.place.give_back(self.line);
    }
}

impl Bound<'_> {
    /// The bound identity according to the server: `dn:…` or `u:…` (RFC 4532).
    pub(crate) async fn who_am_i(&mut self) -> Result<String, Fault> {
        let ldap3::result::ExopResult(exop, result) = match self.0.line.handle.extended(WhoAmI).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.0.line.broken(error).await),
        };
        if result.rc != 0 {
            return Err(Fault::Question(format!(
                "it does not say which user is bound, as `direct_bind` needs: {}",
                tell(&result)
            )));
        }
        let octets = exop.val.unwrap_or_default();
        String::from_utf8(octets)
            .map_err(|_| Fault::Question("the name of the bound user is not UTF-8".into()))
    }

    /// Searches with the user's rights.
    pub(crate) async fn search(
        &mut self,
        search: &Search<'_>,
    ) -> Result<(Vec<SearchEntry>, LdapResult), Fault> {
        Ok(self.0.search(search).await?.into_parts())
    }

    /// The next user of the connection can bind again.
    pub(crate) fn give_back(self) {
        self.0.give_back();
    }
}

/// A search's result; the library skipped any referrals.
struct Found(ldap3::SearchResult);

impl Found {
    fn into_parts(self) -> (Vec<SearchEntry>, LdapResult) {
        let ldap3::SearchResult(entries, result) = self.0;
        (entries.into_iter().map(SearchEntry::construct).collect(), result)
    }
}

fn broken(error: LdapError) -> Fault {
    Fault::Server(error.to_string())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
