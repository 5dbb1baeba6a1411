//! A story for people: a heading, then a time line.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postern_events::{Key, PastEvent};
use postern_history::{Kind, Story};

use crate::commands::told::{bare, became, said, size, what, why};
use crate::control::history::step;
use crate::control::protocol::PastStep;
use crate::exit::Failure;
use crate::{output, visible};

/// Session events that are part of the story of each of its messages: who connected, and how.
const OF_SESSION: [&str; 5] = [
    "connect",
    "helo",
    "tls",
    "login",
    "dropped what came before the handshake",
];

/// The column where the text of a time line begins.
const INDENT: usize = 12;

/// One line for each story.
pub(super) fn brief(stories: &[Story]) -> Result<(), Failure> {
    let text = |story: &Story, key| story.text(key).unwrap_or_default().to_owned();
    let rows = stories.iter().map(|story| {
        let (from, to) = (text(story, Key::From), recipients(story));
        let who = match text(story, Key::Login) {
            login if login.is_empty() => text(story, Key::Peer),
            login => login,
        };
        vec![
            shown_at(story.began()),
            story.id.clone(),
            who,
            from,
            to,
            outcome(story),
        ]
    });
    output::print_table(
        &["time", "queue or session", "who", "from", "to", "outcome"],
        &[],
        &[0, 1],
        rows.collect(),
    )
}

/// The recipients, the first by name.
fn recipients(story: &Story) -> String {
    let mut all: Vec<&str> = Vec::new();
    for event in story.events.iter().filter(|event| is_about_recipients(event)) {
        for (key, value) in &event.fields {
            if let (Key::To, postern_events::Kept::Text(text)) = (key, value)
                && !all.contains(&bare(text))
                && !(event.word == "recipient" && has_outcomes(story))
            {
                all.push(bare(text));
            }
        }
    }
    match all.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// A report goes to the sender.
fn is_about_recipients(event: &PastEvent) -> bool {
    !matches!(event.word.as_str(), "accepted" | "report")
}

fn is_outcome(event: &PastEvent) -> bool {
    matches!(
        event.word.as_str(),
        "delivered" | "deferred" | "bounced" | "expired" | "removed"
    )
}

fn has_outcomes(story: &Story) -> bool {
    story.events.iter().any(is_outcome)
}

/// The outcome: the last one for each recipient, counted if they differ.
fn outcome(story: &Story) -> String {
    let mut last: Vec<(String, &str)> = Vec::new();
    for event in story.events.iter().filter(|event| is_outcome(event)) {
        let to = said(&step(event.clone()).fields, "to").unwrap_or_default();
        let to = bare(&to).to_owned();
        match last.iter_mut().find(|(one, _)| *one == to) {
            Some((_, word)) => *word = &event.word,
            None => last.push((to, &event.word)),
        }
    }
    if last.is_empty() {
        let is_about_hold = |event: &&PastEvent| matches!(event.word.as_str(), "held" | "released");
        if let Some(event) = story.events.iter().rev().find(is_about_hold)
            && event.word == "held"
        {
            return event.word.clone();
        }
        let words = ["discarded", "accepted", "refused"];
        let is_there = |word: &&str| story.events.iter().any(|event| event.word == **word);
        return words.into_iter().find(is_there).unwrap_or_default().to_owned();
    }
    let mut words: Vec<&str> = last.iter().map(|(_, word)| *word).collect();
    words.sort_unstable();
    words.dedup();
    if let [word] = words[..] {
        return word.to_owned();
    }
    let counted = words.into_iter().map(|word| {
        let many = last.iter().filter(|(_, one)| *one == word).count();
        format!("{word} {many}")
    });
    counted.collect::<Vec<_>>().join(", ")
}

fn shown_at(at: i64) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or_default();
    at.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The story with the related session events, as lines no wider than `width`, or unlimited.
pub(super) fn time_line(story: &Story, of_session: &[Story], width: Option<usize>) -> String {
    let head = match story.kind {
        Kind::Message => format!("message {}", story.id),
        Kind::Session if story.id.is_empty() => "a client without a session".to_owned(),
        Kind::Session => format!("session {}", story.id),
    };
    let mut text = visible::line(&head).into_owned();
    if story.kind == Kind::Message && !story.session.is_empty() {
        text.push_str(&format!(", session {}", visible::line(&story.session)));
    }
    text.push('\n');
    let belongs = |event: &&PastEvent| OF_SESSION.contains(&event.word.as_str());
    let before = of_session
        .iter()
        .flat_map(|session| &session.events)
        .filter(belongs);
    let mut events: Vec<&PastEvent> = before.chain(&story.events).collect();
    events.sort_by_key(|event| event.at);
    let mut day = String::new();
    for event in events {
        let shown = shown_at(event.at);
        let (date, time) = shown.split_at_checked(10).unwrap_or(("", &shown));
        if date != day {
            text.push_str(&format!("  {date}\n"));
            date.clone_into(&mut day);
        }
        let said = visible::line(&sentence(&step(event.clone()))).into_owned();
        text.push_str(&line(time.trim(), &said, width));
    }
    text
}

/// A line of the time line, wrapped between words with an indent.
fn line(time: &str, said: &str, width: Option<usize>) -> String {
    let columns = width.map(|width| width.saturating_sub(INDENT).max(20));
    let mut text = String::new();
    for (index, part) in output::wrapped(said, columns).lines().enumerate() {
        let before = if index == 0 {
            format!("  {time}")
        } else {
            String::new()
        };
        text.push_str(&format!("{before:<INDENT$}{part}\n"));
    }
    text
}

/// What happened, with the rule that decided, and why.
pub(super) fn sentence(step: &PastStep) -> String {
    let fields = &step.fields;
    let put = |before: &str, key: &str| {
        said(fields, key).map_or_else(String::new, |text| format!("{before}{text}"))
    };
    let what = match step.event.as_str() {
        "accepted" => format!(
            "accepted{}{}{}",
            put(" from ", "from"),
            size(fields),
            put(", Message-ID ", "message_id"),
        ),
        "discarded" => format!("discarded{}", put(" by ", "milter")),
        "filtered" => format!("filtered{}", put(" by ", "milter")),
        "attempt" => attempt(fields),
        word @ ("delivered" | "deferred" | "bounced" | "expired") => format!(
            "{}{}{}",
            became(word, fields),
            put(" (sent to ", "original") + if fields.contains_key("original") { ")" } else { "" },
            match fields.get("report").and_then(serde_json::Value::as_str) {
                Some("no") => ", not reported".to_owned(),
                _ => put(", reported in message ", "report"),
            },
        ),
        word @ ("held" | "released" | "retried" | "flushed" | "removed" | "recovered") => {
            format!("{word}{}", put(" by ", "by"))
        }
        word @ ("bounce returned" | "complaint") => format!(
            "{word}{}{}: {}",
            put(" of message ", "about"),
            put(" to ", "to"),
            put("report ", "queue")
        ),
        "report" => format!("report about message {}{}", put("", "about"), put(" to ", "to")),
        _ => what(&step.event, fields),
    };
    let is_attempt = step.event == "attempt";
    let why = match why(fields) {
        // The host is already in the line.
        why if is_attempt => said(fields, "error")
            .or_else(|| said(fields, "reply"))
            .unwrap_or(why),
        why => why,
    };
    let rule = put("", "rule");
    let because = match (rule.is_empty(), why.is_empty()) {
        (true, true) => return what,
        (false, true) => rule,
        (true, false) => why,
        (false, false) => format!("{rule}: {why}"),
    };
    format!("{what}: {because}")
}

/// `attempt at mx.d.example[192.0.2.1]:25 without TLS`.
fn attempt(fields: &serde_json::Map<String, serde_json::Value>) -> String {
    let known = |key: &str| said(fields, key).filter(|text| !text.trim().is_empty());
    match (known("relay"), known("tls")) {
        (Some(relay), Some(tls)) => format!("attempt at {relay}, {tls}"),
        (Some(relay), None) => format!("attempt at {relay} without TLS"),
        (None, _) => "attempt".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use postern_events::Kept;
    use postern_history::Class;

    use super::*;

    fn event(at: i64, word: &str, fields: &[(Key, &str)]) -> PastEvent {
        PastEvent {
            at,
            word: word.to_owned(),
            fields: fields
                .iter()
                .map(|(key, text)| (*key, Kept::Text((*text).to_owned())))
                .collect(),
        }
    }

    fn story(kind: Kind, events: Vec<PastEvent>) -> Story {
        Story {
            kind,
            id: "01HJ3K8Q2M7XA".to_owned(),
            session: "5f-1".to_owned(),
            class: Class::Users,
            events,
        }
    }

    #[test]
    fn a_message_as_a_time_line() {
        let message = story(
            Kind::Message,
            vec![
                event(2_000, "sender", &[(Key::From, "<a@b.example>")]),
                event(
                    3_000,
                    "accepted",
                    &[(Key::From, "<a@b.example>"), (Key::Rule, "relay.login")],
                ),
                event(
                    86_403_000,
                    "bounced",
                    &[
                        (Key::To, "<c@d.example>"),
                        (Key::Relay, "mx.d.example[192.0.2.1]:25"),
                        (Key::Reply, "550 5.1.1 no such user here"),
                        (Key::Report, "01HJ3K8Q2M7XB"),
                    ],
                ),
            ],
        );
        let session = story(
            Kind::Session,
            vec![
                event(
                    1_000,
                    "connect",
                    &[(Key::Peer, "192.0.2.9"), (Key::Listener, "submission")],
                ),
                event(9_000, "disconnect", &[]),
            ],
        );
        let shown = time_line(&message, &[session], Some(80));
        let without_times: Vec<&str> = shown
            .lines()
            .map(|line| line.get(INDENT..).unwrap_or(line))
            .collect();
        assert_eq!(shown.lines().next(), Some("message 01HJ3K8Q2M7XA, session 5f-1"));
        for line in [
            "connection from 192.0.2.9 to submission",
            "MAIL FROM:<a@b.example>",
            "accepted from <a@b.example>: relay.login",
            "bounced for <c@d.example>, reported in message 01HJ3K8Q2M7XB:",
        ] {
            assert!(without_times.contains(&line), "{line}: {shown}");
        }
        assert!(!shown.contains("session ended"));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn whom_it_was_for() {
        let to = |word: &str, to: &str| event(1, word, &[(Key::To, to)]);
        #[rustfmt::skip]
        let cases = [
            // what the case shows     what happened                                                     whom it was for
            ("with and without <>",    vec![to("bounced", "<a@b>"), to("deferred", "a@b")],              "a@b"),
            ("the report",             vec![to("bounced", "a@b"), to("report", "<sender@b>")],           "a@b"),
            ("two",                    vec![to("delivered", "a@b"), to("bounced", "c@d")],               "a@b and 1 more"),
        ];
        for (shows, events, wanted) in cases {
            assert_eq!(recipients(&story(Kind::Message, events)), wanted, "{shows}");
        }
    }

    #[test]
    fn attempts_are_told() {
        let attempt = |fields: &[(Key, &str)]| sentence(&step(event(1, "attempt", fields)));
        #[rustfmt::skip]
        let cases = [
            // what the case shows   what is known                                                                       what is told
            ("no TLS",               attempt(&[(Key::Relay, "127.0.0.1:25"), (Key::Tls, ""), (Key::Reply, "250 ok")]),   "attempt at 127.0.0.1:25 without TLS: 250 ok"),
            ("TLS",                  attempt(&[(Key::Relay, "127.0.0.1:25"), (Key::Tls, "TLSv1.3"), (Key::Reply, "250 ok")]), "attempt at 127.0.0.1:25, TLSv1.3: 250 ok"),
            ("no host",              attempt(&[(Key::Relay, ""), (Key::Reply, "no MX")]),                                "attempt: no MX"),
            ("no report",            sentence(&step(event(1, "bounced", &[(Key::To, "<a@b>"), (Key::Relay, ""), (Key::Report, "no"), (Key::Reply, "no MX")]))), "bounced for <a@b>, not reported: no MX"),
        ];
        for (shows, told, wanted) in cases {
            assert_eq!(told, wanted, "{shows}");
        }
    }

    #[test]
    fn what_became_of_it() {
        let to = |word: &str, to: &str| event(1, word, &[(Key::To, to)]);
        #[rustfmt::skip]
        let cases = [
            // what the case shows     what happened                                                     the outcome
            ("one recipient",          vec![to("deferred", "a"), to("delivered", "a")],                  "delivered"),
            ("two, alike",             vec![to("delivered", "a"), to("delivered", "b")],                 "delivered"),
            ("two, unlike",            vec![to("delivered", "a"), to("bounced", "b")],                   "bounced 1, delivered 1"),
            ("none yet",               vec![to("recipient", "a"), event(1, "accepted", &[])],            "accepted"),
            ("held when it came",      vec![event(1, "accepted", &[]), event(1, "held", &[])],           "held"),
            ("let go since",           vec![event(1, "accepted", &[]), event(1, "held", &[]), event(2, "released", &[])], "accepted"),
            ("refused",                vec![to("refused", "a")],                                         "refused"),
        ];
        for (shows, events, wanted) in cases {
            assert_eq!(outcome(&story(Kind::Message, events)), wanted, "{shows}");
        }
    }
}
