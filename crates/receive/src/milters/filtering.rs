//! One session's exchange with its filters: they are told each step, in order, until one decides.

use std::ops::Range;
use std::sync::Arc;

use postern_filter::Failure;
use postern_mail::{Envelope, ForwardPath, Mailbox, QueueId};
use postern_milter::chain::Outcome;
use postern_milter::command::Peer;
use postern_milter::facts::{Facts as Known, Message, Way};
use postern_milter::{Chain, Event, Verdict as Answered};
use postern_policy::milter::{Decision, Facts, OnFailure};
use postern_smtp::Reply;
use postern_smtp::server::Ground;

use super::changes_room::ChangesRoom;
use super::envelope::Named;
use super::facts::{client, facts, way_of_refused, way_of_sender, way_of_taken};
use super::notes::{self, Note};
use super::ruled::{Ruled, in_chain, why};
use super::services::{Milter, tell_asked};
use super::strangers::{NoPlace, Place};
use crate::AuthRule;
use crate::room::Held;
use crate::session::Session;
use crate::time;

/// The filters of a session.
pub(crate) struct Filtering {
    pub(super) members: Vec<Member>,
    pub(super) chain: Chain,
    /// The id of the current message.
    id: Option<QueueId>,
    pub(super) message: Message,
    /// The accepted recipients, as the client named them.
    pub(super) named: Vec<Named>,
    /// What was decided about the `HELO` name, until another is accepted.
    helo: Option<Ruled>,
    /// Whether filters were told `MAIL` but not yet the end of its message.
    in_message: bool,
    /// What was done with the message that the client is not told.
    pub(super) notes: Vec<Note>,
    /// Filters that can be sent the content at the same time.
    pub(super) runs: Vec<Range<usize>>,
    /// The filters that are sent it while it arrives.
    pub(super) streamed: Range<usize>,
    /// Memory for pieces of the body that are gathered for them.
    gathered: Option<Held>,
    /// Memory for their changes.
    pub(super) changes: ChangesRoom,
}

/// Octets of gathered pieces that a session need not reserve: small messages are filtered even when memory is short.
const PIECES_FREE: usize = 32 * 1024;

/// One filter.
pub(super) struct Member {
    pub(super) milter: Arc<Milter>,
    pub(super) talk: postern_filter::Session,
    /// What it has decided about the message.
    ruled: Option<Ruled>,
    /// The stranger's place at this filter.
    place: Option<Place>,
    /// Whether it was not told of the connection because no place was free. It is told once there is one, at `MAIL`.
    untold: bool,
    /// How long it has taken for header and body of the message so far.
    pub(super) content: std::time::Duration,
}

/// What filters are told, except the content.
enum Step<'a> {
    Connect {
        host: &'a str,
        peer: Peer,
    },
    Helo(&'a str),
    Mail {
        sender: &'a str,
        parameters: &'a [&'a str],
    },
    Rcpt {
        recipient: &'a str,
        parameters: &'a [&'a str],
        taken: bool,
    },
    Data,
    Unknown(&'a [u8]),
}

impl Member {
    /// Takes a place at the filter for the session, if it is a stranger's. If there is none, strangers are hurried.
    fn find_place(&mut self, session: &Session) -> Result<(), NoPlace> {
        if !session.is_stranger() {
            self.place = None;
            return Ok(());
        }
        if self.place.is_none() {
            let Milter {
                strangers,
                strangers_max,
                ..
            } = &*self.milter;
            let found = strangers.place(session.peer.ip(), *strangers_max);
            let place = found.inspect_err(|none| {
                if none.is_news {
                    session.shared.counts.hurry_strangers();
                }
            })?;
            self.place = Some(place);
        }
        Ok(())
    }

    /// The same, but waits for a while where there is none: large senders bring much at once, and those who have places are hurried.
    async fn wait_for_place(&mut self, session: &Session) -> Result<(), NoPlace> {
        if self.find_place(session).is_ok() {
            return Ok(());
        }
        let Milter {
            strangers,
            strangers_max,
            strangers_wait,
            ..
        } = &*self.milter;
        let place = strangers
            .wait(session.peer.ip(), *strangers_max, *strangers_wait)
            .await?;
        self.place = Some(place);
        Ok(())
    }
}

impl Step<'_> {
    const fn event(&self) -> Event {
        match self {
            Self::Connect { .. } => Event::Connect,
            Self::Helo(_) => Event::Helo,
            Self::Mail { .. } => Event::Mail,
            Self::Rcpt { taken: true, .. } => Event::Rcpt,
            Self::Rcpt { .. } => Event::RejectedRcpt,
            Self::Data => Event::Data,
            Self::Unknown(_) => Event::Unknown,
        }
    }

    /// Has the step told to a filter when it is first told of a message.
    fn keep_for_later(&self, talk: &mut postern_filter::Session) {
        match self {
            Self::Connect { host, peer } => talk.will_connect(host, peer.clone()),
            Self::Helo(name) => talk.will_greet(name),
            _ => {}
        }
    }

    async fn tell(&self, talk: &mut postern_filter::Session, known: &Known<'_>) -> Result<Answered, Failure> {
        match self {
            Self::Connect { host, peer } => talk.connect(host, peer.clone(), known).await,
            Self::Helo(name) => talk.helo(name, known).await,
            Self::Mail { sender, parameters } => talk.mail(sender, parameters, known).await,
            Self::Rcpt {
                recipient,
                parameters,
                taken,
            } => talk.rcpt(recipient, parameters, *taken, known).await,
            Self::Data => talk.data(known).await,
            Self::Unknown(line) => talk.unknown(line).await,
        }
    }
}

impl Filtering {
    /// For a new session; `None` if no filter serves it.
    pub(crate) fn of(session: &Session) -> Option<Box<Self>> {
        if session.profile.milters.is_empty() {
            return None;
        }
        let can_log_in = session.profile.listener.auth != AuthRule::Off && session.login.is_none();
        let mut facts = facts_of(session, 0);
        if can_log_in {
            facts.client = None;
        }
        let served = session.profile.milters.iter();
        let members: Vec<Member> = served
            .filter(|milter| milter.conditions.judge(&facts).is_ok())
            .map(|milter| Member {
                talk: milter.service.session(),
                milter: Arc::clone(milter),
                ruled: None,
                place: None,
                untold: false,
                content: std::time::Duration::ZERO,
            })
            .collect();
        (!members.is_empty()).then(|| {
            Box::new(Self {
                chain: Chain::new(members.len()),
                members,
                id: None,
                message: Message::default(),
                named: Vec::new(),
                helo: None,
                in_message: false,
                notes: Vec::new(),
                runs: Vec::new(),
                streamed: 0..0,
                gathered: None,
                changes: ChangesRoom::default(),
            })
        })
    }

    /// The client has connected.
    pub(crate) async fn connect(&mut self, session: &Session) -> Option<Ruled> {
        for member in &mut self.members {
            member.untold = member.find_place(session).is_err();
        }
        let client = client(session);
        let step = Step::Connect {
            host: &client.name(),
            peer: client.peer(),
        };
        let ruled = self.ask(step, session, None).await;
        ruled.map(Ruled::at_greeting)
    }

    /// `HELO` or `EHLO` was taken. The current message, if any, is over.
    pub(crate) async fn helo(&mut self, name: &str, session: &Session) -> Option<Ruled> {
        self.helo = self.ask(Step::Helo(name), session, None).await;
        self.helo.clone()
    }

    /// An unknown command.
    pub(crate) async fn unknown(&mut self, line: &[u8], session: &Session) -> Option<Ruled> {
        self.ask(Step::Unknown(line), session, None).await
    }

    /// `MAIL`, which the server would accept. Filters that are skipped are not told.
    pub(crate) async fn mail(
        &mut self,
        envelope: &Envelope,
        size: u64,
        parameters: &[&str],
        session: &Session,
    ) -> Option<Ruled> {
        if let Some(ruled) = &self.helo {
            return Some(ruled.clone());
        }
        self.forget();
        self.in_message = true;
        let id = session.shared.deps.spool.next_id();
        self.id = Some(id);
        self.message = Message {
            id: Some(id.to_string()),
            sender: Some(way_of_sender(&envelope.sender, &session.profile.settings)),
            submitter: envelope.auth.clone(),
            ..Message::default()
        };
        let facts = facts_of(session, size);
        for (filter, member) in self.members.iter().enumerate() {
            if member.milter.conditions.judge(&facts).is_err() && !self.chain.is_done(filter) {
                self.chain.answered(filter, Event::Mail, Answered::Accept);
            }
        }
        if let Some(ruled) = self.find_places(session).await {
            return Some(ruled);
        }
        let step = Step::Mail {
            sender: &envelope.sender.to_string(),
            parameters,
        };
        let ruled = self.ask(step, session, None).await;
        ruled.filter(|ruled| !ruled.discards())
    }

    /// Takes a place for a stranger at all filters to be asked, and waits for it; `Some` for a filter that has none.
    async fn find_places(&mut self, session: &Session) -> Option<Ruled> {
        for filter in 0..self.members.len() {
            if !self.asks(filter) {
                continue;
            }
            let member = &mut self.members[filter];
            if let Err(none) = member.wait_for_place(session).await {
                return Some(Ruled::busy(&member.milter, none));
            }
            member.untold = false;
        }
        None
    }

    /// `RCPT`, which the server would accept on this ground.
    pub(crate) async fn rcpt(
        &mut self,
        path: &ForwardPath,
        ground: Ground,
        parameters: &[&str],
        session: &Session,
    ) -> Option<Ruled> {
        let way = way_of_taken(path, ground);
        let step = Step::Rcpt {
            recipient: &path.to_string(),
            parameters,
            taken: true,
        };
        let ruled = self.ask(step, session, Some(&way)).await;
        let refused = ruled.filter(|ruled| !ruled.discards());
        if refused.is_some() {
            self.message.refused += 1;
        }
        refused
    }

    /// The recipient was accepted; its mail goes to these addresses.
    pub(crate) fn took(&mut self, path: &ForwardPath, goes: Vec<Mailbox>) {
        self.message.taken += 1;
        self.named.push(Named {
            path: path.to_string(),
            goes,
        });
    }

    /// `RCPT`, which the server has refused. The filters' answers change nothing, unless they close the session.
    pub(crate) async fn refused_rcpt(
        &mut self,
        path: &ForwardPath,
        parameters: &[&str],
        reply: &Reply,
        session: &Session,
    ) -> Option<Ruled> {
        self.message.refused += 1;
        let way = way_of_refused(reply);
        let step = Step::Rcpt {
            recipient: &path.to_string(),
            parameters,
            taken: false,
        };
        let ruled = self.ask(step, session, Some(&way)).await;
        ruled.filter(Ruled::closes)
    }

    /// `DATA`, or the first `BDAT`.
    pub(crate) async fn data(&mut self, session: &Session) -> Option<Ruled> {
        let ruled = self.ask(Step::Data, session, None).await;
        ruled.filter(|ruled| !ruled.discards())
    }

    /// The id of the current message.
    pub(crate) fn queue_id(&self) -> Option<QueueId> {
        self.id.filter(|_| self.in_message)
    }

    /// Whether there is a current message.
    pub(crate) const fn in_message(&self) -> bool {
        self.in_message
    }

    /// The message is over, successful or not: filters that wait for more of it are told.
    pub(crate) async fn abort(&mut self) {
        self.in_message = false;
        for member in &mut self.members {
            member.talk.abort().await;
        }
        self.forget();
    }

    /// The session is over.
    pub(crate) async fn quit(self) {
        for member in self.members {
            member.talk.quit().await;
        }
    }

    /// The message was accepted: logs what was done with it.
    pub(crate) fn tell_notes(&self, queue: QueueId, session: &Session) {
        self.notes.iter().for_each(|note| note.tell(queue, session));
    }

    /// The message is discarded: logs its envelope, and by which filter.
    pub(crate) fn tell_discarded(
        &self,
        ruled: &Ruled,
        queue: QueueId,
        envelope: &Envelope,
        message_id: Option<&str>,
        session: &Session,
    ) {
        self.tell_notes(queue, session);
        notes::tell_discarded(ruled, queue, envelope, message_id, session);
    }

    /// What is already decided about the message, whatever is still to come.
    pub(crate) fn decided(&self) -> Option<Ruled> {
        match self.chain.outcome()? {
            Outcome::Decided(filter, _) => self.members[filter].ruled.clone(),
            Outcome::Take | Outcome::Hold(_) => None,
        }
    }

    /// Whether a filter is to be told the next step.
    pub(super) fn asks(&self, filter: usize) -> bool {
        self.chain.asked().any(|asked| asked == filter)
    }

    /// Takes the answer to a step. `Some` is what the client is told, or that the message must be discarded.
    pub(super) fn settle(
        &mut self,
        filter: usize,
        event: Event,
        came: Result<Answered, Failure>,
    ) -> Option<Ruled> {
        let answered = match came {
            Ok(answered) => answered,
            Err(failure) => return self.fail(filter, event, &why(&failure)),
        };
        let told = self.chain.answered(filter, event, answered)?;
        let member = &mut self.members[filter];
        let ruled = Ruled::answer(&member.milter, event, &told);
        member.ruled = Some(ruled.clone());
        Some(ruled)
    }

    /// Takes the failure of a filter, likewise.
    pub(super) fn fail(&mut self, filter: usize, event: Event, why: &str) -> Option<Ruled> {
        let member = &mut self.members[filter];
        let then = member.milter.on_failure;
        let told = self.chain.failed(filter, event, in_chain(then));
        if told.is_some() {
            let ruled = Ruled::failure(&member.milter, event, why);
            member.ruled = Some(ruled.clone());
            return Some(ruled);
        }
        if event.in_message() {
            let decision = Decision::Failed { then, why };
            self.notes.push(Note::decided(&member.milter, decision));
        }
        None
    }

    /// The failure for which the message is held, if any.
    pub(super) fn held(&self) -> Option<&Note> {
        match self.chain.outcome()? {
            Outcome::Hold(filter) => {
                let milter = &self.members[filter].milter;
                let mut notes = self.notes.iter();
                notes.find(|note| note.is_of(milter) && milter.on_failure == OnFailure::Hold)
            }
            Outcome::Take | Outcome::Decided(..) => None,
        }
    }

    async fn ask(&mut self, step: Step<'_>, session: &Session, recipient: Option<&Way>) -> Option<Ruled> {
        for filter in 0..self.members.len() {
            if !self.asks(filter) {
                continue;
            }
            if self.members[filter].untold {
                step.keep_for_later(&mut self.members[filter].talk);
                continue;
            }
            let known = facts(session, &self.message, recipient);
            let asked = self.members[filter].talk.wants(step.event()).then(time::now);
            let came = step.tell(&mut self.members[filter].talk, &known).await;
            if let Some(begun) = asked {
                let observers = &session.shared.deps.observers;
                let milter = &self.members[filter].milter;
                tell_asked(milter, "envelope", begun, came.is_err(), observers);
            }
            if let Some(ruled) = self.settle(filter, step.event(), came) {
                return Some(ruled);
            }
        }
        None
    }

    /// Reserves memory for this many more octets of a body; without it, the gathered pieces are kept small.
    pub(super) fn make_room(&mut self, to: Range<usize>, more: usize, session: &Session) {
        let asked = to.clone().filter(|filter| self.asks(*filter));
        let wanted: usize = asked
            .map(|filter| self.members[filter].talk.memory_after(more))
            .sum();
        let Some(wanted) = wanted.checked_sub(PIECES_FREE).filter(|wanted| *wanted > 0) else {
            return;
        };
        let held = self.gathered.get_or_insert_with(|| session.hold_room());
        if held.memory_to(wanted as u64).is_err() {
            for member in &mut self.members[to] {
                member.talk.save_memory();
            }
        }
    }

    fn forget(&mut self) {
        self.gathered = None;
        self.changes = ChangesRoom::default();
        self.chain.restart();
        self.id = None;
        self.message = Message::default();
        self.named.clear();
        self.notes.clear();
        self.runs.clear();
        self.streamed = 0..0;
        for member in &mut self.members {
            member.ruled = None;
        }
    }
}

/// The facts that decide whether a filter is skipped for a known client.
pub(super) fn facts_of(session: &Session, size: u64) -> Facts<'_> {
    session.judge().filter_facts(size)
}
