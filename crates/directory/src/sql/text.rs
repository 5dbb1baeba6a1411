//! Server messages, made fit for a log line.

/// Longest server text put in a log line, in characters.
const TEXT_MAX: usize = 300;

/// A server's text on one line, not too long: it must not forge log lines.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TEXT_MAX)
        .collect()
}
