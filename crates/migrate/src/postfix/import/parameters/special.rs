//! What Postfix-specific parameters become.

use crate::settings;

/// What Postfix-specific parameters become.
#[derive(Clone, Copy, Debug)]
pub enum Special {
    /// The greeting.
    Greeting,
    /// Extensions that are not offered.
    Extensions,
    /// A switch to a key.
    Switch(&'static str, &'static str),
}

impl settings::Special for Special {
    fn shown(&self) -> String {
        match self {
            Self::Greeting => settings::key("", "greeting"),
            Self::Extensions => "`[extensions]`".to_owned(),
            Self::Switch(section, key) => settings::key(section, key),
        }
    }
}
