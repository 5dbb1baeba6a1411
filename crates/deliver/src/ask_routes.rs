//! Tables of routes that have to be asked before mail takes a way.

use std::fmt;

use postern_mail::Mailbox;

use crate::mailboxes::Asked;

/// A table of routes that is asked for each recipient. What it said is kept by the
/// [`AskedRoutes`](postern_policy::route::AskedRoutes) of [`Settings::routes`](crate::Settings::routes); where it cannot be asked,
/// those say [`Unknown`](postern_policy::route::Target::Unknown), and the mail is deferred.
pub trait AskRoutes: fmt::Debug + Send + Sync {
    /// Whether nobody need be asked about a recipient.
    fn knows(&self, recipient: &Mailbox) -> bool;

    /// Asks about a recipient.
    fn learn<'a>(&'a self, recipient: &'a Mailbox) -> Asked<'a, ()>;
}
