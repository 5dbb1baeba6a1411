//! Tables as a directory: they say which addresses exist, but check no passwords.

use async_trait::async_trait;
use postern_mail::Mailbox;
use postern_table::{Address, Plan, Subject};
use secrecy::SecretString;

use super::{Lookup, find_in};
use crate::source::Source;
use crate::verdict::{DenyReason, Finding, Outage};
use crate::workers::Asker;

/// Tables of recipients. An address exists if one of them has a value for it: for the whole address, for its user name, or for
/// its whole domain (`@domain`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableSettings {
    /// The tables, in search order.
    pub recipients: Vec<Lookup>,
}

/// Such a directory.
pub(crate) struct TableDirectory {
    settings: TableSettings,
}

impl TableDirectory {
    pub(crate) const fn new(settings: TableSettings) -> Self {
        Self { settings }
    }

    async fn has(&self, address: &Mailbox) -> Result<bool, Outage> {
        let (local, domain) = (address.unquoted_local(), address.domain().to_string());
        // The caller removes details.
        let keys = Plan::Address.keys(&Subject::Address(Address {
            local: &local,
            domain: &domain,
            separators: "",
            is_local: true,
        }));
        find_in(&self.settings.recipients, &keys)
            .await
            .map(|found| found.is_some())
            .map_err(|down| Outage::new(down.to_string()))
    }
}

#[async_trait]
impl Source for TableDirectory {
    async fn check_password(&self, _: &str, _: &SecretString, _: &Asker) -> Result<Finding, Outage> {
        Ok(Finding::Denied(DenyReason::UnknownUser))
    }

    fn knows_recipients(&self) -> bool {
        true
    }

    async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        self.has(address).await
    }
}
