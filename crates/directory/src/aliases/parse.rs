//! Lines and lists of the aliases file as text.

use postern_mail::Mailbox;
use postern_mail::address::ParseOptions;
use postern_policy::alias::RefusalText;

use crate::addresses::moved_to;

/// The suffix of the new address of a user who has moved, as with sendmail's `FEATURE(redirect)`.
const REDIRECT: &str = ".redirect";

/// One alias as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    /// The line it starts at, from 1.
    pub(crate) number: usize,
    /// The name, unquoted.
    pub(crate) name: String,
    /// Its targets.
    pub(crate) targets: Vec<Written>,
}

/// A mistake: the line, and what is wrong with it.
pub(crate) type Wrong = (usize, String);

/// One target as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    /// An addressee.
    Goal(Goal),
    /// `:include:/path`: everyone the file names.
    Include(String),
    /// A program or a file, as written: never run or written to here.
    Program(String),
}

/// One addressee as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Goal {
    /// A name without domain, unquoted.
    Name(String),
    /// `\name`: the mailbox, whatever the aliases say.
    Mailbox(String),
    /// With domain.
    Address(Mailbox),
    /// `/dev/null`: the mail is discarded.
    Discard,
    /// Refused, with a reason for the client.
    Refuse(RefusalText),
}

/// Reads the text of an aliases file.
pub(crate) fn aliases(text: &str) -> (Vec<Line>, Vec<Wrong>) {
    let (mut lines, mut mistakes) = (Vec::new(), Vec::new());
    for (number, logical) in logical_lines(text, &mut mistakes) {
        match alias(&logical) {
            Ok((name, targets)) => lines.push(Line {
                number,
                name,
                targets,
            }),
            Err(message) => mistakes.push((number, message)),
        }
    }
    (lines, mistakes)
}

/// Reads the text of an included file: targets, separated by commas or line breaks.
pub(crate) fn included(text: &str) -> (Vec<(usize, Written)>, Vec<Wrong>) {
    let (mut targets, mut mistakes) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        if is_silent(line) {
            continue;
        }
        match list(line) {
            Ok(found) => targets.extend(found.into_iter().map(|target| (index + 1, target))),
            Err(message) => mistakes.push((index + 1, message)),
        }
    }
    (targets, mistakes)
}

/// Joins continued lines; each with the number of its first.
fn logical_lines(text: &str, mistakes: &mut Vec<Wrong>) -> Vec<(usize, String)> {
    let mut logical: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if is_silent(line) {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            logical.push((index + 1, line.to_owned()));
        } else if let Some((_, before)) = logical.last_mut() {
            before.push(' ');
            before.push_str(line.trim_start());
        } else {
            mistakes.push((
                index + 1,
                "starts with a blank, so it continues the line before it, but there is none".into(),
            ));
        }
    }
    logical
}

fn is_silent(line: &str) -> bool {
    line.starts_with('#') || line.trim().is_empty()
}

/// `name: targets`
fn alias(line: &str) -> Result<(String, Vec<Written>), String> {
    let colon = find_outside(line, |c| c == ':')?
        .ok_or("no `:` after the name; an alias is written `name: target, …`")?;
    let name = line[..colon].trim();
    let name = unquote(name)?;
    if name.is_empty() {
        return Err("no name before the `:`".into());
    }
    if name.contains('@') {
        return Err(format!(
            "{name:?}: an alias is a local part, without `@` and domain"
        ));
    }
    if name.chars().any(char::is_control) {
        return Err("control character in the name".into());
    }
    let targets = list(&line[colon + 1..])?;
    if targets.is_empty() {
        return Err(format!("{name:?} has no target; write one after the `:`"));
    }
    Ok((name, targets))
}

/// A comma-separated list. A trailing comma or two in a row are ignored, as with sendmail.
fn list(text: &str) -> Result<Vec<Written>, String> {
    let text = without_comments(text)?;
    let mut targets = Vec::new();
    let mut rest = text.as_str();
    loop {
        let end = find_outside(rest, |c| c == ',')?;
        let item = rest[..end.unwrap_or(rest.len())].trim();
        if !item.is_empty() {
            targets.push(target(item)?);
        }
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => return Ok(targets),
        }
    }
}

/// One target: the text between two commas.
fn target(item: &str) -> Result<Written, String> {
    let whole = unquote(item)?;
    if let Some(path) = strip_include(&whole) {
        if path.is_empty() {
            return Err("`:include:` without a file".into());
        }
        return Ok(Written::Include(path.to_owned()));
    }
    if let Some(special) = special(item, &whole)? {
        return Ok(special);
    }
    // `Jane Doe <jane@outside.example>`: the address inside counts.
    if let Some(open) = find_outside(item, |c| c == '<')? {
        let Some(inner) = item[open + 1..].strip_suffix('>') else {
            return Err(format!("{item}: `<` without `>` at its end"));
        };
        let inner = inner.trim();
        return match special(item, &unquote(inner)?)? {
            Some(special) => Ok(special),
            None => goal(inner).map(Written::Goal),
        };
    }
    goal(item).map(Written::Goal)
}

/// Targets that other servers would run or write to; other special forms are mistakes.
fn special(item: &str, target: &str) -> Result<Option<Written>, String> {
    match target.chars().next() {
        Some('/') if target == "/dev/null" => Ok(Some(Written::Goal(Goal::Discard))),
        Some('|' | '/') => Ok(Some(Written::Program(target.to_owned()))),
        Some(':') => Err(format!(
            "{item}: the only target that starts with `:` is `:include:/path`"
        )),
        _ => Ok(None),
    }
}

fn goal(item: &str) -> Result<Goal, String> {
    if let Some(at) = item.len().checked_sub(REDIRECT.len())
        && at > 0
        && item.is_char_boundary(at)
        && item[at..].eq_ignore_ascii_case(REDIRECT)
    {
        return Ok(Goal::Refuse(moved_to(&item[..at])));
    }
    if find_outside(item, |c| c == '@')?.is_some() {
        let options = ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        };
        return Mailbox::parse(item, &options)
            .map(Goal::Address)
            .map_err(|error| format!("{item}: {error}"));
    }
    if let Some(name) = item.strip_prefix('\\') {
        return name_of(name).map(Goal::Mailbox);
    }
    name_of(item).map(Goal::Name)
}

fn name_of(item: &str) -> Result<String, String> {
    let name = unquote(item)?;
    if !item.starts_with('"') && name.contains(char::is_whitespace) {
        return Err(format!(
            "{item}: a blank inside a name; put `,` between two targets, or quotes around one"
        ));
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(format!("{item:?} is not a name"));
    }
    Ok(name)
}

fn strip_include(text: &str) -> Option<&str> {
    let head = text.get(..":include:".len())?;
    head.eq_ignore_ascii_case(":include:")
        .then(|| text[":include:".len()..].trim())
}

/// Removes the quotes from a text that is quoted as a whole; leaves any other unchanged.
fn unquote(text: &str) -> Result<String, String> {
    let Some(inner) = text.strip_prefix('"') else {
        return Ok(text.to_owned());
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if chars.as_str().is_empty() => return Ok(plain),
            '"' => return Ok(text.to_owned()),
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    Err(format!("{text}: a quote that does not end"))
}

/// Finds the first character of a kind outside quotes. A backslash escapes the next character.
fn find_outside(text: &str, wanted: impl Fn(char) -> bool) -> Result<Option<usize>, String> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && wanted(c) => return Ok(Some(index)),
            _ => {}
        }
    }
    if quoted {
        Err("a quote that does not end".into())
    } else {
        Ok(None)
    }
}

/// Removes comments in parentheses, which nest (RFC 5322 section 3.2.2).
fn without_comments(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_usize);
    for c in text.chars() {
        let was_inside = depth > 0;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.checked_sub(1).ok_or("`)` without `(`")?,
            _ => {}
        }
        if !was_inside && depth == 0 {
            plain.push(c);
        }
    }
    if depth > 0 {
        Err("`(` without `)`".into())
    } else {
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(target: &Written) -> String {
        match target {
            Written::Goal(Goal::Name(name)) => format!("name {name}"),
            Written::Goal(Goal::Mailbox(name)) => format!("mailbox {name}"),
            Written::Goal(Goal::Address(mailbox)) => format!("address {mailbox}"),
            Written::Goal(Goal::Discard) => "discard".into(),
            Written::Goal(Goal::Refuse(text)) => format!("refuse {text}"),
            Written::Program(text) => format!("program {text}"),
            Written::Include(path) => format!("include {path}"),
        }
    }

    #[test]
    fn aliases_that_are_right() {
        let cases: [(&str, &str, &str, &[&str]); 26] = [
            (
                "a program",
                "a: |/usr/bin/vacation",
                "a",
                &["program |/usr/bin/vacation"],
            ),
            (
                "a quoted program, and somebody",
                "a: \"|/usr/bin/vacation joe\", b",
                "a",
                &["program |/usr/bin/vacation joe", "name b"],
            ),
            (
                "a program in angle brackets",
                "a: B <|/bin/sh>",
                "a",
                &["program |/bin/sh"],
            ),
            (
                "a file in angle brackets",
                "a: </var/mail/archive>",
                "a",
                &["program /var/mail/archive"],
            ),
            (
                "a file",
                "a: /var/mail/archive",
                "a",
                &["program /var/mail/archive"],
            ),
            (
                "a quoted file",
                "a: \"/var/mail/my archive\"",
                "a",
                &["program /var/mail/my archive"],
            ),
            ("nowhere", "a: /dev/null", "a", &["discard"]),
            (
                "who has moved",
                "a: lisa@new.example.REDIRECT",
                "a",
                &["refuse 551 5.1.6 User has moved; please try <lisa@new.example>"],
            ),
            (
                "who has moved, without a domain",
                "a: lisa.redirect",
                "a",
                &["refuse 551 5.1.6 User has moved; please try lisa"],
            ),
            ("one name", "postmaster: root", "postmaster", &["name root"]),
            ("no blank", "a:b", "a", &["name b"]),
            ("blanks around", "a \t: \t b , c ", "a", &["name b", "name c"]),
            ("a comma at the end", "a: b, c,", "a", &["name b", "name c"]),
            (
                "a quoted name",
                "\"joe smith\": jsmith",
                "joe smith",
                &["name jsmith"],
            ),
            ("a colon in a quoted name", "\"a:b\": c", "a:b", &["name c"]),
            (
                "a quoted local part",
                "a: \"c d\"@x.example",
                "a",
                &["address \"c d\"@x.example"],
            ),
            (
                "a comma in quotes",
                "a: \"c,d\"@x.example, e",
                "a",
                &["address \"c,d\"@x.example", "name e"],
            ),
            ("a quoted target", "a: \"joe smith\"", "a", &["name joe smith"]),
            (
                "an at sign in quotes is not a domain",
                "a: \"b@c\"",
                "a",
                &["name b@c"],
            ),
            (
                "a mailbox",
                "a: \\a, b@x.example",
                "a",
                &["mailbox a", "address b@x.example"],
            ),
            (
                "an included file",
                "a: :include:/etc/list",
                "a",
                &["include /etc/list"],
            ),
            (
                "with blanks and quotes",
                "a: \":include: /etc/my list\"",
                "a",
                &["include /etc/my list"],
            ),
            (
                "a comment in parentheses",
                "a: b (the (old) one, with comma), c",
                "a",
                &["name b", "name c"],
            ),
            (
                "a name in front of the address",
                "a: Jane Doe <j@x.example>",
                "a",
                &["address j@x.example"],
            ),
            (
                "owner- is a name like any other",
                "owner-list: b",
                "owner-list",
                &["name b"],
            ),
            (
                "the domain in small letters",
                "a: b@X.Example",
                "a",
                &["address b@x.example"],
            ),
        ];
        for (shows, text, name, want) in cases {
            let (lines, mistakes) = aliases(text);
            assert_eq!(mistakes, [], "{shows}");
            assert_eq!(lines.len(), 1, "{shows}");
            assert_eq!(lines[0].name, name, "{shows}");
            assert_eq!(
                lines[0].targets.iter().map(show).collect::<Vec<_>>(),
                want,
                "{shows}"
            );
        }
    }

    #[test]
    fn aliases_that_are_wrong() {
        let cases = [
            (
                "an instruction in angle brackets",
                "a: <:fail:>",
                "`:include:/path`",
            ),
            ("no colon", "postmaster root", "no `:`"),
            ("no name", ": root", "no name"),
            ("no target", "a:", "has no target"),
            ("only commas", "a: ,,", "has no target"),
            ("a domain on the left", "a@b.example: c", "without `@`"),
            ("an open quote", "a: \"b", "quote that does not end"),
            ("an open quote on the left", "\"a: b", "quote that does not end"),
            ("an open parenthesis", "a: b (c", "`(` without `)`"),
            ("a closing one", "a: b) c", "`)` without `(`"),
            ("a comma forgotten", "a: b c", "put `,` between"),
            ("an include without a file", "a: :include:", "without a file"),
            (
                "another word with a colon",
                "a: :fail:",
                "the only target that starts with `:`",
            ),
            ("a bad address", "a: b@", "b@"),
            ("an angle that does not end", "a: J <j@x.example", "without `>`"),
            ("a first line that goes on", "  a: b", "there is none"),
        ];
        for (shows, text, want) in cases {
            let (_, mistakes) = aliases(text);
            assert_eq!(mistakes.len(), 1, "{shows}: {mistakes:?}");
            assert!(mistakes[0].1.contains(want), "{shows}: {mistakes:?}");
        }
    }

    #[test]
    fn lines_go_on_and_keep_their_numbers() {
        let text = "# comment\n\na: b,\n# between\n\n\tc,\n  d\nbad\ne: f\n";
        let (lines, mistakes) = aliases(text);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].number, lines[0].targets.len()), (3, 3));
        assert_eq!((lines[1].number, lines[1].name.as_str()), (9, "e"));
        assert_eq!(mistakes.len(), 1);
        assert_eq!(mistakes[0].0, 8);
    }

    #[test]
    fn included_files() {
        let (targets, mistakes) = included("# list\na, b@x.example\n\n  c\n|prog\n:include:/more\n");
        let shown: Vec<_> = targets
            .iter()
            .map(|(line, target)| (*line, show(target)))
            .collect();
        let want = [
            (2, "name a"),
            (2, "address b@x.example"),
            (4, "name c"),
            (5, "program |prog"),
            (6, "include /more"),
        ];
        assert_eq!(shown, want.map(|(line, text)| (line, text.to_owned())));
        assert_eq!(mistakes, []);
    }

    proptest! {
        /// No input makes it panic, and no target is a file or program.
        #[test]
        fn any_text(text in "[a-c:,\"\\\\()<>@ \\t\\n#|/.]{0,60}") {
            let (lines, _) = aliases(&text);
            for line in lines {
                prop_assert!(!line.name.is_empty() && !line.targets.is_empty());
                for target in line.targets {
                    if let Written::Goal(Goal::Name(name)) = target {
                        prop_assert!(!name.is_empty() && !name.starts_with(['|', '/', ':']), "{}", name);
                    }
                }
            }
            let _ = included(&text);
        }
    }
}
