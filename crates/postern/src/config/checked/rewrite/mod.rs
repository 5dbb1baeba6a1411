//! Rewriting, header checks and copies: one way for each rule, tables that can be read, patterns that compile, no circles.

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

/// What was made of the three.
pub(super) struct Content {
    /// For what comes in; `None` where there is nothing.
    pub(super) coming_in: Option<Arc<ContentSettings>>,
    /// For what goes out, likewise.
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
