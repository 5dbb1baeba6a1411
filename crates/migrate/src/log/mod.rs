//! What an old server decided, according to its log: who sent what to whom, and whether it was accepted.
//!
//! Lines are read one after the other: Postfix's and sendmail's are distinguished by their form. What lines say about a message
//! is joined by its queue id; both open messages and results are bounded.

mod gathered;
mod pieces;
mod postfix;
mod sendmail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::gathered::Gathered;
pub use self::gathered::{DECISIONS_MAX, Decision, Left, Outcome, Place, Seen};

/// Longest line examined, in octets.
const LINE_MAX: usize = 16 * 1_024;

/// Reads logs.
#[derive(Debug, Default)]
pub struct Reader {
    gathered: Gathered,
    /// Number of lines read, and of those about mail.
    lines: (u64, u64),
}

impl Reader {
    /// A reader that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What follows is in this file.
    pub fn file(&mut self, name: &str) {
        self.gathered.place = Place {
            file: name.to_owned(),
            line: 0,
        };
    }

    /// Reads a line.
    pub fn line(&mut self, line: &str) {
        self.gathered.place.line += 1;
        self.lines.0 += 1;
        if line.len() > LINE_MAX {
            return;
        }
        let Some((program, process, text)) = parted(line) else {
            return;
        };
        let is_known = postfix::line(&mut self.gathered, program, text)
            || sendmail::line(&mut self.gathered, program, process, text);
        self.lines.1 += u64::from(is_known);
    }

    /// All decisions, once everything was read; also what could not be matched up, and how many lines were read and were about
    /// mail.
    #[must_use]
    pub fn finish(mut self) -> (HashMap<Decision, Seen>, HashMap<Left, u64>, (u64, u64)) {
        self.gathered.close_all();
        (self.gathered.decisions, self.gathered.left, self.lines)
    }
}

/// Splits a syslog line: the program with its tags, its process id, and the message. Both date formats are understood.
fn parted(line: &str) -> Option<(&str, &str, &str)> {
    let (head, text) = line.split_once("]: ")?;
    let (before, process) = head.rsplit_once('[')?;
    let is_process = !process.is_empty() && process.bytes().all(|octet| octet.is_ascii_digit());
    let program = before.rsplit(' ').next()?;
    is_process.then_some((program, process, text))
}
