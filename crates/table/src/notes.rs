//! What is found wrong while a text is read.

/// Most mistakes reported for one table; by then it is clear that the file has another format.
pub const MISTAKES_MAX: usize = 50;

/// A mistake in the text of a table, or something that its author should know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Mistake {
    /// The line, from 1; 0 for the text as a whole.
    pub line: usize,
    /// What is wrong, with the remedy.
    pub message: String,
}

impl Mistake {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// What is noted while a text is read.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) mistakes: Vec<Mistake>,
    untold: usize,
    warnings: Vec<Mistake>,
}

impl Notes {
    pub(crate) fn mistake(&mut self, line: usize, message: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(Mistake::new(line, message));
        } else {
            self.untold += 1;
        }
    }

    pub(crate) fn warning(&mut self, line: usize, message: impl Into<String>) {
        if self.warnings.len() < MISTAKES_MAX {
            self.warnings.push(Mistake::new(line, message));
        }
    }

    /// What was warned of, if nothing is wrong; else the mistakes, in the order of their lines.
    pub(crate) fn close(mut self) -> Result<Vec<Mistake>, Vec<Mistake>> {
        if self.mistakes.is_empty() {
            return Ok(self.warnings);
        }
        self.mistakes.sort_by_key(|mistake| mistake.line);
        if self.untold > 0 {
            let message = format!("and {} more mistakes: is the file of this form?", self.untold);
            self.mistakes.push(Mistake::new(0, message));
        }
        Err(self.mistakes)
    }
}
