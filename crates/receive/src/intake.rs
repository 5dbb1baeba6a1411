//! Receives one message: streams the body into the spool's writer while scanning the header, then queues the whole.

mod lists;
mod refusal;

use std::sync::Arc;

use bytes::Buf;
use jiff::Timestamp;
use postern_events::{Accepted, Discarded, HeldOnArrival, Reworked};
use postern_mail::head::{HeadFilter, Ordered};
use postern_mail::header::HeaderScan;
use postern_mail::{Envelope, Header, QueueId, Ret, ReversePath};
use postern_policy::admission;
use postern_policy::body::{BodyRefusal, judge_hops};
use postern_policy::relay::{Acceptance, RelayReason};
use postern_policy::rule::{Rule, Verdict};
use postern_smtp::body::{BodyFault, ChunkDecoder, DataDecoder, Decoded};
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, Ground, Transaction};
use postern_spool::{
    Arrival, Assembly, BodyWriter, Client, Hold, Inspections, NewBodies, Origin, Parts, Spool,
};
use tokio::time::Instant;

pub(crate) use self::refusal::{Failure, message_refusal, queue_is_down};
use self::refusal::{Refused, inspected, spool_failed};
use crate::Role;
use crate::access::{self, Accessing};
use crate::budgets::session as budgets;
use crate::content::{Content, Named};
use crate::count::Signal;
use crate::device;
use crate::io::{End, Io};
use crate::milters::{Filtering, Ruled, Stopped};
use crate::room::Held;
use crate::scope::session as scope;
use crate::screen::Screening;
use crate::session::{About, Login, Session};
use crate::stamp::{self, ClientFacts, MessageFacts};
use crate::{sandbox, screen, sender, time};

/// A message being received.
pub(crate) struct Intake {
    id: QueueId,
    /// `None` once the message is refused; what follows is read and dropped.
    writer: Option<BodyWriter>,
    filter: HeadFilter,
    /// The header, as cleaned up by the filter.
    head: Ordered,
    /// What was found in it.
    scan: HeaderScan,
    /// The inspectors of the message: before the mail filters, and after them.
    judges: Inspections,
    inspections: Inspections,
    /// A mail filter has it discarded; what follows is read, and the client is told `250`.
    discarded: Option<Ruled>,
    /// Access rules have discarded the mail of all its recipients; likewise.
    thrown_away: bool,
    /// What this server itself changes in it.
    content: Option<Box<Content>>,
    completed: bool,
    header_max: u64,
    failure: Option<Failure>,
    /// Whether it was refused before its end because too much was left to be read.
    endless: bool,
    began: Instant,
    deadline: Instant,
    decoder: Decoder,
    /// Disk and memory reserved for it.
    held: Held,
    spool: Arc<dyn Spool>,
}

/// How the client sends the body.
pub(crate) enum Decoder {
    Data(DataDecoder),
    Chunks(ChunkDecoder),
}

impl Intake {
    /// With the id that mail filters already know it by, if there is one.
    pub(crate) fn new(
        session: &Session,
        transaction: &Transaction,
        decoder: Decoder,
        id: Option<QueueId>,
    ) -> Box<Self> {
        let spool = Arc::clone(&session.shared.deps.spool);
        let settings = &session.profile.settings;
        let id = id.unwrap_or_else(|| spool.next_id());
        let declared = transaction.declared_size.unwrap_or(0);
        let mut held = session.hold_room();
        let (mut writer, mut failure) = (None, None);
        match held.begin(declared, &*spool) {
            Ok(()) => writer = Some(body_writer(id, declared, &mut held, &*spool)),
            Err(refusal) => failure = Some(Failure::Room(refusal)),
        }
        let began = Instant::now();
        let rules = sender::head_rules(transaction, session, device::of(session).is_some());
        let thrown_away = transaction.envelope.recipients.is_empty();
        if thrown_away {
            writer = None;
        }
        let (judges, inspections) = if thrown_away {
            Default::default()
        } else {
            inspections(id, transaction, session).part()
        };
        Box::new(Self {
            id,
            writer,
            filter: HeadFilter::new(rules),
            head: Ordered::default(),
            scan: HeaderScan::new(),
            judges,
            inspections,
            discarded: None,
            content: Content::of(session).filter(|_| !thrown_away),
            thrown_away,
            completed: rules.submission,
            header_max: settings.limits.header_max,
            failure,
            endless: false,
            began,
            deadline: began + settings.timeouts.data_total,
            decoder,
            held,
            spool,
        })
    }

    /// Says that a chunk of `size` octets follows. The time limit of a message does not depend on the number of chunks. A chunk
    /// that makes the message too large is refused before it comes.
    pub(crate) fn begin_chunk(&mut self, size: u64, size_max: u64) -> Result<(), End> {
        if Instant::now() >= self.deadline {
            return Err(End::Timeout);
        }
        if let Decoder::Chunks(chunks) = &mut self.decoder {
            chunks.begin(size);
        }
        if size_max > 0 && self.extent() > size_max && self.failure.is_none() {
            self.fail(Failure::Body(BodyFault::TooLarge));
        }
        Ok(())
    }

    /// Octets of the body, including those of the current chunk that are still to come.
    fn extent(&self) -> u64 {
        match &self.decoder {
            Decoder::Data(data) => data.size(),
            Decoder::Chunks(chunks) => chunks.size().saturating_add(chunks.remaining()),
        }
    }

    /// Reads the body, or the chunk, to its end, even if it is faulty, unless too much is left.
    pub(crate) async fn receive(
        &mut self,
        io: &mut Io,
        session: &Session,
        signal: &Signal,
        filtering: &mut Option<Box<Filtering>>,
    ) -> Result<(), End> {
        let read_max = session.profile.rules.body.read_max();
        self.look_for_fault();
        loop {
            if self.failure.is_some() && self.extent() > read_max {
                self.endless = true;
                return Ok(());
            }
            let Decoded {
                consumed,
                text,
                ended,
            } = match &mut self.decoder {
                Decoder::Data(data) => data.decode(&io.input),
                Decoder::Chunks(chunks) => chunks.decode(&io.input),
            };
            if self.writer.is_some()
                && !text.is_empty()
                && let Err(failure) = self.take(text, session, filtering).await
            {
                self.fail(failure);
            }
            io.input.advance(consumed);
            self.look_for_fault();
            if ended {
                return Ok(());
            }
            if io.input.is_empty() {
                let room = self.held.read_room();
                self.more(room, io, session, signal).await?;
                // A client that fills the buffer gets a larger one: a small message costs little, a large one few calls.
                if io.input.len() >= room && self.writer.is_some() {
                    self.held.read_more();
                }
            }
        }
    }

    /// Waits for more of the body, within the time limit.
    async fn more(
        &mut self,
        room: usize,
        io: &mut Io,
        session: &Session,
        signal: &Signal,
    ) -> Result<(), End> {
        // The client may wait for the replies to what it sent together with `BDAT` (RFC 2920 section 3.1).
        io.flush().await?;
        let block = session.profile.settings.timeouts.data_block;
        let since = Instant::now();
        loop {
            let silence = session.patience_for(block).saturating_sub(since.elapsed());
            let left = self.deadline.saturating_duration_since(Instant::now());
            let left = left.min(session.body_left(self.began, self.size()));
            if left.is_zero() {
                // A client that sends without a pause gets no more time either.
                return Err(End::Timeout);
            }
            // Check now and then whether the time limit has become shorter.
            let wait = silence.min(left);
            let look = wait.min(session.profile.settings.timeouts.stress);
            tokio::select! {
                biased;
                filled = io.fill_within(room, look) => match filled {
                    Err(End::Timeout) if look < wait => {}
                    filled => return filled,
                },
                () = signal.is_hurried() => {}
            }
        }
    }

    fn look_for_fault(&mut self) {
        let fault = match &self.decoder {
            Decoder::Data(data) => data.fault(),
            Decoder::Chunks(chunks) => chunks.fault(),
        };
        match (fault, &self.failure) {
            // This decides whether the session goes on, whatever else is wrong.
            (Some(BodyFault::BareLineEnding), _) => self.fail(Failure::Body(BodyFault::BareLineEnding)),
            (Some(fault), None) => self.fail(Failure::Body(fault)),
            _ => {}
        }
    }

    /// Takes the next octets: the header is kept, the body goes into the spool.
    async fn take(
        &mut self,
        text: &[u8],
        session: &Session,
        filtering: &mut Option<Box<Filtering>>,
    ) -> Result<(), Failure> {
        if self.filter.is_complete() {
            return self.take_body(text, session, filtering).await;
        }
        // Only the header is copied.
        let taken = self.filter.feed(text, &mut self.head);
        self.judge_header()?;
        if self.filter.is_complete() {
            self.end_header(session, filtering).await?;
        }
        self.take_body(&text[taken..], session, filtering).await
    }

    /// Checks the header so far, and reserves memory for it.
    fn judge_header(&mut self) -> Result<(), Failure> {
        if let Some(fault) = self.filter.fault() {
            return Err(Failure::Head(fault));
        }
        if self.filter.seen() > self.header_max {
            return Err(Failure::Header);
        }
        // Judges keep a copy until the message has ended.
        let copies = if self.judges.is_empty() { 1 } else { 2 };
        let octets = self.head.fields.capacity() as u64 * copies;
        self.held.header_to(octets, &*self.spool).map_err(Failure::Room)
    }

    /// The header is complete.
    async fn end_header(
        &mut self,
        session: &Session,
        filtering: &mut Option<Box<Filtering>>,
    ) -> Result<(), Failure> {
        self.scan.feed(&self.head.fields);
        self.scan.finish();
        if !self.judges.is_empty() {
            // As received: this is what signatures cover.
            let header = Header::parse(self.head.fields.clone());
            let seen = self.judges.header(&header).await;
            seen.map_err(Failure::Inspected)?;
        }
        if !self.change_header().await? {
            self.let_go();
            return Ok(());
        }
        if !self.inspections.is_empty() || filtering.is_some() {
            let header = Header::parse(self.head.fields.clone());
            if let Some(filtering) = filtering {
                // After a judge they must also see what it adds to the header; after a body check, the new body.
                let edits = self
                    .content
                    .as_ref()
                    .is_some_and(|content| content.may_edit_body());
                let (id, streams) = (self.scan.message_id(), self.judges.is_empty() && !edits);
                let ruled = Box::pin(filtering.header(&header, id, streams, session)).await;
                ruled.map_or(Ok(()), |ruled| self.is_ruled(ruled))?;
            }
            let seen = self.inspections.header(&header).await;
            seen.map_err(Failure::Inspected)?;
        }
        let text = std::mem::take(&mut self.head.text);
        self.take_body(&text, session, filtering).await
    }

    /// Applies this server's own rules to the header; false if the message is discarded.
    async fn change_header(&mut self) -> Result<bool, Failure> {
        let Some(content) = &mut self.content else {
            return Ok(true);
        };
        let fields = std::mem::take(&mut self.head.fields);
        let made = Box::pin(content.header(fields)).await;
        self.head.fields = made.map_err(Failure::Inspected)?;
        let goes_on = content.discarded().is_none();
        // It may have grown.
        self.judge_header()?;
        Ok(goes_on)
    }

    /// Takes the decision of a mail filter before the end of the message.
    fn is_ruled(&mut self, ruled: Ruled) -> Result<(), Failure> {
        if !ruled.discards() {
            return Err(Failure::Filtered(ruled));
        }
        self.let_go();
        self.discarded = Some(ruled);
        Ok(())
    }

    /// Shows octets of the body to inspectors and filters, and writes them, once there is room for them.
    async fn take_body(
        &mut self,
        text: &[u8],
        session: &Session,
        filtering: &mut Option<Box<Filtering>>,
    ) -> Result<(), Failure> {
        if let Some(filtering) = filtering
            && self.writer.is_some()
            && !text.is_empty()
        {
            let arrived = self.arrived() + text.len() as u64;
            let ruled = Box::pin(filtering.body(text, arrived, session)).await;
            ruled.map_or(Ok(()), |ruled| self.is_ruled(ruled))?;
        }
        let Some(writer) = self.writer.as_mut().filter(|_| !text.is_empty()) else {
            return Ok(());
        };
        for inspections in [&mut self.judges, &mut self.inspections] {
            if !inspections.is_empty() {
                let seen = inspections.body(text).await;
                seen.map_err(Failure::Inspected)?;
            }
        }
        self.held
            .make_room(text.len(), writer, &*self.spool)
            .map_err(Failure::Room)?;
        writer.write(text).await.map_err(Failure::Spool)
    }

    /// Octets of the message received.
    fn arrived(&self) -> u64 {
        let body = self.writer.as_ref().map_or(0, BodyWriter::len);
        self.filter.seen() + body
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.let_go();
        self.failure = Some(failure);
    }

    /// Stops keeping the message.
    fn let_go(&mut self) {
        self.writer = None;
        self.head = Ordered::default();
        self.judges = Inspections::default();
        self.inspections = Inspections::default();
        self.held.give_back_memory();
    }

    /// Whether it is discarded although the client is told that it was accepted.
    pub(crate) const fn is_thrown_away(&self) -> bool {
        self.thrown_away
    }

    /// Whether the message has been refused.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    fn size(&self) -> u64 {
        match &self.decoder {
            Decoder::Data(data) => data.size(),
            Decoder::Chunks(chunks) => chunks.size(),
        }
    }

    /// The reply to a refused message or chunk. The connection is closed after one that was not read to its end.
    pub(crate) fn refuse(&self, about: &About<'_>, session: &Session) -> Answer {
        let refused = Refused {
            size: self.extent(),
            chunked: matches!(self.decoder, Decoder::Chunks(_)),
            failure: self.failure.as_ref(),
        };
        let answer = refused.answer(about, session);
        Answer {
            close: answer.close || self.endless,
            ..answer
        }
    }

    /// Tells all readers of the content that it ends here.
    async fn end_content(&mut self, session: &Session, filtering: &mut Option<Box<Filtering>>) {
        let tail = match &mut self.decoder {
            Decoder::Chunks(chunks) => chunks.finish(),
            Decoder::Data(_) => b"",
        };
        if self.writer.is_some()
            && let Err(failure) = self.take_end(tail, session, filtering).await
        {
            self.fail(failure);
        }
        self.look_for_fault();
    }

    /// Reports that the message was discarded, and tells the client `250`.
    fn throw_away(&self, transaction: &Transaction, session: &Session) -> Answer {
        session.shared.deps.observers.tell(Discarded {
            milter: None,
            session: &session.id,
            queue: &self.id,
            listener: session.listener(),
            peer: session.peer.ip(),
            login: session.login.as_ref().map(Login::authcid),
            rule: Rule::AccessDiscarded,
            reason: &"no recipient is left",
            from: &transaction.envelope.sender,
            to: None,
            recipients: 0,
            message_id: self.scan.message_id(),
        });
        Answer::stay(texts::accepted(&self.id))
    }

    /// Reports that a check discarded the message, and tells the client `250`.
    fn drop_checked(&self, reason: &str, envelope: &Envelope, session: &Session) -> Answer {
        session.shared.deps.observers.tell(Discarded {
            milter: None,
            session: &session.id,
            queue: &self.id,
            listener: session.listener(),
            peer: session.peer.ip(),
            login: session.login.as_ref().map(Login::authcid),
            rule: Rule::CheckDiscarded,
            reason: &reason,
            from: &envelope.sender,
            to: None,
            recipients: envelope.recipients.len(),
            message_id: self.scan.message_id(),
        });
        Answer::stay(texts::accepted(&self.id))
    }

    async fn take_end(
        &mut self,
        tail: &[u8],
        session: &Session,
        filtering: &mut Option<Box<Filtering>>,
    ) -> Result<(), Failure> {
        self.take(tail, session, filtering).await?;
        if self.filter.is_complete() {
            return Ok(());
        }
        self.filter.finish(&mut self.head);
        self.judge_header()?;
        self.end_header(session, filtering).await
    }

    /// Queues the message. The reply is `250` only when it is on stable storage.
    pub(crate) async fn commit(
        mut self: Box<Self>,
        mut transaction: Box<Transaction>,
        client: ClientFacts<'_>,
        session: &Session,
        signal: &Signal,
        filtering: &mut Option<Box<Filtering>>,
        mut access: Option<&mut Accessing>,
    ) -> Answer {
        self.end_content(session, filtering).await;
        if self.thrown_away && self.failure.is_none() {
            return self.throw_away(&transaction, session);
        }
        if let (Some(ruled), Some(filtering)) = (&self.discarded, &*filtering) {
            let message_id = self.scan.message_id();
            filtering.tell_discarded(ruled, self.id, &transaction.envelope, message_id, session);
            return Answer::stay(texts::accepted(&self.id));
        }
        if let Some(reason) = self.content.as_ref().and_then(|content| content.discarded()) {
            return self.drop_checked(&reason, &transaction.envelope, session);
        }
        let Some(writer) = self.writer.take() else {
            return self.refuse(&About::message(&transaction), session);
        };
        let refuse = |refusal: BodyRefusal| {
            let reply = texts::refusal(refusal.told(), "");
            session.refused(&refusal, &reply, &About::message(&transaction));
            Answer::stay(reply)
        };
        let received_max = session.profile.settings.received_max;
        if let Err(refusal) = judge_hops(self.scan.received_count(), received_max) {
            return refuse(refusal);
        }
        if let Err(answer) = sender::learn_authors(&self.scan, &transaction, session).await {
            return answer;
        }
        let sender_rule = match sender::judge_author(&self.scan, &transaction, session) {
            Ok(rule) => rule,
            Err(answer) => return answer,
        };
        if session.login.is_some()
            && let Err(answer) = Box::pin(scope::judge_authors(&self.scan, &transaction, session)).await
        {
            return answer;
        }
        let lane = match device::admit(&self.scan, self.size(), &transaction, session) {
            Ok(lane) => lane,
            Err(answer) => return answer,
        };
        let author_lane = device::of_author(lane.as_ref(), &transaction, session);
        let answers = sender::answers_for_author(&self.scan, &transaction, session);
        if self.completed && transaction.envelope.sender.mailbox().is_none() && !self.scan.has_from() {
            return refuse(BodyRefusal::NoAuthor);
        }
        let size = self.size();
        let has_rules = access.is_some() || self.content.is_some();
        let named = has_rules.then(|| Named::of(&transaction.envelope));
        if let Some(access) = &mut access {
            let about = (self.id, &self.scan, size);
            let ended = access::end(access, &mut transaction.envelope, about, session);
            if let Err(answer) = Box::pin(ended).await {
                return answer;
            }
            if transaction.envelope.recipients.is_empty() {
                return self.throw_away(&transaction, session);
            }
        }
        let access = access.as_deref();
        let author = transaction.envelope.sender.mailbox();
        let body = match writer.finish().await {
            Ok(body) => body,
            Err(error) => return spool_failed(&error, &About::message(&transaction), session),
        };
        let now = Timestamp::now();
        let mut header = Vec::with_capacity(stamp::ROOM + self.head.fields.len());
        let facts = MessageFacts {
            id: self.id,
            now,
            scan: &self.scan,
            author,
            completed: self.completed,
        };
        stamp::write(session, client, facts, &mut header);
        let screening = session.screening.as_deref().filter(|_| session.is_stranger());
        let noted = screening.and_then(Screening::noted);
        if screening.is_some() {
            self.head.fields = screen::forget_forged(std::mem::take(&mut self.head.fields));
        }
        if let Some(noted) = noted {
            screen::write_field(noted, &mut header);
        }
        if let Some(access) = access {
            access.notes().write_fields(&mut header);
        }
        let mut content = self.content.take();
        if let Some(content) = &mut content {
            header = match Box::pin(content.own_fields(header)).await {
                Ok(header) => header,
                Err(refusal) => return inspected(&refusal, &About::message(&transaction), session),
            };
        }
        let own = header.len();
        header.extend_from_slice(&self.head.fields);
        let parts = Parts {
            header,
            own,
            separated: self.head.separated,
            body,
        };
        let ground = transaction.ground;
        let acceptance = match &lane {
            Some(device) => Acceptance::Relay(RelayReason::Device(device.name.to_string())),
            None => acceptance(ground, access, session),
        };
        let mut envelope = transaction.envelope;
        let from = envelope.sender.clone();
        if let Some(content) = &mut content
            && let Err(refusal) = Box::pin(content.senders(&mut envelope)).await
        {
            return inspected(&refusal, &About::sender(&from), session);
        }
        if session.profile.settings.privacy.no_body_return {
            envelope.ret = Some(Ret::Headers);
        }
        let mut assembly = Assembly::new(self.id, envelope, now, origin(session, lane.is_some()), parts);
        let user = || session.user.as_ref().map(|user| user.label.clone());
        if let Some(device) = &author_lane {
            device::rewrite(device, &mut assembly);
        }
        assembly.login = session
            .login
            .as_ref()
            .map(|login| login.name().to_owned())
            .or_else(user);
        assembly.session = Some(session.id.clone());
        assembly.queue_only = queue_only(session);
        assembly.author_rule = sender_rule;
        assembly.answers_for_author = answers;
        let hold = noted.and_then(|noted| noted.hold.as_ref());
        assembly.hold = hold.map(|score| Hold::by_rule(Rule::ScreenHeld, format_args!("score {score}")));
        if let Some(hold) = access.and_then(|access| access.notes().hold.as_ref()) {
            assembly.hold.get_or_insert_with(|| hold.clone());
        }
        // This is what will be sent; nothing changes it afterwards.
        let mut rework = session.rework();
        let mut bodies = NewBodies::new(&*self.spool, &mut rework);
        let judges = std::mem::take(&mut self.judges);
        if let Err(refusal) = judges.finish(&mut assembly, &mut bodies).await {
            return inspected(&refusal, &About::sender(&from), session);
        }
        if let Some(content) = &mut content {
            if let Err(refusal) = Box::pin(content.body(&mut assembly, &mut bodies)).await {
                return inspected(&refusal, &About::sender(&from), session);
            }
            if let Some(reason) = content.discarded() {
                return self.drop_checked(&reason, &assembly.envelope, session);
            }
            assembly.detour = content.detour();
            let copies = session.copies.take();
            match Box::pin(content.conclude(&mut assembly.envelope, copies)).await {
                Ok(hold) => assembly.hold = assembly.hold.take().or(hold),
                Err(refusal) => return inspected(&refusal, &About::sender(&from), session),
            }
        }
        if let Some(access) = access {
            let notes = access.notes();
            notes.add_copies(&mut assembly.envelope);
            assembly.detour = assembly.detour.take().or_else(|| notes.detour.clone());
        }
        if let Some(named) = named
            && let Err(refusal) = Box::pin(named.follow_others(&mut assembly.envelope, session)).await
        {
            return inspected(&refusal, &About::sender(&from), session);
        }
        if let Some(filtering) = filtering {
            let ended = Box::pin(filtering.end(&mut assembly, &mut bodies, size, session)).await;
            match ended {
                Ok(()) => {}
                Err(Stopped::Ruled(ruled)) => match ruled.tell(&About::sender(&from), session) {
                    Some(answer) => return answer,
                    None => {
                        let message_id = self.scan.message_id();
                        filtering.tell_discarded(&ruled, self.id, &assembly.envelope, message_id, session);
                        return Answer::stay(texts::accepted(&self.id));
                    }
                },
                Err(Stopped::NoRoom(refusal)) => {
                    return inspected(&refusal, &About::sender(&from), session);
                }
                Err(Stopped::Unread(error)) => return spool_failed(&error, &About::sender(&from), session),
            }
        }
        let inspections = std::mem::take(&mut self.inspections);
        if let Err(refusal) = inspections.finish(&mut assembly, &mut bodies).await {
            return inspected(&refusal, &About::sender(&from), session);
        }
        let sender = assembly.envelope.sender.clone();
        let mut others = match lists::part(&mut assembly, &mut bodies).await {
            Ok(others) => others,
            Err(refusal) => return inspected(&refusal, &About::sender(&from), session),
        };
        let kept = match sandbox::keep(&mut assembly, &mut others, size, session) {
            Ok(kept) => kept,
            Err(answer) => return answer,
        };
        let whose = (size, ground);
        let charge = match Box::pin(budgets::charge(&mut assembly, &mut others, whose, session)).await {
            Ok(charge) => charge,
            Err(answer) => return answer,
        };
        signal.begin_commit();
        let spool = &session.shared.deps.spool;
        let taken = Accepting {
            size,
            acceptance: &acceptance,
            sender_rule,
            sender: &sender,
        };
        for other in others {
            let message = other.into_message();
            let hold = message.hold.clone();
            match spool.put(message).await {
                Ok(message) => taken.tell(&message, hold.as_ref(), &self.scan, session),
                Err(error) => {
                    budgets::take_back(charge, session);
                    return spool_failed(&error, &About::sender(&from), session);
                }
            }
        }
        let message = assembly.into_message();
        let hold = message.hold.clone();
        match spool.put(message).await {
            Ok(message) => {
                taken.tell(&message, hold.as_ref(), &self.scan, session);
                sandbox::tell(kept.as_ref(), &message.id, &message.envelope.sender, session);
                budgets::tell_charged(charge, &message.id, &message.envelope.sender, session);
                if let Some(filtering) = filtering {
                    filtering.tell_notes(self.id, session);
                }
                if let Some(content) = &content {
                    content.tell_all(&message.id, session);
                }
                if let Some(access) = access {
                    let from = &message.envelope.sender;
                    access.notes().tell_all(&message.id, from, session);
                }
                if let Some(noted) = noted {
                    screen::tell_noted(noted, &message.id, &message.envelope.sender, session);
                }
                Answer::stay(texts::accepted(&self.id))
            }
            Err(error) => {
                budgets::take_back(charge, session);
                spool_failed(&error, &About::sender(&from), session)
            }
        }
    }
}

/// Why a message is accepted whose recipients needed this ground.
fn acceptance(ground: Ground, access: Option<&Accessing>, session: &Session) -> Acceptance {
    let by_rule = access
        .and_then(Accessing::relay_rule)
        .filter(|_| ground == Ground::Relayed);
    match by_rule {
        Some(rule) if !session.may_relay() => Acceptance::Relay(RelayReason::Access(rule.to_owned())),
        _ => session.judge().acceptance(ground),
    }
}

/// The inspectors for a message.
fn inspections(id: QueueId, transaction: &Transaction, session: &Session) -> Inspections {
    let inspectors = session.shared.deps.inspectors.load();
    if inspectors.is_empty() {
        return Inspections::default();
    }
    inspectors.begin(&Arrival {
        id,
        envelope: &transaction.envelope,
        login: session.login.as_ref().map(Login::name),
        session: Some(&session.id),
        origin: origin(
            session,
            transaction.ground == Ground::Relayed && device::of(session).is_some(),
        ),
        client: Some(Client {
            listener: session.listener(),
            mx: session.profile.listener.role == Role::Mx,
            peer: session.peer,
            name: session.peer_name(),
            helo: session.helo(),
        }),
    })
}

/// The origin of a session's messages.
fn origin(session: &Session, lane: bool) -> Origin {
    if session.is_filtered() {
        Origin::Filtered
    } else if session.may_relay() || lane {
        Origin::Smtp
    } else {
        Origin::Stranger
    }
}

fn queue_only(session: &Session) -> bool {
    let settings = &session.profile.settings.admission;
    settings.queue_only_load.is_some() && admission::queue_only(session.shared.deps.load.get(), settings)
}

/// Why a message is accepted, for the log.
struct Accepting<'a> {
    /// Its size in octets, as the client counts them.
    size: u64,
    acceptance: &'a Acceptance,
    sender_rule: Option<Rule>,
    /// Its sender, before list owners replace it.
    sender: &'a ReversePath,
}

impl Accepting<'_> {
    fn tell(
        &self,
        message: &postern_spool::Message,
        hold: Option<&Hold>,
        scan: &HeaderScan,
        session: &Session,
    ) {
        session.shared.deps.observers.tell(Accepted {
            session: &session.id,
            queue: &message.id,
            listener: session.listener(),
            peer: session.peer.ip(),
            login: session.account(),
            acts_as: session.login.as_ref().and_then(Login::acts_as),
            rule: self.acceptance.rule(),
            reason: self.acceptance.detail(),
            sender_rule: self.sender_rule,
            from: &message.envelope.sender,
            recipients: message.envelope.recipients.len(),
            size: self.size,
            message_id: scan.message_id(),
            milter: hold.and_then(|hold| hold.milter.as_deref()),
            took: session
                .sender_at
                .lock()
                .map(|at| time::now().saturating_duration_since(at)),
        });
        if let Some(hold) = hold {
            session.shared.deps.observers.tell(HeldOnArrival {
                queue: &message.id,
                session: Some(&session.id),
                rule: hold.rule,
                milter: hold.milter.as_deref(),
                reason: &hold.words(),
            });
        }
        let sender = &message.envelope.sender;
        if sender != self.sender {
            session.shared.deps.observers.tell(Reworked {
                queue: &message.id,
                session: Some(&session.id),
                rule: Rule::RecipientEntry,
                reason: &format_args!("sender {} becomes {sender}, the owner of the list", self.sender),
            });
        }
    }
}

/// The writer of a body, with as much memory as was announced, if available.
fn body_writer(id: QueueId, declared: u64, held: &mut Held, spool: &dyn Spool) -> BodyWriter {
    let mut writer = spool.body_writer(id);
    if let Ok(size) = usize::try_from(declared)
        && let Some(memory) = writer.memory_after(size)
        && held.memory_to(memory as u64).is_ok()
    {
        writer.expect(declared);
    }
    writer
}
