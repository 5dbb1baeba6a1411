//! Values with placeholders for captures.

use regex::Captures;

/// A value: texts, with capture numbers in between.
#[derive(Debug)]
pub(crate) struct Replacement {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Capture(usize),
}

impl Replacement {
    /// Reads `$1`, `${1}`, `$(1)` and `$$`. The error says what is wrong.
    pub(super) fn parse(text: &str, captures: usize) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut open = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            open.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(behind) = after.strip_prefix('$') {
                open.push('$');
                rest = behind;
                continue;
            }
            let (number, behind) = number(after).ok_or_else(|| {
                format!("has a `$` that is neither `$1`, `${{1}}`, `$(1)` nor `$$`, in {text:?}")
            })?;
            if number == 0 || number > captures {
                return Err(format!(
                    "has ${number} in its value, and the pattern captures {captures}: parentheses capture, from 1"
                ));
            }
            if !open.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut open).into()));
            }
            pieces.push(Piece::Capture(number));
            rest = behind;
        }
        open.push_str(rest);
        if !open.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(open.into()));
        }
        Ok(Self { pieces })
    }

    /// The text, if it has no captures.
    pub(super) fn fixed(&self) -> Option<&str> {
        match &self.pieces[..] {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text with captures substituted; empty for groups that did not participate.
    pub(super) fn fill(&self, captures: &Captures<'_>) -> String {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Capture(number) => {
                    filled.push_str(captures.get(*number).map_or("", |found| found.as_str()));
                }
            }
        }
        filled
    }
}

impl std::fmt::Display for Replacement {
    /// In its written form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('$', "$$"))?,
                Piece::Capture(number) => write!(f, "${{{number}}}")?,
            }
        }
        Ok(())
    }
}

/// A number at the beginning, bare or in brackets, and what follows.
fn number(text: &str) -> Option<(usize, &str)> {
    let (inner, behind) = match text.chars().next()? {
        '{' => text[1..].split_once('}')?,
        '(' => text[1..].split_once(')')?,
        _ => {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text.split_at(end)
        }
    };
    let is_number = !inner.is_empty() && inner.bytes().all(|octet| octet.is_ascii_digit());
    Some((inner.parse().ok().filter(|_| is_number)?, behind))
}
