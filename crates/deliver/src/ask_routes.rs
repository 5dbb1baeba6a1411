//! Tables of routes that must be asked before mail is routed.

use std::fmt;

use postern_mail::Mailbox;

use crate::mailboxes::Asked;

/// A table of routes that is asked for each recipient. Its answers are kept by the
/// [`AskedRoutes`](postern_policy::route::AskedRoutes) of [`Settings::routes`](crate::Settings::routes); if it cannot be asked,
/// those return [`Unknown`](postern_policy::route::Target::Unknown), and the mail is deferred.
pub trait AskRoutes: fmt::Debug + Send + Sync {
    /// Whether the answer for a recipient is already known.
    fn knows(&self, recipient: &Mailbox) -> bool;

    /// Asks about a recipient.
    fn learn<'a>(&'a self, recipient: &'a Mailbox) -> Asked<'a, ()>;
}
