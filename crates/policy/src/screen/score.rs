//! The total score of lists and early talking, and what follows from it.

use std::fmt;
use std::net::Ipv4Addr;

use postern_mail::Status;

use super::finding::{Act, Demand, Finding};
use super::list::Subject;
use crate::rule::{Rule, Told, Verdict};

/// The scores from which something follows. Default: none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Thresholds {
    /// Recipients are refused.
    pub refuse: Option<i32>,
    /// Messages are held in the queue for an administrator.
    pub hold: Option<i32>,
    /// Messages get a field with the score.
    pub tag: Option<i32>,
}

/// One item of a score.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// The name of the list, or `early-talk`.
    pub name: String,
    /// What it adds.
    pub score: i32,
    /// What was looked up, and the answer; `None` for early talking.
    pub answer: Option<(Subject, Ipv4Addr)>,
    /// The text of the reply if it is refused because of it.
    pub text: Option<String>,
}

/// The name of early talking in scores.
pub const EARLY_TALK: &str = "early-talk";

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.score)?;
        match self.answer {
            Some((subject, answer)) => write!(f, " ({subject} {answer})"),
            None => Ok(()),
        }
    }
}

/// Everything that counts for or against a client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Score(pub Vec<Mark>);

impl Score {
    /// The total.
    #[must_use]
    pub fn total(&self) -> i32 {
        self.0.iter().fold(0, |sum, mark| sum.saturating_add(mark.score))
    }

    /// The item that counts most against the client.
    fn worst(&self) -> Option<&Mark> {
        self.0
            .iter()
            .filter(|mark| mark.score > 0)
            .max_by_key(|mark| mark.score)
    }
}

/// `5: one.example=3 (client 127.0.0.2), early-talk=2`.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.total())?;
        for (place, mark) in self.0.iter().enumerate() {
            write!(f, "{} {mark}", if place == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// The verdict on a stranger's recipients, or its message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Screened {
    /// They are accepted, with notes.
    Passed(Noted),
    /// They are refused.
    Refused(ScreenRefusal),
}

/// The notes on an accepted message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Noted {
    /// Whether it is held, and why.
    pub hold: Option<Score>,
    /// The score to write into it.
    pub tag: Option<Score>,
    /// Demands that were not met and are only marked.
    pub marks: Vec<Finding>,
}

impl Noted {
    /// Whether there is nothing to note.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a stranger is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ScreenRefusal {
    /// A demand was not met.
    Demand(Finding),
    /// The score is too high.
    Score(Score),
    /// It caused too many look-ups.
    Lookups(u32),
}

impl fmt::Display for ScreenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demand(finding) => finding.fmt(f),
            Self::Score(score) => write!(f, "score {score}"),
            Self::Lookups(most) => write!(f, "the session has had {most} names looked up"),
        }
    }
}

impl Verdict for ScreenRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Demand(finding) => finding.rule(),
            Self::Score(_) => Rule::ScreenRefused,
            Self::Lookups(_) => Rule::ScreenLookups,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl ScreenRefusal {
    /// Reply code, status and text for the peer; a list may have [a text of its own](Self::text).
    #[must_use]
    pub const fn told(&self) -> Told {
        match self {
            Self::Demand(finding) => finding.told(),
            Self::Score(_) => (550, Status(5, 7, 1), "Service unavailable, client is listed"),
            Self::Lookups(_) => (
                451,
                Status(4, 7, 1),
                "Too many domains in one session, try again later",
            ),
        }
    }

    /// The text for the peer: that of the list that counts most, or the default one with its name.
    ///
    /// `{address}`, `{helo}`, `{sender}` and `{list}` in a list's own text are filled in.
    #[must_use]
    pub fn text(&self, fill: &Fill<'_>) -> String {
        let usual = self.told().2;
        let Self::Score(score) = self else {
            return usual.to_owned();
        };
        match score.worst() {
            Some(Mark {
                name,
                text: Some(text),
                ..
            }) => text
                .replace("{address}", fill.address)
                .replace("{helo}", fill.helo)
                .replace("{sender}", fill.sender)
                .replace("{list}", name),
            Some(Mark {
                name,
                answer: Some(_),
                ..
            }) => {
                format!("Service unavailable, {} is listed by {name}", fill.address)
            }
            _ => usual.to_owned(),
        }
    }
}

/// The values for the text of a list.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// The client's address.
    pub address: &'a str,
    /// Its `HELO` name.
    pub helo: &'a str,
    /// The envelope sender.
    pub sender: &'a str,
}

/// Decides from the findings: permanent ones first, then the score, then temporary ones.
#[must_use]
pub fn judge(
    findings: Vec<Finding>,
    score: Score,
    act: impl Fn(Demand) -> Act,
    thresholds: &Thresholds,
) -> Screened {
    let refused = |finding: &&Finding| acts_on(finding, &act) == Act::Reject;
    let (mut for_good, mut for_now) = (None, None);
    for finding in findings.iter().filter(refused) {
        let place = if finding.is_temporary() {
            &mut for_now
        } else {
            &mut for_good
        };
        place.get_or_insert(finding);
    }
    if let Some(finding) = for_good {
        return Screened::Refused(ScreenRefusal::Demand(finding.clone()));
    }
    let total = score.total();
    let reaches = |threshold: Option<i32>| threshold.is_some_and(|least| total >= least);
    if reaches(thresholds.refuse) {
        return Screened::Refused(ScreenRefusal::Score(score));
    }
    if let Some(finding) = for_now {
        return Screened::Refused(ScreenRefusal::Demand(finding.clone()));
    }
    let marked = |finding: &Finding| acts_on(finding, &act) == Act::Mark && !finding.is_temporary();
    Screened::Passed(Noted {
        hold: reaches(thresholds.hold).then(|| score.clone()),
        tag: reaches(thresholds.tag).then_some(score),
        marks: findings.into_iter().filter(marked).collect(),
    })
}

/// The action for a finding. If the client's host name could not be looked up, the stricter of the two demands on it applies.
fn acts_on(finding: &Finding, act: &impl Fn(Demand) -> Act) -> Act {
    match finding {
        Finding::ClientUnanswered(_) => {
            let (named, confirmed) = (act(Demand::ClientNamed), act(Demand::ClientConfirmed));
            if named == Act::Reject { named } else { confirmed }
        }
        _ => act(finding.demand()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str, score: i32, text: Option<&str>) -> Mark {
        Mark {
            name: name.to_owned(),
            score,
            answer: (name != EARLY_TALK).then_some((Subject::Client, Ipv4Addr::new(127, 0, 0, 2))),
            text: text.map(str::to_owned),
        }
    }

    fn of(marks: &[i32]) -> Score {
        Score(
            marks
                .iter()
                .map(|score| mark("bl.example", *score, None))
                .collect(),
        )
    }

    #[test]
    fn scores() {
        let thresholds = Thresholds {
            refuse: Some(5),
            hold: Some(4),
            tag: Some(1),
        };
        #[rustfmt::skip]
        let cases: &[(&str, &[i32], &str)] = &[
            // what the case shows                   scores        comes to
            ("nothing",                              &[],          ""),
            ("a little",                             &[1],         "tag"),
            ("more",                                 &[2, 2],      "tag hold"),
            ("enough",                               &[3, 2],      "refused"),
            ("somebody speaks for it",               &[3, 2, -1],  "tag hold"),
            ("more speaks for it than against it",   &[3, -4],     ""),
            ("it never turns over",                  &[i32::MAX, 5], "refused"),
        ];
        for (shows, marks, expected) in cases {
            let found = match judge(Vec::new(), of(marks), |_| Act::Off, &thresholds) {
                Screened::Refused(refusal) => {
                    assert_eq!(refusal.rule(), Rule::ScreenRefused);
                    "refused".to_owned()
                }
                Screened::Passed(noted) => {
                    let words = [(noted.tag.is_some(), "tag"), (noted.hold.is_some(), "hold")];
                    let words: Vec<_> = words
                        .iter()
                        .filter(|(on, _)| *on)
                        .map(|(_, word)| *word)
                        .collect();
                    words.join(" ")
                }
            };
            assert_eq!(found, *expected, "{shows}");
        }
        let nothing = judge(Vec::new(), of(&[99]), |_| Act::Off, &Thresholds::default());
        assert_eq!(nothing, Screened::Passed(Noted::default()), "no threshold");
    }

    #[test]
    fn what_comes_first() {
        let unknown = || Finding::SenderUnknown("x.example".to_owned());
        let own = || Finding::HeloOwn("mx.example".to_owned());
        let later = || Finding::HeloUnanswered {
            name: "x".to_owned(),
            reason: "y".to_owned(),
        };
        let client = || Finding::ClientUnanswered("y".to_owned());
        let thresholds = Thresholds {
            refuse: Some(5),
            ..Thresholds::default()
        };
        type Case = (&'static str, Vec<Finding>, i32, Act, Option<&'static str>);
        #[rustfmt::skip]
        let cases: Vec<Case> = vec![
            ("nothing",                          vec![],                      0, Act::Reject, None),
            ("the first of two",                 vec![own(), unknown()],      0, Act::Reject, Some("helo.own")),
            ("for good before for now",          vec![later(), unknown()],    0, Act::Reject, Some("sender.unknown")),
            ("for good before the score",        vec![unknown()],             9, Act::Reject, Some("sender.unknown")),
            ("the score before for now",         vec![later()],               9, Act::Reject, Some("screen.refused")),
            ("for now",                          vec![later()],               0, Act::Reject, Some("helo.dns")),
            ("the client's name for now",        vec![client()],              0, Act::Reject, Some("client.dns")),
            ("only marked",                      vec![own(), later()],        0, Act::Mark,   None),
        ];
        for (shows, findings, score, act, expected) in cases {
            let found = match judge(findings, of(&[score]), |_| act, &thresholds) {
                Screened::Refused(refusal) => Some(refusal.rule().name()),
                Screened::Passed(noted) => {
                    let marks = if act == Act::Mark { vec![own()] } else { Vec::new() };
                    assert_eq!(noted.marks, marks, "{shows}: what may change is not marked");
                    None
                }
            };
            assert_eq!(found, expected, "{shows}");
        }
        let named = |demand| {
            if demand == Demand::ClientNamed {
                Act::Reject
            } else {
                Act::Off
            }
        };
        let found = judge(vec![client()], Score::default(), named, &thresholds);
        assert!(
            matches!(found, Screened::Refused(_)),
            "a name is demanded, whether it leads back or not"
        );
    }

    #[test]
    fn words_of_a_refusal() {
        let fill = Fill {
            address: "192.0.2.1",
            helo: "h.example",
            sender: "a@b.example",
        };
        #[rustfmt::skip]
        let cases = [
            ("by the list's name",     vec![mark("one", 2, None), mark("two", 3, None)],
             "Service unavailable, 192.0.2.1 is listed by two"),
            ("the list's own words",   vec![mark("one", 3, Some("{address} {helo} {sender} {list} {else}"))],
             "192.0.2.1 h.example a@b.example one {else}"),
            ("for early talk",         vec![mark(EARLY_TALK, 9, None)],
             "Service unavailable, client is listed"),
        ];
        for (shows, marks, expected) in cases {
            assert_eq!(
                ScreenRefusal::Score(Score(marks)).text(&fill),
                expected,
                "{shows}"
            );
        }
        let score = Score(vec![
            mark("one", 2, None),
            mark(EARLY_TALK, 1, None),
            mark("good", -2, None),
        ]);
        assert_eq!(
            score.to_string(),
            "1: one=2 (client 127.0.0.2), early-talk=1, good=-2 (client 127.0.0.2)"
        );
    }
}
