//! A route for a single message, whatever its recipients: Postfix's `FILTER`.

use std::fmt;

use super::entry::{BadEntry, EntryForm, target_of};
use super::target::Target;

/// Longest text of a detour, in octets.
const TEXT_MAX: usize = 1_024;

/// Where a message goes instead of its recipients' routes, usually to a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Detour {
    text: Box<str>,
    target: Target,
}

impl Detour {
    /// Reads one in the form of right sides in Postfix's transport(5): `smtp:[127.0.0.1]:10024`, `lmtp:unix:/run/filter`, `smtp:`
    /// for the hosts of each recipient's domain.
    ///
    /// # Errors
    ///
    /// [`BadEntry`].
    pub fn parse(text: &str) -> Result<Self, BadEntry> {
        let text = text.trim();
        if text.is_empty() || text.len() > TEXT_MAX {
            return Err(BadEntry::Host(text.chars().take(100).collect()));
        }
        let target = target_of(text, EntryForm::Transport, 25)?;
        let text = text.into();
        Ok(Self { text, target })
    }

    /// Where to.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The text as configured.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
