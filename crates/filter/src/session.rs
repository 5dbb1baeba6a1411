//! One SMTP session's dialogue with one filter.

mod content;

use std::sync::Arc;

use bytes::BytesMut;
use postern_milter::{Command, Event, Macros, Peer, Verdict};

use crate::failure::{Cause, During, Failure};
use crate::link::{Link, refuses_reuse};
use crate::service::Service;

/// An SMTP session, as told to one filter.
///
/// Steps are sent in order ([`Session::connect`] first) and return the filter's answer; a step that the filter does not want
/// returns [`Verdict::Continue`] at once. A [`Failure`] only concerns the current message: the rest of that message fails at
/// once, and the next [`Session::mail`] opens a new connection, on which connect and `HELO` are sent again. Outside of a message
/// a failure has no consequence, for the same reason.
///
/// Dropping the future of a step, or the session, closes the connection; then the filter gives up the message.
#[derive(Debug)]
pub struct Session {
    service: Arc<Service>,
    link: Option<Link>,
    /// The client, for a connection that must be reopened.
    peer: Option<(Vec<u8>, Peer)>,
    helo: Option<Vec<u8>>,
    /// The answer with which the filter said that it wants no more of this session.
    gone: Option<Verdict>,
    /// Whether it has failed for the current message.
    failed: bool,
    /// Whether it has decided about the current message and its connection is gone.
    decided: bool,
    /// Whether the connection has been used for a message of this session.
    used: bool,
    /// The piece of the body that is being filled.
    piece: BytesMut,
    /// Whether memory is short, so that the pieces of this message are small.
    saves_memory: bool,
}

/// Octets of a piece of the body when memory is short.
const SMALL_PIECE: usize = 4 << 10;

impl Service {
    /// A session with it. No connection is opened before there is something to send.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self))
    }
}

impl Session {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            link: None,
            peer: None,
            helo: None,
            gone: None,
            failed: false,
            decided: false,
            used: false,
            piece: BytesMut::new(),
            saves_memory: false,
        }
    }

    /// Octets of memory that this session uses once `more` octets of a body are given to it: they are gathered into a piece, a
    /// piece that is sent is copied once, and what the filter does not answer waits to be sent together. 0 if it wants nothing of
    /// the body.
    #[must_use]
    pub fn memory_after(&self, more: usize) -> usize {
        match (self.piece_max(), &self.link) {
            (Some(most), Some(link)) if !self.failed => {
                2 * most.min(self.piece.len() + more) + link.waiting()
            }
            _ => 0,
        }
    }

    /// From now on, until the message is over, pieces of the body are no larger than 4 KiB, and no more than that is waiting to
    /// be sent.
    pub fn save_memory(&mut self) {
        self.saves_memory = true;
        if let Some(link) = &mut self.link {
            link.gather_up_to(SMALL_PIECE);
        }
    }

    /// Octets of a full piece of the body; `None` if the filter wants none.
    fn piece_max(&self) -> Option<usize> {
        let link = self.link.as_ref()?;
        let agreed = link.conversation.agreement().size.octets();
        let most = if self.saves_memory {
            agreed.min(SMALL_PIECE)
        } else {
            agreed
        };
        link.conversation.wants(Event::Body).then_some(most)
    }

    /// The filter.
    #[must_use]
    pub const fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// What was agreed, while there is a connection.
    #[must_use]
    pub fn agreement(&self) -> Option<&postern_milter::Agreement> {
        Some(self.link.as_ref()?.conversation.agreement())
    }

    /// Whether an event of this kind would go to the filter now. What is not wanted need not be prepared.
    #[must_use]
    pub fn wants(&self, event: Event) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.conversation.wants(event))
    }

    /// A client has connected: its name (or its address in brackets) and where it connects from.
    ///
    /// # Errors
    ///
    /// [`Failure`]; see [`Session`].
    pub async fn connect(
        &mut self,
        host: &str,
        peer: Peer,
        macros: &(dyn Macros + Sync),
    ) -> Result<Verdict, Failure> {
        self.will_connect(host, peer);
        self.greet(macros, true).await
    }

    /// A client has connected, but the filter is not told before [`Session::mail`].
    pub fn will_connect(&mut self, host: &str, peer: Peer) {
        self.peer = Some((host.as_bytes().to_vec(), peer));
    }

    /// `HELO` or `EHLO`, about which the filter is told together with the client.
    pub fn will_greet(&mut self, name: &str) {
        self.helo = Some(name.as_bytes().to_vec());
    }

    /// `HELO` or `EHLO` with its argument; again after `STARTTLS`, and whenever the client sends it. A current message must be
    /// given up first.
    ///
    /// # Errors
    ///
    /// [`Failure`]; see [`Session`].
    pub async fn helo(&mut self, name: &str, macros: &(dyn Macros + Sync)) -> Result<Verdict, Failure> {
        self.will_greet(name);
        self.step(Event::Helo, &Command::Helo(name.as_bytes()), macros)
            .await
    }

    /// `MAIL`: the sender with its angle brackets, and each parameter.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn mail(
        &mut self,
        sender: &str,
        parameters: &[&str],
        macros: &(dyn Macros + Sync),
    ) -> Result<Verdict, Failure> {
        (self.failed, self.decided) = (false, false);
        self.forget_piece();
        match &self.gone {
            Some(Verdict::Accept) => return Ok(Verdict::Continue),
            Some(refusal) => return Ok(refusal.clone()),
            None => {}
        }
        if let Some(link) = &mut self.link
            && let Err(cause) = link.check_quiet()
        {
            // It has closed the connection between two messages, or is out of step. A new connection fixes both.
            self.link = None;
            if !matches!(cause, Cause::Closed) {
                self.service.note(&Failure {
                    during: During::Step(Event::Mail),
                    cause,
                });
            }
        }
        let parameters = parameters.iter().map(|parameter| parameter.as_bytes()).collect();
        let command = Command::Mail {
            sender: sender.as_bytes(),
            parameters,
        };
        if self.used
            && let Some(mut link) = self.link.take()
        {
            match link
                .step(self.service.filter(), Event::Mail, &command, macros)
                .await
            {
                Ok(verdict) => {
                    self.keep(link, &verdict).await;
                    return Ok(verdict);
                }
                // It closes its connections after a message. Nothing of this one was lost with it.
                Err(failure) if matches!(failure.cause, Cause::Closed | Cause::Broken(_)) => {}
                Err(failure) => return Err(self.failed(failure)),
            }
        }
        if self.link.is_none() {
            let verdict = self
                .greet(macros, false)
                .await
                .inspect_err(|_| self.failed = true)?;
            if verdict != Verdict::Continue {
                return Ok(verdict);
            }
        }
        self.used = true;
        self.step(Event::Mail, &command, macros).await
    }

    /// `RCPT`: the recipient with its angle brackets, and each parameter. `taken` says whether the server would accept it:
    /// filters that have asked for it are also told about the others, whose refusal stands whatever they answer.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn rcpt(
        &mut self,
        recipient: &str,
        parameters: &[&str],
        taken: bool,
        macros: &(dyn Macros + Sync),
    ) -> Result<Verdict, Failure> {
        let parameters = parameters.iter().map(|parameter| parameter.as_bytes()).collect();
        let command = Command::Rcpt {
            recipient: recipient.as_bytes(),
            parameters,
        };
        let event = if taken { Event::Rcpt } else { Event::RejectedRcpt };
        self.step(event, &command, macros).await
    }

    /// `DATA`, or the first `BDAT`.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn data(&mut self, macros: &(dyn Macros + Sync)) -> Result<Verdict, Failure> {
        self.step(Event::Data, &Command::Data, macros).await
    }

    /// A command that the server does not know, with its arguments.
    ///
    /// # Errors
    ///
    /// [`Failure`]; see [`Session`].
    pub async fn unknown(&mut self, line: &[u8]) -> Result<Verdict, Failure> {
        self.step(Event::Unknown, &Command::Unknown(line), &()).await
    }

    /// Gives up the message (`RSET`, a refusal, a client that is gone, another filter that has decided). Outside of a message
    /// nothing is sent.
    pub async fn abort(&mut self) {
        (self.failed, self.decided) = (false, false);
        self.forget_piece();
        if let Some(mut link) = self.link.take() {
            link.let_memory_go();
            let told = link.conversation.abort();
            let limit = self.service.filter().timeouts.command;
            if !told || link.send(&Command::Abort, limit).await.is_ok() {
                self.link = Some(link);
            }
        }
    }

    /// Ends the session. The connection is kept for another one if the filter allows it.
    pub async fn quit(mut self) {
        self.abort().await;
        if let Some(link) = self.link.take() {
            self.service.give_back(link).await;
        }
    }

    /// Opens a connection and sends what the filter must know before a message: when the client connects, or again after a
    /// failure. Returns the first answer that is not "continue".
    async fn greet(&mut self, macros: &(dyn Macros + Sync), reuse: bool) -> Result<Verdict, Failure> {
        let (host, peer) = self.peer.clone().unwrap_or((Vec::new(), Peer::Unknown));
        let command = Command::Connect { host: &host, peer };
        let service = Arc::clone(&self.service);
        if let Some(mut link) = reuse.then(|| service.reuse()).flatten() {
            match link
                .step(service.filter(), Event::Connect, &command, macros)
                .await
            {
                Ok(verdict) => {
                    self.keep(link, &verdict).await;
                    return Ok(verdict);
                }
                // Nothing of this session was lost with it: a new connection is enough.
                Err(failure) if refuses_reuse(&failure) => service.refuse_reuse(),
                Err(_) => {}
            }
        }
        self.link = Some(service.open().await?);
        self.used = false;
        let verdict = self.step(Event::Connect, &command, macros).await?;
        match self.helo.clone() {
            Some(name) if verdict == Verdict::Continue => {
                self.step(Event::Helo, &Command::Helo(&name), macros).await
            }
            _ => Ok(verdict),
        }
    }

    fn forget_piece(&mut self) {
        self.piece = BytesMut::new();
        self.saves_memory = false;
    }

    async fn step(
        &mut self,
        event: Event,
        command: &Command<'_>,
        macros: &(dyn Macros + Sync),
    ) -> Result<Verdict, Failure> {
        let Some(mut link) = self.take(event)? else {
            return Ok(Verdict::Continue);
        };
        match link.step(self.service.filter(), event, command, macros).await {
            Ok(verdict) => {
                self.keep(link, &verdict).await;
                Ok(verdict)
            }
            Err(failure) if event.in_message() => Err(self.failed(failure)),
            Err(failure) => {
                self.service.note(&failure);
                Err(failure)
            }
        }
    }

    /// Notes a failure of the current message.
    fn failed(&mut self, failure: Failure) -> Failure {
        self.failed = true;
        self.service.note(&failure);
        failure
    }

    /// Takes the connection, which is gone unless it is returned: a step dropped half-way leaves none that is out of step.
    fn take(&mut self, event: Event) -> Result<Option<Link>, Failure> {
        if self.failed && event.in_message() {
            return Err(Failure {
                during: During::Step(event),
                cause: Cause::FailedBefore,
            });
        }
        let link = self.link.take();
        if link.is_none() && self.gone.is_none() && !self.decided && event.in_message() {
            // A step was dropped half-way.
            self.failed = true;
            return Err(Failure {
                during: During::Step(event),
                cause: Cause::Closed,
            });
        }
        Ok(link)
    }

    /// Keeps the connection for the next step, or quits it if there will be none.
    async fn keep(&mut self, mut link: Link, verdict: &Verdict) {
        if link.conversation.is_done_with_session() {
            self.gone = Some(verdict.clone());
            let limit = self.service.filter().timeouts.command;
            let _ = link.send(&Command::Quit, limit).await;
        } else {
            self.link = Some(link);
        }
    }
}
