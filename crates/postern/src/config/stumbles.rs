//! Where a file is not valid TOML, explained in terms of the mistake.

use super::problem::{Problems, Span};

/// A position where the parser failed.
#[derive(Clone, Debug)]
pub(super) struct Stumble {
    message: String,
    span: Option<Span>,
}

impl Stumble {
    /// The parser's errors for a text that starts at `start` in the whole.
    pub(super) fn of(error: &toml::de::Error, start: usize) -> Self {
        let span = error.span();
        Self {
            message: error.message().to_owned(),
            span: span.map(|span| span.start + start..span.end + start),
        }
    }

    fn start(&self) -> usize {
        self.span.as_ref().map_or(0, |span| span.start)
    }
}

/// Adds TOML syntax errors to the problems, in place of the problems that they cause.
pub(super) fn explain(text: &str, stumbles: &[Stumble], problems: &mut Problems) {
    let broken: Vec<Span> = stumbles
        .iter()
        .filter_map(|stumble| stumble.span.clone())
        .collect();
    problems.without_consequences(text, &broken);
    for (stumble, lines) in first_of_each_run(text, stumbles) {
        let more = match lines {
            1 => String::new(),
            _ => format!("; {} more lines cannot be read because of it", lines - 1),
        };
        let said = say(stumble, text);
        problems.error(
            said.span.or_else(|| stumble.span.clone()),
            said.title,
            format!("{}{more}", said.label),
            said.remedy,
        );
    }
}

/// A mistake, explained.
#[derive(Debug, Eq, PartialEq)]
struct Said {
    title: String,
    label: String,
    remedy: String,
    /// Where it is, if not where the parser failed.
    span: Option<Span>,
}

/// Quotes that word processors and web pages substitute for plain ones.
const CURLY: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '«', '»'];

fn say(stumble: &Stumble, text: &str) -> Said {
    let at = stumble.start().min(text.len());
    let line = line_around(text, at);
    if let Some((offset, quote)) = curly(&text[line.clone()]) {
        let start = line.start + offset;
        return Said {
            title: format!("typographic quote {quote} in place of \""),
            label: "not a quote of TOML".to_owned(),
            remedy: "write plain quotes: \" as in `key = \"text\"`".to_owned(),
            span: Some(start..start + quote.len_utf8()),
        };
    }
    if stumble.message == "duplicate key" {
        return duplicate(&text[line], stumble);
    }
    Said {
        title: format!("not TOML: {}", stumble.message),
        label: "here".to_owned(),
        remedy: "texts need quotes, lists need brackets: `key = \"text\"`, `key = [\"a\", \"b\"]`".to_owned(),
        span: None,
    }
}

/// A key or table that occurs twice in one file.
fn duplicate(line: &str, stumble: &Stumble) -> Said {
    let trimmed = line.trim();
    let header = trimmed.split_once(']').map_or(trimmed, |(header, _)| header);
    let name = header.trim_start_matches('[').trim();
    let (title, remedy) = if trimmed.starts_with("[[") {
        (
            format!("[[{name}]] is used beside [{name}] or a key of this name"),
            format!("write [[{name}]] each time: it can be repeated"),
        )
    } else if trimmed.starts_with('[') && super::keys::may_repeat(name) {
        (
            format!("[{name}] can be repeated and needs double brackets"),
            format!("write [[{name}]] each time"),
        )
    } else if trimmed.starts_with('[') {
        (
            format!("the table [{name}] is written twice"),
            "put all of its keys below one of the two".to_owned(),
        )
    } else {
        let key = trimmed.split_once('=').map_or(trimmed, |(key, _)| key).trim();
        (
            format!("the key `{key}` is written twice in one table"),
            "keep one of the two".to_owned(),
        )
    };
    Said {
        title,
        label: "the second one".to_owned(),
        remedy,
        span: stumble.span.clone(),
    }
}

/// The first typographic quote outside plain quotes, where it can only be a mistake.
fn curly(line: &str) -> Option<(usize, char)> {
    let mut open: Option<char> = None;
    for (at, c) in line.char_indices() {
        match (open, c) {
            (Some(quote), _) if quote == c => open = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => open = Some(c),
            (None, '#') => return None,
            (None, c) if CURLY.contains(&c) => return Some((at, c)),
            (None, _) => {}
        }
    }
    None
}

/// The line containing a position, without its line feed.
fn line_around(text: &str, at: usize) -> Span {
    let mut at = at;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |feed| feed + 1);
    let end = text[at..].find('\n').map_or(text.len(), |feed| at + feed);
    start..end
}

/// The first syntax error of each line, and only the first of consecutive lines, with their number: an open quote or
/// bracket makes everything below it wrong.
fn first_of_each_run<'s>(text: &str, stumbles: &'s [Stumble]) -> Vec<(&'s Stumble, usize)> {
    let line_of = |stumble: &Stumble| {
        let at = stumble.start().min(text.len());
        text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count()
    };
    let mut sorted: Vec<_> = stumbles
        .iter()
        .map(|stumble| (line_of(stumble), stumble))
        .collect();
    sorted.sort_by_key(|(line, stumble)| (*line, stumble.start()));
    let mut runs: Vec<(&Stumble, usize)> = Vec::new();
    let mut last = None;
    for (line, stumble) in sorted {
        match (last, runs.last_mut()) {
            (Some(before), Some(_)) if line == before => {}
            (Some(before), Some((_, lines))) if line == before + 1 => *lines += 1,
            _ => runs.push((stumble, 1)),
        }
        last = Some(line);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_looked_for_outside_of_texts() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows        line                          the quote
            ("in place of both",          "hostname = “mx.example”",     Some('“')),
            ("single ones",               "a = ‘b’",                     Some('‘')),
            ("the closing one alone",     "a = b”",                      Some('”')),
            ("in a text",                 "greeting = \"“hello”\"",       None),
            ("behind a text",             "a = \"b\" ”",                  Some('”')),
            ("in a comment",              "a = b # “c”",                 None),
            ("none",                      "a = b",                       None),
        ];
        for (shows, line, want) in cases {
            assert_eq!(curly(line).map(|(_, quote)| quote), want, "{shows}");
        }
    }
}
