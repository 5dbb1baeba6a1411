//! Services of pipe(8): programs that receive all mail of a transport.

use super::super::Service;
use super::{Site, short};
use crate::config::{Section, Value};
use crate::report::Weight;

/// A service's settings for its program.
#[derive(Debug, Default, Eq, PartialEq)]
struct Program {
    command: Vec<String>,
    user: String,
    group: Option<String>,
    add: Vec<&'static str>,
    lowercase: Vec<&'static str>,
    size_limit: Option<u64>,
    /// Attributes and flags that were not carried over.
    left: Vec<String>,
    /// Unknown macros.
    unknown: Vec<String>,
}

/// The name of the `[[pipe]]` for a service, which is written once. `None` if it cannot become one; then that is in the report.
pub(super) fn pipe(site: &mut Site<'_>, service: &Service) -> Option<String> {
    let name = service.name.clone();
    if site.pipes.contains(&name) {
        return Some(name);
    }
    let what = format!("{} {} {}", service.name, service.kind, service.command);
    let program = Program::of(&service.arguments);
    let mistake = if program.command.is_empty() || program.user.is_empty() {
        Some("it has no `argv` or no `user`".to_owned())
    } else if program.user == "root" {
        Some("no program is run as root: give it a user of its own".to_owned())
    } else if !program.unknown.is_empty() {
        Some(format!(
            "its command line has {}, which are not known here: write a [[pipe]] without them",
            program.unknown.join(", ")
        ))
    } else {
        None
    };
    if let Some(remedy) = mistake {
        site.import.missing(&service.at, &what, Weight::Mail, remedy);
        return None;
    }
    let mut section = Section::new("pipe", short(&service.at));
    section.set("name", Value::text(name.clone()), "");
    section.set("command", Value::list(program.command), "");
    section.set("user", Value::text(program.user), "");
    if let Some(group) = program.group {
        section.set("group", Value::text(group), "");
    }
    if !program.add.is_empty() {
        section.set("add", Value::list(program.add), "");
    }
    if !program.lowercase.is_empty() {
        section.set("lowercase", Value::list(program.lowercase), "");
    }
    if let Some(size) = program.size_limit.filter(|size| *size >= 1024) {
        section.set("size_limit", Value::plain(size), "");
    }
    site.import.config.add(section);
    let difference = if program.left.is_empty() {
        "the program runs once for each recipient, by the helper: systemctl enable --now postern-mailbox"
            .to_owned()
    } else {
        format!(
            "the program runs once for each recipient, by the helper (systemctl enable --now postern-mailbox), and without {}",
            program.left.join(", ")
        )
    };
    site.import.changed(&service.at, &what, "[[pipe]]", difference);
    site.pipes.insert(name.clone());
    Some(name)
}

impl Program {
    /// Reads `flags=DRhu user=vmail:vmail argv=/path word...`.
    fn of(arguments: &[String]) -> Self {
        let mut program = Self::default();
        let mut words = arguments.iter();
        for word in words.by_ref() {
            let word = word.trim_start_matches('{').trim_end_matches('}').trim();
            let Some((name, value)) = word.split_once('=') else {
                program.left.push(word.to_owned());
                continue;
            };
            match name {
                "argv" => {
                    program.word(value);
                    break;
                }
                "user" => match value.split_once(':') {
                    Some((user, group)) => {
                        user.clone_into(&mut program.user);
                        program.group = Some(group.to_owned());
                    }
                    None => value.clone_into(&mut program.user),
                },
                "flags" => value.chars().for_each(|flag| program.flag(flag)),
                "size" => program.size_limit = value.parse().ok(),
                _ => program.left.push(word.to_owned()),
            }
        }
        for word in words {
            program.word(word);
        }
        program
    }

    fn flag(&mut self, flag: char) {
        match flag {
            'F' => self.add.push("from"),
            'R' => self.add.push("return-path"),
            'O' => self.add.push("original-to"),
            'D' => self.add.push("delivered-to"),
            'h' => self.lowercase.push("domain"),
            'u' => self.lowercase.push("local"),
            // Addresses are quoted where they have to be; and it says what no log here says.
            'q' | 'X' => {}
            other => self.left.push(format!("flag {other}")),
        }
    }

    /// A word of the command line, with the names of macros here.
    fn word(&mut self, word: &str) {
        let mut made = String::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once('$') {
            made.push_str(before);
            let (name, behind) = match after.chars().next() {
                Some('{') => after[1..].split_once('}').unwrap_or_else(|| (&after[1..], "")),
                Some('(') => after[1..].split_once(')').unwrap_or_else(|| (&after[1..], "")),
                Some('$') => {
                    made.push('$');
                    rest = &after[1..];
                    continue;
                }
                _ => {
                    let end = after
                        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .unwrap_or(after.len());
                    after.split_at(end)
                }
            };
            match placeholder(name) {
                Some(placeholder) => made.push_str(placeholder),
                None => self.unknown.push(format!("${{{name}}}")),
            }
            rest = behind;
        }
        made.push_str(rest);
        self.command.push(made);
    }
}

fn placeholder(name: &str) -> Option<&'static str> {
    Some(match name {
        "recipient" => "{recipient}",
        "original_recipient" => "{original}",
        "sender" => "{sender}",
        "user" => "{user}",
        "extension" => "{detail}",
        "mailbox" => "{local}",
        "domain" => "{domain}",
        "nexthop" => "{next_hop}",
        "queue_id" => "{queue}",
        "size" => "{size}",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let of = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            Program::of(&words)
        };
        let program = of(
            "flags=DRhu user=vmail:mail argv=/usr/lib/dovecot/deliver -f ${sender} -a $(recipient) -d ${user}@${nexthop}",
        );
        assert_eq!(
            program,
            Program {
                command: [
                    "/usr/lib/dovecot/deliver",
                    "-f",
                    "{sender}",
                    "-a",
                    "{recipient}",
                    "-d",
                    "{user}@{next_hop}"
                ]
                .map(str::to_owned)
                .to_vec(),
                user: "vmail".into(),
                group: Some("mail".into()),
                add: vec!["delivered-to", "return-path"],
                lowercase: vec!["domain", "local"],
                ..Program::default()
            }
        );
        let program =
            of("flags=FB. size=1000000 directory=/srv user=list argv=/bin/x $nexthop $$1 ${client_address}");
        assert_eq!(program.command, ["/bin/x", "{next_hop}", "$1", ""]);
        assert_eq!((program.add, program.size_limit), (vec!["from"], Some(1_000_000)));
        assert_eq!(program.left, ["flag B", "flag .", "directory=/srv"]);
        assert_eq!(program.unknown, ["${client_address}"]);
    }
}
