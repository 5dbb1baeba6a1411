//! Errors with what caused them.

use std::error::Error;

/// The text of an error and of its causes, each of which prints its own part only: `doing: error: cause`. Some libraries print
/// their cause as well; it is not repeated.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn causes_follow_and_are_not_repeated() {
        let of = |texts: &[&'static str]| {
            let inner =
                |source: Option<Box<Layer>>, text: &&'static str| Some(Box::new(Layer { text, source }));
            texts.iter().rev().fold(None, inner).unwrap()
        };
        for (texts, want) in [
            (&["alone"][..], "alone"),
            (&["cannot read", "not found"], "cannot read: not found"),
            (&["cannot read: not found", "not found"], "cannot read: not found"),
            (&["a", "b", "c"], "a: b: c"),
        ] {
            assert_eq!(chain(&*of(texts)), want);
        }
    }
}
