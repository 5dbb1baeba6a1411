//! What the directories' own crate finds wrong with a setting, at the line where it stands.

use postern_directory::Mistake;

use crate::config::problem::{Problems, Span};

/// Adds what the crate of directories finds wrong with a setting.
pub(super) fn tell(mistake: Mistake, at: Option<Span>, problems: &mut Problems) {
    // What was no good by itself has been complained of.
    if !problems.are_within(at.as_ref()) {
        let title = format!("`{}` {}", mistake.key, mistake.what);
        problems.error(at, title, "cannot be used", mistake.remedy);
    }
}
