//! Whether all is well, and what is not: judged from the server's own data, the most severe first, each with its remedy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The severity. A monitor uses the most severe.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Mail is delayed or refused: somebody must act now.
    Critical,
    /// It will become critical if nobody acts.
    Warning,
    /// All is well.
    #[default]
    Ok,
}

/// Something that is not well.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// What is wrong.
    pub(crate) problem: String,
    /// What to do.
    pub(crate) remedy: String,
}

/// The input of the judgement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Why no mail is accepted.
    pub(crate) no_mail: Option<String>,
    /// The folder of the queue.
    pub(crate) state_dir: String,
    pub(crate) sessions: u64,
    pub(crate) sessions_max: u64,
    pub(crate) damaged: u64,
    /// Messages that are older than [`OLD`].
    pub(crate) old: u64,
    pub(crate) disk_free: Option<u64>,
    /// All directories, and those that do not answer, with the reason.
    pub(crate) directories: usize,
    pub(crate) down: Vec<(String, String)>,
    /// Providers of tokens that do not answer, with the reason.
    pub(crate) providers: Vec<(String, String)>,
    /// Certificates, with the seconds until they expire.
    pub(crate) certificates: Vec<(String, i64)>,
    /// Logins at smarthosts that fail, with the reason.
    pub(crate) logins: Vec<(String, String)>,
    /// Kinds of mail that wait too long for a connection.
    pub(crate) short: Vec<String>,
    /// Accounts that are on hold, so that their mail waits.
    pub(crate) on_hold: Vec<String>,
    /// Important lines that the log had to drop.
    pub(crate) lost_lines: u64,
}

/// Messages older than this should have been delivered.
pub(crate) const OLD: Duration = Duration::from_secs(4 * 3_600);

/// How many of them are more than the usual few.
const OLD_MANY: u64 = 100;

/// Free disk space below which to warn.
const DISK_LOW: u64 = 1 << 30;

/// Time before expiry by which a certificate should be renewed.
const CERTIFICATE_SOON: i64 = 14 * 86_400;

/// What is not well, the most severe first.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    queue(facts, &mut found);
    sessions(facts, &mut found);
    neighbours(facts, &mut found);
    certificates(facts, &mut found);
    going_out(facts, &mut found);
    if let Some(first) = facts.on_hold.first() {
        let more = match facts.on_hold.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        found.push(warning(
            format!("on hold, so that their mail waits: {first}{more}"),
            format!("postern account show {first}; then postern account release {first}"),
        ));
    }
    if facts.lost_lines > 0 {
        found.push(warning(
            format!("the log has lost {} lines that matter", facts.lost_lines),
            "look at the disk or program that the log goes to",
        ));
    }
    // A stable sort: findings of one severity stay in order.
    found.sort_by_key(|finding| finding.verdict);
    found
}

/// The most severe verdict.
pub(crate) fn verdict(findings: &[Finding]) -> Verdict {
    findings
        .iter()
        .map(|finding| finding.verdict)
        .min()
        .unwrap_or_default()
}

fn critical(problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Critical,
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

fn warning(problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Warning,
        ..critical(problem, remedy)
    }
}

fn queue(facts: &Facts, found: &mut Vec<Finding>) {
    if let Some(why) = &facts.no_mail {
        found.push(critical(
            format!("no mail is taken: {why}"),
            format!(
                "look at the disk of {}; the guide: When the disk or the clock fails",
                facts.state_dir
            ),
        ));
    } else if let Some(free) = facts.disk_free.filter(|free| *free < DISK_LOW) {
        found.push(warning(
            format!(
                "the disk of {} has {} left",
                facts.state_dir,
                crate::output::size(free)
            ),
            "make room, or move `state_dir` to a larger disk",
        ));
    }
    if facts.damaged > 0 {
        found.push(critical(
            format!("damaged and held: {}", messages(facts.damaged)),
            "postern queue list --held; then look at the disk",
        ));
    }
    if facts.old > OLD_MANY {
        found.push(warning(
            format!(
                "{} are older than {} hours",
                messages(facts.old),
                OLD.as_secs() / 3_600
            ),
            "postern queue list --destinations shows which hosts take none",
        ));
    }
}

fn sessions(facts: &Facts, found: &mut Vec<Finding>) {
    let Facts {
        sessions,
        sessions_max,
        ..
    } = *facts;
    if sessions_max == 0 {
        return;
    }
    let remedy = "postern sessions list shows whose they are; `sessions` in [admission] is the most";
    if sessions >= sessions_max {
        found.push(critical(format!("all {sessions_max} sessions are taken"), remedy));
    } else if sessions >= sessions_max - sessions_max / 5 {
        found.push(warning(
            format!("{sessions} of {sessions_max} sessions are taken"),
            remedy,
        ));
    }
}

fn neighbours(facts: &Facts, found: &mut Vec<Finding>) {
    let all_down = facts.down.len() >= facts.directories;
    for (name, why) in &facts.down {
        let problem = format!("the directory {name} does not answer: {why}");
        let remedy = "postern directories --check asks it again";
        found.push(if all_down {
            critical(problem, remedy)
        } else {
            warning(problem, remedy)
        });
    }
    for (issuer, why) in &facts.providers {
        found.push(warning(
            format!("the provider of tokens {issuer} does not answer: {why}"),
            "postern auth providers",
        ));
    }
}

fn certificates(facts: &Facts, found: &mut Vec<Finding>) {
    for (file, left) in &facts.certificates {
        if *left <= 0 {
            found.push(critical(
                format!("the certificate {file} has expired"),
                "renew it, then postern reload",
            ));
        } else if *left < CERTIFICATE_SOON {
            found.push(warning(
                format!("the certificate {file} expires in {}", crate::output::span(*left)),
                "renew it, then postern reload",
            ));
        }
    }
}

fn going_out(facts: &Facts, found: &mut Vec<Finding>) {
    for (name, why) in &facts.logins {
        found.push(critical(
            format!("the login {name} fails, and its mail waits: {why}"),
            "correct it in [[login]], then postern reload",
        ));
    }
    for class in &facts.short {
        found.push(warning(
            format!("mail of {class} waits too long for connections"),
            "postern queue list --destinations; `connections` in [delivery] is the most",
        ));
    }
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Facts {
        Facts {
            state_dir: "/var/lib/postern".into(),
            sessions: 3,
            sessions_max: 100,
            disk_free: Some(50 << 30),
            directories: 2,
            certificates: vec![("mx.crt".into(), 60 * 86_400)],
            ..Facts::default()
        }
    }

    #[test]
    fn each_fact_has_its_finding() {
        assert_eq!(judge(&well()), []);
        assert_eq!(verdict(&judge(&well())), Verdict::Ok);
        let pair = |name: &str| vec![(name.to_owned(), "no answer".to_owned())];
        #[rustfmt::skip]
        let cases = [
            // what is the matter, how grave it is, what is said
            (Facts { no_mail: Some("the disk is full".into()), disk_free: Some(0), ..well() }, Verdict::Critical, "no mail is taken: the disk is full"),
            (Facts { disk_free: Some(1 << 29), ..well() },                  Verdict::Warning,  "512 MiB left"),
            (Facts { damaged: 1, ..well() },                                Verdict::Critical, "damaged and held: 1 message"),
            (Facts { old: 101, ..well() },                                  Verdict::Warning,  "101 messages are older than 4 hours"),
            (Facts { sessions: 100, ..well() },                             Verdict::Critical, "all 100 sessions"),
            (Facts { sessions: 80, ..well() },                              Verdict::Warning,  "80 of 100 sessions"),
            (Facts { down: pair("ldap"), ..well() },                        Verdict::Warning,  "the directory ldap does not answer: no answer"),
            (Facts { down: pair("ldap"), directories: 1, ..well() },        Verdict::Critical, "the directory ldap"),
            (Facts { providers: pair("https://id.example"), ..well() },     Verdict::Warning,  "https://id.example"),
            (Facts { certificates: vec![("a".into(), 0)], ..well() },       Verdict::Critical, "the certificate a has expired"),
            (Facts { certificates: vec![("a".into(), 86_400)], ..well() },  Verdict::Warning,  "the certificate a expires in"),
            (Facts { logins: pair("smart"), ..well() },                     Verdict::Critical, "the login smart fails"),
            (Facts { short: vec!["users".into()], ..well() },               Verdict::Warning,  "mail of users waits"),
            (Facts { on_hold: vec!["ann".into(), "bob".into()], ..well() }, Verdict::Warning,  "mail waits: ann and 1 more"),
            (Facts { lost_lines: 7, ..well() },                             Verdict::Warning,  "lost 7 lines"),
        ];
        for (facts, grade, said) in cases {
            let found = judge(&facts);
            assert_eq!(found.len(), 1, "{said}: {found:?}");
            assert_eq!(found[0].verdict, grade, "{found:?}");
            assert!(found[0].problem.contains(said), "{said}: {found:?}");
            assert!(!found[0].remedy.is_empty());
        }
        for (facts, why) in [
            (Facts { old: 100, ..well() }, "the usual few"),
            (
                Facts {
                    sessions: 79,
                    ..well()
                },
                "room enough",
            ),
            (
                Facts {
                    disk_free: None,
                    ..well()
                },
                "the system does not say",
            ),
            (
                Facts {
                    sessions_max: 0,
                    ..well()
                },
                "no limit is known",
            ),
        ] {
            assert_eq!(judge(&facts), [], "{why}");
        }
    }

    #[test]
    fn the_gravest_comes_first() {
        let facts = Facts {
            disk_free: Some(1),
            damaged: 2,
            lost_lines: 1,
            ..well()
        };
        let found = judge(&facts);
        let grades: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(grades, [Verdict::Critical, Verdict::Warning, Verdict::Warning]);
        assert_eq!(verdict(&found), Verdict::Critical);
    }
}
