//! The greeting's text.

use jiff::Timestamp;
use postern_mail::date;

/// Fills `{hostname}` and `{date}` into the template and inserts `ESMTP` after the first word, as sendmail does.
pub(crate) fn text(template: &str, hostname: &str, now: Timestamp) -> String {
    let mut text = template.replace("{hostname}", hostname);
    if text.contains("{date}") {
        text = text.replace("{date}", &date::rfc5322(now));
    }
    match text.split_once(' ') {
        Some((first, rest)) => format!("{first} ESMTP {rest}"),
        None => format!("{text} ESMTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let now = "2026-11-22T09:32:35Z".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            ("the default",         "{hostname}",                  "mx.example ESMTP"),
            ("the procedure's",     "{hostname} Sendmail; {date}", "mx.example ESMTP Sendmail; Sun, 22 Nov 2026 09:32:35 +0000"),
            ("words of one's own",  "{hostname} no spam please",   "mx.example ESMTP no spam please"),
        ];
        for (shows, template, expected) in cases {
            assert_eq!(text(template, "mx.example", now), expected, "{shows}");
        }
    }
}
