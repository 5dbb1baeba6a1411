//! Translates Perl and POSIX patterns to the engine's syntax.
//!
//! The syntaxes differ in details that would silently change the meaning: `[` within brackets, `\<`, a `{` that is not a
//! quantifier, classes with non-ASCII letters. Each becomes what its author meant, and what the engine does not support is
//! reported.

use super::class;
use super::dialect::Dialect;
use super::reader::{Reader, character};

/// Longest pattern, in octets.
const LEN_MAX: usize = 16_384;

/// The pattern in the engine's syntax. The error says what is not supported.
pub(super) fn translate(pattern: &str, dialect: Dialect, extended: bool) -> Result<String, String> {
    if pattern.len() > LEN_MAX {
        return Err("is longer than 16,384 octets: make several of it".into());
    }
    let mut reader = Reader::new(pattern, dialect);
    while let Some(c) = reader.next() {
        match c {
            '\\' => escape(&mut reader)?,
            '[' => class::read(&mut reader)?,
            '(' if dialect == Dialect::Perl && reader.peek() == Some('?') => group(&mut reader)?,
            '(' if dialect == Dialect::Perl && reader.peek() == Some('*') => {
                return Err(
                    "has a verb `(*…)`, which needs an engine that tries again: write it without".into(),
                );
            }
            '{' => brace(&mut reader),
            '*' | '+' | '?' => quantifier(&mut reader, c)?,
            // A comment up to the end of the line.
            '#' if extended => while reader.next().is_some_and(|c| c != '\n') {},
            c => reader.out.push(c),
        }
    }
    Ok(reader.out)
}

/// What follows a quantifier: `+` would make it possessive, another one is meaningless.
fn quantifier(reader: &mut Reader<'_>, c: char) -> Result<(), String> {
    reader.out.push(c);
    after_quantifier(reader)
}

fn after_quantifier(reader: &mut Reader<'_>) -> Result<(), String> {
    match (reader.dialect, reader.peek()) {
        (Dialect::Perl, Some('+')) => Err(
            "has a possessive quantifier (such as `*+`), which this engine has no need of: leave out the `+`"
                .into(),
        ),
        (Dialect::Perl, Some('?')) => {
            reader.next();
            reader.out.push('?');
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A brace is a quantifier if it is well formed; otherwise literal.
fn brace(reader: &mut Reader<'_>) {
    let rest = reader.rest();
    let counts = rest.find('}').filter(|end| {
        let (least, most) = match rest[..*end].split_once(',') {
            Some((least, most)) => (least, most),
            None => (&rest[..*end], ""),
        };
        let is_number = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        !least.is_empty() && is_number(least) && is_number(most)
    });
    match counts {
        Some(end) => {
            reader.out.push('{');
            reader.out.push_str(&rest[..=end]);
            reader.skip(end + 1);
            if reader.dialect == Dialect::Perl && reader.take("?") {
                reader.out.push('?');
            }
        }
        None => reader.out.push_str("\\{"),
    }
}

/// What begins with `(?`.
fn group(reader: &mut Reader<'_>) -> Result<(), String> {
    let rest = reader.rest();
    let refused = |what: &str, remedy: &str| {
        Err(format!(
            "has {what}, which an engine of linear time cannot do: {remedy}"
        ))
    };
    for sign in ["?=", "?!", "?<=", "?<!"] {
        if rest.starts_with(sign) {
            return refused(
                &format!("`({sign}…)`, which looks around"),
                "use `!`, or `if` and `endif` around the rule",
            );
        }
    }
    if rest.starts_with("?>") {
        return refused("an atomic group `(?>…)`", "write `(?:…)`");
    }
    if rest.starts_with("?|") {
        return refused(
            "`(?|…)`, which resets the numbers of captures",
            "number them one after the other",
        );
    }
    if rest.starts_with("?(") {
        return refused("a condition `(?(…)…)`", "use `if` and `endif` around the rule");
    }
    if let Some(comment) = rest.strip_prefix("?#") {
        let end = comment.find(')').ok_or("has a comment `(?#…` without its `)`")?;
        reader.skip(2 + end + 1);
        return Ok(());
    }
    if let Some(name) = rest.strip_prefix("?'") {
        let end = name
            .find('\'')
            .ok_or("has a name `(?'…` without its second `'`")?;
        reader.out.push_str("(?<");
        reader.out.push_str(&name[..end]);
        reader.out.push('>');
        reader.skip(2 + end + 1);
        return Ok(());
    }
    if rest.starts_with("?P=") || rest.starts_with("?P>") || rest.starts_with("?&") {
        return refused("a reference to another group", "write that group again");
    }
    if rest.starts_with("?<") || rest.starts_with("?P<") {
        let end = rest.find('>').ok_or("has a name `(?<…` without its `>`")?;
        reader.out.push('(');
        reader.out.push_str(&rest[..=end]);
        reader.skip(end + 1);
        return Ok(());
    }
    // Flags: `(?i)`, `(?i-s:…)`, `(?:…)`.
    let end = rest.find([')', ':']).ok_or("has a `(` without its `)`")?;
    if let Some(odd) = rest[1..end]
        .chars()
        .find(|c| !matches!(c, 'i' | 'm' | 's' | 'x' | '-'))
    {
        return if odd.is_ascii_digit() || odd == 'R' || odd == '+' {
            refused(
                "a call of a group, as for nested brackets",
                "write out what you need",
            )
        } else {
            Err(format!(
                "has the unknown flag `{odd}` in `({}`; there are i, m, s and x",
                &rest[..end]
            ))
        };
    }
    reader.out.push('(');
    reader.out.push_str(&rest[..=end]);
    reader.skip(end + 1);
    Ok(())
}

/// What follows a `\` outside brackets.
fn escape(reader: &mut Reader<'_>) -> Result<(), String> {
    let Some(c) = reader.next() else {
        return Err("ends with a `\\`: write `\\\\` for one".into());
    };
    let back = || {
        Err(
            "has a reference back (such as `\\1`), which an engine of linear time cannot do: write two rules"
                .into(),
        )
    };
    if reader.dialect == Dialect::Posix {
        match c {
            '1'..='9' => return back(),
            // A GNU extension.
            'w' => reader.out.push_str("[0-9A-Za-z_]"),
            'W' => reader.out.push_str("[^0-9A-Za-z_]"),
            's' => reader.out.push_str("[ \\t\\n\\x0B\\f\\r]"),
            'S' => reader.out.push_str("[^ \\t\\n\\x0B\\f\\r]"),
            'b' => reader.out.push_str("(?-u:\\b)"),
            'B' => reader.out.push_str("\\B"),
            '<' => reader.out.push_str("\\b{start}"),
            '>' => reader.out.push_str("\\b{end}"),
            '`' => reader.out.push_str("\\A"),
            '\'' => reader.out.push_str("\\z"),
            c => reader.literal(c),
        }
        return Ok(());
    }
    match c {
        '1'..='9' => return back(),
        'd' => reader.out.push_str("[0-9]"),
        'D' => reader.out.push_str("[^0-9]"),
        'w' => reader.out.push_str("[0-9A-Za-z_]"),
        'W' => reader.out.push_str("[^0-9A-Za-z_]"),
        's' => reader.out.push_str("[ \\t\\n\\x0B\\f\\r]"),
        'S' => reader.out.push_str("[^ \\t\\n\\x0B\\f\\r]"),
        'h' => reader.out.push_str("[ \\t]"),
        'H' => reader.out.push_str("[^ \\t]"),
        'v' => reader.out.push_str("[\\n\\x0B\\f\\r]"),
        'V' => reader.out.push_str("[^\\n\\x0B\\f\\r]"),
        'R' => reader.out.push_str("(?:\\r\\n|[\\n\\x0B\\f\\r])"),
        'N' => reader.out.push_str("[^\\n]"),
        'b' => reader.out.push_str("(?-u:\\b)"),
        'B' => reader.out.push_str("\\B"),
        'A' => reader.out.push_str("\\A"),
        'z' => reader.out.push_str("\\z"),
        'Z' => reader.out.push_str("(?:\\n?\\z)"),
        'Q' => {
            let (quoted, len) = match reader.rest().find("\\E") {
                Some(end) => (&reader.rest()[..end], end + 2),
                None => (reader.rest(), reader.rest().len()),
            };
            quoted.chars().for_each(|c| reader.literal(c));
            reader.skip(len);
        }
        'E' => {}
        'K' | 'G' | 'C' | 'X' | 'g' | 'k' => {
            return Err(format!(
                "has `\\{c}`, which an engine of linear time cannot do: write it without"
            ));
        }
        'p' | 'P' => property(reader, c)?,
        c => {
            let c = character(reader, c)?;
            reader.literal(c);
        }
    }
    Ok(())
}

/// A class by its Unicode name.
fn property(reader: &mut Reader<'_>, c: char) -> Result<(), String> {
    let rest = reader.rest();
    let end = match rest.strip_prefix('{') {
        Some(_) => rest.find('}').map(|end| end + 1),
        None => rest.chars().next().map(char::len_utf8),
    };
    let end = end.ok_or("ends within a class `\\p{…}`")?;
    reader.out.push('\\');
    reader.out.push(c);
    reader.out.push_str(&rest[..end]);
    reader.skip(end);
    Ok(())
}
