//! The questions that any kind of directory can answer.
//!
//! A new kind implements this and gets a line in `set_up` of `directories`. It is only asked what it says it supports.

use async_trait::async_trait;
use postern_mail::Mailbox;
use secrecy::SecretString;

use crate::keys::KeyKind;
use crate::verdict::{DenyReason, Finding, KeyFinding, Outage};
use crate::workers::Asker;

/// One source of accounts.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// Whether this is the login's password. Never called with an empty one.
    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage>;

    /// Whether the answer to that depends on the client's address in ways that only the directory knows.
    fn looks_at_peers(&self) -> bool {
        false
    }

    /// Whether it can find an account without its password.
    fn finds_accounts(&self) -> bool {
        false
    }

    /// The account of a login, without its password; only where [`finds_accounts`](Self::finds_accounts).
    async fn find_account(&self, _login: &str) -> Result<Finding, Outage> {
        Ok(Finding::Denied(DenyReason::UnknownUser))
    }

    /// Whether it knows which addresses exist.
    fn knows_recipients(&self) -> bool {
        false
    }

    /// Whether an address belongs to an account; only where [`knows_recipients`](Self::knows_recipients).
    async fn recipient_exists(&self, _address: &Mailbox) -> Result<bool, Outage> {
        Ok(false)
    }

    /// Whether there are keys of this kind.
    fn keeps(&self, _kind: &KeyKind) -> bool {
        false
    }

    /// The key of a login; only where [`keeps`](Self::keeps) it. The directory is asked the same questions whether there is one
    /// or not.
    async fn lookup_key(&self, _login: &str, _kind: &KeyKind, _asker: &Asker) -> Result<KeyFinding, Outage> {
        Ok(KeyFinding::Denied(DenyReason::UnknownUser))
    }

    /// Checks whether it answers with a question that needs no login, if there is one.
    async fn probe(&self) -> Option<Result<(), Outage>> {
        None
    }
}
