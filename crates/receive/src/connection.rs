//! Drives one session, from accept to close.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use postern_directory::tables::on_behalf;
use postern_events::{Connected, Disconnected, SenderTaken};
use postern_mail::{BodyKind, Status};
use postern_net::MailStream;
use postern_policy::admission;
use postern_policy::limit::Counted as Limited;
use postern_policy::local::LocalUser;
use postern_policy::patience::{Patience, Verdict};
use postern_policy::rule::{Rule, Ruling, Verdict as Ruled};
use postern_smtp::body::{ChunkDecoder, DataDecoder};
use postern_smtp::line::{Framed, LineFramer};
use postern_smtp::reply::texts;
use postern_smtp::server::{Answer, AskSender, Chunk, Dialogue, Step, Transaction};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budgets::session as budgets;
use crate::count::{Counted, Cut};
use crate::intake::{self, Decoder, Failure, Intake};
use crate::io::{COMMAND_ROOM, CUT_MAX, End, Io};
use crate::live::Ended;
use crate::milters::{Filtering, steps};
use crate::opening;
use crate::profile::Profile;
use crate::protocol;
use crate::room::Held;
use crate::scope::session as scope;
use crate::session::{About, Session};
use crate::shared::Shared;
use crate::stamp::ClientFacts;
use crate::{access, lapse, limits, local_messages, login, names, recipient, sender, time};

/// One connection with its dialogue.
struct Connection<'a> {
    io: &'a mut Io,
    framer: LineFramer,
    dialogue: Dialogue,
    session: &'a mut Session,
    counted: &'a mut Counted,
    patience: Patience,
    /// Memory reserved for the transaction's recipients.
    envelope: Held,
    envelope_lines: u64,
    /// The state of an `AUTH` exchange between two lines.
    exchange: Option<login::Exchange>,
    /// The message being received, between two chunks.
    intake: Option<Box<Intake>>,
    /// The mail filters, if any serve this session.
    filtering: &'a mut Option<Box<Filtering>>,
    /// Since when the next line is awaited: sending it octet by octet gains no more time.
    awaited_since: Option<Instant>,
    shutdown: CancellationToken,
}

/// How long a client may take to read the last reply of its session.
const GOODBYE_MAX: Duration = Duration::from_secs(10);

/// The status of replies about a recipient beyond the limit of a transaction.
const SURPLUS_RECIPIENT: Status = Status(4, 5, 3);

/// Memory for recipients, in octets, that a session need not reserve.
const ENVELOPE_FREE: u64 = 8 * 1024;

/// Octets of memory that a recipient takes besides its text.
const RECIPIENT_COST: u64 = 200;

/// Serves one connection to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    profile: Arc<Profile>,
    stream: TcpStream,
    peer: SocketAddr,
    shutdown: CancellationToken,
) {
    let started = Instant::now();
    let proxied = profile.listener.expects_proxy_header(peer.ip());
    let mut session = Session::new(shared, profile, peer);
    let mut counted = match opening::admit(&session, proxied) {
        Ok(counted) => counted,
        Err(reply) => return opening::send_away(stream, &session, &reply).await,
    };
    if proxied {
        let Some((real, destination)) = opening::real_peer(&session, &stream, peer).await else {
            return;
        };
        session.came_from(real);
        session.local = destination;
        if let Err(reply) = opening::admit_proxied(&session, &mut counted) {
            return opening::send_away(stream, &session, &reply).await;
        }
    }
    if let Err(reply) = limits::connect(&mut session) {
        return opening::send_away(stream, &session, &reply).await;
    }
    let told_of = !session.profile.milters.is_empty() || !session.profile.services.is_empty();
    if told_of && session.local.is_none() {
        session.local = stream.local_addr().ok();
    }
    Box::pin(admitted(stream.into(), session, counted, started, shutdown)).await;
}

/// Serves a program of a local user to its end.
pub(crate) async fn serve_local(
    shared: Arc<Shared>,
    profile: Arc<Profile>,
    stream: UnixStream,
    user: Arc<LocalUser>,
    shutdown: CancellationToken,
) {
    let started = Instant::now();
    let session = Session::of_user(shared, profile, user);
    match opening::admit(&session, false) {
        Ok(counted) => Box::pin(admitted(stream.into(), session, counted, started, shutdown)).await,
        Err(reply) => opening::send_away(stream, &session, &reply).await,
    }
}

/// Serves a session that was authenticated elsewhere, to its end.
pub(crate) async fn serve_login(mut session: Session, stream: UnixStream, shutdown: CancellationToken) {
    let started = Instant::now();
    let admitted_now = opening::admit(&session, false);
    let limited = admitted_now.and_then(|counted| limits::connect(&mut session).map(|()| counted));
    match limited {
        Ok(counted) => Box::pin(admitted(stream.into(), session, counted, started, shutdown)).await,
        Err(reply) => opening::send_away(stream, &session, &reply).await,
    }
}

/// A session that has been let in, to its end.
async fn admitted(
    stream: MailStream,
    mut session: Session,
    mut counted: Counted,
    started: Instant,
    shutdown: CancellationToken,
) {
    session.entry.live().is_admitted(session.peer, counted.signal());
    let peer = session.peer;
    let observers = session.shared.deps.observers.clone();
    observers.tell(Connected {
        session: &session.id,
        listener: session.listener(),
        peer: peer.ip(),
    });
    let mut io = Io::new(stream, session.profile.settings.timeouts.write);
    let signal = Arc::clone(counted.signal());
    let mut filtering = None;
    let stranger = Arc::clone(session.asks_as());
    let end = tokio::select! {
        biased;
        end = on_behalf(stranger, live(&mut io, &mut session, &mut counted, &mut filtering, shutdown)) => end,
        cut = signal.is_cut() => End::Cut(cut),
    };
    Box::pin(say_goodbye(&mut io, &session, &end)).await;
    if let Some(filtering) = filtering {
        Box::pin(filtering.quit()).await;
    }
    session.tell_suppressed(true);
    observers.tell(Disconnected {
        session: &session.id,
        peer: peer.ip(),
        reason: &end,
        seconds: started.elapsed().as_secs(),
    });
}

/// The session from its greeting to its end.
async fn live(
    io: &mut Io,
    session: &mut Session,
    counted: &mut Counted,
    filtering: &mut Option<Box<Filtering>>,
    shutdown: CancellationToken,
) -> End {
    let signal = Arc::clone(counted.signal());
    let dialogue = match Box::pin(opening::open(io, session, filtering, &signal)).await {
        Ok(dialogue) => dialogue,
        Err(end) => return end,
    };
    let envelope = session.hold_room();
    let mut connection = Connection {
        io,
        framer: LineFramer::new(),
        dialogue,
        session,
        counted,
        patience: Patience::default(),
        envelope,
        envelope_lines: 0,
        exchange: None,
        intake: None,
        filtering,
        awaited_since: None,
        shutdown,
    };
    connection.converse().await
}

/// Tells the client why the session ends, unless it already knows, and closes.
async fn say_goodbye(io: &mut Io, session: &Session, end: &End) {
    match end {
        End::Timeout => {
            io.put(&texts::TIMEOUT);
            io.close_within(GOODBYE_MAX, true).await;
        }
        End::Closed => io.close_within(GOODBYE_MAX, true).await,
        End::Quit => io.close_within(GOODBYE_MAX, false).await,
        End::Cut(cut) => {
            let reply = match cut {
                Cut::Stop => texts::SHUTTING_DOWN,
                Cut::Displaced => texts::TOO_BUSY,
                Cut::Ended => return say_why(io, session).await,
            };
            if *cut == Cut::Displaced {
                let ruling = Ruling {
                    rule: Rule::AdmissionDisplaced,
                    reason: cut,
                };
                session.ruled(ruling, &reply);
            }
            if let Some(_lingering) = session.shared.counts.linger() {
                io.put(&reply);
                io.close_within(CUT_MAX, true).await;
            }
        }
        End::Gone | End::Lost(_) | End::Layer(_) | End::Handshake(_) => {}
    }
}

/// Tells the client that an administrator ended the session, or that its login is no longer valid.
async fn say_why(io: &mut Io, session: &Session) {
    let reply = match session.entry.live().ended() {
        Some(Ended::Lapsed(lapse)) => {
            let reply = lapse::login_over(lapse);
            session.refused(lapse, &reply, &About::default());
            reply
        }
        Some(Ended::Administrator(by)) => {
            let ruling = Ruling {
                rule: Rule::SessionEnded,
                reason: &format_args!("ended by {by}"),
            };
            session.ruled(ruling, &texts::SESSION_ENDED);
            texts::SESSION_ENDED
        }
        None => return,
    };
    if let Some(_lingering) = session.shared.counts.linger() {
        io.put(&reply);
        io.close_within(CUT_MAX, true).await;
    }
}

impl Connection<'_> {
    /// Takes line after line. Replies are sent together when no complete line is left.
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
            protocol::note(&answer, self.session);
            if let Err(end) = self.tell(answer).await {
                return end;
            }
        }
    }

    /// Sends the replies so far and reads more. An idle session ends when the server stops.
    async fn more(&mut self) -> Result<(), End> {
        self.io.flush().await?;
        self.counted.signal().replies_sent();
        let since = *self.awaited_since.get_or_insert_with(Instant::now);
        let timeouts = &self.session.profile.settings.timeouts;
        let limit = if self.dialogue.in_exchange() {
            timeouts.auth
        } else {
            timeouts.command
        };
        let idle = self.dialogue.transaction().is_none();
        if idle && self.envelope_lines > 0 {
            self.envelope.give_back_memory();
            self.envelope_lines = 0;
        }
        loop {
            let silence = self.session.patience_for(limit).saturating_sub(since.elapsed());
            let left = silence.min(self.session.life_left());
            if left.is_zero() {
                // A client that keeps sending without finishing a line gets no more time.
                return Err(End::Timeout);
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled(), if idle => {
                    self.io.put(&texts::SHUTTING_DOWN);
                    return Err(End::Closed);
                }
                filled = self.io.fill_within(COMMAND_ROOM, left) => return filled,
                // The time limit may have become shorter.
                () = self.counted.signal().is_hurried() => {}
            }
        }
    }

    /// Adds a reply to those sent next. All replies go through here, so that every error slows the client down.
    async fn tell(&mut self, answer: Answer) -> Result<(), End> {
        let Answer { reply, close, .. } = answer;
        if close {
            self.io.put(&reply);
            return Err(if reply.is_success() {
                End::Quit
            } else {
                End::Closed
            });
        }
        let surplus = reply.status == Some(SURPLUS_RECIPIENT);
        let known = !self.session.is_stranger();
        let settings = &self.session.profile.settings.patience;
        match self.patience.reply(reply.code, surplus, known, settings) {
            Verdict::Send => {}
            Verdict::Wait(delay) => {
                self.io.flush().await?;
                tokio::time::sleep(delay).await;
            }
            Verdict::End => {
                let reply = &texts::TOO_MANY_MISTAKES;
                let ruling = Ruling {
                    rule: Rule::ProtocolErrors,
                    reason: &"too many errors, session ended",
                };
                self.session.ruled(ruling, reply);
                self.io.put(reply);
                return Err(End::Closed);
            }
        }
        self.io.put(&reply);
        if self.io.is_full() {
            self.io.flush().await?;
        }
        Ok(())
    }

    /// Carries out one line.
    async fn line(&mut self, len: usize, consumed: usize) -> Result<(), End> {
        self.awaited_since = None;
        let _ = self.session.asks_as();
        wait_under_load(self.session).await;
        let Self {
            io,
            dialogue,
            session,
            counted,
            envelope,
            envelope_lines,
            exchange,
            filtering,
            ..
        } = self;
        let filtering = &mut **filtering;
        let line = &io.input[..len];
        if !dialogue.line_fits(line, consumed) {
            let answer = dialogue.bad_line(dialogue.too_long());
            io.input.advance(consumed);
            protocol::note(&answer, session);
            return self.tell(answer).await;
        }
        let introduces = session.access.is_some() && is_introduction(line) && !dialogue.in_exchange();
        // Filters are told commands, never lines of an authentication exchange.
        let told = (filtering.is_some() && !dialogue.in_exchange()).then(|| line.to_vec());
        let step = dialogue.step(line);
        io.input.advance(consumed);
        let answer = match step {
            Step::Answer(answer) => {
                session.calls_itself(dialogue.client_name());
                protocol::note(&answer, session);
                let ruled = if introduces && answer.reply.is_success() {
                    Box::pin(access::helo(dialogue.client_name(), session)).await
                } else {
                    None
                };
                let answer = match ruled {
                    Some(ruled) => return self.tell(ruled).await,
                    None => answer,
                };
                match (filtering.as_mut(), &told) {
                    (Some(filtering), Some(line)) => {
                        Box::pin(steps::answered(line, answer, dialogue, filtering, session)).await
                    }
                    _ => answer,
                }
            }
            Step::Sender(ask) => match lapse::ended(session).await {
                Some(mut ended) => {
                    ended.reply = ask.refuse(ended.reply);
                    ended
                }
                None => {
                    if let Some(screening) = &mut session.screening {
                        screening.begin_transaction();
                    }
                    let learnt = match sender::learn(ask, session).await {
                        Ok(ask) if session.login.is_some() => {
                            match Box::pin(scope::refused_sender(&ask, session)).await {
                                Some(reply) => Err(Answer::stay(ask.refuse(reply))),
                                None => Ok(ask),
                            }
                        }
                        learnt => learnt,
                    };
                    let judged = match learnt {
                        Ok(ask) => judge_sender(ask, session),
                        Err(answer) => Err(answer),
                    };
                    let judged = match judged {
                        Ok((ask, basis)) => {
                            let size = ask.declared_size().unwrap_or(0);
                            match Box::pin(budgets::sender(ask.sender(), size, session)).await {
                                Some(reply) => Err(Answer::stay(ask.refuse(reply))),
                                None => Ok((ask, basis)),
                            }
                        }
                        judged => judged,
                    };
                    let judged = match judged {
                        Ok((ask, basis)) if session.access.is_some() => {
                            match Box::pin(access::sender(&ask, io, session)).await? {
                                Some(answer) => Err(Answer {
                                    reply: ask.refuse(answer.reply),
                                    ..answer
                                }),
                                None => Ok((ask, basis)),
                            }
                        }
                        judged => judged,
                    };
                    let session = &*session;
                    match (judged, filtering.as_mut()) {
                        (Ok((ask, basis)), Some(filtering)) => {
                            let take = |ask: AskSender<'_>| take_sender(ask, basis, session);
                            Box::pin(steps::sender(ask, take, told.as_deref(), filtering, session)).await
                        }
                        (Ok((ask, basis)), None) => take_sender(ask, basis, session),
                        (Err(answer), _) => answer,
                    }
                }
            },
            Step::Recipient(ask) => {
                *envelope_lines += consumed as u64;
                let wanted = *envelope_lines + ask.taken() as u64 * RECIPIENT_COST;
                match envelope.memory_to(wanted.saturating_sub(ENVELOPE_FREE)) {
                    Ok(()) => {
                        let path = filtering.as_ref().map(|_| ask.path().clone());
                        let judged = recipient::judge(ask, io, session, counted.signal()).await?;
                        match (filtering.as_mut(), path) {
                            (Some(filtering), Some(path)) => {
                                let told = told.as_deref();
                                Box::pin(steps::recipient(judged, &path, told, filtering, session)).await
                            }
                            _ => judged.answer(session),
                        }
                    }
                    Err(refusal) => {
                        let about = About::recipient(ask.sender(), ask.path());
                        let reply = session.no_room(refusal, &about);
                        ask.refuse(reply)
                    }
                }
            }
            Step::Data(ask) => {
                let wanted = !ask.transaction().envelope.recipients.is_empty();
                if let Some(filtering) = filtering.as_mut().filter(|_| wanted) {
                    let ruled = Box::pin(filtering.data(session)).await;
                    let about = || About::message(ask.transaction());
                    if let Some(answer) = ruled.and_then(|ruled| ruled.tell(&about(), session)) {
                        let reply = ask.refuse(answer.reply);
                        self.end_filtering().await;
                        return self.tell(Answer { reply, ..answer }).await;
                    }
                }
                let transaction = ask.start();
                return Box::pin(self.data(transaction)).await;
            }
            Step::Chunk(chunk) => return Box::pin(self.chunk(chunk)).await,
            Step::Discard { size, reply } => {
                let endless = size > session.profile.rules.body.read_max();
                if !endless {
                    Box::pin(discard(io, size, session)).await?;
                }
                Answer {
                    close: endless,
                    ..Answer::stay(reply)
                }
            }
            Step::StartTls => {
                io.put(&texts::READY_FOR_TLS);
                io.flush().await?;
                Box::pin(opening::start_tls(io, session)).await?;
                has_become_known(session, counted, envelope);
                dialogue.tls_started();
                login::offer(dialogue, session);
                self.framer.reset();
                self.exchange = None;
                return Ok(());
            }
            Step::Auth(turn) => {
                let turned = Box::pin(login::turn(turn, exchange, session)).await;
                if turned.answer.reply.is_success() {
                    has_become_known(session, counted, envelope);
                    session.was_useful();
                }
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
            Step::Verify(name) => Answer::stay(Box::pin(names::verify(&name, io, session)).await?),
            Step::Expand(name) => Answer::stay(names::expand(&name, session)),
        };
        if !self.dialogue.in_chunks() {
            self.intake = None;
        }
        if let Some(filtering) = self.filtering
            && filtering.in_message()
            && self.dialogue.transaction().is_none()
        {
            filtering.abort().await;
        }
        if !self.dialogue.in_exchange() {
            // If the client has cancelled the exchange, it is over.
            self.exchange = None;
        }
        self.tell(answer).await
    }

    /// Receives a message sent with `DATA`.
    async fn data(&mut self, transaction: Box<Transaction>) -> Result<(), End> {
        let decoder = Decoder::Data(DataDecoder::new(self.session.profile.rules.body));
        let id = self.filtering.as_ref().and_then(|filtering| filtering.queue_id());
        let mut intake = Intake::new(self.session, &transaction, decoder, id);
        if intake.has_failed() {
            let answer = intake.refuse(&About::message(&transaction), self.session);
            self.end_filtering().await;
            return self.tell(answer).await;
        }
        self.io.put(&texts::START_DATA);
        self.io.flush().await?;
        self.receive(&mut intake).await?;
        let answer = if intake.has_failed() {
            intake.refuse(&About::message(&transaction), self.session)
        } else {
            self.finish(intake, transaction).await
        };
        self.end_filtering().await;
        self.tell(answer).await
    }

    /// The message is over: filters that wait for more of it are told.
    async fn end_filtering(&mut self) {
        if let Some(filtering) = self.filtering {
            filtering.abort().await;
        }
    }

    /// Receives one chunk of a message (RFC 3030 section 2).
    async fn chunk(&mut self, chunk: Chunk) -> Result<(), End> {
        let mut intake = match (self.intake.take(), self.dialogue.transaction()) {
            (Some(intake), _) if !chunk.first => intake,
            (_, Some(transaction)) => {
                let binary = transaction.envelope.body == BodyKind::BinaryMime;
                let decoder = Decoder::Chunks(ChunkDecoder::new(self.session.profile.rules.body, binary));
                let id = self.filtering.as_ref().and_then(|filtering| filtering.queue_id());
                let mut intake = Intake::new(self.session, transaction, decoder, id);
                if let Some(filtering) = self.filtering
                    && !intake.has_failed()
                    && !intake.is_thrown_away()
                    && let Some(ruled) = Box::pin(filtering.data(self.session)).await
                {
                    intake.fail(Failure::Filtered(ruled));
                }
                intake
            }
            (_, None) => return Err(End::Closed),
        };
        intake.begin_chunk(chunk.size, self.session.profile.rules.body.size_max)?;
        self.receive(&mut intake).await?;
        let over = chunk.last || intake.has_failed();
        let answer = if intake.has_failed() {
            let about = self.dialogue.transaction().map(About::message);
            let answer = intake.refuse(&about.unwrap_or_default(), self.session);
            self.dialogue.abandon();
            answer
        } else if !chunk.last {
            self.intake = Some(intake);
            Answer::stay(texts::chunk_ok(chunk.size))
        } else if let Some(transaction) = self.dialogue.take_transaction() {
            self.finish(intake, transaction).await
        } else {
            Answer::stay(texts::LOCAL_ERROR)
        };
        if over {
            self.end_filtering().await;
        }
        self.tell(answer).await
    }

    async fn receive(&mut self, intake: &mut Intake) -> Result<(), End> {
        let signal = self.counted.signal();
        intake
            .receive(self.io, self.session, signal, self.filtering)
            .await
    }

    async fn finish(&mut self, intake: Box<Intake>, transaction: Box<Transaction>) -> Answer {
        let client = ClientFacts {
            name: self.dialogue.client_name(),
            extended: self.dialogue.is_extended(),
            smtputf8: transaction.envelope.smtputf8,
        };
        let signal = self.counted.signal();
        if self.filtering.is_none() {
            signal.begin_commit();
        }
        let mut access = self.session.access.take();
        let ruled = access.as_deref_mut();
        let committed = intake.commit(transaction, client, self.session, signal, self.filtering, ruled);
        let answer = Box::pin(committed).await;
        self.session.access = access;
        if answer.reply.is_success() {
            self.session.was_useful();
            self.patience.amends();
        }
        answer
    }
}

/// Judges `MAIL`: may this user use the sender, and why, is the message small enough, is there room for it? Returns the reply, if
/// not.
fn judge_sender<'d>(
    mut ask: AskSender<'d>,
    session: &Session,
) -> Result<(AskSender<'d>, Option<Basis>), Answer> {
    if let Some(mut answer) = local_messages::too_many(&ask, session) {
        answer.reply = ask.refuse(answer.reply);
        return Err(answer);
    }
    let settings = &session.profile.settings;
    sender::judge_submitter(&mut ask, session);
    if !session.may_relay() {
        ask.forget_requests();
    }
    let basis = match sender::judge(&ask, session) {
        Ok(basis) => basis,
        Err(mut answer) => {
            answer.reply = ask.refuse(answer.reply);
            return Err(answer);
        }
    };
    if let Some(mut answer) = intake::queue_is_down(&About::sender(ask.sender()), session) {
        answer.reply = ask.refuse(answer.reply);
        return Err(answer);
    }
    let size = ask.declared_size().unwrap_or(0);
    if let Err(refusal) = admission::admit_size(size, &settings.admission) {
        let reply = intake::message_refusal(refusal);
        session.refused(&refusal, &reply, &About::sender(ask.sender()));
        return Err(Answer::stay(ask.refuse(reply)));
    }
    if let Some(reply) = limits::count(Limited::Message, &About::sender(ask.sender()), session) {
        return Err(Answer::stay(ask.refuse(reply)));
    }
    if let Err(refusal) = session.would_fit(size) {
        let reply = session.no_room(refusal, &About::sender(ask.sender()));
        return Err(Answer::stay(ask.refuse(reply)));
    }
    let basis = basis.map(|basis| Basis {
        rule: basis.rule(),
        reason: basis.to_string(),
    });
    Ok((ask, basis))
}

/// Why a user may use a sender.
struct Basis {
    rule: Rule,
    reason: String,
}

/// Accepts a sender, and tells the client so.
fn take_sender(ask: AskSender<'_>, basis: Option<Basis>, session: &Session) -> Answer {
    let _ = session.copies.take();
    *session.sender_at.lock() = Some(time::now());
    session.shared.deps.observers.tell(SenderTaken {
        session: &session.id,
        from: ask.sender(),
        size: ask.declared_size(),
        sender_rule: basis.as_ref().map(|basis| basis.rule),
        reason: basis.as_ref().map(|basis| &basis.reason as &dyn Display),
    });
    Answer::stay(ask.accept())
}

/// Whether a line is `HELO` or `EHLO`.
fn is_introduction(line: &[u8]) -> bool {
    line.get(..4)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"EHLO") || verb.eq_ignore_ascii_case(b"HELO"))
}

/// Counts the client as known, if it has become so.
fn has_become_known(session: &Session, counted: &mut Counted, envelope: &mut Held) {
    if let Some(name) = session.known_as() {
        counted.has_become(&name);
        *envelope = session.hold_room();
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

/// Reads and discards a chunk.
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
        if left.is_zero() {
            return Err(End::Timeout);
        }
        io.flush().await?;
        let silence = session.patience_for(timeouts.data_block);
        io.fill_within(COMMAND_ROOM, silence.min(left)).await?;
    }
}
