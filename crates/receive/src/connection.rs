//! Drives one session, from accept to close.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Buf;
use postern_mail::BodyKind;
use postern_policy::admission::{self, MessageFacts};
use postern_smtp::body::{ChunkDecoder, DataDecoder};
use postern_smtp::line::{Framed, LineFramer};
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskSender, Chunk, Dialogue, Step, Transaction};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::intake::{self, Decoder, Intake};
use crate::io::{BODY_ROOM, COMMAND_ROOM, End, Io};
use crate::opening::{self, Opened};
use crate::profile::Profile;
use crate::receiver::Shared;
use crate::session::Session;
use crate::stamp::ClientFacts;
use crate::{login, names, recipient, sender};

/// One connection with its dialogue.
struct Connection {
    io: Io,
    framer: LineFramer,
    dialogue: Dialogue,
    session: Session,
    /// The mechanism at work between two lines of an `AUTH` exchange.
    exchange: Option<login::Exchange>,
    /// The message at work between two chunks.
    intake: Option<Box<Intake>>,
    /// Since when the next line is awaited: who sends it octet by octet gets no more time for it.
    awaited_since: Option<Instant>,
    shutdown: CancellationToken,
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    profile: Arc<Profile>,
    stream: TcpStream,
    peer: SocketAddr,
    shutdown: CancellationToken,
) {
    let started = Instant::now();
    let Some(peer) = opening::real_peer(&profile, &stream, peer).await else {
        return;
    };
    let session = Session::new(shared, profile, peer);
    debug!(target: "postern::connect", session = %session.id, listener = session.listener(), %peer, "connect");
    let id = session.id.clone();
    let end = match Box::pin(opening::open(session, stream)).await {
        Ok(opened) => {
            let Opened {
                io,
                session,
                dialogue,
                counted,
            } = opened;
            let mut connection = Connection {
                io,
                framer: LineFramer::new(),
                dialogue,
                session,
                exchange: None,
                intake: None,
                awaited_since: None,
                shutdown,
            };
            let end = connection.converse().await;
            Box::pin(connection.say_goodbye(&end)).await;
            drop(counted);
            end
        }
        Err(end) => end,
    };
    debug!(
        target: "postern::connect",
        session = %id,
        %peer,
        reason = %end,
        seconds = started.elapsed().as_secs(),
        "disconnect"
    );
}

impl Connection {
    /// Takes line after line. Replies go out together when no whole line is left.
    async fn converse(&mut self) -> End {
        loop {
            let bare = self.session.profile.listener.bare_line_endings;
            let (answer, consumed) = match self.framer.next(&self.io.input, self.dialogue.line_max(), bare) {
                Framed::Line { len, consumed } => match self.line(len, consumed).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                Framed::TooLong { consumed } => (self.dialogue.bad_line(self.dialogue.too_long()), consumed),
                Framed::BareLineFeed { consumed } => {
                    (self.dialogue.bad_line(texts::BARE_LINE_FEED), consumed)
                }
                Framed::Incomplete { discard } => {
                    self.io.input.advance(discard);
                    match self.more().await {
                        Ok(()) => continue,
                        Err(end) => return end,
                    }
                }
            };
            self.awaited_since = None;
            self.io.input.advance(consumed);
            log_protocol(&answer, &self.session);
            if let Err(end) = self.tell(answer) {
                return end;
            }
        }
    }

    /// Sends the replies so far and reads on. An idle session ends when the server stops.
    async fn more(&mut self) -> Result<(), End> {
        self.io.flush().await?;
        let waited = self.awaited_since.get_or_insert_with(Instant::now).elapsed();
        let timeouts = &self.session.profile.settings.timeouts;
        let limit = if self.dialogue.in_exchange() {
            timeouts.auth
        } else {
            timeouts.command
        };
        let idle = self.dialogue.transaction().is_none();
        tokio::select! {
            biased;
            () = self.shutdown.cancelled(), if idle => {
                self.io.put(&texts::SHUTTING_DOWN);
                Err(End::Closed)
            }
            filled = self.io.fill_within(COMMAND_ROOM, limit.saturating_sub(waited)) => filled,
        }
    }

    /// Adds a reply to those that go out next.
    fn tell(&mut self, answer: Answer) -> Result<(), End> {
        self.io.put(&answer.reply);
        match (answer.close, answer.reply.is_success()) {
            (false, _) => Ok(()),
            (true, false) => Err(End::Closed),
            (true, true) => Err(End::Quit),
        }
    }

    /// Carries out one line.
    async fn line(&mut self, len: usize, consumed: usize) -> Result<(), End> {
        self.awaited_since = None;
        wait_under_load(&self.session).await;
        let Self {
            io,
            dialogue,
            session,
            exchange,
            ..
        } = self;
        let line = &io.input[..len];
        if !dialogue.line_fits(line, consumed) {
            let answer = dialogue.bad_line(dialogue.too_long());
            io.input.advance(consumed);
            log_protocol(&answer, session);
            return self.tell(answer);
        }
        let step = dialogue.step(line);
        io.input.advance(consumed);
        let answer = match step {
            Step::Answer(answer) => {
                log_protocol(&answer, session);
                answer
            }
            Step::Sender(ask) => judge_sender(ask, session),
            Step::Recipient(ask) => recipient::judge(ask, session).await,
            Step::Data(ask) => {
                let transaction = ask.start();
                return Box::pin(self.data(*transaction)).await;
            }
            Step::Chunk(chunk) => return Box::pin(self.chunk(chunk)).await,
            Step::Discard { size, reply } => {
                Box::pin(discard(io, size, session)).await?;
                Answer::stay(reply)
            }
            Step::StartTls => {
                io.put(&texts::READY_FOR_TLS);
                io.flush().await?;
                opening::start_tls(io, session).await?;
                dialogue.tls_started();
                login::offer(dialogue, session);
                self.framer.reset();
                self.exchange = None;
                return Ok(());
            }
            Step::Auth(turn) => {
                let turned = Box::pin(login::turn(turn, exchange, session)).await;
                match turned.layer {
                    None => turned.answer,
                    Some(layer) => {
                        io.put(&turned.answer.reply);
                        io.flush().await?;
                        io.start_layer(layer)?;
                        dialogue.layer_started();
                        self.framer.reset();
                        return Ok(());
                    }
                }
            }
            Step::Verify(name) => Answer::stay(Box::pin(names::verify(&name, session)).await),
            Step::Expand(name) => Answer::stay(names::expand(&name, session)),
        };
        if !self.dialogue.in_chunks() {
            self.intake = None;
        }
        if !self.dialogue.in_exchange() {
            // One that the client has given up is over.
            self.exchange = None;
        }
        self.tell(answer)
    }

    /// Takes a message sent with `DATA`.
    async fn data(&mut self, transaction: Transaction) -> Result<(), End> {
        self.io.put(&texts::START_DATA);
        self.io.flush().await?;
        let decoder = Decoder::Data(DataDecoder::new(self.session.profile.rules.body));
        let mut intake = Intake::new(&self.session, &transaction, decoder);
        let block = self.session.profile.settings.timeouts.data_block;
        intake.receive(&mut self.io, block).await?;
        let answer = self.finish(*intake, transaction).await;
        self.tell(answer)
    }

    /// Takes one chunk of a message (RFC 3030 section 2).
    async fn chunk(&mut self, chunk: Chunk) -> Result<(), End> {
        let mut intake = match (self.intake.take(), self.dialogue.transaction()) {
            (Some(intake), _) if !chunk.first => intake,
            (_, Some(transaction)) => {
                let binary = transaction.envelope.body == BodyKind::BinaryMime;
                let decoder = Decoder::Chunks(ChunkDecoder::new(self.session.profile.rules.body, binary));
                Intake::new(&self.session, transaction, decoder)
            }
            (_, None) => return Err(End::Closed),
        };
        intake.begin_chunk(chunk.size);
        let block = self.session.profile.settings.timeouts.data_block;
        intake.receive(&mut self.io, block).await?;
        let answer = if intake.has_failed() {
            self.dialogue.abandon();
            intake.refuse(&self.session)
        } else if !chunk.last {
            self.intake = Some(intake);
            Answer::stay(texts::chunk_ok(chunk.size))
        } else if let Some(transaction) = self.dialogue.take_transaction() {
            self.finish(*intake, *transaction).await
        } else {
            Answer::stay(texts::LOCAL_ERROR)
        };
        self.tell(answer)
    }

    async fn finish(&mut self, intake: Intake, transaction: Transaction) -> Answer {
        let client = ClientFacts {
            name: self.dialogue.client_name(),
            extended: self.dialogue.is_extended(),
            smtputf8: transaction.envelope.smtputf8,
        };
        intake.commit(transaction, client, &self.session).await
    }

    /// Tells the client why the session ends, where it does not know, and closes.
    async fn say_goodbye(&mut self, end: &End) {
        match end {
            End::Timeout => {
                self.io.put(&texts::TIMEOUT);
                self.io.close(true).await;
            }
            End::Closed => self.io.close(true).await,
            End::Quit => self.io.close(false).await,
            End::Gone | End::Lost(_) | End::Layer(_) | End::Handshake(_) => {}
        }
    }
}

/// Answers `MAIL`: may this login use the sender, is the message small enough, is there room for it?
fn judge_sender(mut ask: AskSender<'_>, session: &Session) -> Answer {
    let settings = &session.profile.settings;
    sender::judge_submitter(&mut ask, session);
    if !session.may_relay() {
        ask.forget_requests();
    }
    if let Some(answer) = sender::refused(&ask, session) {
        return Answer {
            reply: ask.refuse(answer.reply),
            close: answer.close,
        };
    }
    if let Some(answer) = intake::queue_is_down(session) {
        return Answer {
            reply: ask.refuse(answer.reply),
            close: answer.close,
        };
    }
    let facts = MessageFacts {
        size: ask.declared_size(),
        free_bytes: session.shared.deps.spool.free_bytes(),
    };
    if let Err(refusal) = admission::admit_message(&facts, &settings.admission) {
        let reply = intake::message_refusal(refusal);
        session.log_refusal(refusal.rule(), &reply, &refusal);
        return Answer::stay(ask.refuse(reply));
    }
    Answer::stay(ask.accept())
}

/// Logs what the protocol alone refuses: a session that is ended or that lacks a login for all to see, a mere mistake of
/// the client for those who look closely.
fn log_protocol(answer: &Answer, session: &Session) {
    let reply = &answer.reply;
    if reply.code < 400 {
        return;
    }
    if [texts::AUTH_NEEDED, texts::TLS_NEEDED].contains(reply) {
        session.log_refusal("login.required", reply, &"no login");
    } else if answer.close {
        session.log_refusal("protocol.end", reply, &"session ended");
    } else {
        debug!(target: "postern::refuse", session = %session.id, rule = "protocol", reply = %reply, "refused");
    }
}

/// Sleeps before a command while the load is high, as sendmail does under `DelayLA`.
async fn wait_under_load(session: &Session) {
    let settings = &session.profile.settings.admission;
    if settings.delay_load.is_some()
        && let Some(delay) = admission::command_delay(session.shared.deps.load.get(), settings)
    {
        tokio::time::sleep(delay).await;
    }
}

/// Reads a chunk that is not wanted.
async fn discard(io: &mut Io, size: u64, session: &Session) -> Result<(), End> {
    let timeouts = &session.profile.settings.timeouts;
    let deadline = Instant::now() + timeouts.data_total;
    let mut remaining = size;
    loop {
        let here = usize::try_from(remaining).map_or(io.input.len(), |left| left.min(io.input.len()));
        io.input.advance(here);
        remaining -= here as u64;
        if remaining == 0 {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        io.fill_within(BODY_ROOM, timeouts.data_block.min(left)).await?;
    }
}
