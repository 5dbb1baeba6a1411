//! Screens strangers who bring mail from outside ([`postern_policy::screen`]). DNS is asked about a client's address while it is
//! greeted, and about the names that it gave when it first names a recipient; the reply to that has the result.

mod answer;
mod healths;
pub mod look;
mod note;
mod screening;

use std::time::Duration;

use postern_mail::ReversePath;
use postern_policy::screen::finding::{Act, Demand, Known};
use postern_policy::screen::helo::HeloName;
use postern_policy::screen::list::Subject;
use postern_policy::screen::score::{Fill, ScreenRefusal, Screened};
use postern_smtp::Reply;
use postern_smtp::server::AskRecipient;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub(crate) use self::healths::ListHealths;
use self::look::{Look, ZoneAnswer, address_questions, domain_questions, score};
pub(crate) use self::note::{forget_forged, tell_health_of, tell_noted, write_field};
use self::screening::Judged;
pub(crate) use self::screening::Screening;
use crate::Role;
use crate::count::Signal;
use crate::io::{End, Io};
use crate::judge::Seen;
use crate::session::{About, Session};

/// What was found out about a name that the client gave.
#[derive(Default)]
struct Name {
    lists: Vec<ZoneAnswer>,
    known: Option<Known>,
}

/// Begins to screen a client, if it is to be screened.
pub(crate) fn begin(session: &mut Session) {
    let settings = &session.profile.settings.screen;
    let is_looked_at = session.profile.listener.role == Role::Mx
        && !settings.is_off()
        && session.is_stranger()
        && settings.is_about(session.peer.ip());
    if !is_looked_at {
        return;
    }
    let mut asked = JoinSet::new();
    let look = look(session, settings.timeout);
    for question in address_questions(settings, session.peer.ip()) {
        let look = look.clone();
        asked.spawn(async move { look.ask(question).await });
    }
    session.screening = Some(Box::new(Screening {
        begun: Instant::now(),
        early: false,
        asked,
        answered: Vec::new(),
        lookups: 0,
        last: None,
    }));
}

fn look(session: &Session, limit: Duration) -> Look {
    Look::new(session.shared.deps.resolver.clone(), limit)
}

/// Whether the client's host name is looked up here, whatever the time limit for names elsewhere.
pub(crate) fn wants_name(session: &Session) -> bool {
    session.screening.is_some() && session.profile.settings.screen.wants_name()
}

/// The reply to a recipient, if the stranger is refused for what was found out about it.
pub(crate) async fn refused(
    ask: &AskRecipient<'_>,
    io: &mut Io,
    session: &mut Session,
    signal: &Signal,
) -> Result<Option<Reply>, End> {
    if !session.is_stranger() {
        return Ok(None);
    }
    let (Some(mut screening), Some(sender)) = (session.screening.take(), ask.sender()) else {
        return Ok(None);
    };
    if !screening.has_judged(session.helo(), sender) {
        // Earlier replies must not wait with it.
        io.flush().await?;
        let screened = screening.judge(session, sender, signal).await;
        screening.last = Some(Judged {
            helo: session.helo().to_owned(),
            sender: sender.clone(),
            screened,
        });
    }
    let reply = match screening.last.as_ref().map(|last| &last.screened) {
        Some(Screened::Refused(refusal)) => Some(refuse(refusal, ask, sender, session)),
        _ => None,
    };
    session.screening = Some(screening);
    Ok(reply)
}

fn refuse(refusal: &ScreenRefusal, ask: &AskRecipient<'_>, sender: &ReversePath, session: &Session) -> Reply {
    let address = session.peer.ip().to_canonical().to_string();
    let text = refusal.text(&Fill {
        address: &address,
        helo: session.helo(),
        sender: &sender.to_string(),
    });
    let (code, status, _) = refusal.told();
    let reply = Reply::new(code, Some(status), format!("{text}{}", session.mark()));
    session.refused(refusal, &reply, &About::recipient(Some(sender), ask.path()));
    reply
}

impl Screening {
    /// Waits for outstanding answers, and asks the rules.
    async fn judge(&mut self, session: &Session, sender: &ReversePath, signal: &Signal) -> Screened {
        let settings = &session.profile.settings.screen;
        let limit = settings.timeout.min(session.life_left());
        let helo = HeloName::of(session.helo());
        let sender_domain = sender.mailbox().and_then(|mailbox| {
            let is_own = session.judge().is_own_domain(mailbox.domain());
            mailbox.domain().name().filter(|_| !is_own)
        });
        let questions = |name: Option<&str>, subject, demand| Questions {
            lists: name.map_or_else(Vec::new, |name| domain_questions(settings, subject, name)),
            known: name
                .filter(|_| settings.act(demand) != Act::Off)
                .map(str::to_owned),
        };
        let about_helo = questions(helo.host(), Subject::Helo, Demand::HeloKnown);
        let about_sender = questions(sender_domain, Subject::Sender, Demand::SenderKnown);
        self.lookups = self
            .lookups
            .saturating_add(about_helo.count())
            .saturating_add(about_sender.count());
        if self.lookups > settings.lookups {
            return Screened::Refused(ScreenRefusal::Lookups(settings.lookups));
        }
        let look = look(session, limit);
        // The lists have been asked since the connection began.
        let left = settings.timeout.saturating_sub(self.begun.elapsed()).min(limit);
        let found = async {
            tokio::join!(
                self.await_lists(left, &look, session),
                about_helo.ask(&look),
                about_sender.ask(&look)
            )
        };
        let ((), helo_found, sender_found) = look.patiently(found, session, signal).await;
        let answers: Vec<&ZoneAnswer> = self
            .answered
            .iter()
            .chain(&helo_found.lists)
            .chain(&sender_found.lists)
            .collect();
        for answer in helo_found.lists.iter().chain(&sender_found.lists) {
            if answer.found.is_ok() || !look.was_cut() {
                note::tell_health(answer, session);
            }
        }
        session.judge().screen(Seen {
            helo: &helo,
            helo_known: helo_found.known,
            client: session.called.as_ref(),
            sender: sender_domain,
            sender_known: sender_found.known,
            score: score(settings, answers, self.early),
        })
    }

    /// Waits for lists that were asked about the client's address. One without an answer counts as not listing it.
    async fn await_lists(&mut self, left: Duration, look: &Look, session: &Session) {
        let Self { asked, answered, .. } = self;
        let all = async {
            while let Some(answer) = asked.join_next().await {
                if let Ok(answer) = answer {
                    note::tell_health(&answer, session);
                    answered.push(answer);
                }
            }
        };
        tokio::select! {
            biased;
            () = all => return,
            () = sleep(left) => {}
            () = look.is_cut() => {}
        }
        let settings = &session.profile.settings.screen;
        for question in address_questions(settings, session.peer.ip()) {
            if answered.iter().all(|answer| answer.zone != question.zone) {
                let late = question.without_answer(settings.timeout);
                if !look.was_cut() {
                    note::tell_health(&late, session);
                }
                // A later answer may still count for the next message.
                answered.push(late);
            }
        }
    }
}

/// The questions about a name that the client gave.
struct Questions {
    lists: Vec<look::Question>,
    known: Option<String>,
}

impl Questions {
    fn count(&self) -> u32 {
        u32::try_from(self.lists.len() + usize::from(self.known.is_some())).unwrap_or(u32::MAX)
    }

    async fn ask(self, look: &Look) -> Name {
        let Self { lists, known } = self;
        let known = async {
            match known {
                Some(name) => Some(look.known(&name).await),
                None => None,
            }
        };
        let (lists, known) = tokio::join!(look.ask_all(lists), known);
        Name { lists, known }
    }
}
