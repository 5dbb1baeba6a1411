//! References to other parameters in values (postconf(5)): `$name`, `${name}`, `$(name)`, `${name?text}`, `${name:text}`,
//! `${name?{text}:{text}}`, `${{a} == {b} ? {text} : {text}}`, and `$$`.

use std::cell::Cell;

/// Deepest nesting of references.
const DEPTH_MAX: usize = 30;

/// Most octets of an expanded value; a value that doubles itself would grow endlessly.
const LENGTH_MAX: usize = 1024 * 1024;

/// Most references expanded for one value; if each has two more, depth alone is not a bound.
const STEPS_MAX: usize = 10_000;

/// A value with its references expanded. `look_up` returns the raw value of a parameter, or `None` if there is none with that
/// name: the reference is then kept, since some refer to properties of a message (`$recipient`, `${nexthop}`).
pub(super) fn written_out(value: &str, look_up: &dyn Fn(&str) -> Option<String>) -> String {
    let run = Run {
        look_up,
        steps: Cell::new(0),
    };
    run.text(value, 0)
}

/// Whether a value refers to a parameter: `$name`, `${name`, with whatever follows, or `$(name)`.
pub(super) fn names(value: &str, parameter: &str) -> bool {
    let after = |rest: &str| {
        let rest = rest.strip_prefix(['{', '(']).unwrap_or(rest).trim_start();
        let rest = rest.strip_prefix(parameter);
        rest.is_some_and(|rest| !rest.starts_with(is_name))
    };
    value.replace("$$", "").split('$').skip(1).any(after)
}

/// The expansion of one value, with all that it refers to.
struct Run<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    /// References so far.
    steps: Cell<usize>,
}

impl Run<'_> {
    fn text(&self, value: &str, depth: usize) -> String {
        let mut out = String::new();
        write(value, self, depth, &mut out);
        out
    }

    fn look_up(&self, name: &str) -> Option<String> {
        (self.look_up)(name)
    }

    /// Counts a reference; `false` if it is one too many.
    fn step(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        self.steps.get() <= STEPS_MAX
    }
}

fn write(value: &str, run: &Run<'_>, depth: usize, out: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if depth > DEPTH_MAX || out.len() > LENGTH_MAX || !run.step() {
            return;
        }
        if let Some(more) = rest.strip_prefix('$') {
            out.push('$');
            rest = more;
        } else if let Some((inside, more)) = enclosed(rest, '{', '}').or_else(|| enclosed(rest, '(', ')')) {
            if !choose(inside, run, depth, out) {
                out.push('$');
                out.push_str(&rest[..rest.len() - more.len()]);
            }
            rest = more;
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let (name, more) = rest.split_at(end);
            match run.look_up(name) {
                Some(value) if !name.is_empty() => write(&value, run, depth + 1, out),
                _ => {
                    out.push('$');
                    out.push_str(name);
                }
            }
            rest = more;
        }
    }
    out.push_str(rest);
}

/// The text within the pair of brackets at the beginning, and what follows.
fn enclosed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let inner = text.strip_prefix(open)?;
    let mut depth = 1_usize;
    for (at, letter) in inner.char_indices() {
        if letter == open {
            depth += 1;
        } else if letter == close {
            depth -= 1;
            if depth == 0 {
                return Some((&inner[..at], &inner[at + close.len_utf8()..]));
            }
        }
    }
    None
}

/// Writes the value of `${…}`; `false` if it refers to nothing known.
fn choose(inside: &str, run: &Run<'_>, depth: usize, out: &mut String) -> bool {
    let inside = inside.trim();
    if let Some((holds, rest)) = compared(inside, run, depth) {
        branch(rest, holds, run, depth, out);
        return true;
    }
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let rest = rest.trim_start();
    let value = run.look_up(name);
    if rest.is_empty() {
        return value.map(|value| write(&value, run, depth + 1, out)).is_some();
    }
    let is_set = value
        .as_ref()
        .is_some_and(|value| !run.text(value, depth + 1).is_empty());
    if let Some(otherwise) = rest.strip_prefix(':') {
        match value {
            Some(value) if is_set => write(&value, run, depth + 1, out),
            _ => write(unbraced(otherwise), run, depth + 1, out),
        }
        return true;
    }
    branch(rest, is_set, run, depth, out);
    true
}

/// `? {text} : {text}` or `?text`.
fn branch(rest: &str, holds: bool, run: &Run<'_>, depth: usize, out: &mut String) {
    let Some(rest) = rest.trim_start().strip_prefix('?') else {
        return;
    };
    let rest = rest.trim_start();
    let (then, otherwise) = match enclosed(rest, '{', '}') {
        Some((then, more)) => (then.trim(), more.trim_start().strip_prefix(':').unwrap_or("")),
        None => (rest, ""),
    };
    let chosen = if holds { then } else { unbraced(otherwise) };
    write(chosen, run, depth + 1, out);
}

/// Whether `{a} == {b}` holds, and what follows it.
fn compared<'a>(inside: &'a str, run: &Run<'_>, depth: usize) -> Option<(bool, &'a str)> {
    let (left, rest) = enclosed(inside, '{', '}')?;
    let rest = rest.trim_start();
    let operators = ["==", "!=", "<=", ">=", "<", ">"];
    let operator = operators
        .into_iter()
        .find(|operator| rest.starts_with(operator))?;
    let (right, rest) = enclosed(rest[operator.len()..].trim_start(), '{', '}')?;
    let sides = (
        run.text(left.trim(), depth + 1),
        run.text(right.trim(), depth + 1),
    );
    let order = match (sides.0.parse::<i64>(), sides.1.parse::<i64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => sides.0.cmp(&sides.1),
    };
    let holds = match operator {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        "<" => order.is_lt(),
        _ => order.is_gt(),
    };
    Some((holds, rest))
}

fn unbraced(text: &str) -> &str {
    let text = text.trim();
    enclosed(text, '{', '}').map_or(text, |(inside, _)| inside.trim())
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_written_out() {
        let look_up = |name: &str| {
            let value = match name {
                "mydomain" => "example.org",
                "myhostname" => "mail.$mydomain",
                "empty" => "",
                "level" => "3",
                "loop" => "x$loop",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let table = [
            ("plain", "plain"),
            (
                "$myhostname, localhost.$mydomain",
                "mail.example.org, localhost.example.org",
            ),
            ("${myhostname}x $(mydomain)", "mail.example.orgx example.org"),
            ("$$mydomain", "$mydomain"),
            ("$recipient ${nexthop}", "$recipient ${nexthop}"),
            ("${mydomain?set}${empty?set}", "set"),
            ("${mydomain:none}|${empty:none}", "example.org|none"),
            ("${empty?{a}:{b $mydomain}}", "b example.org"),
            ("${nosuch?{a}:{b}}", "b"),
            ("${{$level} < {2} ? {no} : {yes}}", "yes"),
            ("${{$mydomain} == {example.org} ? {same}}", "same"),
            ("a $", "a $"),
            ("${open", "${open"),
        ];
        for (value, expected) in table {
            assert_eq!(written_out(value, &look_up), expected, "{value}");
        }
        assert!(written_out("$loop", &look_up).len() < 100);
    }

    #[test]
    fn references_are_found() {
        let table = [
            ("$mail_name", true),
            ("a $mail_name.", true),
            ("${mail_name}", true),
            ("${mail_name?x}", true),
            ("${{$mail_name} == {x} ? {y}}", true),
            ("$(mail_name)", true),
            ("mail_name", false),
            ("$mail_name_of", false),
            ("$$mail_name", false),
            ("$my_mail_name", false),
            ("$", false),
        ];
        for (value, expected) in table {
            assert_eq!(names(value, "mail_name"), expected, "{value}");
        }
    }

    #[test]
    fn what_leads_to_itself_ends() {
        let look_up = |name: &str| match name {
            "asked" => Some("${asked?x}".to_owned()),
            "otherwise" => Some("${otherwise:x}".to_owned()),
            "compared" => Some("${{$compared} == {x} ? {y}}".to_owned()),
            _ => {
                let number: usize = name.strip_prefix('a')?.parse().ok()?;
                Some(format!("$a{0}$a{0}", number + 1))
            }
        };
        for value in ["$asked", "${asked?x}", "$otherwise", "$compared", "$a0"] {
            assert!(written_out(value, &look_up).len() < 100_000, "{value}");
        }
    }
}
