//! The way of one message alone, whoever it is for: Postfix's `FILTER`.

use std::fmt;

use super::Target;
use super::entry::{BadEntry, EntryForm, target_of};

/// Longest text of one, in octets.
const TEXT_MAX: usize = 1_024;

/// Where all mail of one message goes, in place of where its recipients' mail goes: mostly to a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Detour {
    text: Box<str>,
    target: Target,
}

impl Detour {
    /// Reads one as Postfix's transport(5) writes right sides: `smtp:[127.0.0.1]:10024`, `lmtp:unix:/run/filter`, `smtp:` for the hosts of
    /// each recipient's domain.
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

    /// As it was written.
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
