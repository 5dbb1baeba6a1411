//! Recipients as they are named: what they are rewritten to, and who gets copies of their mail.

use postern_directory::rewriting::{Rewritten, Trouble};
use postern_mail::Mailbox;
use postern_policy::access::names::AddressKey;
use postern_policy::copy::CopyOf;
use postern_policy::rewrite::{Class, Client};
use postern_spool::Refusal;

use super::client;
use super::kept::Copy;
use super::settings::ContentSettings;
use crate::session::Session;

impl ContentSettings {
    /// What a recipient named by this client is rewritten to; `None` if it stays.
    ///
    /// # Errors
    ///
    /// A table cannot be asked.
    pub async fn recipient(
        &self,
        client: &Client,
        listener: &str,
        recipient: &Mailbox,
    ) -> Result<Option<Rewritten>, Trouble> {
        let chosen = self.rewriting(client, listener);
        match chosen.filter(|chosen| chosen.is_about(Class::EnvelopeRecipient)) {
            Some(chosen) => chosen.envelope(Class::EnvelopeRecipient, recipient).await,
            None => Ok(None),
        }
    }

    /// Who gets copies of the mail of a recipient named by this client.
    ///
    /// # Errors
    ///
    /// A table cannot be asked.
    pub async fn copies_of(
        &self,
        client: &Client,
        listener: &str,
        recipient: &AddressKey,
        mailbox: &Mailbox,
    ) -> Result<Vec<Copy>, Refusal> {
        let mut copies = Vec::new();
        for rule in self.copies.iter().filter(|rule| rule.is_for(client, listener)) {
            let at_hand = rule.by_recipient(recipient).iter();
            copies.extend(at_hand.map(|to| (rule.name.clone(), to.clone())));
            if let CopyOf::RecipientTable(number) = &rule.of {
                let found = self.look_up(*number, mailbox).await?;
                copies.extend(found.into_iter().map(|to| (rule.name.clone(), to)));
            }
        }
        Ok(copies)
    }
}

/// What a recipient is rewritten to in this session; `None` if it stays.
///
/// # Errors
///
/// A table cannot be asked.
pub(crate) async fn rewritten(recipient: &Mailbox, session: &Session) -> Result<Option<Rewritten>, Trouble> {
    match session
        .profile
        .settings
        .content
        .as_ref()
        .filter(|_| !session.is_filtered())
    {
        Some(settings) => {
            settings
                .recipient(&client(session), session.listener(), recipient)
                .await
        }
        None => Ok(None),
    }
}

/// Who gets copies of the mail of a recipient in this session.
///
/// # Errors
///
/// A table cannot be asked.
pub(crate) async fn copies(recipient: &Mailbox, session: &Session) -> Result<Vec<Copy>, Refusal> {
    let settings = &session.profile.settings;
    let Some(content) = settings.content.as_ref().filter(|_| !session.is_filtered()) else {
        return Ok(Vec::new());
    };
    let key = AddressKey::new(recipient, settings.identity.tag_separator);
    content
        .copies_of(&client(session), session.listener(), &key, recipient)
        .await
}
