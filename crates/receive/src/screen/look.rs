//! Looks up in DNS what strangers are judged by. `explain` uses the same code.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use postern_net::resolver::{MxRecord, ResolveError, Resolver, ReverseName};
use postern_policy::screen::ScreenSettings;
use postern_policy::screen::finding::{ClientName, Known};
use postern_policy::screen::list::{Answered, Subject, address_question, domain_question};
use postern_policy::screen::score::{EARLY_TALK, Mark, Score};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub use super::answer::ZoneAnswer;
use crate::count::Signal;
use crate::session::Session;

/// Most hosts of a domain whose addresses are looked up.
const MX_HOSTS_MAX: usize = 10;

/// Asks DNS, with a time limit for each question.
#[derive(Clone, Debug)]
pub struct Look {
    /// The resolver to ask.
    resolver: Resolver,
    /// Longest wait for one answer.
    limit: Duration,
    /// Cancelled when the time limit becomes shorter.
    cut: CancellationToken,
}

/// A question to a zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The zone of the list.
    pub zone: String,
    /// What is looked up.
    pub subject: Subject,
    /// The name to look up.
    pub name: String,
}

impl Question {
    /// There was no answer within this time.
    #[must_use]
    pub fn without_answer(self, limit: Duration) -> ZoneAnswer {
        ZoneAnswer {
            zone: self.zone,
            subject: self.subject,
            found: Err(no_answer(limit)),
        }
    }
}

fn no_answer(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs_f32())
}

/// The questions to all lists about a client's address, each once.
#[must_use]
pub fn address_questions(settings: &ScreenSettings, peer: IpAddr) -> Vec<Question> {
    questions(settings, Subject::Client, |zone| {
        Some(address_question(peer, zone))
    })
}

/// The questions to all lists about a domain: the `HELO` name, or that of the sender.
#[must_use]
pub fn domain_questions(settings: &ScreenSettings, subject: Subject, domain: &str) -> Vec<Question> {
    questions(settings, subject, |zone| domain_question(domain, zone))
}

fn questions(
    settings: &ScreenSettings,
    subject: Subject,
    name: impl Fn(&str) -> Option<String>,
) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for list in settings.lists.iter().filter(|list| list.subject == subject) {
        if questions.iter().any(|question| question.zone == list.zone) {
            continue;
        }
        questions.extend(name(&list.zone).map(|name| Question {
            zone: list.zone.clone(),
            subject,
            name,
        }));
    }
    questions
}

/// The score of a client, from all answers.
#[must_use]
pub fn score<'a>(
    settings: &ScreenSettings,
    answers: impl IntoIterator<Item = &'a ZoneAnswer>,
    early: bool,
) -> Score {
    let mut marks = Vec::new();
    if let Some(score) = settings.early_talk_score.filter(|_| early) {
        marks.push(Mark {
            name: EARLY_TALK.to_owned(),
            score,
            answer: None,
            text: None,
        });
    }
    for answer in answers {
        for list in &settings.lists {
            if let Some(Answered::Listed(found)) = answer.read(list) {
                marks.push(Mark {
                    name: list.name.clone(),
                    score: list.score,
                    answer: Some((list.subject, found)),
                    text: list.text.clone(),
                });
            }
        }
    }
    Score(marks)
}

impl Look {
    /// Asks this resolver, and waits up to `limit` for each answer.
    #[must_use]
    pub fn new(resolver: Resolver, limit: Duration) -> Self {
        Self {
            resolver,
            limit,
            cut: CancellationToken::new(),
        }
    }

    /// Waits for answers, for less time if sessions become scarce meanwhile. Questions without an answer by then have none.
    pub(crate) async fn patiently<T>(
        &self,
        asked: impl Future<Output = T>,
        session: &Session,
        signal: &Signal,
    ) -> T {
        let begun = Instant::now();
        let watch = async {
            session.is_out_of_patience(begun, signal).await;
            self.cut.cancel();
            std::future::pending().await
        };
        tokio::select! {
            biased;
            answer = asked => answer,
            answer = watch => answer,
        }
    }

    /// Whether its questions were cut short: then a missing answer is not the list's fault.
    pub(super) fn was_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Waits until its questions must end without an answer.
    pub(super) async fn is_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Asks a zone.
    pub async fn ask(&self, question: Question) -> ZoneAnswer {
        let found = self.within(self.resolver.list_answers(&question.name)).await;
        ZoneAnswer {
            zone: question.zone,
            subject: question.subject,
            // A name that DNS cannot hold cannot be listed.
            found: found.map_or_else(
                |error| match error {
                    error if error.is_temporary() => Err(error.to_string()),
                    _ => Ok(Vec::new()),
                },
                Ok,
            ),
        }
    }

    /// Asks all zones at once.
    pub async fn ask_all(&self, questions: Vec<Question>) -> Vec<ZoneAnswer> {
        let asked = questions.into_iter().map(|question| self.ask(question));
        futures_util::future::join_all(asked).await
    }

    /// Whether a name has MX records or an address.
    pub async fn known(&self, name: &str) -> Known {
        match self.within(self.resolver.mx(name)).await {
            Ok(records) if is_null(&records) => return Known::NullMx,
            Ok(_) => return Known::Yes,
            Err(ResolveError::NoData(_)) => {}
            Err(error) if error.is_temporary() => return Known::Unanswered(error.to_string()),
            Err(_) => return Known::No,
        }
        match self.within(self.resolver.addresses(name)).await {
            Ok(_) => Known::Yes,
            Err(error) if error.is_temporary() => Known::Unanswered(error.to_string()),
            Err(_) => Known::No,
        }
    }

    /// The addresses of the hosts that accept mail for a domain; none if there are no such hosts.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn mail_addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let hosts: Vec<String> = match self.within(self.resolver.mx(name)).await {
            Ok(records) if is_null(&records) => Vec::new(),
            Ok(records) => records
                .into_iter()
                .take(MX_HOSTS_MAX)
                .map(|record| record.exchange)
                .collect(),
            Err(ResolveError::NoData(_)) => vec![name.to_owned()],
            Err(error @ ResolveError::Temporary { .. }) => return Err(error.to_string()),
            Err(_) => Vec::new(),
        };
        let mut addresses = Vec::new();
        for host in hosts {
            match self.within(self.resolver.addresses(&host)).await {
                Ok(found) => addresses.extend(found),
                Err(error) if error.is_temporary() => return Err(error.to_string()),
                Err(_) => {}
            }
        }
        Ok(addresses)
    }

    /// The host name of an address. That of the loopback is known.
    pub async fn client_name(&self, peer: IpAddr) -> ClientName {
        let address = peer.to_canonical();
        if address.is_loopback() {
            return ClientName::Confirmed("localhost".to_owned());
        }
        match self.within(self.resolver.reverse_name(address)).await {
            Ok(ReverseName::Confirmed(name)) => ClientName::Confirmed(name.to_ascii_lowercase()),
            Ok(ReverseName::Unconfirmed { name, doubt: None }) => {
                ClientName::Unconfirmed(name.to_ascii_lowercase())
            }
            Ok(ReverseName::Unconfirmed {
                name,
                doubt: Some(error),
            }) => ClientName::Unsure {
                name: name.to_ascii_lowercase(),
                reason: error.to_string(),
            },
            Ok(ReverseName::Nameless) => ClientName::Nameless,
            Err(error) => ClientName::Unanswered(error.to_string()),
        }
    }

    async fn within<T>(
        &self,
        question: impl Future<Output = Result<T, ResolveError>>,
    ) -> Result<T, ResolveError> {
        let reason = tokio::select! {
            biased;
            answer = question => return answer,
            () = sleep(self.limit) => no_answer(self.limit),
            () = self.cut.cancelled() => "no answer yet, and sessions are scarce".to_owned(),
        };
        Err(ResolveError::Temporary {
            name: "DNS".to_owned(),
            reason,
        })
    }
}

/// RFC 7505: a single record, whose host is the root.
fn is_null(records: &[MxRecord]) -> bool {
    matches!(records, [MxRecord { exchange, .. }] if exchange.is_empty())
}
