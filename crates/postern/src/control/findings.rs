//! Whether all is well, and what is not: judged from the server's own data, the most severe first, each with its remedy.

use std::time::Duration;

use postern_policy::milter::OnFailure;
use postern_receive::FailingMilter;
use postern_webhook::Status as WebhookStatus;
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
    /// What is wrong, in few words, for the first line of `postern status`.
    pub(crate) brief: String,
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
    /// Filters that are down.
    pub(crate) milters: Vec<FailingMilter>,
    /// Why the helper that delivers to users of this machine does not answer.
    pub(crate) helper: Option<String>,
    /// Webhooks that fail.
    pub(crate) webhooks: Vec<WebhookStatus>,
    /// Now, in seconds since 1970.
    pub(crate) now: i64,
}

/// Messages older than this should have been delivered.
pub(crate) const OLD: Duration = Duration::from_secs(4 * 3_600);

/// How many of them are more than the usual few.
const OLD_MANY: u64 = 100;

/// Free disk space below which to warn.
const DISK_LOW: u64 = 1 << 30;

/// Seconds before expiry by which a certificate should be renewed.
pub(crate) const CERTIFICATE_SOON: i64 = 14 * 86_400;

/// What is not well, the most severe first.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    queue(facts, &mut found);
    sessions(facts, &mut found);
    neighbours(facts, &mut found);
    certificates(facts, &mut found);
    going_out(facts, &mut found);
    filters(facts, &mut found);
    webhooks(facts, &mut found);
    if let Some(first) = facts.on_hold.first() {
        let more = match facts.on_hold.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        found.push(warning(
            match facts.on_hold.len() {
                1 => "1 account is on hold".to_owned(),
                many => format!("{many} accounts are on hold"),
            },
            format!("on hold, so that their mail waits: {first}{more}"),
            format!("postern account show {first}; then postern account release {first}"),
        ));
    }
    if facts.lost_lines > 0 {
        found.push(warning(
            "the log has lost lines",
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

fn critical(brief: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Critical,
        brief: brief.into(),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

fn warning(brief: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Warning,
        ..critical(brief, problem, remedy)
    }
}

fn queue(facts: &Facts, found: &mut Vec<Finding>) {
    if let Some(why) = &facts.no_mail {
        found.push(critical(
            "no mail is taken",
            format!("no mail is taken: {why}"),
            format!(
                "look at the disk of {}; the guide: When the disk or the clock fails",
                facts.state_dir
            ),
        ));
    } else if let Some(free) = facts.disk_free.filter(|free| *free < DISK_LOW) {
        found.push(warning(
            "the disk is nearly full",
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
            format!("{} damaged", messages(facts.damaged)),
            format!("damaged and held: {}", messages(facts.damaged)),
            "postern queue list --held; then look at the disk",
        ));
    }
    if facts.old > OLD_MANY {
        found.push(warning(
            format!("{} old messages", facts.old),
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
        found.push(critical(
            "all sessions are taken",
            format!("all {sessions_max} sessions are taken"),
            remedy,
        ));
    } else if sessions >= sessions_max - sessions_max / 5 {
        found.push(warning(
            "few sessions are left",
            format!("{sessions} of {sessions_max} sessions are taken"),
            remedy,
        ));
    }
}

fn neighbours(facts: &Facts, found: &mut Vec<Finding>) {
    let all_down = facts.down.len() >= facts.directories;
    for (name, why) in &facts.down {
        let brief = format!("directory {name} is down");
        let problem = format!("the directory {name} does not answer: {why}");
        let remedy = "postern directories --check asks it again";
        found.push(if all_down {
            critical(brief, problem, remedy)
        } else {
            warning(brief, problem, remedy)
        });
    }
    for (issuer, why) in &facts.providers {
        found.push(warning(
            format!("provider {issuer} is down"),
            format!("the provider of tokens {issuer} does not answer: {why}"),
            "postern auth providers",
        ));
    }
}

fn certificates(facts: &Facts, found: &mut Vec<Finding>) {
    for (file, left) in &facts.certificates {
        if *left <= 0 {
            found.push(critical(
                format!("certificate {file} has expired"),
                format!("the certificate {file} has expired"),
                "renew it, then postern reload",
            ));
        } else if *left < CERTIFICATE_SOON {
            found.push(warning(
                format!("certificate {file} expires in {}", crate::output::span(*left)),
                format!("the certificate {file} expires in {}", crate::output::span(*left)),
                "renew it, then postern reload",
            ));
        }
    }
}

fn going_out(facts: &Facts, found: &mut Vec<Finding>) {
    for (name, why) in &facts.logins {
        found.push(critical(
            format!("login {name} fails"),
            format!("the login {name} fails, and its mail waits: {why}"),
            "correct it in [[login]], then postern reload",
        ));
    }
    for class in &facts.short {
        found.push(warning(
            format!("mail of {class} waits"),
            format!("mail of {class} waits too long for connections"),
            "postern queue list --destinations; `connections` in [delivery] is the most",
        ));
    }
}

fn filters(facts: &Facts, found: &mut Vec<Finding>) {
    for one in &facts.milters {
        let meanwhile = match one.on_failure {
            OnFailure::Accept => "mail goes on without it",
            OnFailure::Hold => "mail is held",
            OnFailure::Tempfail => "mail is refused for now",
            OnFailure::Reject => "mail is refused",
        };
        let lasts = i64::try_from(one.lasts.as_secs()).unwrap_or(i64::MAX);
        let lasts = crate::output::span(lasts);
        let brief = format!("filter {} is down", one.name);
        let problem = format!(
            "the filter {} has failed for {lasts}, and {meanwhile}: {}",
            one.name, one.reason
        );
        let remedy = "postern milters asks it again; `on_failure` says what becomes of mail meanwhile";
        found.push(match one.on_failure {
            OnFailure::Accept | OnFailure::Hold => warning(brief, problem, remedy),
            OnFailure::Tempfail | OnFailure::Reject => critical(brief, problem, remedy),
        });
    }
    if let Some(why) = &facts.helper {
        found.push(critical(
            "mailbox helper is down",
            format!("mail for users of this machine waits: {why}"),
            "systemctl start postern-mailbox.service",
        ));
    }
}

fn webhooks(facts: &Facts, found: &mut Vec<Finding>) {
    for one in &facts.webhooks {
        let Some(failing) = &one.failing else { continue };
        let since = crate::output::span(facts.now - failing.since.as_second());
        let dropped = match one.dropped {
            0 => String::new(),
            dropped => format!(", {dropped} were dropped"),
        };
        let waiting = match one.waiting {
            1 => "1 event waits".to_owned(),
            many => format!("{many} events wait"),
        };
        found.push(warning(
            format!("webhook {} fails", one.webhook),
            format!(
                "the webhook {} has failed for {since}: {}; {waiting}{dropped}",
                one.webhook, failing.reason
            ),
            format!("postern webhook test {}", one.webhook),
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
mod tests;
