//! Tables of routes that have to be asked for each recipient: databases, patterns.

use std::fmt;

use postern_mail::Mailbox;

use super::Target;

/// By which part of it a recipient was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NamedBy {
    /// Its whole address.
    Address,
    /// Its address without the detail.
    WithoutDetail,
    /// Its domain.
    Domain,
    /// A domain above its own, which has so many labels.
    Below(usize),
    /// `*`.
    All,
}

/// A route that a table has for a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AskedRoute {
    /// By what it was found.
    pub by: NamedBy,
    /// Where to.
    pub target: Target,
    /// The table, for people.
    pub place: String,
}

/// Answers of a table that somebody asks beforehand, so that a decision need not wait.
pub trait AskedRoutes: fmt::Debug + Send + Sync {
    /// The route that the table has for a recipient. [`Target::Unknown`], found by the whole address, where it was not asked about
    /// it or did not answer: what it would have said may go before everything else.
    fn route_of(&self, recipient: &Mailbox) -> Option<AskedRoute>;
}
