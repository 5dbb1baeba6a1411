//! Takes one message: its body into the spool's writer while its head is scanned, then the whole into the queue.

use std::sync::Arc;
use std::time::Instant;

use bytes::Buf;
use jiff::Timestamp;
use postern_events::{Accepted, notice, shown};
use postern_mail::head::{HeadFault, HeadFilter};
use postern_mail::header::HeaderScan;
use postern_mail::{QueueId, Ret};
use postern_policy::admission::{self, AdmissionRefusal};
use postern_policy::body::{BodyRefusal, judge_hops};
use postern_policy::queue::{QueueRefusal, QueueTrouble};
use postern_policy::relay::Acceptance;
use postern_policy::room::NoRoom;
use postern_policy::rule::{Rule, Verdict};
use postern_smtp::body::{BodyFault, ChunkDecoder, DataDecoder, Decoded};
use postern_smtp::reply::{Reply, texts};
use postern_smtp::server::{Answer, Transaction};
use postern_spool::{BodyWriter, NewMessage, Origin, Spool, SpoolError, SpoolState};

use crate::count::Signal;
use crate::io::{End, Io};
use crate::room::Held;
use crate::sender;
use crate::session::{About, Login, Session};
use crate::stamp::{self, ClientFacts};

/// A message on its way in.
pub(crate) struct Intake {
    id: QueueId,
    /// Gone as soon as the message cannot be taken; what follows is read and dropped.
    writer: Option<BodyWriter>,
    head: HeadFilter,
    /// Reads what the filter has written.
    scan: HeaderScan,
    /// What the filter writes, before it goes to the writer.
    text: Vec<u8>,
    completed: bool,
    header_max: u64,
    failure: Option<Failure>,
    /// Whether it was refused before its end, too far off to be read up to.
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

/// Why a message cannot be taken.
enum Failure {
    Body(BodyFault),
    Head(HeadFault),
    Header,
    Room(NoRoom),
    Spool(SpoolError),
}

impl Intake {
    pub(crate) fn new(session: &Session, transaction: &Transaction, decoder: Decoder) -> Box<Self> {
        let spool = Arc::clone(&session.shared.deps.spool);
        let settings = &session.profile.settings;
        let id = spool.next_id();
        let declared = transaction.declared_size.unwrap_or(0);
        let mut held = session.hold_room();
        let (mut writer, mut failure) = (None, None);
        match held.begin(declared, &*spool) {
            Ok(()) => writer = Some(body_writer(id, declared, &mut held, &*spool)),
            Err(refusal) => failure = Some(Failure::Room(refusal)),
        }
        let began = Instant::now();
        let rules = sender::head_rules(transaction, session);
        Box::new(Self {
            id,
            writer,
            head: HeadFilter::new(rules),
            scan: HeaderScan::new(),
            text: Vec::new(),
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

    /// Says that a chunk of `size` octets follows. The time for a message is the same in however many chunks it comes.
    /// One that makes it too large is known for that before it comes.
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

    /// Octets of the body, those of the chunk under way among them that are still to come.
    fn extent(&self) -> u64 {
        match &self.decoder {
            Decoder::Data(data) => data.size(),
            Decoder::Chunks(chunks) => chunks.size().saturating_add(chunks.remaining()),
        }
    }

    /// Reads the body, or the chunk, to its end, even when there is something wrong with it; unless there is no end in sight.
    pub(crate) async fn receive(
        &mut self,
        io: &mut Io,
        session: &Session,
        signal: &Signal,
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
            if let Some(writer) = &mut self.writer
                && !text.is_empty()
            {
                // Only the head is copied.
                let taken = self.head.feed(text, &mut self.text);
                let place = Place {
                    writer,
                    held: &mut self.held,
                    spool: &*self.spool,
                };
                let written = write(place, &mut self.scan, &mut self.text, &text[taken..]).await;
                if let Err(failure) = written {
                    self.fail(failure);
                }
                if self.head.is_complete() {
                    // Nothing more is written there, and many may wait for more of their bodies.
                    self.text = Vec::new();
                }
            }
            io.input.advance(consumed);
            self.look_for_fault();
            if ended {
                return Ok(());
            }
            if io.input.is_empty() {
                let room = self.held.read_room();
                self.more(room, io, session, signal).await?;
                // Who fills the room gets more of it: a small message costs little, a large one few calls.
                if io.input.len() >= room && self.writer.is_some() {
                    self.held.read_more();
                }
            }
        }
    }

    /// Waits for more of the body, no longer than the client may take.
    async fn more(&self, room: usize, io: &mut Io, session: &Session, signal: &Signal) -> Result<(), End> {
        // The client may wait for the replies to what it sent together with `BDAT` (RFC 2920 section 3.1).
        io.flush().await?;
        let block = session.profile.settings.timeouts.data_block;
        let since = Instant::now();
        loop {
            let silence = session.patience_for(block).saturating_sub(since.elapsed());
            let left = self.deadline.saturating_duration_since(Instant::now());
            let left = left.min(session.body_left(self.began, self.size()));
            if left.is_zero() {
                // Who sends without a pause gets no more time, either.
                return Err(End::Timeout);
            }
            // From time to time it is looked whether there is less time now.
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
            // It decides whether the session goes on, whatever else is wrong.
            (Some(BodyFault::BareLineEnding), _) => self.fail(Failure::Body(BodyFault::BareLineEnding)),
            (Some(fault), None) => self.fail(Failure::Body(fault)),
            (None, None) => match self.head.fault() {
                Some(fault) => self.fail(Failure::Head(fault)),
                None if self.head.seen() > self.header_max => self.fail(Failure::Header),
                None => {}
            },
            _ => {}
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.writer = None;
        self.held.give_back_memory();
        self.failure = Some(failure);
    }

    /// Whether the message cannot be taken any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    fn size(&self) -> u64 {
        match &self.decoder {
            Decoder::Data(data) => data.size(),
            Decoder::Chunks(chunks) => chunks.size(),
        }
    }

    /// The answer to a message or chunk that cannot be taken. The connection does not outlast one that was not read to its end.
    pub(crate) fn refuse(&self, about: &About<'_>, session: &Session) -> Answer {
        let endless = self.endless;
        let answer = self.refusal(about, session);
        Answer {
            close: answer.close || endless,
            ..answer
        }
    }

    fn refusal(&self, about: &About<'_>, session: &Session) -> Answer {
        let content = |refusal: BodyRefusal, reply: Reply| {
            session.refused(&refusal, &reply, about);
            Answer::stay(reply)
        };
        let as_told = |refusal: BodyRefusal| content(refusal, texts::refusal(refusal.told(), ""));
        match &self.failure {
            Some(Failure::Body(BodyFault::BareLineEnding)) => {
                // With chunks nobody can be misled about where the message ends.
                let close = matches!(self.decoder, Decoder::Data(_));
                let answer = as_told(BodyRefusal::BareLineEnding);
                Answer { close, ..answer }
            }
            Some(Failure::Body(BodyFault::LineTooLong)) => as_told(BodyRefusal::LineTooLong),
            Some(Failure::Body(BodyFault::TooLarge)) => {
                let limit = session.profile.settings.admission.message_size;
                let refusal = AdmissionRefusal::Size {
                    size: self.extent(),
                    limit,
                };
                let reply = message_refusal(refusal);
                session.refused(&refusal, &reply, about);
                Answer::stay(reply)
            }
            Some(Failure::Head(fault)) => as_told(BodyRefusal::HeaderUnclean(*fault)),
            Some(Failure::Header) => {
                let limit = session.profile.settings.limits.header_max;
                content(
                    BodyRefusal::HeaderTooLarge { limit },
                    texts::header_too_large(limit),
                )
            }
            Some(Failure::Room(refusal)) => Answer::stay(session.no_room(*refusal, about)),
            Some(Failure::Spool(error)) => spool_failed(error, about, session),
            None => Answer::stay(texts::LOCAL_ERROR),
        }
    }

    /// Says to all who take the content that it ends here.
    async fn end_content(&mut self) {
        let tail = match &mut self.decoder {
            Decoder::Chunks(chunks) => chunks.finish(),
            Decoder::Data(_) => b"",
        };
        if let Some(writer) = &mut self.writer {
            let taken = self.head.feed(tail, &mut self.text);
            self.head.finish(&mut self.text);
            let place = Place {
                writer,
                held: &mut self.held,
                spool: &*self.spool,
            };
            let written = write(place, &mut self.scan, &mut self.text, &tail[taken..]).await;
            if let Err(failure) = written {
                self.fail(failure);
            }
            self.scan.finish();
        }
        self.look_for_fault();
    }

    /// Puts the message into the queue. The answer is `250` only when it is on stable storage.
    pub(crate) async fn commit(
        mut self: Box<Self>,
        transaction: Box<Transaction>,
        client: ClientFacts<'_>,
        session: &Session,
    ) -> Answer {
        self.end_content().await;
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
        let sender_rule = match sender::judge_author(&self.scan, &transaction, session) {
            Ok(rule) => rule,
            Err(answer) => return answer,
        };
        let author = transaction.envelope.sender.mailbox();
        if self.completed && author.is_none() && !self.scan.has_from() {
            return refuse(BodyRefusal::NoAuthor);
        }
        let size = self.size();
        let body = match writer.finish().await {
            Ok(body) => body,
            Err(error) => return spool_failed(&error, &About::message(&transaction), session),
        };
        let now = Timestamp::now();
        let prefix = stamp::prefix(session, client, self.id, now, &self.scan, author, self.completed);
        let acceptance = session.judge().acceptance(transaction.ground);
        let mut envelope = transaction.envelope;
        let from = envelope.sender.clone();
        if session.profile.settings.privacy.no_body_return {
            envelope.ret = Some(Ret::Headers);
        }
        let message = NewMessage {
            id: self.id,
            envelope,
            received_at: now,
            prefix,
            body,
            login: session.login.as_ref().map(|login| login.name().to_owned()),
            session: Some(session.id.clone()),
            hold: None,
            origin: if session.may_relay() {
                Origin::Smtp
            } else {
                Origin::Stranger
            },
            queue_only: queue_only(session),
        };
        match session.shared.deps.spool.put(message).await {
            Ok(message) => {
                log_accepted(&message, size, &self.scan, &acceptance, sender_rule, session);
                Answer::stay(texts::accepted(&self.id))
            }
            Err(error) => spool_failed(&error, &About::sender(&from), session),
        }
    }
}

/// The refusal of a message; one that is too large hears the limit.
pub(crate) fn message_refusal(refusal: AdmissionRefusal) -> Reply {
    match refusal {
        AdmissionRefusal::Size { limit, .. } => texts::message_too_large(limit),
        other => texts::refusal(other.told(), ""),
    }
}

/// Where a body goes, and the room for it.
struct Place<'a> {
    writer: &'a mut BodyWriter,
    held: &'a mut Held,
    spool: &'a dyn Spool,
}

/// Writes what the filter has made of the head, and what is body.
async fn write(
    mut place: Place<'_>,
    scan: &mut HeaderScan,
    head: &mut Vec<u8>,
    body: &[u8],
) -> Result<(), Failure> {
    if !head.is_empty() {
        scan.feed(head);
        place.store(head).await?;
        head.clear();
    }
    if body.is_empty() {
        return Ok(());
    }
    place.store(body).await
}

impl Place<'_> {
    /// Puts text of the body where it belongs, once there is room for it.
    async fn store(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.held
            .make_room(text.len(), self.writer, self.spool)
            .map_err(Failure::Room)?;
        self.writer.write(text).await.map_err(Failure::Spool)
    }
}

fn queue_only(session: &Session) -> bool {
    let settings = &session.profile.settings.admission;
    settings.queue_only_load.is_some() && admission::queue_only(session.shared.deps.load.get(), settings)
}

fn log_accepted(
    message: &postern_spool::Message,
    size: u64,
    scan: &HeaderScan,
    acceptance: &Acceptance,
    sender_rule: Option<Rule>,
    session: &Session,
) {
    session.shared.deps.observers.tell(Accepted {
        session: &session.id,
        queue: &message.id,
        listener: session.listener(),
        peer: session.peer.ip(),
        login: session.login.as_ref().map(Login::authcid),
        acts_as: session.login.as_ref().and_then(Login::acts_as),
        rule: acceptance.rule(),
        reason: acceptance.detail(),
        sender_rule,
        from: &message.envelope.sender,
        recipients: message.envelope.recipients.len(),
        size,
        message_id: scan.message_id(),
    });
}

/// The writer of a body, with room in memory for as much as was announced, where there is that much.
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

/// The answer to `MAIL` while the queue cannot take anything: the client need not send the message to hear it.
pub(crate) fn queue_is_down(about: &About<'_>, session: &Session) -> Option<Answer> {
    match session.shared.deps.spool.state() {
        // A full disk may have room for this message.
        SpoolState::Ready | SpoolState::Full(_) => None,
        SpoolState::Unavailable(reason) => {
            Some(spool_failed(&SpoolError::Unavailable(reason), about, session))
        }
        SpoolState::Closed => Some(spool_failed(&SpoolError::Closed, about, session)),
    }
}

fn spool_failed(error: &SpoolError, about: &About<'_>, session: &Session) -> Answer {
    if !error.is_temporary() {
        notice!(session.shared.deps.observers, Spool Error "cannot queue a message", Session = session.id, Reason = shown(error));
    }
    let trouble = trouble(error);
    let answer = spool_answer(trouble);
    let refusal = QueueRefusal {
        trouble,
        reason: error.to_string(),
    };
    session.refused(&refusal, &answer.reply, about);
    answer
}

/// What a client can be told of a failure of the spool.
fn trouble(error: &SpoolError) -> QueueTrouble {
    match error {
        SpoolError::Full(_) => QueueTrouble::Full,
        SpoolError::Unavailable(_) => QueueTrouble::Unavailable,
        SpoolError::Closed => QueueTrouble::Closed,
        // What the receiver itself has done wrong, and what only opening can meet.
        _ => QueueTrouble::Error,
    }
}

fn spool_answer(trouble: QueueTrouble) -> Answer {
    let reply = texts::refusal(trouble.told(), "");
    match trouble {
        QueueTrouble::Closed => Answer::close(reply),
        _ => Answer::stay(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_spool() {
        #[rustfmt::skip]
        let cases = [
            ("disk full",         SpoolError::Full("no space".into()),       452, false),
            ("disk read-only",    SpoolError::Unavailable("EROFS".into()),   451, false),
            ("the server stops",  SpoolError::Closed,                        421, true),
            ("our own mistake",   SpoolError::NoRecipients,                  451, false),
        ];
        for (shows, error, code, close) in cases {
            let trouble = trouble(&error);
            let answer = spool_answer(trouble);
            assert_eq!((answer.reply.code, answer.close), (code, close), "{shows}");
            let refusal = QueueRefusal {
                trouble,
                reason: error.to_string(),
            };
            assert!(refusal.rule().name().starts_with("spool."), "{shows}");
        }
    }
}
