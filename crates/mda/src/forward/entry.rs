//! The content of a `.forward`, in sendmail's list format: entries separated by commas and line ends, comments after `#`.

/// One entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// Keep a copy here: the user's own name, with or without `\`.
    Keep,
    /// An address, or the name of another user.
    Address(String),
    /// A program, as a command of the shell.
    Program(String),
    /// A file to append to, or with `/` at the end a Maildir.
    File(String),
    /// A file with further entries, by its whole path: `:include:/home/ann/friends`.
    Include(String),
    /// Anything else, as it is written.
    Unknown(String),
}

/// The entries of a text, for the user `own`.
#[must_use]
pub fn parse(text: &str, own: &str) -> Vec<Entry> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .flat_map(split)
        .filter_map(|word| read(&word, own))
        .collect()
}

/// The entries of a line: separated by commas, except within quotes and comments in parentheses.
fn split(line: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
    for c in line.chars() {
        let is_plain = !quoted && !escaped;
        if is_plain && c == ',' && depth == 0 {
            entries.push(String::new());
            continue;
        }
        match c {
            '(' if is_plain => depth += 1,
            ')' if is_plain => depth = depth.saturating_sub(1),
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = entries.last_mut() {
            last.push(c);
        }
    }
    entries
}

fn read(word: &str, own: &str) -> Option<Entry> {
    let word = word.trim();
    // `"|/usr/bin/vacation ann"`, `"/home/ann/old mail"`
    let inner = unquoted(word);
    if word.is_empty() {
        return None;
    }
    if let Some(command) = inner.strip_prefix('|') {
        return Some(match command.trim() {
            "" => Entry::Unknown(word.to_owned()),
            command => Entry::Program(command.to_owned()),
        });
    }
    if inner.starts_with('/') {
        return Some(Entry::File(inner));
    }
    if word.starts_with(':') {
        let list = word.strip_prefix(":include:").map(str::trim);
        return Some(match list.filter(|path| path.starts_with('/')) {
            Some(path) => Entry::Include(path.to_owned()),
            None => Entry::Unknown(word.to_owned()),
        });
    }
    let address = bare(word);
    let name = address.strip_prefix('\\').unwrap_or(&address);
    Some(if name.is_empty() {
        Entry::Unknown(word.to_owned())
    } else if name.eq_ignore_ascii_case(own) {
        Entry::Keep
    } else {
        Entry::Address(name.to_owned())
    })
}

/// The text within quotes around the whole; anything else as it is.
fn unquoted(word: &str) -> String {
    let Some(inner) = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return match word.strip_prefix("|\"").and_then(|rest| rest.strip_suffix('"')) {
            // `|"/usr/bin/vacation ann"`
            Some(inner) => format!("|{}", unescaped(inner)),
            None => word.to_owned(),
        };
    };
    unescaped(inner)
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(
                chars
                    .next()
                    .filter(|next| matches!(next, '"' | '\\'))
                    .or(Some('\\')),
            ),
            c => out.push(c),
        }
    }
    out
}

/// An address without display name and comments: `Ann <ann@far.test>`, `ann@far.test (Ann)`.
fn bare(word: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for c in word.chars() {
        match c {
            '"' if !escaped && depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            _ => {}
        }
        if depth == 0 {
            out.push(c);
        }
        if c == ')' && !quoted {
            depth = depth.saturating_sub(1);
        }
        escaped = c == '\\' && !escaped;
    }
    let inner = out.rfind('<').and_then(|open| {
        let rest = &out[open + 1..];
        rest.find('>').map(|close| rest[..close].to_owned())
    });
    inner.unwrap_or(out).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries() {
        let address = |text: &str| Entry::Address(text.into());
        let program = |text: &str| Entry::Program(text.into());
        let file = |text: &str| Entry::File(text.into());
        let unknown = |text: &str| Entry::Unknown(text.into());
        #[rustfmt::skip]
        let cases: [(&str, &str, Vec<Entry>); 23] = [
            ("an address",               "bob@far.test\n",                       vec![address("bob@far.test")]),
            ("a copy stays",             "\\ann, bob@far.test",                  vec![Entry::Keep, address("bob@far.test")]),
            ("the own name alone",       "ann\n",                                vec![Entry::Keep]),
            ("in other letters",         "Ann\n",                                vec![Entry::Keep]),
            ("another user",             "\\bob\ncarl",                          vec![address("bob"), address("carl")]),
            ("comments",                 "# bob@far.test\n  # x\n",              vec![]),
            ("a comment beside",         "bob@far.test (Bob, at home)",          vec![address("bob@far.test")]),
            ("a name beside",            "Bob <bob@far.test>",                   vec![address("bob@far.test")]),
            ("a name with a comma",      "\"Roe, Bob\" <bob@far.test>",          vec![address("bob@far.test")]),
            ("a program",                "\"|/usr/bin/vacation ann\"",           vec![program("/usr/bin/vacation ann")]),
            ("a program with a comma",   "\"|prog a,b\", \\ann",                 vec![program("prog a,b"), Entry::Keep]),
            ("a program without quotes", "|/usr/bin/procmail",                   vec![program("/usr/bin/procmail")]),
            ("quotes behind the bar",    "|\"exec /usr/bin/procmail #ann\"",     vec![program("exec /usr/bin/procmail #ann")]),
            ("quotes within",            "\"|IFS=' ' && exec p \\\"a b\\\"\"",   vec![program("IFS=' ' && exec p \"a b\"")]),
            ("a file",                   "/home/ann/mail",                       vec![file("/home/ann/mail")]),
            ("a file with a blank",      "\"/home/ann/old mail\"",               vec![file("/home/ann/old mail")]),
            ("a Maildir",                "/home/ann/Maildir/",                   vec![file("/home/ann/Maildir/")]),
            ("a list",                   ":include:/etc/passwd",                 vec![Entry::Include("/etc/passwd".into())]),
            ("a list somewhere",         ":include:friends, :fail: no",         vec![unknown(":include:friends"), unknown(":fail: no")]),
            ("no program",               "|\n\"| \"",                            vec![unknown("|"), unknown("\"| \"")]),
            ("no address",               "<>, \\",                               vec![unknown("<>"), unknown("\\")]),
            ("nothing",                  " , ,\n\n",                             vec![]),
            ("open quotes",              "\"bob@far.test, x",                    vec![address("\"bob@far.test, x")]),
        ];
        for (shows, text, want) in cases {
            assert_eq!(parse(text, "ann"), want, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[ -~\n\u{e4}\\\\\"|,()<>:/]{0,200}") {
            for entry in parse(&text, "ann") {
                let words = match entry {
                    Entry::Keep => continue,
                    Entry::Address(text)
                    | Entry::Program(text)
                    | Entry::File(text)
                    | Entry::Include(text)
                    | Entry::Unknown(text) => text,
                };
                prop_assert!(!words.is_empty() && !words.contains('\n'));
            }
        }
    }
}
