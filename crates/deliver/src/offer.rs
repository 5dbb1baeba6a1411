//! A message on offer to a peer.

use postern_mail::sevenbit::Plan;
use postern_mail::{Recipient, ReversePath};
use postern_smtp::client::command::Declared;
use postern_smtp::client::{Capabilities, Order, needs};
use postern_spool::{Message, Spool};

use crate::exchange::{EAGER_MAX, Exchanged, exchange};
use crate::session::Session;
use crate::settings::Settings;

/// One message on offer to a peer, whatever is declared about it.
pub(crate) struct Offer<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) spool: &'a dyn Spool,
    pub(crate) message: &'a Message,
    /// How its content is converted on the way.
    pub(crate) plan: Option<&'a Plan>,
    /// Octets of its content, as it is sent.
    pub(crate) size: u64,
    /// The rewritten sender, if it is forwarded.
    pub(crate) rewritten: Option<ReversePath>,
}

impl Offer<'_> {
    /// The sender to give in `MAIL`.
    pub(crate) fn sender(&self) -> &ReversePath {
        self.rewritten.as_ref().unwrap_or(&self.message.envelope.sender)
    }

    /// Hands it over to these recipients.
    pub(crate) async fn make(
        &self,
        session: &mut Session,
        peer: &Capabilities,
        declared: Declared,
        recipients: &[&Recipient],
    ) -> Exchanged {
        let order = Order {
            envelope: &self.message.envelope,
            sender: self.sender(),
            recipients,
            declared,
            size: self.size,
            chunking: self.settings.chunking && session.bdat,
            eager: self.size <= EAGER_MAX,
        };
        let timeouts = &self.settings.timeouts;
        exchange(
            session,
            peer,
            timeouts,
            self.spool,
            self.message,
            self.plan,
            order,
        )
        .await
    }
}

/// The recipient that determines what a transaction declares: one that needs SMTPUTF8, or else any.
pub(crate) fn deciding<'a>(addressed: &[&'a Recipient]) -> Option<&'a Recipient> {
    addressed
        .iter()
        .find(|recipient| !needs::is_ascii(&recipient.address))
        .or_else(|| addressed.first())
        .copied()
}
