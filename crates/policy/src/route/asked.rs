//! Tables of routes that must be asked for each recipient: databases, patterns.

use std::fmt;

use postern_mail::Mailbox;

use super::Target;

/// The key by which a recipient was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NamedBy {
    /// Its whole address.
    Address,
    /// Its address without the detail.
    WithoutDetail,
    /// Its domain.
    Domain,
    /// A parent domain, with this many labels.
    Below(usize),
    /// `*`.
    All,
}

/// A route that a table has for a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AskedRoute {
    /// The key by which it was found.
    pub by: NamedBy,
    /// Where to.
    pub target: Target,
    /// The table, for people.
    pub place: String,
}

/// The answers of a table that is asked beforehand, so that a decision need not wait.
pub trait AskedRoutes: fmt::Debug + Send + Sync {
    /// The table's route for a recipient. [`Target::Unknown`], by the whole address, if it was not asked or did not answer, since
    /// its answer might come before everything else.
    fn route_of(&self, recipient: &Mailbox) -> Option<AskedRoute>;
}
