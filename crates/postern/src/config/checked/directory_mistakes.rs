//! Mistakes in settings found by the directories' own crate, at the line of the setting.

use postern_directory::Mistake;

use crate::config::problem::{Problems, Span};

/// Adds a mistake in a setting found by the directories' crate.
pub(super) fn tell(mistake: Mistake, at: Option<Span>, problems: &mut Problems) {
    // Values that are invalid by themselves have already been reported.
    if !problems.are_within(at.as_ref()) {
        let title = format!("`{}` {}", mistake.key, mistake.what);
        problems.error(at, title, "cannot be used", mistake.remedy);
    }
}
