//! Bounces and complaints that other servers send back, tied to the login whose mail they are about.
//!
//! A [`Watcher`] sees reports as they arrive, keeps what they claim, and passes it on when the report is on disk. [`keep`] looks the
//! message up in the history, outside the way of mail: only what this server has sent, for that login to that recipient, counts, and
//! each recipient once. What is claimed by a stranger is never more than that: budgets only warn of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use postern_events::{Event, Key, Observer, Observers, PastEvent, ReportReturned, Word};
use postern_history::{Archive, History, Kind, Query, Story, Term};
use postern_mail::returned::{BODY_MAX, ReportForm, Returned, ReturnedKind};
use postern_mail::{Header, Mailbox, QueueId};
use postern_receive::Settings;
use postern_spool::{Arrival, Assembly, Inspection, InspectionFuture, Inspector, NewBodies, Stage};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Most reports that wait, to be acknowledged or to be looked up. What is more is not counted.
const WAITING_MAX: usize = 500;

/// Reports that were counted lately, by message, recipient and kind: the history may not have them yet.
const COUNTED_MAX: usize = 10_000;

/// How long to wait for the history to have written what happened.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Reports that are looked up together.
const BATCH_MAX: usize = 50;

/// How far clocks may be apart, in milliseconds: no id is younger than that.
const AHEAD_MAX: i64 = 60_000;

/// Stories of one message that are read: it may have gone on over several days.
const STORIES_MAX: usize = 10;

/// Reports that wait.
#[derive(Default)]
pub(crate) struct Returns {
    /// Those whose own message is not on disk yet.
    arriving: Mutex<HashMap<QueueId, Returned>>,
    /// As many, to be seen without the lock.
    count: AtomicUsize,
    there: Mutex<VecDeque<(QueueId, Returned)>>,
    wake: Notify,
}

impl Returns {
    fn arrives(&self, id: QueueId, returned: Returned) {
        let mut arriving = self.arriving.lock();
        if arriving.len() >= WAITING_MAX {
            // Those were given up in the meantime.
            arriving.clear();
        }
        arriving.insert(id, returned);
        self.count.store(arriving.len(), Ordering::Relaxed);
    }

    fn is_there(&self, id: QueueId) {
        let mut arriving = self.arriving.lock();
        let returned = arriving.remove(&id);
        self.count.store(arriving.len(), Ordering::Relaxed);
        drop(arriving);
        let mut there = self.there.lock();
        if let Some(returned) = returned.filter(|_| there.len() < WAITING_MAX) {
            there.push_back((id, returned));
            self.wake.notify_one();
        }
    }

    /// Those that are there, the oldest first.
    async fn next(&self) -> Vec<(QueueId, Returned)> {
        loop {
            let batch: Vec<_> = {
                let mut there = self.there.lock();
                let some = there.len().min(BATCH_MAX);
                there.drain(..some).collect()
            };
            if !batch.is_empty() {
                return batch;
            }
            self.wake.notified().await;
        }
    }
}

/// Hears that a report is on disk.
pub(crate) struct ReturnsObserver(pub(crate) Arc<Returns>);

impl Observer for ReturnsObserver {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Accepted(event) = event
            && self.0.count.load(Ordering::Relaxed) > 0
            && let Ok(id) = event.queue.to_string().parse()
        {
            self.0.is_there(id);
        }
    }
}

/// Looks for reports in what strangers bring.
struct Watcher {
    returns: Arc<Returns>,
    settings: Arc<ArcSwap<Settings>>,
}

/// Who looks for them: nobody where no budget is in use or no history is kept, so that it costs nothing then.
pub(crate) fn watcher(
    returns: &Arc<Returns>,
    settings: &Arc<ArcSwap<Settings>>,
    keeps_history: bool,
) -> Option<Arc<dyn Inspector>> {
    let loaded = settings.load();
    let in_use = loaded.budgets.learns || !loaded.budgets.budgets.is_empty();
    (in_use && keeps_history).then(|| {
        Arc::new(Watcher {
            returns: Arc::clone(returns),
            settings: Arc::clone(settings),
        }) as Arc<dyn Inspector>
    })
}

impl Inspector for Watcher {
    fn stage(&self) -> Stage {
        Stage::Judge
    }

    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>> {
        let is_strangers = arrival.login.is_none() && arrival.client.is_some_and(|client| client.mx);
        is_strangers.then(|| {
            Box::new(Watching {
                returns: Arc::clone(&self.returns),
                hostname: self.settings.load().hostname.to_string(),
                form: None,
                body: Vec::new(),
            }) as Box<dyn Inspection>
        })
    }
}

struct Watching {
    returns: Arc<Returns>,
    hostname: String,
    form: Option<ReportForm>,
    body: Vec<u8>,
}

impl Inspection for Watching {
    fn header<'a>(&'a mut self, header: &'a Header) -> InspectionFuture<'a> {
        self.form = ReportForm::of(header);
        Box::pin(async { Ok(()) })
    }

    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a> {
        if self.form.is_some() {
            let room = BODY_MAX - self.body.len().min(BODY_MAX);
            self.body.extend_from_slice(&octets[..octets.len().min(room)]);
        }
        Box::pin(async { Ok(()) })
    }

    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        _: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a> {
        let returned = self
            .form
            .as_ref()
            .and_then(|form| form.read(&self.body, &self.hostname));
        if let Some(returned) = returned {
            self.returns.arrives(assembly.id, returned);
        }
        Box::pin(async { Ok(()) })
    }
}

/// What the look-up works with.
pub(crate) struct Deps {
    pub(crate) returns: Arc<Returns>,
    pub(crate) history: History,
    pub(crate) folder: PathBuf,
    pub(crate) observers: Observers,
}

/// Looks up what comes back, until `shutdown`.
pub(crate) async fn keep(deps: Deps, shutdown: CancellationToken) {
    let mut counted = Counted::default();
    loop {
        let batch = tokio::select! {
            () = shutdown.cancelled() => return,
            batch = deps.returns.next() => batch,
        };
        let (history, folder) = (deps.history.clone(), deps.folder.clone());
        let found = tokio::task::spawn_blocking(move || {
            history.flush(FLUSH_MAX);
            look_up(&folder, &batch, Timestamp::now().as_millisecond())
        });
        for (report, kind, claim) in found.await.unwrap_or_default() {
            if counted.is_new(&claim, kind) {
                deps.observers.tell(ReportReturned {
                    queue: &report,
                    about: &claim.message,
                    login: &claim.login,
                    to: &format_args!("<{}>", claim.to),
                    status: claim
                        .status
                        .as_ref()
                        .map(|status| status as &dyn std::fmt::Display),
                    word: Word(word_of(kind)),
                });
            }
        }
    }
}

const fn word_of(kind: ReturnedKind) -> &'static str {
    match kind {
        ReturnedKind::Bounce => "bounce returned",
        ReturnedKind::Complaint => "complaint",
    }
}

/// Something that is claimed and that this server has sent.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Claim {
    message: QueueId,
    login: String,
    to: Mailbox,
    status: Option<String>,
}

/// What was counted lately.
#[derive(Default)]
struct Counted {
    all: HashSet<(QueueId, String, ReturnedKind)>,
    order: VecDeque<(QueueId, String, ReturnedKind)>,
}

impl Counted {
    fn is_new(&mut self, claim: &Claim, kind: ReturnedKind) -> bool {
        let key = (claim.message, claim.to.key().to_string(), kind);
        if !self.all.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > COUNTED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

/// What of these reports is true, each with the id of the report and its kind.
fn look_up(folder: &Path, batch: &[(QueueId, Returned)], now: i64) -> Vec<(QueueId, ReturnedKind, Claim)> {
    let mut archive = Archive::new(folder);
    let Some(oldest) = archive.days().ok().and_then(|days| days.first().copied()) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (report, returned) in batch {
        for id in returned.ids.iter().filter(|id| may_be_known(**id, oldest, now)) {
            let query = Query {
                groups: vec![vec![Term::Queue(id.to_string())]],
                limit: STORIES_MAX,
                ..Query::default()
            };
            if let Ok(found) = archive.find(&query) {
                let claims = proven(*id, &found.stories, returned);
                all.extend(claims.into_iter().map(|claim| (*report, returned.kind, claim)));
            }
        }
    }
    all
}

/// Whether the history can have a message: it is not from the future, nor from before the oldest day that is kept. A message may get
/// its id on one day and be there on the next.
fn may_be_known(id: QueueId, oldest: Date, now: i64) -> bool {
    let oldest = oldest.yesterday().unwrap_or(oldest).to_zoned(TimeZone::UTC);
    let begin = oldest.map_or(i64::MIN, |day| day.timestamp().as_millisecond());
    (begin..=now.saturating_add(AHEAD_MAX)).contains(&id.unix_ms())
}

/// What of a report is true, by what is known of the message: it was of a login, another host has taken it for that recipient, and
/// nothing of the kind was counted before.
fn proven(id: QueueId, stories: &[Story], returned: &Returned) -> Vec<Claim> {
    let name = id.to_string();
    let of_message = stories
        .iter()
        .filter(|story| story.kind == Kind::Message && story.id == name);
    let events: Vec<&PastEvent> = of_message.flat_map(|story| &story.events).collect();
    let named = |word: &'static str| events.iter().filter(move |event| event.word == word).copied();
    let Some(login) = named("accepted").find_map(|event| event.text(Key::Login)) else {
        return Vec::new();
    };
    let is_key = |event: &PastEvent, key: Key, to: &Mailbox| {
        event
            .text(key)
            .is_some_and(|text| address(text).is_some_and(|address| address.key() == to.key()))
    };
    let was_sent = |to: &Mailbox| {
        named("delivered").any(|event| is_key(event, Key::To, to) || is_key(event, Key::Original, to))
    };
    let was_counted = |to: &Mailbox| {
        named(word_of(returned.kind))
            .any(|event| event.text(Key::About) == Some(name.as_str()) && is_key(event, Key::To, to))
    };
    let mut recipients = returned.recipients.clone();
    if recipients.is_empty() {
        // One that hides the recipient is told apart only where there was one.
        let mut all: Vec<Mailbox> = named("delivered")
            .filter_map(|event| address(event.text(Key::To)?))
            .collect();
        all.dedup_by_key(|to| to.key().to_string());
        if let [only] = &all[..] {
            recipients.push((only.clone(), None));
        }
    }
    recipients
        .into_iter()
        .filter(|(to, _)| was_sent(to) && !was_counted(to))
        .map(|(to, status)| Claim {
            message: id,
            login: login.to_owned(),
            to,
            status,
        })
        .collect()
}

fn address(text: &str) -> Option<Mailbox> {
    text.trim_start_matches('<').trim_end_matches('>').parse().ok()
}

#[cfg(test)]
mod tests {
    use postern_events::Kept;
    use postern_history::Class;

    use super::*;

    fn event(word: &str, fields: &[(Key, &str)]) -> PastEvent {
        PastEvent {
            at: 1,
            word: word.to_owned(),
            fields: fields
                .iter()
                .map(|(key, text)| (*key, Kept::Text((*text).to_owned())))
                .collect(),
        }
    }

    #[test]
    fn only_what_was_sent_counts() {
        let id = QueueId::new(1_800_000_000_000, 7);
        let name = id.to_string();
        let accepted = || {
            event(
                "accepted",
                &[(Key::Login, "ann"), (Key::From, "<ann@relay.test>")],
            )
        };
        let delivered = |to| event("delivered", &[(Key::To, to)]);
        let counted = |to| event("complaint", &[(Key::About, &name), (Key::To, to)]);
        #[rustfmt::skip]
        let cases = [
            // what the case shows               what is known                                                                  who complains     what counts
            ("as it was sent",                   vec![accepted(), delivered("<a@x.test>")],                                     vec!["A@X.test"],  vec!["A@x.test"]),
            ("another recipient",                vec![accepted(), delivered("<a@x.test>")],                                     vec!["b@x.test"],  vec![]),
            ("not delivered",                    vec![accepted(), event("bounced", &[(Key::To, "<a@x.test>")])],                vec!["a@x.test"],  vec![]),
            ("of nobody's login",                vec![event("accepted", &[]), delivered("<a@x.test>")],                         vec!["a@x.test"],  vec![]),
            ("counted before",                   vec![accepted(), delivered("<a@x.test>"), counted("<a@x.test>")],              vec!["a@x.test"],  vec![]),
            ("nothing is known",                 vec![],                                                                        vec!["a@x.test"],  vec![]),
            ("hidden, and there is one",         vec![accepted(), delivered("<a@x.test>")],                                     vec![],            vec!["a@x.test"]),
            ("hidden, and there are two",        vec![accepted(), delivered("<a@x.test>"), delivered("<b@x.test>")],            vec![],            vec![]),
            ("before an alias",                  vec![accepted(), event("delivered", &[(Key::To, "<z@y.test>"), (Key::Original, "a@x.test")])], vec!["a@x.test"], vec!["a@x.test"]),
        ];
        for (shows, events, who, want) in cases {
            let story = Story {
                kind: Kind::Message,
                id: name.clone(),
                session: String::new(),
                class: Class::Users,
                events,
            };
            let returned = Returned {
                kind: ReturnedKind::Complaint,
                ids: vec![id],
                recipients: who.iter().map(|to| (to.parse().unwrap(), None)).collect(),
            };
            let got: Vec<String> = proven(id, &[story], &returned)
                .into_iter()
                .map(|claim| claim.to.to_string())
                .collect();
            assert_eq!(got, want, "{shows}");
        }
    }

    #[test]
    fn what_the_history_cannot_know_is_not_searched_for() {
        let oldest = Date::constant(2026, 11, 20);
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let now = at("2026-12-01T10:00:00Z");
        #[rustfmt::skip]
        let cases = [
            ("2026-11-18T23:59:59Z", false),
            ("2026-11-19T23:59:59Z", true),
            ("2026-12-01T10:00:30Z", true),
            ("2026-12-01T10:02:00Z", false),
            ("2090-01-01T00:00:00Z", false),
        ];
        for (text, want) in cases {
            assert_eq!(
                may_be_known(QueueId::new(at(text), 1), oldest, now),
                want,
                "{text}"
            );
        }
    }

    #[test]
    fn each_counts_once() {
        let claim = Claim {
            message: QueueId::new(1_800_000_000_000, 7),
            login: "ann".into(),
            to: "a@x.test".parse().unwrap(),
            status: None,
        };
        let mut counted = Counted::default();
        let asked = [
            ReturnedKind::Complaint,
            ReturnedKind::Complaint,
            ReturnedKind::Bounce,
        ];
        assert_eq!(
            asked.map(|kind| counted.is_new(&claim, kind)),
            [true, false, true]
        );
    }
}
