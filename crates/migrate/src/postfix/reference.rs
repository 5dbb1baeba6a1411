//! References to other parameters in values (postconf(5)): `$name`, `${name}`, `$(name)`, `${name?text}`, `${name:text}`,
//! `${name?{text}:{text}}`, `${{a} == {b} ? {text} : {text}}`, and `$$`.

/// References within references.
const DEPTH_MAX: usize = 30;

/// Octets of a value, written out; a value that doubles itself would have no end.
const LENGTH_MAX: usize = 1024 * 1024;

/// A value with its references written out. `look_up` gives the raw value of a parameter, or `None` where there is none by that
/// name: the reference then stays as it is, since some name what only a mail has (`$recipient`, `${nexthop}`).
pub(super) fn written_out(value: &str, look_up: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    write(value, look_up, 0, &mut out);
    out
}

fn write(value: &str, look_up: &dyn Fn(&str) -> Option<String>, depth: usize, out: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if depth > DEPTH_MAX || out.len() > LENGTH_MAX {
            return;
        }
        if let Some(more) = rest.strip_prefix('$') {
            out.push('$');
            rest = more;
        } else if let Some((inside, more)) = enclosed(rest, '{', '}').or_else(|| enclosed(rest, '(', ')')) {
            if !choose(inside, look_up, depth, out) {
                out.push('$');
                out.push_str(&rest[..rest.len() - more.len()]);
            }
            rest = more;
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let (name, more) = rest.split_at(end);
            match look_up(name) {
                Some(value) if !name.is_empty() => write(&value, look_up, depth + 1, out),
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

/// What stands between a pair of brackets that begins the text, and what follows.
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

/// Writes what `${…}` says; `false` if it names nothing that is known.
fn choose(inside: &str, look_up: &dyn Fn(&str) -> Option<String>, depth: usize, out: &mut String) -> bool {
    let inside = inside.trim();
    if let Some((holds, rest)) = compared(inside, look_up) {
        branch(rest, holds, look_up, depth, out);
        return true;
    }
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let rest = rest.trim_start();
    let value = look_up(name);
    if rest.is_empty() {
        return value
            .map(|value| write(&value, look_up, depth + 1, out))
            .is_some();
    }
    let is_set = value
        .as_ref()
        .is_some_and(|value| !written_out(value, look_up).is_empty());
    if let Some(otherwise) = rest.strip_prefix(':') {
        match value {
            Some(value) if is_set => write(&value, look_up, depth + 1, out),
            _ => write(unbraced(otherwise), look_up, depth + 1, out),
        }
        return true;
    }
    branch(rest, is_set, look_up, depth, out);
    true
}

/// `? {text} : {text}` or `?text`.
fn branch(rest: &str, holds: bool, look_up: &dyn Fn(&str) -> Option<String>, depth: usize, out: &mut String) {
    let Some(rest) = rest.trim_start().strip_prefix('?') else {
        return;
    };
    let rest = rest.trim_start();
    let (then, otherwise) = match enclosed(rest, '{', '}') {
        Some((then, more)) => (then.trim(), more.trim_start().strip_prefix(':').unwrap_or("")),
        None => (rest, ""),
    };
    let chosen = if holds { then } else { unbraced(otherwise) };
    write(chosen, look_up, depth + 1, out);
}

/// Whether `{a} == {b}` holds, and what follows it.
fn compared<'a>(inside: &'a str, look_up: &dyn Fn(&str) -> Option<String>) -> Option<(bool, &'a str)> {
    let (left, rest) = enclosed(inside, '{', '}')?;
    let rest = rest.trim_start();
    let operators = ["==", "!=", "<=", ">=", "<", ">"];
    let operator = operators
        .into_iter()
        .find(|operator| rest.starts_with(operator))?;
    let (right, rest) = enclosed(rest[operator.len()..].trim_start(), '{', '}')?;
    let sides = (
        written_out(left.trim(), look_up),
        written_out(right.trim(), look_up),
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
}
