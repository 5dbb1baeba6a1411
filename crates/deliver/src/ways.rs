//! Asks tables of routes about recipients, so that their routes are known.

use futures_util::stream::{self, StreamExt as _};
use postern_mail::Mailbox;
use postern_spool::Message;

use crate::settings::Settings;
use crate::work::Due;

/// Recipients asked about concurrently. How many questions a database gets at once is decided by
/// its pool.
const AT_ONCE: usize = 32;

/// Whether the routes of these recipients are already known.
pub(crate) fn are_known<'a>(mut recipients: impl Iterator<Item = &'a Mailbox>, settings: &Settings) -> bool {
    let tables = &settings.route_tables;
    tables.is_empty() || recipients.all(|recipient| tables.iter().all(|table| table.knows(recipient)))
}

/// Asks the tables about these recipients.
pub(crate) async fn learn(recipients: Vec<Mailbox>, settings: &Settings) {
    if are_known(recipients.iter(), settings) {
        return;
    }
    stream::iter(recipients)
        .for_each_concurrent(AT_ONCE, |recipient| async move {
            for table in &settings.route_tables {
                table.learn(&recipient).await;
            }
        })
        .await;
}

/// The addresses of these recipients.
pub(crate) fn addresses<'a>(message: &'a Message, dues: &'a [Due]) -> impl Iterator<Item = &'a Mailbox> {
    let recipients = &message.envelope.recipients;
    dues.iter()
        .filter_map(|due| recipients.get(due.index as usize))
        .map(|recipient| &recipient.address)
}
