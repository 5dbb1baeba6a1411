//! Results of access tables and answers of policy services, as Postfix and sendmail write them.

use std::sync::Arc;

use postern_mail::{Mailbox, NewField, ParseOptions, Status};

use super::action::{Action, Words};
use crate::route::Detour;

/// What a result may refer to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The number of the class with this name.
    pub class: &'a dyn Fn(&str) -> Option<usize>,
    /// Whether `RELAY` is a reason to relay.
    pub relay: bool,
}

/// A result that names no known action.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadResult {
    /// An unknown word.
    #[error(
        "{0:?} is not a valid result in an access table; write for example \"REJECT\", \"OK\" or \"550 5.7.1 text\""
    )]
    Unknown(String),
    /// The address, field or code after the word is invalid.
    #[error(
        "{0:?} does not say what it needs; write for example \"REDIRECT address\", \"PREPEND Name: value\" or \"ERROR:5.7.1:550 text\""
    )]
    Incomplete(String),
    /// The next hop after `FILTER` is invalid.
    #[error("{0}")]
    Way(String),
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}

/// Reads a result of Postfix's access tables, or what follows `action=` in the answer of a policy service (access(5)).
///
/// # Errors
///
/// [`BadResult`].
pub fn postfix(text: &str, context: Context<'_>) -> Result<Action, BadResult> {
    let text = text.trim();
    let (word, rest) = first_word(text);
    let incomplete = || BadResult::Incomplete(shortened(text));
    let usual = |code: u16, digit: u8| {
        let status = Status(digit, 7, 1);
        let text = if digit == 5 {
            "Access denied"
        } else {
            "Access denied for now, try again later"
        };
        words(code, status, rest, text)
    };
    Ok(match word.to_ascii_uppercase().as_str() {
        "OK" | "PERMIT" if rest.is_empty() || rest.starts_with('#') => Action::Accept { relay: false },
        "OK" => Action::Accept { relay: false },
        "REJECT" => Action::Refuse(usual(554, 5)),
        "DEFER" => Action::Refuse(usual(450, 4)),
        "DEFER_IF_PERMIT" => Action::RefuseAtEnd(usual(450, 4)),
        // It would make later refusals temporary; this is not done.
        "DEFER_IF_REJECT" => Action::Continue,
        "DISCARD" => Action::Discard,
        "DUNNO" => Action::Continue,
        "HOLD" => Action::Hold(or(rest, "a table says so").into()),
        "PREPEND" => Action::Tag(field(rest).ok_or_else(incomplete)?),
        "REDIRECT" => Action::Redirect(mailbox(rest).ok_or_else(incomplete)?),
        "INFO" | "WARN" => Action::Note(or(rest, "a table says so").into()),
        "FILTER" => Action::Detour(Arc::new(
            Detour::parse(rest).map_err(|error| BadResult::Way(error.to_string()))?,
        )),
        "BCC" => Action::Copy(mailbox(rest).ok_or_else(incomplete)?),
        _ if is_code(word) => coded(word, rest)?,
        // The result of tables that only say who is in them.
        _ if !word.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) => {
            Action::Accept { relay: false }
        }
        _ => return restrictions(text, context),
    })
}

/// Reads a result of sendmail's access table.
///
/// # Errors
///
/// [`BadResult`].
pub fn sendmail(text: &str, context: Context<'_>) -> Result<Action, BadResult> {
    let text = text.trim();
    let (word, rest) = first_word(text);
    let denied = || Action::Refuse(Words::fixed(Words::USUAL));
    Ok(match word.to_ascii_uppercase().as_str() {
        "OK" | "FRIEND" => Action::Accept { relay: false },
        "RELAY" => Action::Accept { relay: context.relay },
        "REJECT" => denied(),
        "DISCARD" => Action::Discard,
        "SKIP" | "HATER" => Action::Continue,
        _ if is_code(word) => coded(word, rest)?,
        upper if upper.starts_with("ERROR:") => error(&text["ERROR:".len()..])?,
        upper if upper.starts_with("DISCARD:") => Action::Discard,
        upper if upper.starts_with("QUARANTINE:") => {
            Action::Hold(or(text["QUARANTINE:".len()..].trim(), "the access table says so").into())
        }
        _ => return Err(BadResult::Unknown(shortened(text))),
    })
}

/// `5.7.1:550 text`, or `550 5.7.1 text` with or without quotes, or only a text.
fn error(text: &str) -> Result<Action, BadResult> {
    let text = text.trim().trim_matches('"').trim();
    if let Some((first, rest)) = text.split_once(':')
        && let Some(status) = status(first)
    {
        let said = rest.trim();
        let (code, said) = match first_word(said) {
            (word, rest) if is_code(word) => (word.parse().unwrap_or(550), rest),
            // sendmail says 553 where no code is given.
            _ => (if status.0 == 4 { 450 } else { 553 }, said),
        };
        return Ok(Action::Refuse(words(code, status, said, "Access denied")));
    }
    let (word, rest) = first_word(text);
    if is_code(word) {
        return coded(word, rest);
    }
    Ok(Action::Refuse(words(550, Status(5, 7, 1), text, "Access denied")))
}

/// A refusal with this code, with or without a status of its own.
fn coded(code: &str, text: &str) -> Result<Action, BadResult> {
    let code: u16 = code.parse().map_err(|_| BadResult::Unknown(shortened(code)))?;
    let digit = if code < 500 { 4 } else { 5 };
    Ok(Action::Refuse(words(
        code,
        Status(digit, 7, 1),
        text,
        "Access denied",
    )))
}

/// A valid reply: a status at the beginning of the text is used, and characters that cannot be sent are replaced.
pub(crate) fn words(code: u16, usual: Status, text: &str, otherwise: &str) -> Words {
    let (first, rest) = first_word(text);
    let (own, text) = match status(first) {
        Some(own) if u16::from(own.0) == code / 100 => (own, rest),
        _ => (usual, text),
    };
    let own = if u16::from(own.0) == code / 100 {
        own
    } else {
        Status(if code < 500 { 4 } else { 5 }, own.1, own.2)
    };
    let clean: String = text
        .chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .take(400)
        .collect();
    let said = or(clean.trim(), otherwise);
    Words::new(code, own, said).unwrap_or_else(|_| Words::fixed(Words::USUAL))
}

/// Names of classes and restrictions, one after the other.
fn restrictions(text: &str, context: Context<'_>) -> Result<Action, BadResult> {
    let mut actions = Vec::new();
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        // Postfix does not tell small letters from capitals there, but in the names of classes.
        let action = match word.to_ascii_lowercase().as_str() {
            "permit" => Action::Accept { relay: false },
            "reject" => Action::Refuse(words(554, Status(5, 7, 1), "", "Access denied")),
            "defer" => Action::Refuse(Words::fixed(Words::USUAL_FOR_NOW)),
            _ => match (context.class)(word) {
                Some(class) => Action::Class(class),
                None => return Err(BadResult::Unknown(shortened(text))),
            },
        };
        actions.push(action);
    }
    match actions.len() {
        0 => Err(BadResult::Unknown(String::new())),
        1 => Ok(actions.remove(0)),
        _ => Ok(Action::Several(actions)),
    }
}

/// `5.7.1`.
#[must_use]
pub fn status(text: &str) -> Option<Status> {
    let mut parts = text.split('.');
    let number = |part: Option<&str>| {
        let part = part.filter(|part| (1..=3).contains(&part.len()))?;
        let digits = part.bytes().all(|octet| octet.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (class, subject, detail) = (
        number(parts.next())?,
        number(parts.next())?,
        number(parts.next())?,
    );
    let class = u8::try_from(class).ok().filter(|class| matches!(class, 4 | 5))?;
    parts.next().is_none().then_some(Status(class, subject, detail))
}

fn is_code(word: &str) -> bool {
    word.len() == 3
        && matches!(word.as_bytes()[0], b'4' | b'5')
        && word.bytes().all(|octet| octet.is_ascii_digit())
}

fn field(text: &str) -> Option<NewField> {
    let (name, value) = text.split_once(':')?;
    NewField::new(name.trim(), value.trim().as_bytes()).ok()
}

/// An address, in angle brackets or bare.
pub(crate) fn mailbox(text: &str) -> Option<Mailbox> {
    let bare = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(text);
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    Mailbox::parse(bare, &options).ok()
}

pub(crate) fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim())
}

pub(crate) fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(relay: bool) -> Context<'static> {
        Context {
            class: &|name| (name == "greylist").then_some(3),
            relay,
        }
    }

    fn refuse(code: u16, status: (u8, u16, u16), text: &str) -> Action {
        Action::Refuse(Words::new(code, Status(status.0, status.1, status.2), text).unwrap())
    }

    #[test]
    fn results_of_postfix() {
        let accept = || Action::Accept { relay: false };
        let to = "staff@example.org".parse().unwrap();
        let field = NewField::new("X-Partner", b"yes").unwrap();
        #[rustfmt::skip]
        let cases = [
            ("OK",                            accept()),
            ("ok",                            accept()),
            ("1268732",                       accept()),
            ("REJECT",                        refuse(554, (5, 7, 1), "Access denied")),
            ("REJECT internal list",          refuse(554, (5, 7, 1), "internal list")),
            ("REJECT 5.1.1 nobody",           refuse(554, (5, 1, 1), "nobody")),
            ("550 5.7.1 no thanks",           refuse(550, (5, 7, 1), "no thanks")),
            ("450 4.7.1 come back later",     refuse(450, (4, 7, 1), "come back later")),
            ("421 go",                        refuse(421, (4, 7, 1), "go")),
            ("550",                           refuse(550, (5, 7, 1), "Access denied")),
            ("550 4.7.1 of another class",    refuse(550, (5, 7, 1), "4.7.1 of another class")),
            ("DEFER",                         refuse(450, (4, 7, 1), "Access denied for now, try again later")),
            ("DEFER_IF_PERMIT Greylisted",    Action::RefuseAtEnd(Words::new(450, Status(4, 7, 1), "Greylisted").unwrap())),
            ("DISCARD whatever",              Action::Discard),
            ("DUNNO",                         Action::Continue),
            ("HOLD suspicious invoices",      Action::Hold("suspicious invoices".into())),
            ("REDIRECT staff@example.org",    Action::Redirect(to)),
            ("PREPEND X-Partner: yes",        Action::Tag(field)),
            ("greylist",                      Action::Class(3)),
            ("greylist, permit",              Action::Several(vec![Action::Class(3), accept()])),
            ("WARN look at it",               Action::Note("look at it".into())),
            ("FILTER smtp:[127.0.0.1]:10024", Action::Detour(Arc::new(Detour::parse("smtp:[127.0.0.1]:10024").unwrap()))),
            ("BCC archive@example.org",       Action::Copy("archive@example.org".parse().unwrap())),
        ];
        for (text, action) in cases {
            assert_eq!(postfix(text, context(false)), Ok(action), "{text}");
        }
        for bad in [
            "",
            "reject_unverified_recipient",
            "REDIRECT nowhere at all",
            "PREPEND",
            "FILTER",
            "FILTER uucp:somewhere",
            "BCC",
            "greylist, nonsense",
        ] {
            assert!(postfix(bad, context(false)).is_err(), "{bad}");
        }
    }

    #[test]
    fn results_of_sendmail() {
        let accept = |relay| Action::Accept { relay };
        #[rustfmt::skip]
        let cases = [
            ("OK",                                               accept(false)),
            ("RELAY",                                            accept(true)),
            ("REJECT",                                           refuse(550, (5, 7, 1), "Access denied")),
            ("DISCARD",                                          Action::Discard),
            ("SKIP",                                             Action::Continue),
            ("FRIEND",                                           accept(false)),
            ("ERROR:5.7.1:550 no mail from dial-in pools",       refuse(550, (5, 7, 1), "no mail from dial-in pools")),
            ("ERROR:4.2.1:450 mailbox is being moved",           refuse(450, (4, 2, 1), "mailbox is being moved")),
            ("ERROR:\"550 5.1.1 Karl has retired\"",             refuse(550, (5, 1, 1), "Karl has retired")),
            ("ERROR:5.7.1:no",                                   refuse(553, (5, 7, 1), "no")),
            ("ERROR:4.7.1:later",                                refuse(450, (4, 7, 1), "later")),
            ("ERROR:550 no",                                     refuse(550, (5, 7, 1), "no")),
            ("ERROR:no",                                         refuse(550, (5, 7, 1), "no")),
            ("550 We do not accept mail",                        refuse(550, (5, 7, 1), "We do not accept mail")),
            ("QUARANTINE:looks odd",                             Action::Hold("looks odd".into())),
        ];
        for (text, action) in cases {
            assert_eq!(sendmail(text, context(true)), Ok(action), "{text}");
        }
        assert_eq!(sendmail("RELAY", context(false)), Ok(accept(false)));
        for bad in ["", "SUBJECT", "ENCR:128"] {
            assert!(sendmail(bad, context(false)).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_can_be_said(text in "\\PC{0,120}", code in "[45][0-9]{2}") {
            for read in [postfix(&text, context(true)), sendmail(&text, context(true)),
                         postfix(&format!("{code} {text}"), context(true)), sendmail(&format!("ERROR:{text}"), context(true))] {
                if let Ok(Action::Refuse(words)) = read {
                    prop_assert_eq!(Words::new(words.code, words.status, &words.text), Ok(words));
                }
            }
        }
    }
}
