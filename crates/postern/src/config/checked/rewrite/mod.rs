//! Rewriting, header checks and copies: one way for each rule, readable tables, patterns that compile, no loops.

mod checks;
mod circles;
mod common;
mod copies;
mod rules;

use std::sync::Arc;

use postern_deliver::Outward;
use postern_policy::header_check::Check;
use postern_receive::ContentSettings;

use super::Checking;
use crate::outward::OutwardRules;

pub(super) use self::common::origin;

/// The result of all three.
pub(super) struct Content {
    /// For incoming mail; `None` if there is nothing.
    pub(super) coming_in: Option<Arc<ContentSettings>>,
    /// For outgoing mail, likewise.
    pub(super) going_out: Option<Arc<dyn Outward>>,
}

pub(super) fn check(c: &mut Checking<'_>) -> Content {
    let rewriting = rules::check(c).map(Arc::new);
    let checks: Arc<[Check]> = checks::check(c).into();
    let (copies, copy_tables) = copies::check(c);
    let settings = ContentSettings {
        rewriting: rewriting.clone(),
        checks: Arc::clone(&checks),
        copies,
        copy_tables,
    };
    Content {
        coming_in: (!settings.is_empty()).then(|| Arc::new(settings)),
        going_out: OutwardRules::new(rewriting, checks).map(|rules| Arc::new(rules) as Arc<dyn Outward>),
    }
}
