//! PAM as a directory, through a helper: modules run with the privileges that they need, and Postern with none.
//!
//! The helper (`postern pam-helper`) listens on a socket, asks PAM in a process of its own for each login, and answers. The
//! helper decides which PAM service is used, so that an attacker who has taken over the relay can check passwords and nothing
//! else. PAM knows no addresses, so it never says that a recipient exists.

pub mod wire;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use self::wire::{REPLY_MAX, Reply, Request};
use crate::error::SetUpError;
use crate::source::Source;
use crate::verdict::{Account, DenyReason, Finding, Outage};
use crate::workers::{Asker, Workers};

/// How to reach PAM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PamSettings {
    /// The helper's socket. Default `/run/postern-pam/socket`.
    pub socket: PathBuf,
    /// The service: a file in `/etc/pam.d`. The helper reads it from the same configuration. Default `smtp`.
    pub service: String,
    /// A folder of services to use instead of `/etc/pam.d`. Default none.
    pub service_folder: Option<PathBuf>,
    /// Domains that are removed before PAM is asked, in lower case: its accounts have none. Default none.
    pub domains: Vec<String>,
    /// Longest time for one login. Default 10 seconds: PAM modules add their own delay after a wrong password.
    pub timeout: Duration,
    /// How long a granted login counts without asking again. Default zero: each is asked about.
    pub cache_ttl: Duration,
    /// Most concurrent logins; each is a process of the helper. Default 16.
    pub workers: usize,
}

impl Default for PamSettings {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/postern-pam/socket"),
            service: "smtp".into(),
            service_folder: None,
            domains: Vec::new(),
            timeout: Duration::from_secs(10),
            cache_ttl: Duration::ZERO,
            workers: 16,
        }
    }
}

/// PAM through its helper. Each login uses a connection of its own.
#[derive(Debug)]
pub(crate) struct PamHelper {
    settings: PamSettings,
    requests: Arc<Workers>,
}

impl PamHelper {
    pub(crate) fn new(settings: PamSettings) -> Result<Self, SetUpError> {
        if !settings.socket.is_absolute() {
            let message = format!("{} must be an absolute path", settings.socket.display());
            return Err(SetUpError::setting("socket", message));
        }
        Ok(Self {
            requests: Workers::new(settings.workers),
            settings,
        })
    }

    async fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.settings.socket).await?;
        stream.write_all(request).await?;
        stream.shutdown().await?;
        let mut reply = Vec::new();
        stream.take(REPLY_MAX + 1).read_to_end(&mut reply).await?;
        Ok(reply)
    }

    fn outage(&self, reason: &str) -> Outage {
        Outage::new(format!(
            "PAM's helper at {}: {reason}",
            self.settings.socket.display()
        ))
    }
}

#[async_trait]
impl Source for PamHelper {
    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let request = Request {
            login: account_name(login, &self.settings.domains).to_owned(),
            password: password.clone(),
            peer: asker.peer.map(|peer| peer.to_string()),
        };
        let Some(octets) = request.encode() else {
            return Ok(Finding::Denied(DenyReason::Malformed));
        };
        let outage = |reason: &str| self.outage(reason);
        let exchange = self.exchange(&octets);
        let requests = &self.requests;
        let reply = requests
            .answer(asker, self.settings.timeout, exchange, outage)
            .await?;
        match Reply::decode(&reply) {
            Some(Reply::Granted(name)) => {
                // The domain that was removed belongs to the account.
                let addresses = [name.as_str(), login].into_iter().find(|text| text.contains('@'));
                Ok(Finding::Granted(Account {
                    addresses: addresses.map(str::to_lowercase).into_iter().collect(),
                    login: name,
                    ..Account::default()
                }))
            }
            Some(Reply::Denied(reason)) => Ok(Finding::Denied(reason)),
            Some(Reply::Unavailable(reason)) => Err(self.outage(&reason)),
            None => Err(self.outage("an answer that cannot be understood")),
        }
    }

    /// Through `rhost`.
    fn looks_at_peers(&self) -> bool {
        true
    }
}

/// PAM's name for the account of a login.
fn account_name<'a>(login: &'a str, domains: &[String]) -> &'a str {
    match login.rsplit_once('@') {
        Some((name, domain)) if domains.iter().any(|known| known.eq_ignore_ascii_case(domain)) => name,
        _ => login,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_cut_off() {
        let domains = ["example.org".to_owned()];
        #[rustfmt::skip]
        let cases = [
            ("ann",               "ann",              "no domain"),
            ("ann@example.org",   "ann",              "a listed one"),
            ("ann@Example.ORG",   "ann",              "in other letters"),
            ("ann@other.example", "ann@other.example", "one that is not listed stays, so that nobody is taken for another"),
            ("a@b@example.org",   "a@b",              "the last one counts"),
        ];
        for (login, want, shows) in cases {
            assert_eq!(account_name(login, &domains), want, "{shows}");
        }
        assert_eq!(
            account_name("ann@example.org", &[]),
            "ann@example.org",
            "none listed"
        );
    }
}
