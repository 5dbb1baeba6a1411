//! Writes the value of `Authentication-Results`.

use std::fmt::{Display, Write as _};

/// Most octets of a reason or comment written.
const REASON_MAX: usize = 160;

/// Most octets of a value written; longer ones are left out, since a truncated value would be a different one.
const VALUE_MAX: usize = 330;

/// The value being written: a line for each method.
#[derive(Clone, Debug)]
pub struct Writer {
    text: String,
    empty: bool,
}

impl Writer {
    /// Results of the host with this name.
    #[must_use]
    pub fn new(authserv_id: &str) -> Self {
        Self {
            text: authserv_id.to_owned(),
            empty: true,
        }
    }

    /// Begins with the result of a method.
    pub fn method(&mut self, method: &str, result: &dyn Display) {
        self.empty = false;
        // Writing to a string cannot fail.
        let _ = write!(self.text, ";\n\t{method}={result}");
    }

    /// Adds a comment. Characters not allowed in one are left out.
    pub fn comment(&mut self, comment: &str) {
        let comment: String = comment
            .chars()
            .filter(|c| matches!(c, ' '..='~') && !"()\\".contains(*c))
            .take(REASON_MAX)
            .collect();
        let _ = write!(self.text, " ({comment})");
    }

    /// Adds the reason. Characters not allowed in a quoted string are left out.
    pub fn reason(&mut self, reason: &str) {
        let reason: String = reason
            .chars()
            .map(|c| if c == '"' { '\'' } else { c })
            .filter(|c| matches!(c, ' '..='~') && *c != '\\')
            .take(REASON_MAX)
            .collect();
        let _ = write!(self.text, " reason=\"{reason}\"");
    }

    /// Adds a property, such as `header.d`; left out if readers might parse the value differently.
    pub fn property(&mut self, name: &str, value: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$&'*+-.^_`{|}~@%".contains(c);
        if value.is_empty() || value.len() > VALUE_MAX {
            return;
        }
        if value.chars().all(plain) {
            let _ = write!(self.text, " {name}={value}");
        } else if value
            .chars()
            .all(|c| matches!(c, ' '..='~') && !"\"\\".contains(c))
        {
            let _ = write!(self.text, " {name}=\"{value}\"");
        }
    }

    /// The value, folded with LF.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.empty {
            self.text.push_str("; none");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_makes_no_line_too_long() {
        let long = "x".repeat(5_000);
        let mut writer = Writer::new("mx.example");
        writer.method("spf", &"pass");
        writer.comment(&long);
        writer.reason(&long);
        writer.property("smtp.mailfrom", &"y".repeat(VALUE_MAX));
        writer.property("smtp.helo", &long);
        let text = writer.finish();
        assert!(!text.contains("helo") && text.contains("yyy"), "{text}");
        assert!(text.lines().all(|line| line.len() < 998), "{text}");
    }

    #[test]
    fn what_is_written() {
        assert_eq!(Writer::new("mx.example").finish(), "mx.example; none");
        let mut writer = Writer::new("mx.example");
        writer.method("spf", &"permerror");
        writer.reason("\"a\\b\r\nc\" is not \u{e4} valid");
        writer.property("smtp.mailfrom", "a@x.example");
        writer.property("smtp.helo", "a b");
        writer.property("header.i", "\"; dmarc=pass");
        writer.property("header.s", "a\r\nb");
        writer.comment("p=reject) dmarc=pass (");
        assert_eq!(
            writer.finish(),
            "mx.example;\n\tspf=permerror reason=\"'abc' is not  valid\" smtp.mailfrom=a@x.example \
             smtp.helo=\"a b\" (p=reject dmarc=pass )"
        );
    }
}
