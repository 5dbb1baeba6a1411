//! Expands the aliases of addresses that this server's rules have put into an envelope, as if a client had named them.

use std::collections::HashSet;

use postern_directory::{Lead, Member};
use postern_mail::{Envelope, Mailbox, Recipient};
use postern_spool::Refusal;

use super::refusal::for_now;
use crate::recipient::lead;
use crate::session::Session;

/// The recipients that the client named, after alias expansion.
#[derive(Debug)]
pub(crate) struct Named(HashSet<String>);

impl Named {
    /// The recipients of an envelope that no rule has changed yet.
    pub(crate) fn of(envelope: &Envelope) -> Self {
        let addresses = envelope
            .recipients
            .iter()
            .map(|recipient| recipient.address.key());
        Self(addresses.collect())
    }

    /// Expands the aliases of the other recipients.
    ///
    /// # Errors
    ///
    /// A directory or table cannot be asked.
    pub(crate) async fn follow_others(
        &self,
        envelope: &mut Envelope,
        session: &Session,
    ) -> Result<(), Refusal> {
        let is_named = |recipient: &Recipient| self.0.contains(&recipient.address.key());
        if envelope.recipients.iter().all(is_named) {
            return Ok(());
        }
        let mut recipients: Vec<Recipient> = Vec::with_capacity(envelope.recipients.len());
        for recipient in std::mem::take(&mut envelope.recipients) {
            if is_named(&recipient) {
                recipients.push(recipient);
                continue;
            }
            for Member { address, sender } in members(&recipient.address, session).await.map_err(for_now)? {
                if recipients.iter().all(|known| known.address != address) {
                    envelope.smtputf8 |= !address.is_ascii();
                    let sender = sender.or_else(|| recipient.sender.clone());
                    recipients.push(Recipient {
                        address,
                        sender,
                        ..recipient.clone()
                    });
                }
            }
        }
        envelope.recipients = recipients;
        Ok(())
    }
}

/// Where mail goes that a rule redirects to an address. An unknown user is kept: delivery reports it.
///
/// # Errors
///
/// Why it cannot be looked up now.
pub(crate) async fn members(to: &Mailbox, session: &Session) -> Result<Vec<Member>, String> {
    match lead(to, session).await {
        Lead::Alias(members) => Ok(members),
        Lead::Unknown(reason) => Err(reason),
        Lead::Itself | Lead::Refused(_) | Lead::Broken | Lead::Nobody => Ok(vec![Member::new(to.clone())]),
    }
}
