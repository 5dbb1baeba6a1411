//! Own users as a source of accounts.

use std::sync::Arc;

use async_trait::async_trait;
use postern_mail::Mailbox;
use secrecy::SecretString;

use super::directory::{Users, blocking};
use super::proof::OwnProof;
use super::store::canonical;
use crate::keys::KeyKind;
use crate::source::Source;
use crate::verdict::{DenyReason, Finding, KeyFinding, Outage};
use crate::workers::Asker;

#[async_trait]
impl Source for Users {
    /// A change made by another process counts at once: it invalidates what was cached.
    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        if let Some(finding) = self.shared.remembered(login, password) {
            return Ok(finding);
        }
        let timeout = self.shared.settings.timeout;
        tokio::time::timeout(timeout, self.check(login, password, asker))
            .await
            .unwrap_or_else(|_| {
                Err(Outage::busy(format!(
                    "no time to hash within {} ms",
                    timeout.as_millis()
                )))
            })
    }

    fn finds_accounts(&self) -> bool {
        true
    }

    async fn find_account(&self, login: &str) -> Result<Finding, Outage> {
        let (shared, login) = (self.shared.clone(), login.to_owned());
        self.in_time(blocking(move || {
            let store = shared.store()?;
            Ok(match store.record(&login)? {
                None => {
                    store.nobody()?;
                    Finding::Denied(DenyReason::UnknownUser)
                }
                Some(record) if !record.enabled => Finding::Denied(DenyReason::Disabled),
                Some(record) => {
                    let proof = OwnProof::otherwise(&record);
                    Finding::Granted(shared.account(record, proof))
                }
            })
        }))
        .await
    }

    fn knows_recipients(&self) -> bool {
        true
    }

    async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        let (shared, address) = (Arc::clone(&self.shared), address.clone());
        let timeout = self.shared.settings.timeout;
        tokio::time::timeout(timeout, blocking(move || shared.has_address(&address)))
            .await
            .unwrap_or_else(|_| {
                Err(Outage::new(format!(
                    "no answer within {} ms",
                    timeout.as_millis()
                )))
            })
    }

    fn keeps(&self, kind: &KeyKind) -> bool {
        self.shared.settings.keys.kinds.contains(kind)
    }

    async fn lookup_key(&self, login: &str, kind: &KeyKind, asker: &Asker) -> Result<KeyFinding, Outage> {
        let (shared, login, kind) = (self.shared.clone(), login.to_owned(), kind.clone());
        let peer = asker.peer;
        self.in_time(blocking(move || {
            let store = shared.store()?;
            let record = store.record(&login)?;
            let key = store.key(&canonical(&login), &kind)?;
            Ok(match (record, key) {
                (None, _) => shared.labelled_key(&store, &login, &kind, peer)?,
                (Some(record), _) if !record.enabled => KeyFinding::Denied(DenyReason::Disabled),
                (Some(_), None) => {
                    store.nobody()?;
                    KeyFinding::Denied(DenyReason::NoKey)
                }
                (Some(record), Some(key)) => KeyFinding::Found {
                    account: shared.account_by_password(record),
                    key,
                },
            })
        }))
        .await
    }
}
