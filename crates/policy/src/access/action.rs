//! What a rule, a table or a policy service wants done.

use std::sync::Arc;

use postern_mail::{Mailbox, NewField, Status};

use crate::route::Detour;

/// What a rule does when its conditions hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Nothing is asked any further: the message is taken, or may come to its next stage. `relay` also takes mail for recipients
    /// elsewhere.
    Accept {
        /// Whether it is a reason to relay.
        relay: bool,
    },
    /// Refused in these words, for good or for now.
    Refuse(Words),
    /// Refused in these words, unless another rule refuses it: rules that follow are still judged, and none of them can accept it.
    RefuseAtEnd(Words),
    /// Taken and thrown away; the client hears that all is well. Nothing is asked any further.
    Discard,
    /// The message is taken and held until an administrator releases it; the next rule is judged.
    Hold(Box<str>),
    /// The mail goes to this address instead; the next rule is judged.
    Redirect(Mailbox),
    /// A copy of the message goes to this address; the next rule is judged.
    Copy(Mailbox),
    /// The message goes this way, whoever it is for; of several the last one counts. The next rule is judged.
    Detour(Arc<Detour>),
    /// The message gets this field on top; the next rule is judged.
    Tag(NewField),
    /// Counted against the limit with this number, and refused for now beyond it.
    Limit(usize),
    /// The policy service with this number says what is done.
    Service(usize),
    /// The look-up with this number says what is done.
    LookUp(usize),
    /// The rules of the class with this number are judged.
    Class(usize),
    /// The same, but what the class accepts is only accepted as far as the class is concerned: the next rule is judged. So it is with
    /// each of Postfix's lists of restrictions.
    Part(usize),
    /// One after the other.
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

/// Words that cannot stand in a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadWords {
    /// The code is none of a refusal.
    #[error("a refusal has a code from 400 to 599; write for example 550")]
    Code,
    /// The enhanced status code is of another class.
    #[error("the first digits of code and status differ; write 5.x.x with a code of 5xx, and 4.x.x with 4xx")]
    Class,
    /// The text is too long, or not printable ASCII.
    #[error("not up to 400 printable ASCII characters; shorten it")]
    Text,
}

/// Longest text of a reply, in octets; what is filled in comes on top.
const TEXT_MAX: usize = 400;

impl Words {
    /// The reply where the rule has no words of its own.
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

    /// Words of this program.
    #[must_use]
    pub fn fixed((code, status, text): (u16, Status, &'static str)) -> Self {
        Self {
            code,
            status,
            text: text.into(),
        }
    }

    /// The text with `{address}`, `{helo}`, `{sender}`, `{recipient}` and `{name}` filled in: what the client said of itself and of
    /// its mail, and the forward-confirmed name of its address.
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
    /// Whether it can end in mail being taken although a later rule would refuse it.
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
