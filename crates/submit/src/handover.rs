//! The envelope of a message submitted by a local program: not yet checked by the server.

use postern_mail::{Notify, Ret};

/// Longest address or id in octets. Longer ones are refused before anything is sent.
pub const WORD_MAX: usize = 1_000;

/// Sender, recipients and requests for reports. Nothing in it was checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Handover {
    /// The sender; empty for `<>`, `None` for the user's own address.
    pub sender: Option<String>,
    /// The recipients, at least one. They may lack a domain.
    pub recipients: Vec<String>,
    /// Which reports are wanted for each.
    pub notify: Notify,
    /// How much of the message a report returns.
    pub ret: Option<Ret>,
    /// The envelope's id (RFC 3461 section 4.4).
    pub envid: Option<String>,
}

/// A word that cannot be used in a command.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{word:?} is not an address: it is longer than {WORD_MAX} octets, or holds a control character or an angle bracket"
)]
pub struct BadWord {
    /// The beginning of the word.
    pub word: String,
}

impl Handover {
    /// Checks whether all words can be used in a command.
    ///
    /// # Errors
    ///
    /// The first that cannot.
    pub fn check(&self) -> Result<(), BadWord> {
        let words = self.recipients.iter().chain(&self.sender).chain(&self.envid);
        let mut bad = words.filter(|word| !fits(word));
        match bad.next() {
            None => Ok(()),
            Some(word) => Err(BadWord {
                word: word.chars().take(100).collect(),
            }),
        }
    }
}

/// Whether a word can be used between the angle brackets of a command. A bracket in quotes is rare enough to be refused.
pub(crate) fn fits(word: &str) -> bool {
    word.len() <= WORD_MAX && !word.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_would_be_commands() {
        let with = |recipient: &str| Handover {
            recipients: vec![recipient.to_owned()],
            ..Handover::default()
        };
        for good in ["anna", "anna@x.example", "\"anna berg\"@x.example", "j\u{f6}rg"] {
            assert_eq!(with(good).check(), Ok(()), "{good}");
        }
        for bad in [
            "a>\r\nRCPT TO:<b",
            "a\nb",
            "a> NOTIFY=NEVER",
            "a\u{85}b",
            &"a".repeat(2_000),
        ] {
            assert!(with(bad).check().is_err(), "{bad}");
        }
        let sender = Handover {
            sender: Some("a\rb".into()),
            ..with("b")
        };
        assert!(sender.check().is_err());
    }
}
