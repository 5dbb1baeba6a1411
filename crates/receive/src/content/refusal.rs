//! The replies when a check refuses a message, or when it cannot be rewritten now.

use postern_directory::rewriting::Trouble;
use postern_directory::tables::Down;
use postern_mail::Status;
use postern_policy::Verdict;
use postern_policy::access::Words;
use postern_policy::admission::AdmissionRefusal;
use postern_policy::rule::Rule;
use postern_spool::Refusal;

use crate::intake::message_refusal;

/// A check refuses it.
pub(super) fn in_words(check: &str, words: &Words) -> Refusal {
    Refusal {
        rule: Rule::CheckRefused,
        code: words.code,
        status: Some(words.status),
        text: words.text.to_string(),
        reason: check.to_owned(),
    }
}

/// Checks have made it larger than allowed.
pub(super) fn too_large(size: u64, limit: u64) -> Refusal {
    let refusal = AdmissionRefusal::Size { size, limit };
    let reply = message_refusal(refusal);
    Refusal {
        rule: refusal.rule(),
        code: reply.code,
        status: reply.status,
        text: reply.text.into_owned(),
        reason: refusal.to_string(),
    }
}

/// It cannot be rewritten: for now, or for good if the message itself is the cause.
pub(super) fn unsure(trouble: &Trouble) -> Refusal {
    match trouble {
        Trouble::TooMany(_) | Trouble::Grown(_) => Refusal {
            code: 554,
            status: Some(Status(5, 6, 0)),
            text: "The header has too many addresses to be rewritten; send to fewer at once".to_owned(),
            ..for_now(trouble.to_string())
        },
        Trouble::Down(_) | Trouble::Value { .. } | Trouble::Circle { .. } => for_now(trouble.to_string()),
    }
}

/// A table of copies cannot be asked now.
pub(super) fn down(error: &Down) -> Refusal {
    for_now(error.to_string())
}

/// Something cannot be looked up now.
pub(super) fn for_now(reason: String) -> Refusal {
    Refusal {
        rule: Rule::RewriteUnsure,
        code: 451,
        status: Some(Status(4, 3, 0)),
        text: "Message cannot be processed now, try again later".to_owned(),
        reason,
    }
}
