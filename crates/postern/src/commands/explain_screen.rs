//! What `postern explain` says about strangers: lists, demands, the greeting, and senders of forwarded
//! mail.

use postern_mail::Mailbox;
use postern_mail::ReversePath;
use postern_net::resolver::Resolver;
use postern_policy::rule::{Rule, Ruling, Verdict as _};
use postern_policy::screen::finding::Demand;
use postern_policy::screen::health::Trouble;
use postern_policy::screen::helo::HeloName;
use postern_policy::screen::list::{Answered, DnsList, Subject};
use postern_policy::screen::score::{Noted, Screened};
use postern_policy::srs::Leaving;
use postern_receive::Role;
use postern_receive::judge::{Judge, Seen};
use postern_receive::screen::look::{Look, ZoneAnswer, address_questions, domain_questions, score};

use super::explain::Course;
use crate::args::ExplainSessionArgs;

/// Makes the same DNS queries as a session, and adds the results.
pub(super) async fn look(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    resolver: &Resolver,
    args: &ExplainSessionArgs,
) {
    let settings = &judge.settings.screen;
    let delay = judge.settings.timeouts.greeting_delay;
    let is_stranger = judge.identity.is_none() && judge.relay_reason().is_none();
    let is_looked_at = judge.listener.role == Role::Mx && is_stranger && settings.is_about(judge.peer);
    if !is_looked_at {
        return;
    }
    let early = args.early_talk && !delay.is_zero();
    if early && settings.early_talk_score.is_none() {
        let ruling = Ruling {
            rule: Rule::GreetingEarlyTalker,
            reason: &"talked before the greeting",
        };
        course.add("connect", &ruling);
    }
    if settings.is_off() {
        return;
    }
    let look = Look::new(resolver.clone(), settings.timeout);
    let helo = HeloName::of(&args.helo);
    let sender = args.from.mailbox().and_then(|mailbox| {
        let is_own = judge.is_own_domain(mailbox.domain());
        mailbox.domain().name().filter(|_| !is_own)
    });
    let mut questions = address_questions(settings, judge.peer);
    for (subject, name) in [(Subject::Helo, helo.host()), (Subject::Sender, sender)] {
        questions.extend(name.map_or_else(Vec::new, |name| domain_questions(settings, subject, name)));
    }
    let answers = look.ask_all(questions).await;
    for list in &settings.lists {
        tell_list(course, list, &answers);
    }
    let client = match settings.wants_name() {
        true => Some(look.client_name(judge.peer).await),
        false => None,
    };
    let helo_known = match helo.host().filter(|_| settings.demands(Demand::HeloKnown)) {
        Some(name) => Some(look.known(name).await),
        None => None,
    };
    let sender_known = match sender.filter(|_| settings.demands(Demand::SenderKnown)) {
        Some(name) => Some(look.known(name).await),
        None => None,
    };
    tell_verdict(
        course,
        judge.screen(Seen {
            helo: &helo,
            helo_known,
            client: client.as_ref(),
            sender,
            sender_known,
            score: score(settings, &answers, early),
        }),
    );
}

/// Reports a list's answer.
fn tell_list(course: &mut Course<'_>, list: &DnsList, answers: &[ZoneAnswer]) {
    let Some(answer) = answers
        .iter()
        .find(|answer| answer.zone == list.zone && answer.subject == list.subject)
    else {
        return;
    };
    let said = match (&answer.found, answer.read(list)) {
        (Err(reason), _) => format!("no answer, counts as not listed: {reason}"),
        (_, Some(Answered::Listed(found))) => format!("{found}, score {}", list.score),
        (_, Some(answered)) => match Trouble::of(answered) {
            Some(trouble) => format!("counts as not listed: {trouble}"),
            None => "not listed".to_owned(),
        },
        (Ok(_), None) => return,
    };
    let ruling = Ruling {
        rule: Rule::ScreenListed,
        reason: &said,
    };
    course.add_named(
        format!("{} of {}", list.subject, list.name),
        &ruling,
        Some(list.name.as_str()),
    );
}

fn tell_verdict(course: &mut Course<'_>, screened: Screened) {
    let Noted { hold, tag, marks } = match screened {
        Screened::Refused(refusal) => return course.add("RCPT of a stranger", &refusal),
        Screened::Passed(noted) => noted,
    };
    for finding in &marks {
        let ruling = Ruling {
            rule: Rule::ScreenTagged,
            reason: &format_args!("{}: {finding}", finding.rule()),
        };
        course.add("end of DATA", &ruling);
    }
    for (rule, score) in [(Rule::ScreenTagged, tag), (Rule::ScreenHeld, hold)] {
        if let Some(score) = score {
            let ruling = Ruling {
                rule,
                reason: &format_args!("score {score}"),
            };
            course.add("end of DATA", &ruling);
        }
    }
}

/// The owner of a list as the sender of its mail.
pub(super) fn under_owner(course: &mut Course<'_>, leads_to: &Mailbox, owner: &Mailbox) {
    let ruling = Ruling {
        rule: Rule::RecipientEntry,
        reason: &format_args!("MAIL FROM:<{owner}>, the owner of the list"),
    };
    course.add_for(format!("mail to {leads_to}"), &ruling, "list_sender");
}

/// The envelope sender for forwarded mail, if it is not the original one.
pub(super) fn rewritten(
    course: &mut Course<'_>,
    judge: &Judge<'_>,
    (named, leads_to): (&Mailbox, &Mailbox),
    sender: &ReversePath,
) {
    let Some(srs) = &judge.settings.srs else { return };
    let leaving = Leaving {
        sender,
        from_stranger: judge.identity.is_none() && judge.relay_reason().is_none(),
    };
    let original = format!("rfc822;{named}");
    let now = jiff::Timestamp::now();
    if let Some(rewritten) = srs.sender(leaving, leads_to, Some(&original), now) {
        let ruling = Ruling {
            rule: Rule::SrsRewritten,
            reason: &format_args!("MAIL FROM:<{rewritten}>"),
        };
        course.add(format!("mail to {leads_to}"), &ruling);
    }
}
