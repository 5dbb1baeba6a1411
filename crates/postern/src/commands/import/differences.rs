//! Where the old server and the new configuration decide differently, by kind.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use postern_migrate::log::{Decision, Left, Outcome, Seen};
use serde::Serialize;

use crate::commands::explain::Brief;
use crate::visible;

/// All that was found.
pub(super) struct Differences {
    lines: u64,
    of_mail: u64,
    same: u64,
    different: u64,
    kinds: BTreeMap<Kind, Difference>,
    left: BTreeMap<String, u64>,
}

/// What kind of difference: the words for it, the rule that decides now, and what was said before.
type Kind = (&'static str, String, String);

struct Difference {
    count: u64,
    example: Example,
}

/// One of its kind.
#[derive(Clone, Serialize)]
struct Example {
    /// The log.
    file: String,
    line: u64,
    client: String,
    /// The listener of the new configuration that it was put to.
    listener: String,
    login: Option<String>,
    from: String,
    to: String,
    /// What the old server said.
    before: String,
    /// Why the new one refuses.
    #[serde(skip_serializing_if = "String::is_empty")]
    now: String,
    /// The command that shows the decision rule by rule.
    explain: String,
}

/// The same for programs.
#[derive(Serialize)]
pub(super) struct Shown {
    lines: u64,
    lines_of_mail: u64,
    same: u64,
    different: u64,
    differences: Vec<ShownDifference>,
    left_out: Vec<LeftOut>,
}

#[derive(Serialize)]
struct ShownDifference {
    kind: &'static str,
    rule: String,
    before: String,
    count: u64,
    example: Example,
}

#[derive(Serialize)]
struct LeftOut {
    reason: String,
    count: u64,
}

impl Differences {
    pub(super) fn new(lines: (u64, u64), left: HashMap<Left, u64>) -> Self {
        Self {
            lines: lines.0,
            of_mail: lines.1,
            same: 0,
            different: 0,
            kinds: BTreeMap::new(),
            left: left
                .into_iter()
                .map(|(why, count)| (why.text().to_owned(), count))
                .collect(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.different == 0
    }

    /// A decision whose addresses nobody can read.
    pub(super) fn unreadable(&mut self, count: u64) {
        *self
            .left
            .entry("with an address or a login that makes no sense".to_owned())
            .or_default() += count;
    }

    /// Compares a decision with what comes of it now.
    pub(super) fn judged(&mut self, decision: &Decision, seen: &Seen, listener: &str, brief: &Brief) {
        let (kind, before) = match (&decision.outcome, brief.allowed) {
            (Outcome::Taken, true) | (Outcome::Refused(..), false) => {
                self.same += seen.count;
                return;
            }
            (Outcome::Taken, false) => ("was taken, would be refused", String::new()),
            (Outcome::Refused(code, words), true) if *code < 500 => {
                ("was put off, would be taken", told(*code, words))
            }
            (Outcome::Refused(code, words), true) => ("was refused, would be taken", told(*code, words)),
        };
        self.different += seen.count;
        let whole = match &decision.outcome {
            Outcome::Taken => "taken".to_owned(),
            Outcome::Refused(code, words) => format!("{code} {words}"),
        };
        let example = || Example {
            file: seen.place.file.clone(),
            line: seen.place.line,
            client: decision.client.to_string(),
            listener: listener.to_owned(),
            login: decision.login.clone(),
            from: decision.sender.clone(),
            to: decision.recipient.clone(),
            before: whole.clone(),
            now: brief.reason.clone(),
            explain: explain(decision, listener),
        };
        let found = self
            .kinds
            .entry((kind, brief.rule.to_owned(), before))
            .or_insert_with(|| Difference {
                count: 0,
                example: example(),
            });
        found.count += seen.count;
    }

    /// Those of one kind, the most frequent first.
    fn sorted(&self) -> Vec<(&Kind, &Difference)> {
        let mut sorted: Vec<(&Kind, &Difference)> = self.kinds.iter().collect();
        sorted.sort_by_key(|(_, difference)| std::cmp::Reverse(difference.count));
        sorted
    }

    pub(super) fn shown(&self) -> Shown {
        let differences = self
            .sorted()
            .into_iter()
            .map(|((kind, rule, before), difference)| ShownDifference {
                kind,
                rule: rule.clone(),
                before: before.clone(),
                count: difference.count,
                example: difference.example.clone(),
            });
        let left = self.left.iter().map(|(reason, count)| LeftOut {
            reason: reason.clone(),
            count: *count,
        });
        Shown {
            lines: self.lines,
            lines_of_mail: self.of_mail,
            same: self.same,
            different: self.different,
            differences: differences.collect(),
            left_out: left.collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} lines, {} of them about mail. {} recipients decided as before, {} otherwise.\n",
            self.lines, self.of_mail, self.same, self.different
        );
        for ((kind, rule, before), difference) in self.sorted() {
            let example = &difference.example;
            let because = if before.is_empty() {
                String::new()
            } else {
                format!("; it was {before}")
            };
            let _ = writeln!(
                text,
                "\n{}x {kind}: {rule}{}",
                difference.count,
                visible::line(&because)
            );
            let login = example
                .login
                .as_ref()
                .map_or_else(String::new, |login| format!(" as {login}"));
            let lines = [
                format!("{}:{}", example.file, example.line),
                format!(
                    "{}{login} at {}: <{}> to <{}>",
                    example.client, example.listener, example.from, example.to
                ),
                example.now.clone(),
                example.explain.clone(),
            ];
            for line in lines.iter().filter(|line| !line.is_empty()) {
                let _ = writeln!(text, "    {}", visible::line(line));
            }
        }
        if !self.left.is_empty() {
            text.push_str("\nNot decided again:\n");
            for (reason, count) in &self.left {
                let _ = writeln!(text, "    {count}x {reason}");
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// What was said, without what is different each time: addresses, numbers.
fn told(code: u16, words: &str) -> String {
    let mut said = String::new();
    let mut inside = false;
    for letter in words.chars() {
        match letter {
            '<' | '[' => {
                inside = true;
                said.push(letter);
                said.push('…');
            }
            '>' | ']' => {
                inside = false;
                said.push(letter);
            }
            _ if inside => {}
            _ if letter.is_ascii_digit() && said.ends_with('#') => {}
            _ if letter.is_ascii_digit() && said.len() > 12 => said.push('#'),
            _ => said.push(letter),
        }
    }
    // What Postfix puts behind the reason, such as the user of a sender.
    let said = said.split(" not owned by ").next().unwrap_or(&said);
    let short: String = said.chars().take(100).collect();
    format!("{code} {}", short.trim())
}

/// The command that shows a decision.
fn explain(decision: &Decision, listener: &str) -> String {
    let quoted = |text: &str| {
        let is_plain = !text.is_empty()
            && text
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"@.-_+:=[]".contains(&octet));
        if is_plain {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    let sender = if decision.sender.is_empty() {
        "<>"
    } else {
        &decision.sender
    };
    let mut command = format!(
        "postern explain --peer {} --listener {}",
        decision.client,
        quoted(listener)
    );
    if let Some(helo) = &decision.helo {
        let _ = write!(command, " --helo {}", quoted(helo));
    }
    if let Some(login) = &decision.login {
        let _ = write!(command, " --login {}", quoted(login));
    }
    let _ = write!(
        command,
        " --from {} --to {}",
        quoted(sender),
        quoted(&decision.recipient)
    );
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(recipient: &str, outcome: Outcome) -> Decision {
        Decision {
            client: "192.0.2.1".parse().unwrap(),
            service: String::new(),
            login: None,
            helo: Some("a b".to_owned()),
            sender: String::new(),
            recipient: recipient.to_owned(),
            outcome,
        }
    }

    fn brief(allowed: bool) -> Brief {
        Brief {
            allowed,
            rule: "relay.domain",
            reason: if allowed { String::new() } else { "no".to_owned() },
        }
    }

    #[test]
    fn differences_are_counted_by_kind() {
        let mut found = Differences::new((9, 7), [(Left::Content, 2)].into_iter().collect());
        let seen = |count| Seen {
            count,
            ..Seen::default()
        };
        let refused = |text: &str| Outcome::Refused(554, text.to_owned());
        found.judged(&decision("a@x", Outcome::Taken), &seen(5), "mx", &brief(true));
        found.judged(
            &decision("a@x", refused("5.7.1 <a@x>: Relay access denied")),
            &seen(1),
            "mx",
            &brief(false),
        );
        assert!(found.is_empty());
        found.judged(
            &decision("a@x", refused("5.7.1 <a@x>: Relay access denied")),
            &seen(2),
            "mx",
            &brief(true),
        );
        found.judged(
            &decision("b@x", refused("5.7.1 <b@x>: Relay access denied")),
            &seen(1),
            "mx",
            &brief(true),
        );
        found.judged(&decision("c@x", Outcome::Taken), &seen(1), "mx", &brief(false));
        found.judged(
            &decision(
                "c@x",
                Outcome::Refused(450, "4.2.0 Greylisted, 299 seconds".to_owned()),
            ),
            &seen(9),
            "mx",
            &brief(true),
        );
        let shown = found.shown();
        let kinds: Vec<(&str, u64, &str)> = shown
            .differences
            .iter()
            .map(|it| (it.kind, it.count, it.before.as_str()))
            .collect();
        let expected = [
            (
                "was put off, would be taken",
                9,
                "450 4.2.0 Greylisted, # seconds",
            ),
            (
                "was refused, would be taken",
                3,
                "554 5.7.1 <…>: Relay access denied",
            ),
            ("was taken, would be refused", 1, ""),
        ];
        assert_eq!(kinds, expected);
        assert_eq!((shown.same, shown.different), (6, 13));
        let command = "postern explain --peer 192.0.2.1 --listener mx --helo 'a b' --from '<>' --to a@x";
        assert_eq!(shown.differences[1].example.explain, command);
        let text = found.text();
        assert!(
            text.contains("9x was put off, would be taken: relay.domain; it was 450"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "2x decided by the content: see `postern milters try` and `postern explain --message`"
            ),
            "{text}"
        );
    }
}
