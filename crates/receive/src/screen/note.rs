//! Records what was found about accepted strangers, in a header field, the reason of a hold and the log; and lists that do not
//! answer.

use std::fmt::Write as _;

use postern_events::{Screened, notice, shown};
use postern_mail::{Header, QueueId, ReversePath};
use postern_policy::rule::{Rule, Verdict as _};
use postern_policy::screen::health::{News, Trouble};
use postern_policy::screen::list::DnsList;
use postern_policy::screen::score::Noted;

use super::answer::ZoneAnswer;
use crate::session::Session;
use crate::time;

/// The field of messages whose client fails a check with action `mark`, or whose score is recorded.
const FIELD: &str = "X-Postern-Screen";

/// Removes such fields that were not written here.
pub(crate) fn forget_forged(fields: Vec<u8>) -> Vec<u8> {
    let mut header = Header::parse(fields);
    header.retain(|field| !field.is_named(FIELD));
    header.into_text()
}

/// Writes the field, if there is something to say.
pub(crate) fn write_field(noted: &Noted, out: &mut Vec<u8>) {
    if let Some(value) = value(noted, ";\r\n\t") {
        out.extend_from_slice(format!("{FIELD}: {value}\r\n").as_bytes());
    }
}

fn value(noted: &Noted, separator: &str) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(score) = &noted.tag {
        parts.push(format!("score={}", score.total()));
        parts.extend(score.0.iter().map(ToString::to_string));
    }
    parts.extend(noted.marks.iter().map(|finding| finding.rule().name().to_owned()));
    (!parts.is_empty()).then(|| parts.join(separator))
}

/// Reports what was noted about an accepted message.
pub(crate) fn tell_noted(noted: &Noted, queue: &QueueId, from: &ReversePath, session: &Session) {
    let mut reason = String::new();
    let rule = match &noted.hold {
        Some(score) => {
            // Writing into a `String` does not fail.
            let _ = write!(reason, "score {score}");
            Rule::ScreenHeld
        }
        None => {
            reason.extend(value(noted, "; "));
            Rule::ScreenTagged
        }
    };
    session.shared.deps.observers.tell(Screened {
        session: &session.id,
        queue,
        peer: session.peer.ip(),
        helo: session.helo(),
        from,
        rule,
        reason: &reason,
    });
}

/// Notes whether a list answers, and tells an administrator when that changes.
pub(super) fn tell_health(answer: &ZoneAnswer, session: &Session) {
    let lists = &session.profile.settings.screen.lists;
    let Some(list) = lists
        .iter()
        .find(|list| list.zone == answer.zone && list.subject == answer.subject)
    else {
        return;
    };
    tell_health_of(answer, list, session);
}

/// The same for a given list.
pub(crate) fn tell_health_of(answer: &ZoneAnswer, list: &DnsList, session: &Session) {
    let trouble = match &answer.found {
        Ok(found) => Trouble::of(list.read(found)),
        Err(reason) => Some(Trouble::Unanswered(reason.clone())),
    };
    let news = session.shared.lists.note(&answer.zone, trouble, time::now());
    let observers = &session.shared.deps.observers;
    match news {
        Some(News::Fails(trouble)) => {
            notice!(observers, Dns Warning "dns list fails", List = list.zone, Reason = shown(&trouble));
        }
        Some(News::Answers) => notice!(observers, Dns Info "dns list answers again", List = list.zone),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use postern_policy::screen::finding::Finding;
    use postern_policy::screen::list::Subject;
    use postern_policy::screen::score::{Mark, Score};

    use super::*;

    #[test]
    fn what_a_message_says() {
        let score = Score(vec![Mark {
            name: "one".to_owned(),
            score: 2,
            answer: Some((Subject::Client, Ipv4Addr::new(127, 0, 0, 2))),
            text: None,
        }]);
        #[rustfmt::skip]
        let cases = [
            ("nothing to say", Noted { hold: Some(score.clone()), ..Noted::default() }, String::new()),
            ("a score",        Noted { tag: Some(score.clone()), ..Noted::default() },
             "X-Postern-Screen: score=2;\r\n\tone=2 (client 127.0.0.2)\r\n".to_owned()),
            ("marks",          Noted { marks: vec![Finding::ClientNameless, Finding::HeloOwn("x".into())], ..Noted::default() },
             "X-Postern-Screen: client.nameless;\r\n\thelo.own\r\n".to_owned()),
        ];
        for (shows, noted, expected) in cases {
            let mut out = Vec::new();
            write_field(&noted, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{shows}");
        }
        let forged = b"Subject: x\r\nx-postern-screen: score=-9\r\nTo: y\r\n".to_vec();
        assert_eq!(forget_forged(forged), b"Subject: x\r\nTo: y\r\n");
    }
}
