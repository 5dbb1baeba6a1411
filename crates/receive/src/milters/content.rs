//! Sends the content of a message to the filters: header and body while they arrive, and the end, at which changes are made.
//!
//! Filters that change nothing are sent the content together, and with them the first one that may change it. Later filters have
//! to wait for its changes, and are sent the result; likewise all of them if a judge adds to the header first.

use std::ops::Range;
use std::time::Instant;

use postern_filter::{EndError, NewBody as Sink};
use postern_mail::{BodyKind, Header};
use postern_milter::{Agreement, Event, Verdict as Answered, chain};
use postern_policy::milter::Decision;
use postern_spool::{Assembly, Body, NewBodies, NewBody, Refusal, Spool, SpoolError};

use super::changes_room::ChangesRoom;
use super::facts::facts;
use super::filtering::{Filtering, facts_of};
use super::header::Seen;
use super::notes::Note;
use super::ruled::Ruled;
use super::services::{tell_asked, tell_took};
use crate::session::Session;
use crate::time;

/// Why a message is not queued.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A filter has decided.
    Ruled(Ruled),
    /// There is no room for a new body.
    NoRoom(Refusal),
    /// The body cannot be read again.
    Unread(SpoolError),
}

/// A new body, written to the spool as it comes.
struct NewContent<'b, 'a> {
    /// `None` once there was no room for more.
    body: Option<NewBody<'b>>,
    refusal: Option<Refusal>,
    room: &'a mut ChangesRoom,
    session: &'a Session,
}

impl Sink for NewContent<'_, '_> {
    async fn write(&mut self, piece: &[u8]) -> std::io::Result<()> {
        if let Some(body) = &mut self.body {
            match body.write(piece).await {
                Ok(()) => return Ok(()),
                Err(refusal) => self.refusal = Some(refusal),
            }
            self.body = None;
        }
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn room_for_changes(&mut self, octets: usize) -> std::io::Result<()> {
        self.room.to(octets, self.session).map_err(|refusal| {
            self.refusal = Some(refusal);
            std::io::ErrorKind::OutOfMemory.into()
        })
    }
}

impl Filtering {
    /// The header has arrived. `streams` says that the first filters may be sent the content at once.
    pub(crate) async fn header(
        &mut self,
        header: &Header,
        message_id: Option<&str>,
        streams: bool,
        session: &Session,
    ) -> Option<Ruled> {
        self.message.message_id = message_id.map(str::to_owned);
        let asked: Vec<Option<&Agreement>> = (0..self.members.len())
            .map(|filter| {
                self.members[filter]
                    .talk
                    .agreement()
                    .filter(|_| self.asks(filter))
            })
            .collect();
        self.runs = chain::runs(&asked);
        if !streams {
            self.streamed = 0..0;
            return self.decided();
        }
        self.streamed = self.runs.first().cloned().unwrap_or(0..0);
        self.send_header(self.streamed.clone(), header, &[], session)
            .await;
        self.decided()
    }

    /// Octets of the body have arrived; `arrived` counts those of the whole message. `Some` once a filter has decided about the
    /// message.
    pub(crate) async fn body(&mut self, octets: &[u8], arrived: u64, session: &Session) -> Option<Ruled> {
        self.pass_large(arrived, session).await;
        self.make_room(self.streamed.clone(), octets.len(), session);
        self.send_body(self.streamed.clone(), octets, session).await;
        self.decided()
    }

    /// The message is complete: sends the content to the remaining filters, gets the changes of all, and makes them.
    ///
    /// # Errors
    ///
    /// [`Stopped`]: the message is not queued.
    pub(crate) async fn end(
        &mut self,
        assembly: &mut Assembly,
        bodies: &mut NewBodies<'_>,
        arrived: u64,
        session: &Session,
    ) -> Result<(), Stopped> {
        self.pass_large(arrived, session).await;
        let count = assembly.own_fields();
        let header = assembly.header_mut();
        let mut own: Vec<bool> = (0..header.len()).map(|place| place < count).collect();
        for run in std::mem::take(&mut self.runs) {
            if run != self.streamed {
                self.send(run.clone(), assembly, bodies.spool(), &own, session)
                    .await?;
            }
            for filter in run {
                if self.asks(filter) {
                    self.end_one(filter, assembly, bodies, &mut own, session).await?;
                }
                if let Some(ruled) = self.decided() {
                    return Err(Stopped::Ruled(ruled));
                }
            }
        }
        if let Some(ruled) = self.decided() {
            return Err(Stopped::Ruled(ruled));
        }
        if assembly.hold.is_none() {
            assembly.hold = self.held().map(Note::hold);
        }
        Ok(())
    }

    /// Sends a complete message.
    async fn send(
        &mut self,
        run: Range<usize>,
        assembly: &mut Assembly,
        spool: &dyn Spool,
        own: &[bool],
        session: &Session,
    ) -> Result<(), Stopped> {
        if !run.clone().any(|filter| self.asks(filter)) {
            return Ok(());
        }
        self.send_header(run.clone(), assembly.header_mut(), own, session)
            .await;
        let wanted = |this: &Self| {
            let mut members = run.clone();
            members.any(|filter| this.asks(filter) && this.members[filter].talk.wants(Event::Body))
        };
        if !wanted(self) {
            return Ok(());
        }
        let mut body = assembly.read_body(spool);
        while let Some(piece) = body.piece().await.map_err(Stopped::Unread)? {
            self.make_room(run.clone(), piece.len(), session);
            self.send_body(run.clone(), &piece, session).await;
            if !wanted(self) {
                break;
            }
        }
        Ok(())
    }

    /// Sends the header fields and the end of the header.
    async fn send_header(&mut self, to: Range<usize>, header: &Header, own: &[bool], session: &Session) {
        for filter in to {
            if !self.asks(filter) {
                continue;
            }
            // Lines that are not fields have no name.
            let fields = header.fields().enumerate();
            let told =
                fields.filter(|(place, field)| own.get(*place) != Some(&true) && !field.name().is_empty());
            let fields = told.map(|(_, field)| (field.name(), field.value()));
            let known = facts(session, &self.message, None);
            let begun = time::now();
            let talk = &mut self.members[filter].talk;
            let (event, came) = talk.whole_header(fields, &known).await;
            self.note_content(filter, begun, came.is_err(), session);
            self.settle(filter, event, came);
        }
    }

    async fn send_body(&mut self, to: Range<usize>, octets: &[u8], session: &Session) {
        for filter in to {
            if self.asks(filter) {
                let begun = time::now();
                let came = self.members[filter].talk.body(octets).await;
                self.note_content(filter, begun, came.is_err(), session);
                self.settle(filter, Event::Body, came);
            }
        }
    }

    /// Adds up how long a filter takes for header and body, which come in many pieces; told once, at the end or at a failure.
    fn note_content(&mut self, filter: usize, begun: Instant, failed: bool, session: &Session) {
        self.members[filter].content += time::now().saturating_duration_since(begun);
        if failed {
            self.tell_content(filter, true, session);
        }
    }

    fn tell_content(&mut self, filter: usize, failed: bool, session: &Session) {
        let member = &mut self.members[filter];
        let took = std::mem::take(&mut member.content);
        if !took.is_zero() {
            tell_took(
                &member.milter,
                "content",
                took,
                failed,
                &session.shared.deps.observers,
            );
        }
    }

    /// Filters for which the message has become too large are not asked any more.
    async fn pass_large(&mut self, arrived: u64, session: &Session) {
        for filter in 0..self.members.len() {
            let member = &mut self.members[filter];
            let limit = member.milter.conditions.skip_above;
            if limit.is_none_or(|limit| arrived <= limit) || self.chain.is_done(filter) {
                continue;
            }
            if member
                .milter
                .conditions
                .judge(&facts_of(session, arrived))
                .is_err()
            {
                member.talk.abort().await;
                self.chain.answered(filter, Event::Body, Answered::Accept);
            }
        }
    }

    /// Gets the changes of one filter, and makes them.
    async fn end_one(
        &mut self,
        filter: usize,
        assembly: &mut Assembly,
        bodies: &mut NewBodies<'_>,
        own: &mut Vec<bool>,
        session: &Session,
    ) -> Result<(), Stopped> {
        self.tell_content(filter, false, session);
        let known = facts(session, &self.message, None);
        let mut new = NewContent {
            body: Some(bodies.begin(assembly.id)),
            refusal: None,
            room: &mut self.changes,
            session,
        };
        let begun = time::now();
        let came = self.members[filter].talk.end(&known, &mut new).await;
        let failed = matches!(came, Err(EndError::Filter(_)));
        let observers = &session.shared.deps.observers;
        tell_asked(&self.members[filter].milter, "end", begun, failed, observers);
        let NewContent { body, refusal, .. } = new;
        let end = match came {
            Ok(end) => end,
            Err(EndError::Filter(failure)) => {
                self.settle(filter, Event::End, Err(failure));
                return Ok(());
            }
            Err(EndError::NewBody(_)) => {
                let refusal = refusal.map(Stopped::NoRoom);
                return Err(refusal.unwrap_or(Stopped::Unread(SpoolError::Closed)));
            }
        };
        if !matches!(end.verdict, Answered::Continue | Answered::Accept) {
            self.settle(filter, Event::End, Ok(end.verdict));
            return Ok(());
        }
        // Either all changes can be made, or none are.
        let planned = self.plan(&end.changes, assembly, own, session).await;
        let plan = match planned {
            Ok(plan) => plan,
            Err(why) => {
                let why = format!("failed at end of message: {why}");
                self.fail(filter, Event::End, &why);
                return Ok(());
            }
        };
        let milter = std::sync::Arc::clone(&self.members[filter].milter);
        if end.body_replaced
            && let Some(body) = body
        {
            replace_body(body, assembly).await?;
        }
        self.settle(filter, Event::End, Ok(end.verdict));
        self.changes.are_made();
        self.notes
            .extend(Note::changed(&milter, &end.changes, end.body_replaced));
        if let Some(Seen { header, own: seen }) = plan.header {
            let count = seen.iter().take_while(|own| **own).count();
            assembly.replace_header(header, count);
            *own = seen;
        }
        if let Some(reason) = plan.quarantine {
            let note = Note::decided(&milter, Decision::Quarantined(&reason));
            assembly.hold.get_or_insert_with(|| note.hold());
            self.notes.push(note);
        }
        let nobody_left = plan.envelope.make(&mut assembly.envelope, &mut self.named);
        if nobody_left {
            return Err(Stopped::Ruled(Ruled::nobody_left(&milter)));
        }
        Ok(())
    }
}

async fn replace_body(body: NewBody<'_>, assembly: &mut Assembly) -> Result<(), Stopped> {
    let eight_bit = body.is_eight_bit();
    let body: Body = body.finish().await.map_err(Stopped::NoRoom)?;
    if eight_bit && assembly.envelope.body == BodyKind::SevenBit {
        assembly.envelope.body = BodyKind::EightBitMime;
    }
    assembly.replace_body(body);
    Ok(())
}
