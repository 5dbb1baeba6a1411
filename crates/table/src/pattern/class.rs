//! Bracket expressions, whose rules differ most between engines.

use super::dialect::Dialect;
use super::reader::{Reader, character};

/// One member of a class.
enum Member {
    /// A character, which may start a range.
    One(char),
    /// A class within it, in the engine's syntax.
    Class(String),
}

/// Reads a class after its `[`.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<(), String> {
    reader.out.push('[');
    if reader.take("^") {
        reader.out.push('^');
    }
    // In first position it stands for itself.
    let mut first = true;
    loop {
        if reader.peek() == Some(']') && !first {
            reader.next();
            break;
        }
        first = false;
        match member(reader)? {
            Member::Class(class) => reader.out.push_str(&class),
            Member::One(from) => {
                one(reader, from);
                let mut ahead = reader.rest().chars();
                if ahead.next() != Some('-') || ahead.next().is_none_or(|c| c == ']') {
                    continue;
                }
                reader.next();
                match member(reader)? {
                    Member::One(to) if from <= to => {
                        reader.out.push('-');
                        one(reader, to);
                    }
                    Member::One(to) => {
                        return Err(format!(
                            "has the range `{from}-{to}`, which is the wrong way round"
                        ));
                    }
                    // `[a-\d]`: the hyphen is literal.
                    Member::Class(class) => {
                        reader.out.push_str("\\-");
                        reader.out.push_str(&class);
                    }
                }
            }
        }
    }
    reader.out.push(']');
    Ok(())
}

/// A literal character within a class.
fn one(reader: &mut Reader<'_>, c: char) {
    reader.literal(c);
}

fn member(reader: &mut Reader<'_>) -> Result<Member, String> {
    let Some(c) = reader.next() else {
        return Err("has a `[` without its `]`: add it, or write `\\[` for one".into());
    };
    if c == '[' {
        for (sign, what) in [(".", "[.x.]"), ("=", "[=x=]")] {
            let rest = reader.rest();
            if rest.starts_with(sign) && rest[1..].contains(&format!("{sign}]")) {
                return Err(format!(
                    "has a class like `{what}`, which depends on the language: name its characters"
                ));
            }
        }
        if reader.peek() == Some(':')
            && let Some(end) = reader.rest().find(":]")
        {
            return named(reader, end);
        }
        return Ok(Member::One('['));
    }
    if c != '\\' || reader.dialect == Dialect::Posix {
        return Ok(Member::One(c));
    }
    let Some(c) = reader.next() else {
        return Err("ends with a `\\`: write `\\\\` for one".into());
    };
    let class = match c {
        'd' => "0-9",
        'D' => "[^0-9]",
        'w' => "0-9A-Za-z_",
        'W' => "[^0-9A-Za-z_]",
        's' => " \\t\\n\\x0B\\f\\r",
        'S' => "[^ \\t\\n\\x0B\\f\\r]",
        'h' => " \\t",
        'v' => "\\n\\x0B\\f\\r",
        'b' => return Ok(Member::One('\x08')),
        '1'..='7' => {
            return Err("has an octal number in brackets: write `\\x` and two hexadecimal digits".into());
        }
        'Q' | 'E' => {
            return Err(format!(
                "has `\\{c}` in brackets: write `\\` before each character"
            ));
        }
        'p' | 'P' => {
            let rest = reader.rest();
            let end = rest.find('}').filter(|_| rest.starts_with('{'));
            let end = end.ok_or("has `\\p` in brackets without a name such as `{L}`")?;
            let class = format!("\\{c}{}", &rest[..=end]);
            reader.skip(end + 1);
            return Ok(Member::Class(class));
        }
        c => return character(reader, c).map(Member::One),
    };
    Ok(Member::Class(class.to_owned()))
}

/// `[:alpha:]`, ASCII only; `end` is the position of its `:]`.
fn named(reader: &mut Reader<'_>, end: usize) -> Result<Member, String> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    let name = reader.rest().get(1..end).unwrap_or_default();
    let bare = name.strip_prefix('^').unwrap_or(name);
    if !NAMES.contains(&bare) {
        return Err(format!(
            "has the unknown class `[:{name}:]`; there are {}",
            NAMES.join(", ")
        ));
    }
    let class = format!("[:{name}:]");
    reader.skip(end + 2);
    Ok(Member::Class(class))
}
