//! What a rule, a table or a policy service wants done.

use std::sync::Arc;

use postern_mail::{Mailbox, NewField, Status};

use crate::route::Detour;

/// What a rule does when its conditions hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// No further rules are judged: the message is accepted, or goes on to its next stage. With `relay`, remote recipients are
    /// accepted too.
    Accept {
        /// Whether it is a reason to relay.
        relay: bool,
    },
    /// Refused with this reply, for good or for now.
    Refuse(Words),
    /// Refused with this reply, unless another rule refuses it: later rules are still judged, but none of them can accept it.
    RefuseAtEnd(Words),
    /// Accepted and discarded; the client is told `250`. No further rules are judged.
    Discard,
    /// The message is accepted and held until an administrator releases it; the next rule is judged.
    Hold(Box<str>),
    /// The mail is redirected to this address; the next rule is judged.
    Redirect(Mailbox),
    /// A copy of the message goes to this address; the next rule is judged.
    Copy(Mailbox),
    /// The message takes this route, whatever its recipients; the last of several counts. The next rule is judged.
    Detour(Arc<Detour>),
    /// The message gets this field on top; the next rule is judged.
    Tag(NewField),
    /// Counted against the limit with this number, and refused for now beyond it.
    Limit(usize),
    /// The policy service with this number decides.
    Service(usize),
    /// The look-up with this number decides.
    LookUp(usize),
    /// The rules of the class with this number are judged.
    Class(usize),
    /// The same, but when the class accepts, the next rule is still judged, as with each of Postfix's restriction lists.
    Part(usize),
    /// Several actions in order.
    Several(Vec<Self>),
    /// Noted in the log; the next rule is judged.
    Note(Box<str>),
    /// The next rule is judged.
    Continue,
}

/// What a refused client is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Words {
    /// 400 to 599.
    pub code: u16,
    /// The enhanced status code, of the same class.
    pub status: Status,
    /// The text, of printable ASCII.
    pub text: Box<str>,
}

/// A text that cannot be used in a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadWords {
    /// The code is not that of a refusal.
    #[error("a refusal has a code from 400 to 599; write for example 550")]
    Code,
    /// The enhanced status code is of another class.
    #[error("the first digits of code and status differ; write 5.x.x with a code of 5xx, and 4.x.x with 4xx")]
    Class,
    /// The text is too long, or not printable ASCII.
    #[error("not up to 400 printable ASCII characters; shorten it")]
    Text,
}

/// Longest text of a reply, in octets, not counting values filled in.
const TEXT_MAX: usize = 400;

impl Words {
    /// The reply if the rule has none of its own.
    pub const USUAL: (u16, Status, &'static str) = (550, Status(5, 7, 1), "Access denied");

    /// The reply to a temporary refusal.
    pub const USUAL_FOR_NOW: (u16, Status, &'static str) =
        (450, Status(4, 7, 1), "Access denied for now, try again later");

    /// Checks them.
    ///
    /// # Errors
    ///
    /// [`BadWords`].
    pub fn new(code: u16, status: Status, text: &str) -> Result<Self, BadWords> {
        if !(400..=599).contains(&code) {
            return Err(BadWords::Code);
        }
        if u16::from(status.0) != code / 100 {
            return Err(BadWords::Class);
        }
        if text.is_empty()
            || text.len() > TEXT_MAX
            || !text.bytes().all(|octet| (b' '..=b'~').contains(&octet))
        {
            return Err(BadWords::Text);
        }
        Ok(Self {
            code,
            status,
            text: text.into(),
        })
    }

    /// A reply of this program.
    #[must_use]
    pub fn fixed((code, status, text): (u16, Status, &'static str)) -> Self {
        Self {
            code,
            status,
            text: text.into(),
        }
    }

    /// The text with `{address}`, `{helo}`, `{sender}`, `{recipient}` and `{name}` filled in: what the client said about itself
    /// and its mail, and its forward-confirmed host name.
    #[must_use]
    pub fn filled(&self, values: &[(&str, &str)]) -> String {
        let mut text = String::with_capacity(self.text.len());
        let mut rest: &str = &self.text;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let value = after.split_once('}').and_then(|(name, behind)| {
                let mut values = values.iter();
                values
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value, behind))
            });
            match value {
                Some((value, behind)) => {
                    text.extend(value.chars().take(256));
                    rest = behind;
                }
                None => {
                    text.push('{');
                    rest = after;
                }
            }
        }
        text.push_str(rest);
        text
    }
}

impl Action {
    /// Whether it can let mail be accepted that a later rule would refuse.
    pub(super) fn may_accept(&self, of_class: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Accept { .. } | Self::Discard | Self::Service(_) | Self::LookUp(_) => true,
            Self::Class(class) | Self::Part(class) => of_class(*class),
            Self::Several(actions) => actions.iter().any(|action| action.may_accept(of_class)),
            Self::Refuse(_)
            | Self::RefuseAtEnd(_)
            | Self::Hold(_)
            | Self::Redirect(_)
            | Self::Copy(_)
            | Self::Detour(_)
            | Self::Tag(_)
            | Self::Limit(_)
            | Self::Note(_)
            | Self::Continue => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(Words::new(250, Status(2, 0, 0), "x"), Err(BadWords::Code));
        assert_eq!(Words::new(600, Status(6, 0, 0), "x"), Err(BadWords::Code));
        assert_eq!(Words::new(450, Status(5, 7, 1), "x"), Err(BadWords::Class));
        for text in ["", "a\r\nb", "\u{e4}", &"x".repeat(401)] {
            assert_eq!(
                Words::new(550, Status(5, 7, 1), text),
                Err(BadWords::Text),
                "{text}"
            );
        }
        for (code, status, text) in [Words::USUAL, Words::USUAL_FOR_NOW] {
            assert!(Words::new(code, status, text).is_ok());
        }
    }

    #[test]
    fn what_is_filled_in() {
        let values = [("address", "192.0.2.1"), ("helo", "{sender}")];
        #[rustfmt::skip]
        let cases = [
            ("see http://x.example/{address}",  "see http://x.example/192.0.2.1"),
            ("{helo} {helo}",                   "{sender} {sender}"),
            ("{unknown} {",                     "{unknown} {"),
            ("{{address}}",                     "{192.0.2.1}"),
            ("plain",                           "plain"),
        ];
        for (text, expected) in cases {
            let words = Words::new(550, Status(5, 7, 1), text).unwrap();
            assert_eq!(words.filled(&values), expected);
        }
    }
}
