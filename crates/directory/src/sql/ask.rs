//! The questions asked of a SQL directory, trying its servers in turn.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use postern_mail::Mailbox;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::account::{self, Answer, Found, Purpose};
use super::query::{Query, dialect};
use super::rows::Rows;
use super::servers::{Connecting, Server, connectable};
use super::settings::{SqlPlace, SqlSettings};
use crate::environment::Environment;
use crate::error::SetUpError;
use crate::failover::Failover;
use crate::foreign::KeyMaker;
use crate::hashing::Hashing;
use crate::keys::KeyKind;
use crate::mark::Mark;
use crate::mistake::refuse_first;
use crate::proof::Proof;
use crate::schemes::{SchemeRules, Stored};
use crate::source::Source;
use crate::time::now;
use crate::verdict::{Account, DenyReason, Finding, KeyFinding, Outage};
use crate::workers::Asker;

/// A SQL directory.
pub(crate) struct Sql {
    password_query: Query,
    recipient_query: Option<Query>,
    key_query: Option<Query>,
    account_query: Option<Query>,
    group_query: Option<Query>,
    allowed_groups: Vec<String>,
    keys: KeyMaker,
    schemes: SchemeRules,
    timeout: Duration,
    servers: Vec<Server>,
    failover: Failover,
    hashing: Hashing,
}

impl Sql {
    /// Checks the settings and reads their files; makes no connection yet.
    pub(crate) fn new(settings: SqlSettings, environment: &Environment) -> Result<Self, SetUpError> {
        refuse_first(settings.mistakes())?;
        let engine = match &settings.place {
            SqlPlace::File(_) => None,
            SqlPlace::Servers(servers) => Some(servers.engine),
        };
        let parse = |key, text: &str| {
            Query::parse(text, dialect(engine)).map_err(|error| SetUpError::setting(key, error))
        };
        let password_query = parse("password_query", &settings.password_query)?;
        let optional = |key, text: &Option<String>| text.as_ref().map(|text| parse(key, text)).transpose();
        let recipient_query = optional("recipient_query", &settings.recipient_query)?;
        let account_query = optional("account_query", &settings.account_query)?;
        let group_query = optional("group_query", &settings.group_query)?;
        let key_query = settings.key_query.as_ref();
        let key_query = key_query
            .map(|text| Query::of_keys(text, dialect(engine)))
            .transpose();
        let key_query = key_query.map_err(|error| SetUpError::setting("key_query", error))?;
        let connecting = Connecting {
            password: None,
            timeout: settings.timeout,
            pool_size: settings.pool_size,
            observers: &environment.observers,
        };
        let (kind, names, servers) = connectable(&settings.place, &connecting)?;
        Ok(Self {
            password_query,
            recipient_query,
            key_query,
            account_query,
            group_query,
            allowed_groups: settings.allowed_groups,
            keys: KeyMaker::new(
                &settings.keys,
                &settings.schemes,
                environment.decoy(),
                settings.workers,
            ),
            schemes: settings.schemes,
            timeout: settings.timeout,
            servers,
            failover: Failover::new(
                kind,
                names,
                settings.retry_primary_after,
                environment.observers.clone(),
            ),
            hashing: Hashing::new(settings.workers, settings.cache_ttl),
        })
    }

    async fn check(
        &self,
        login: &str,
        password: &SecretString,
        end: Instant,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let rows = self.ask(&self.password_query, login, end).await?;
        let mut found = match account::of_rows(&rows, Purpose::Password).map_err(Outage::new)? {
            Answer::Found(found) => found,
            Answer::Unknown => {
                self.hashing.spend(password, asker).await?;
                return Ok(Finding::Denied(DenyReason::UnknownUser));
            }
            Answer::Ambiguous => {
                self.hashing.spend(password, asker).await?;
                return Ok(Finding::Denied(DenyReason::Ambiguous));
            }
        };
        let name = |found: &Found| {
            let typed = || self.password_query.named(login).to_owned();
            found.login.clone().unwrap_or_else(typed)
        };
        let Some(text) = found.stored.take() else {
            self.hashing.spend(password, asker).await?;
            return Ok(Finding::DeniedTo(name(&found), DenyReason::Disabled));
        };
        let stored = Stored::parse(&text, &self.schemes)
            .map_err(|error| Outage::of_entry(format!("the stored password of {login:?}: {error}")))?;
        let mark = Some(mark(Some(&text)));
        let hashed = self.hashing.verify(text, stored, password, found.enabled, asker);
        if !hashed.await? {
            return Ok(Finding::DeniedTo(name(&found), DenyReason::WrongPassword));
        }
        let finding = self.finish(found, self.password_query.named(login), end).await?;
        Ok(marked(finding, mark))
    }

    /// The mark of the stored password, which a query other than the account query finds.
    async fn password_mark(&self, login: &str, end: Instant) -> Result<Mark, Outage> {
        let rows = self.ask(&self.password_query, login, end).await?;
        let answer = account::of_rows(&rows, Purpose::Password).map_err(Outage::new)?;
        Ok(match answer {
            Answer::Found(found) => mark(found.stored.as_ref()),
            Answer::Unknown | Answer::Ambiguous => mark(None),
        })
    }

    /// The account with its groups, if it is enabled and they may log in; `typed` is its name if the rows have
    /// none.
    async fn finish(&self, found: Found, typed: &str, end: Instant) -> Result<Finding, Outage> {
        let mut account = Account {
            login: found.login.unwrap_or_else(|| typed.to_owned()),
            addresses: found.addresses,
            groups: found.groups,
            ..Account::default()
        };
        if let Some(query) = &self.group_query {
            let rows = self.ask(query, &account.login, end).await?;
            for group in account::of_groups(&rows).map_err(Outage::new)? {
                if !account.groups.contains(&group) {
                    account.groups.push(group);
                }
            }
        }
        if !found.enabled {
            return Ok(Finding::DeniedTo(account.login, DenyReason::Disabled));
        }
        let may = |group: &String| self.allowed_groups.contains(group);
        if !self.allowed_groups.is_empty() && !account.groups.iter().any(may) {
            return Ok(Finding::DeniedTo(account.login, DenyReason::NotInGroup));
        }
        Ok(Finding::Granted(account))
    }

    async fn ask(&self, query: &Query, whole: &str, end: Instant) -> Result<Rows, Outage> {
        let ask = |index: usize, deadline| self.servers[index].ask(query, whole, deadline);
        self.failover.ask(end, ask).await
    }
}

#[async_trait]
impl Source for Sql {
    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let end = now() + self.timeout;
        tokio::time::timeout_at(end.into(), self.check(login, password, end, asker))
            .await
            .unwrap_or_else(|_| {
                let ms = self.timeout.as_millis();
                Err(Outage::busy(format!("no time to hash within {ms} ms")))
            })
    }

    async fn find_account(&self, login: &str) -> Result<Finding, Outage> {
        let end = now() + self.timeout;
        let (query, purpose) = match &self.account_query {
            Some(query) => (query, Purpose::Account),
            None => (&self.password_query, Purpose::Password),
        };
        let rows = self.ask(query, login, end).await?;
        match account::of_rows(&rows, purpose).map_err(Outage::new)? {
            Answer::Found(found) => {
                let mark = match purpose {
                    Purpose::Password => Some(mark(found.stored.as_ref())),
                    // Without an answer, nothing is known about it.
                    _ => self.password_mark(login, end).await.ok(),
                };
                let finding = self.finish(found, query.named(login), end).await?;
                Ok(marked(finding, mark))
            }
            Answer::Unknown => Ok(Finding::Denied(DenyReason::UnknownUser)),
            Answer::Ambiguous => Ok(Finding::Denied(DenyReason::Ambiguous)),
        }
    }

    fn knows_recipients(&self) -> bool {
        self.recipient_query.is_some()
    }

    async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        let Some(query) = &self.recipient_query else {
            return Ok(false);
        };
        let end = now() + self.timeout;
        let rows = self.ask(query, &address.key(), end).await?;
        Ok(account::of_recipient(&rows))
    }

    fn keeps(&self, kind: &KeyKind) -> bool {
        self.keys.keeps(kind)
    }

    async fn lookup_key(&self, login: &str, kind: &KeyKind, asker: &Asker) -> Result<KeyFinding, Outage> {
        let end = now() + self.timeout;
        let (query, purpose) = match &self.key_query {
            Some(query) => (&query.for_mechanism(kind.name()), Purpose::Keys),
            None => (&self.password_query, Purpose::Password),
        };
        let rows = self.ask(query, login, end).await?;
        let (finding, texts) = match account::of_rows(&rows, purpose).map_err(Outage::new)? {
            Answer::Found(mut found) => {
                let mut texts = std::mem::take(&mut found.keys);
                texts.extend(found.stored.take());
                (self.finish(found, query.named(login), end).await?, texts)
            }
            other => {
                if let Some(query) = &self.group_query {
                    self.ask(query, login, end).await?;
                }
                let reason = match other {
                    Answer::Ambiguous => DenyReason::Ambiguous,
                    _ => DenyReason::UnknownUser,
                };
                (Finding::Denied(reason), Vec::new())
            }
        };
        self.keys.answer(kind, login, (finding, texts), asker, end).await
    }

    fn finds_accounts(&self) -> bool {
        true
    }
}

/// The mark of a stored password; the absence of one has its own mark.
fn mark(stored: Option<&Zeroizing<String>>) -> Mark {
    Mark::of(stored.map(|text| text.as_bytes()))
}

fn marked(finding: Finding, mark: Option<Mark>) -> Finding {
    match finding {
        Finding::Granted(account) => Finding::Granted(Account {
            proof: Proof::of_password(mark),
            ..account
        }),
        denied => denied,
    }
}
