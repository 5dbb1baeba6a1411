//! Who gets copies: by the sender once the message is complete, by a recipient when it is named.

use postern_directory::tables::{Lookup, find_in};
use postern_mail::{Mailbox, ParseOptions, ReversePath};
use postern_policy::access::names::AddressKey;
use postern_policy::copy::{COPIES_MAX, CopyOf};
use postern_spool::Refusal;
use postern_table::{Address, Plan, Subject};

use super::Content;
use super::kept::Copy;
use super::refusal::down;
use super::settings::ContentSettings;

impl Content {
    pub(super) async fn copies_by_sender(&self, sender: &ReversePath) -> Result<Vec<Copy>, Refusal> {
        let mailbox = sender.mailbox();
        let key = mailbox.map(|mailbox| AddressKey::new(mailbox, None));
        let mut copies = Vec::new();
        let rules = self.settings.copies.iter();
        for rule in rules.filter(|rule| rule.is_for(&self.client, &self.listener)) {
            let at_hand = rule.by_sender(key.as_ref()).iter();
            copies.extend(at_hand.map(|to| (rule.name.clone(), to.clone())));
            if let (CopyOf::SenderTable(number), Some(mailbox)) = (&rule.of, mailbox) {
                let found = self.settings.look_up(*number, mailbox).await?;
                copies.extend(found.into_iter().map(|to| (rule.name.clone(), to)));
            }
        }
        Ok(copies)
    }
}

impl ContentSettings {
    /// The addresses that a table names for copies of an address's mail.
    pub(super) async fn look_up(&self, number: usize, address: &Mailbox) -> Result<Vec<Mailbox>, Refusal> {
        let tables: &[Lookup] = self.copy_tables.get(number).map_or(&[], Vec::as_slice);
        let (local, domain) = (
            address.unquoted_local().into_owned(),
            address.domain().to_string(),
        );
        let parts = Address {
            local: &local,
            domain: &domain,
            separators: "+",
            is_local: false,
        };
        let keys = Plan::Address.keys(&Subject::Address(parts));
        let hit = find_in(tables, &keys).await.map_err(|error| down(&error))?;
        let options = ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        };
        let found = hit.into_iter().flat_map(|hit| {
            let values = hit.answer.value.split([',', ' ', '\t']).map(str::to_owned);
            values.collect::<Vec<_>>()
        });
        Ok(found
            .filter_map(|text| Mailbox::parse(&text, &options).ok())
            .take(COPIES_MAX)
            .collect())
    }
}
