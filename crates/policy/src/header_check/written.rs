//! Verdicts as written in Postfix's tables (header_checks(5)).

use std::sync::Arc;

use super::Verdict;
use crate::access::Words;
use crate::access::written::{first_word, mailbox, or, shortened, status, words};
use crate::route::Detour;

/// An invalid verdict.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadVerdict {
    /// An unknown word.
    #[error(
        "{0:?} is not a valid verdict for header checks; write for example \"REJECT text\", \"IGNORE\" or \"REPLACE Name: value\""
    )]
    Unknown(String),
    /// The text after the word is invalid.
    #[error(
        "{0:?} does not say what it needs; write for example \"REDIRECT address\" or \"PREPEND Name: value\""
    )]
    Incomplete(String),
    /// The next hop after `FILTER` is invalid.
    #[error("{0}")]
    Way(String),
}

/// Reads a verdict.
///
/// # Errors
///
/// [`BadVerdict`].
pub fn postfix(text: &str) -> Result<Verdict, BadVerdict> {
    let text = text.trim();
    let (word, rest) = first_word(text);
    let incomplete = || BadVerdict::Incomplete(shortened(text));
    let needed = || {
        let is_there = !rest.is_empty();
        is_there.then(|| rest.into()).ok_or_else(incomplete)
    };
    let to = || mailbox(rest).ok_or_else(incomplete);
    Ok(match word.to_ascii_uppercase().as_str() {
        "DUNNO" | "OK" | "PASS" => Verdict::Keep,
        "WARN" => Verdict::Note(or(rest, "a table says WARN").into()),
        "INFO" => Verdict::Note(or(rest, "a table says INFO").into()),
        "FILTER" => {
            let read = Detour::parse(rest).map_err(|error| BadVerdict::Way(error.to_string()))?;
            Verdict::Detour(Arc::new(read))
        }
        "IGNORE" => Verdict::Remove,
        // Like IGNORE, but logged; removals always are.
        "STRIP" => Verdict::Remove,
        "REPLACE" => Verdict::Replace(needed()?),
        "PREPEND" => Verdict::Prepend(needed()?),
        "REJECT" => Verdict::Refuse(refusal(rest)),
        "DISCARD" => Verdict::Discard(or(rest, "a table says DISCARD").into()),
        "HOLD" => Verdict::Hold(or(rest, "a table says HOLD").into()),
        "REDIRECT" => Verdict::Redirect(to()?),
        "BCC" => Verdict::Copy(to()?),
        _ => return Err(BadVerdict::Unknown(shortened(text))),
    })
}

/// `5.7.1 text`, `4.7.1 text`, or only a text: the class of the status determines the code.
fn refusal(text: &str) -> Words {
    let (code, usual, otherwise) = Verdict::USUAL;
    let is_for_now = status(first_word(text).0).is_some_and(|own| own.0 == 4);
    words(if is_for_now { 450 } else { code }, usual, text, otherwise)
}

#[cfg(test)]
mod tests {
    use postern_mail::Status;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn verdicts_of_postfix() {
        let refuse = |code, status: (u8, u16, u16), text: &str| {
            Verdict::Refuse(Words::new(code, Status(status.0, status.1, status.2), text).unwrap())
        };
        #[rustfmt::skip]
        let cases = [
            ("DUNNO",                        Verdict::Keep),
            ("pass",                         Verdict::Keep),
            ("IGNORE",                       Verdict::Remove),
            ("STRIP no trackers",            Verdict::Remove),
            ("REPLACE X-Client: hidden",     Verdict::Replace("X-Client: hidden".into())),
            ("PREPEND X-Bulk: yes",          Verdict::Prepend("X-Bulk: yes".into())),
            ("REJECT",                       refuse(550, (5, 7, 1), "message content rejected")),
            ("REJECT attachment of type exe", refuse(550, (5, 7, 1), "attachment of type exe")),
            ("REJECT 5.6.1 no",              refuse(550, (5, 6, 1), "no")),
            ("REJECT 4.7.1 later",           refuse(450, (4, 7, 1), "later")),
            ("DISCARD test mail",            Verdict::Discard("test mail".into())),
            ("HOLD",                         Verdict::Hold("a table says HOLD".into())),
            ("REDIRECT a@b.example",         Verdict::Redirect("a@b.example".parse().unwrap())),
            ("BCC <a@b.example>",            Verdict::Copy("a@b.example".parse().unwrap())),
            ("WARN look",                    Verdict::Note("look".into())),
            ("FILTER smtp:[10.0.0.1]",       Verdict::Detour(Arc::new(Detour::parse("smtp:[10.0.0.1]").unwrap()))),
        ];
        for (text, verdict) in cases {
            assert_eq!(postfix(text), Ok(verdict), "{text}");
        }
        for bad in [
            "",
            "REPLACE",
            "PREPEND ",
            "FILTER slow:",
            "REDIRECT nowhere at all",
            "550 no",
            "whatever",
        ] {
            assert!(postfix(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_can_be_said(text in "\\PC{0,120}") {
            if let Ok(Verdict::Refuse(words)) = postfix(&format!("REJECT {text}")) {
                prop_assert_eq!(Words::new(words.code, words.status, &words.text), Ok(words));
            }
        }
    }
}
