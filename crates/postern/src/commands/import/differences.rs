//! Where the old server and the new configuration decide differently, by kind.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

use postern_migrate::log::{Decision, Left, Outcome, Seen};
use serde::Serialize;

use crate::commands::explain::Brief;
use crate::visible;

/// All results.
pub(super) struct Differences {
    lines: u64,
    of_mail: u64,
    same: u64,
    different: u64,
    kinds: BTreeMap<Kind, Difference>,
    left: BTreeMap<String, u64>,
}

/// The kind of difference.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Kind {
    /// Its description.
    words: &'static str,
    /// The rule that decides now.
    rule: String,
    /// The setting behind it, with its place; empty if it is not set, or the mail would be accepted.
    setting: String,
    /// The old server's answer.
    before: String,
}

/// The result of a repeated decision.
#[derive(Debug, Eq, PartialEq)]
enum Again {
    Same,
    /// The old server deferred it, and what might do so is not asked here.
    Unasked,
    Different(&'static str),
}

struct Difference {
    count: u64,
    example: Example,
}

/// An example of its kind.
#[derive(Clone, Serialize)]
struct Example {
    /// The log.
    file: String,
    line: u64,
    client: String,
    /// The listener of the new configuration used.
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
    /// The setting behind the rule that now refuses, with its place.
    #[serde(skip_serializing_if = "String::is_empty")]
    setting: String,
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

    /// A decision whose addresses cannot be parsed.
    pub(super) fn unreadable(&mut self, count: u64) {
        *self
            .left
            .entry("with an address or a login that makes no sense".to_owned())
            .or_default() += count;
    }

    /// Compares a decision with the new result.
    pub(super) fn judged(&mut self, decision: &Decision, seen: &Seen, at: &Asked<'_>, brief: &Brief) {
        let words = match again(&decision.outcome, brief) {
            Again::Same => {
                self.same += seen.count;
                return;
            }
            Again::Unasked => {
                let why = "put off, and the policy service was not asked";
                *self.left.entry(why.to_owned()).or_default() += seen.count;
                return;
            }
            Again::Different(words) => words,
        };
        self.different += seen.count;
        let before = match &decision.outcome {
            Outcome::Taken => String::new(),
            Outcome::Refused(code, words) => told(*code, words),
        };
        let whole = match &decision.outcome {
            Outcome::Taken => "taken".to_owned(),
            Outcome::Refused(code, words) => format!("{code} {words}"),
        };
        let example = || Example {
            file: seen.place.file.clone(),
            line: seen.place.line,
            client: decision.client.to_string(),
            listener: at.listener.to_owned(),
            login: decision.login.clone(),
            from: decision.sender.clone(),
            to: decision.recipient.clone(),
            before: whole.clone(),
            now: brief.reason.clone(),
            explain: explain(decision, at),
        };
        let found = self
            .kinds
            .entry(Kind {
                words,
                rule: brief.rule.to_owned(),
                setting: brief.setting.clone(),
                before,
            })
            .or_insert_with(|| Difference {
                count: 0,
                example: example(),
            });
        found.count += seen.count;
    }

    /// The differences of one kind, the most frequent first.
    fn sorted(&self) -> Vec<(&Kind, &Difference)> {
        let mut sorted: Vec<(&Kind, &Difference)> = self.kinds.iter().collect();
        sorted.sort_by_key(|(_, difference)| std::cmp::Reverse(difference.count));
        sorted
    }

    pub(super) fn shown(&self) -> Shown {
        let differences = self
            .sorted()
            .into_iter()
            .map(|(kind, difference)| ShownDifference {
                kind: kind.words,
                rule: kind.rule.clone(),
                setting: kind.setting.clone(),
                before: kind.before.clone(),
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
            "{}, {} of them about mail. {} decided as before, {} otherwise.\n",
            counted(self.lines, "line"),
            self.of_mail,
            counted(self.same, "recipient"),
            self.different
        );
        for (kind, difference) in self.sorted() {
            let example = &difference.example;
            let mut behind = String::new();
            if !kind.setting.is_empty() {
                let _ = write!(behind, ", {}", kind.setting);
            }
            if !kind.before.is_empty() {
                let _ = write!(behind, "; it was {}", kind.before);
            }
            let _ = writeln!(
                text,
                "\n{}x {}: {}{}",
                difference.count,
                kind.words,
                kind.rule,
                visible::line(&behind)
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

/// What is needed to repeat a decision.
pub(super) struct Asked<'a> {
    /// The configuration, as given on the command line.
    pub(super) config: Option<&'a Path>,
    /// The name of the listener.
    pub(super) listener: &'a str,
    /// The client's `HELO` name: from the log, or its address literal.
    pub(super) helo: &'a str,
}

/// Compares the old decision with the new one: accepted, deferred and refused are three different
/// answers.
fn again(before: &Outcome, now: &Brief) -> Again {
    let put_off = matches!(before, Outcome::Refused(code, _) if *code < 500);
    Again::Different(match (before, now.allowed) {
        (Outcome::Taken, true) => return Again::Same,
        (Outcome::Taken, false) if now.for_now => "was taken, would be put off",
        (Outcome::Taken, false) => "was taken, would be refused",
        (Outcome::Refused(..), true) if put_off && now.unasked => return Again::Unasked,
        (Outcome::Refused(..), true) if put_off => "was put off, would be taken",
        (Outcome::Refused(..), true) => "was refused, would be taken",
        (Outcome::Refused(..), false) if put_off == now.for_now => return Again::Same,
        (Outcome::Refused(..), false) if put_off => "was put off, would be refused",
        (Outcome::Refused(..), false) => "was refused, would be put off",
    })
}

/// `1 line`, `2 lines`.
fn counted(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// The reply without the variable parts: addresses, numbers.
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
    // What Postfix appends to the reason, such as the sender's user.
    let said = said.split(" not owned by ").next().unwrap_or(&said);
    let short: String = said.chars().take(100).collect();
    format!("{code} {}", short.trim())
}

/// The command that shows a decision.
fn explain(decision: &Decision, at: &Asked<'_>) -> String {
    let quoted = |text: &str| {
        let is_plain = !text.is_empty()
            && text
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"@.-_+:=/".contains(&octet));
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
    let config = at.config.map(|config| config.display().to_string());
    let client = decision.client.to_string();
    let options = [
        ("config", config.as_deref()),
        ("peer", Some(&client)),
        ("listener", Some(at.listener)),
        ("helo", Some(at.helo)),
        ("login", decision.login.as_deref()),
        ("from", Some(sender)),
        ("to", Some(&decision.recipient)),
    ];
    let mut command = "postern explain".to_owned();
    for (option, value) in options {
        let Some(value) = value else { continue };
        // A value that begins with a dash must not be taken for the next option.
        let between = if value.starts_with('-') { '=' } else { ' ' };
        let _ = write!(command, " --{option}{between}{}", quoted(value));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const MX: Asked<'static> = Asked {
        config: None,
        listener: "mx",
        helo: "a b",
    };

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
            setting: String::new(),
            for_now: false,
            unasked: false,
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
        found.judged(&decision("a@x", Outcome::Taken), &seen(5), &MX, &brief(true));
        found.judged(
            &decision("a@x", refused("5.7.1 <a@x>: Relay access denied")),
            &seen(1),
            &MX,
            &brief(false),
        );
        assert!(found.is_empty());
        found.judged(
            &decision("a@x", refused("5.7.1 <a@x>: Relay access denied")),
            &seen(2),
            &MX,
            &brief(true),
        );
        found.judged(
            &decision("b@x", refused("5.7.1 <b@x>: Relay access denied")),
            &seen(1),
            &MX,
            &brief(true),
        );
        found.judged(&decision("c@x", Outcome::Taken), &seen(1), &MX, &brief(false));
        found.judged(
            &decision(
                "c@x",
                Outcome::Refused(450, "4.2.0 Greylisted, 299 seconds".to_owned()),
            ),
            &seen(9),
            &MX,
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

    #[test]
    fn taken_put_off_and_refused_are_three_answers() {
        let refused = |code| Outcome::Refused(code, String::new());
        let now = |allowed, for_now, unasked| Brief {
            for_now,
            unasked,
            ..brief(allowed)
        };
        let (taken, unasked) = (now(true, false, false), now(true, false, true));
        let (off, never) = (now(false, true, false), now(false, false, false));
        #[rustfmt::skip]
        let cases = [
            (Outcome::Taken, &taken,   Again::Same),
            (Outcome::Taken, &unasked, Again::Same),
            (Outcome::Taken, &off,     Again::Different("was taken, would be put off")),
            (Outcome::Taken, &never,   Again::Different("was taken, would be refused")),
            (refused(450),   &taken,   Again::Different("was put off, would be taken")),
            (refused(450),   &unasked, Again::Unasked),
            (refused(450),   &off,     Again::Same),
            (refused(450),   &never,   Again::Different("was put off, would be refused")),
            (refused(550),   &taken,   Again::Different("was refused, would be taken")),
            (refused(550),   &unasked, Again::Different("was refused, would be taken")),
            (refused(550),   &off,     Again::Different("was refused, would be put off")),
            (refused(550),   &never,   Again::Same),
        ];
        for (before, now, expected) in cases {
            assert_eq!(again(&before, now), expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn each_setting_that_refuses_is_a_kind() {
        let mut found = Differences::new((3, 3), HashMap::new());
        for line in [4, 9, 9] {
            let brief = Brief {
                setting: format!("access in postern.toml:{line}"),
                ..brief(false)
            };
            let seen = Seen {
                count: 1,
                ..Seen::default()
            };
            found.judged(&decision("a@x", Outcome::Taken), &seen, &MX, &brief);
        }
        let text = found.text();
        for part in [
            "2x was taken, would be refused: relay.domain, access in postern.toml:9\n",
            "1x was",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(
            text.contains("3 lines, 3 of them about mail. 0 recipients"),
            "{text}"
        );
    }

    #[test]
    fn the_command_can_be_pasted() {
        let mut one = decision("-b@x", Outcome::Taken);
        one.login = Some("ann".to_owned());
        let at = Asked {
            config: Some(Path::new("moved/my site.toml")),
            listener: "mx",
            helo: "[192.0.2.1]",
        };
        let expected = "postern explain --config 'moved/my site.toml' --peer 192.0.2.1 --listener mx \
                        --helo '[192.0.2.1]' --login ann --from '<>' --to=-b@x";
        assert_eq!(explain(&one, &at), expected);
        assert_eq!(counted(1, "recipient"), "1 recipient");
    }
}
