//! m4 tokens, and argument substitution in definitions.

use super::input::Input;

/// m4's quote and comment delimiters.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub(super) open: String,
    pub(super) close: String,
    /// The start of a comment that runs to the end of the line; empty for none.
    pub(super) comment: String,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            open: "`".to_owned(),
            close: "'".to_owned(),
            comment: "#".to_owned(),
        }
    }
}

/// A token.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// A name, which may be that of a macro.
    Word(String),
    /// Text in quotes, without the outer ones.
    Quoted(String),
    /// A comment with its line end.
    Comment(String),
    /// Any other octet.
    Octet(u8),
    /// Quotes that are not closed before the end.
    Unclosed,
}

/// The next token.
pub(super) fn token(input: &mut Input, marks: &Marks) -> Option<Token> {
    let first = input.peek()?;
    if !marks.comment.is_empty() && input.take_exactly(&marks.comment) {
        return Some(Token::Comment(marks.comment.clone() + &line(input)));
    }
    if !marks.open.is_empty() && input.take_exactly(&marks.open) {
        return Some(quoted(input, marks));
    }
    if is_first(first) {
        return Some(Token::Word(word(input)));
    }
    input.take();
    Some(Token::Octet(first))
}

/// The rest of the line, including its end.
pub(super) fn line(input: &mut Input) -> String {
    let mut octets = Vec::new();
    while let Some(octet) = input.take() {
        octets.push(octet);
        if octet == b'\n' {
            break;
        }
    }
    text(octets)
}

/// Text from octets that came from text.
pub(super) fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A definition with these arguments substituted: `$1` to `$9`, `$0` for its own name, `$#`, `$*` and `$@`. When it is longer
/// than `room`, the rest is left out.
pub(super) fn substituted(
    body: &str,
    name: &str,
    arguments: &[String],
    marks: &Marks,
    room: usize,
) -> String {
    let mut said = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('$') {
        if said.len() > room {
            return said;
        }
        said.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(what) = rest.chars().next() else {
            said.push('$');
            break;
        };
        match what {
            '0' => said.push_str(name),
            '1'..='9' => {
                let index = what as usize - '1' as usize;
                said.push_str(arguments.get(index).map_or("", String::as_str));
            }
            '#' => said.push_str(&arguments.len().to_string()),
            '*' => said.push_str(&arguments.join(",")),
            '@' => {
                let quoted = arguments
                    .iter()
                    .map(|one| format!("{}{one}{}", marks.open, marks.close));
                said.push_str(&quoted.collect::<Vec<_>>().join(","));
            }
            _ => {
                said.push('$');
                continue;
            }
        }
        rest = &rest[what.len_utf8()..];
    }
    said.push_str(rest);
    said
}

fn is_first(octet: u8) -> bool {
    octet.is_ascii_alphabetic() || octet == b'_'
}

fn word(input: &mut Input) -> String {
    let mut octets = Vec::new();
    while let Some(octet) = input.peek() {
        if !is_first(octet) && !octet.is_ascii_digit() {
            break;
        }
        octets.push(octet);
        input.take();
    }
    text(octets)
}

/// The text up to the closing quote; the opening one has been consumed. Quotes nest.
fn quoted(input: &mut Input, marks: &Marks) -> Token {
    let mut octets = Vec::new();
    let mut depth = 1;
    loop {
        if input.take_exactly(&marks.close) {
            depth -= 1;
            if depth == 0 {
                return Token::Quoted(text(octets));
            }
            octets.extend_from_slice(marks.close.as_bytes());
        } else if input.take_exactly(&marks.open) {
            depth += 1;
            octets.extend_from_slice(marks.open.as_bytes());
        } else if let Some(octet) = input.take() {
            octets.push(octet);
        } else {
            return Token::Unclosed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_where_the_definition_says() {
        let arguments = ["a".to_owned(), "b c".to_owned()];
        let table = [
            ("$1-$2-$3", "a-b c-"),
            ("$0 has $#", "f has 2"),
            ("$*", "a,b c"),
            ("$@", "`a',`b c'"),
            ("$?s $j $", "$?s $j $"),
            ("", ""),
        ];
        for (body, said) in table {
            assert_eq!(
                substituted(body, "f", &arguments, &Marks::default(), 100),
                said,
                "{body}"
            );
        }
        let long = substituted(
            &"$1".repeat(1_000),
            "f",
            &["x".repeat(100)],
            &Marks::default(),
            500,
        );
        assert_eq!(long.len(), 600);
    }
}
