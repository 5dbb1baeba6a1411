//! A negotiated connection, and the steps on it.

use std::borrow::Cow;
use std::time::Duration;

use postern_milter::frame::Packet;
use postern_milter::lines::value_for_filter;
use postern_milter::negotiation::{Options, agree};
use postern_milter::{Answer, Command, Conversation, Event, Fault, Macros, Plan, Reply, Verdict};
use tokio::time::{Instant, timeout};

use crate::body::NewBody;
use crate::clock::Clock;
use crate::end::{End, EndError};
use crate::failure::{Cause, During, Failure};
use crate::settings::Filter;
use crate::wanted::Wanted;
use crate::wire::Wire;

/// Most lists of macros that a filter may send before its choice: each stage twice.
const LISTS_MAX: usize = 14;

/// Most fields of a header that are sent before the answer to the first of them is read. Their answers must fit in the socket's
/// buffer meanwhile.
const AHEAD: usize = 32;

/// How a header ended.
#[derive(Debug)]
pub(crate) struct HeaderEnd {
    /// The step at which the filter decided; otherwise the end of the header.
    pub(crate) event: Event,
    pub(crate) verdict: Verdict,
    /// Whether more was sent than it has answered. How it handles that is undefined: the connection cannot be used any more.
    pub(crate) out_of_step: bool,
}

#[derive(Debug)]
pub(crate) struct Link {
    wire: Wire,
    pub(crate) conversation: Conversation,
}

impl Link {
    /// Connects and negotiates.
    pub(crate) async fn open(filter: &Filter) -> Result<Self, Failure> {
        let opening = |cause| Failure {
            during: During::Opening,
            cause,
        };
        let limit = filter.timeouts.connect;
        let mut wire = timeout(limit, Wire::connect(&filter.address))
            .await
            .map_err(|_| opening(Cause::TimedOut(limit)))?
            .map_err(|error| opening(Cause::Unreachable(error)))?;
        let limit = filter.timeouts.command;
        let conversation = timeout(limit, negotiate(filter, &mut wire))
            .await
            .unwrap_or(Err(Cause::TimedOut(limit)))
            .map_err(|cause| Failure {
                during: During::Negotiation,
                cause,
            })?;
        Ok(Self { wire, conversation })
    }

    /// Sends a step and takes its answer. The end of a message has a function of its own.
    pub(crate) async fn step(
        &mut self,
        filter: &Filter,
        event: Event,
        command: &Command<'_>,
        macros: &(dyn Macros + Sync),
    ) -> Result<Verdict, Failure> {
        let failed = |cause| Failure {
            during: During::Step(event),
            cause,
        };
        let plan = self.tell(event, command, macros, 0).map_err(failed)?;
        let limit = filter.timeouts.command;
        if plan != Plan::Ask {
            // Fields and pieces of the body are gathered; everything else is sent at once.
            let content = matches!(event, Event::Header | Event::EndOfHeader | Event::Body);
            if plan == Plan::Tell && (!content || self.wire.is_full()) {
                self.send_waiting(limit).await.map_err(failed)?;
            }
            return Ok(Verdict::Continue);
        }
        self.answer(filter, event).await.map_err(failed)
    }

    /// Sends all fields of a header, and its end. With `ahead` many fields are sent together, and their answers are read after
    /// them, in order: a filter reads one command after the other from its socket, however they arrived.
    pub(crate) async fn header(
        &mut self,
        filter: &Filter,
        fields: impl Iterator<Item = (&[u8], &[u8])>,
        ahead: bool,
        macros: &(dyn Macros + Sync),
    ) -> Result<HeaderEnd, Failure> {
        let most = if ahead { AHEAD } else { 1 };
        let mut unanswered = 0;
        if self.conversation.wants(Event::Header) {
            for (name, value) in fields {
                let value = self.value(name, value);
                let command = Command::Header { name, value: &value };
                let failed = |cause| Failure {
                    during: During::Step(Event::Header),
                    cause,
                };
                let plan = self
                    .tell(Event::Header, &command, &(), unanswered)
                    .map_err(failed)?;
                unanswered += usize::from(plan == Plan::Ask);
                if unanswered == most || self.wire.is_full() {
                    if let Some(end) = self.field_answers(filter, &mut unanswered, false).await? {
                        return Ok(end);
                    }
                    self.send_waiting(filter.timeouts.command).await.map_err(failed)?;
                }
            }
        }
        let failed = |cause| Failure {
            during: During::Step(Event::EndOfHeader),
            cause,
        };
        if !ahead && let Some(end) = self.field_answers(filter, &mut unanswered, false).await? {
            return Ok(end);
        }
        let plan = self.tell(Event::EndOfHeader, &Command::EndOfHeader, macros, unanswered);
        let asked = plan.map_err(failed)? == Plan::Ask;
        if let Some(end) = self.field_answers(filter, &mut unanswered, asked).await? {
            return Ok(end);
        }
        let verdict = if asked {
            self.answer(filter, Event::EndOfHeader).await.map_err(failed)?
        } else {
            Verdict::Continue
        };
        Ok(HeaderEnd {
            event: Event::EndOfHeader,
            verdict,
            out_of_step: false,
        })
    }

    /// Takes the answers to this many fields; `Some` for one that decides. `more` says that something else also waits for its
    /// answer.
    async fn field_answers(
        &mut self,
        filter: &Filter,
        unanswered: &mut usize,
        more: bool,
    ) -> Result<Option<HeaderEnd>, Failure> {
        while *unanswered > 0 {
            let answer = self.answer(filter, Event::Header).await;
            let verdict = answer.map_err(|cause| Failure {
                during: During::Step(Event::Header),
                cause,
            })?;
            *unanswered -= 1;
            if verdict != Verdict::Continue {
                return Ok(Some(HeaderEnd {
                    event: Event::Header,
                    verdict,
                    out_of_step: more || *unanswered > 0,
                }));
            }
        }
        Ok(None)
    }

    /// A field's value as sent to the filter: without its first blank unless it wants that, and no longer than a packet.
    fn value<'v>(&self, name: &[u8], value: &'v [u8]) -> Cow<'v, [u8]> {
        let value = value_for_filter(value, self.conversation.leading_blanks());
        // Both strings end with a NUL.
        let packet = self.conversation.agreement().size.octets();
        let most = packet.saturating_sub(name.len() + 2);
        match value {
            Cow::Borrowed(value) => Cow::Borrowed(&value[..value.len().min(most)]),
            Cow::Owned(mut value) => {
                value.truncate(most);
                Cow::Owned(value)
            }
        }
    }

    /// Sends a single field.
    pub(crate) async fn field(
        &mut self,
        filter: &Filter,
        name: &[u8],
        value: &[u8],
    ) -> Result<Verdict, Failure> {
        let value = self.value(name, value);
        let command = Command::Header { name, value: &value };
        self.step(filter, Event::Header, &command, &()).await
    }

    /// Sends what is waiting, and reads until there is an answer.
    async fn answer(&mut self, filter: &Filter, event: Event) -> Result<Verdict, Cause> {
        let mut clock = Clock::start(Instant::now(), filter.timeouts.command, filter.timeouts.progress);
        clock.limit(self.wire.flush()).await?;
        loop {
            let packet = clock.limit(self.wire.receive()).await?;
            match self.understand(event, &packet)? {
                Answer::Final(verdict) => return Ok(verdict),
                _ => clock.restart(Instant::now()),
            }
        }
    }

    /// Appends macros and command to what is waiting to be sent. Nothing may have come from the filter, unless commands are
    /// `unanswered`.
    fn tell(
        &mut self,
        event: Event,
        command: &Command<'_>,
        macros: &(dyn Macros + Sync),
        unanswered: usize,
    ) -> Result<Plan, Cause> {
        let plan = self.conversation.plan(event)?;
        if plan == Plan::Pass {
            return Ok(plan);
        }
        if plan == Plan::Ask && unanswered == 0 {
            self.wire.check_quiet()?;
        }
        let data_max = self.conversation.agreement().size.octets();
        if let Some((stage, values)) = self.conversation.macros(event, macros) {
            let values = values
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let values = values.collect();
            self.wire.put(&Command::Macros { stage, values }, data_max)?;
        }
        if plan != Plan::Macros {
            self.wire.put(command, data_max)?;
        }
        Ok(plan)
    }

    fn understand<'a>(&mut self, event: Event, packet: &'a Packet) -> Result<Answer<'a>, Cause> {
        let reply = Reply::parse(packet.name, &packet.data)?;
        Ok(self.conversation.answer(event, &reply)?)
    }

    /// Ends a message: takes all changes, and the answer after them.
    pub(crate) async fn end(
        &mut self,
        filter: &Filter,
        macros: &(dyn Macros + Sync),
        new_body: &mut impl NewBody,
    ) -> Result<End, EndError> {
        let failed = |cause| {
            EndError::Filter(Failure {
                during: During::Step(Event::End),
                cause,
            })
        };
        if self.tell(Event::End, &Command::End, macros, 0).map_err(failed)? != Plan::Ask {
            return Ok(End::through(Verdict::Continue));
        }
        let limits = filter.timeouts;
        let mut clock = Clock::start(Instant::now(), limits.end_of_message, limits.progress);
        clock.limit(self.wire.flush()).await.map_err(failed)?;
        let mut wanted = Wanted::default();
        let verdict = loop {
            let packet = clock.limit(self.wire.receive()).await.map_err(failed)?;
            match self.understand(Event::End, &packet).map_err(failed)? {
                Answer::Progress => {}
                Answer::Change(change) => {
                    wanted.add(change, filter).map_err(failed)?;
                    new_body
                        .room_for_changes(wanted.size())
                        .map_err(EndError::NewBody)?;
                }
                Answer::BodyPiece(piece) => {
                    wanted.add_piece(piece, filter).map_err(failed)?;
                    wanted.write(new_body).await?;
                }
                Answer::Final(verdict) => break verdict,
            }
            clock.restart(Instant::now());
        };
        // A surplus answer now means one was missing at an earlier step: this one may have been meant for that.
        match self.wire.check_quiet() {
            Ok(()) | Err(Cause::Closed) => {}
            Err(cause) => return Err(failed(cause)),
        }
        if !matches!(verdict, Verdict::Continue | Verdict::Accept) {
            return Ok(End::through(verdict));
        }
        let body_replaced = wanted.finish(new_body).await?;
        Ok(End {
            verdict,
            changes: wanted.changes,
            body_replaced,
        })
    }

    /// Whether the connection still exists and nothing has arrived on it.
    pub(crate) fn check_quiet(&mut self) -> Result<(), Cause> {
        self.wire.check_quiet()
    }

    /// Octets waiting to be sent.
    pub(crate) fn waiting(&self) -> usize {
        self.wire.waiting()
    }

    /// Until the message is over, sends what needs no answer as soon as this many octets are waiting.
    pub(crate) fn gather_up_to(&mut self, octets: usize) {
        self.wire.gather_up_to(octets);
    }

    /// Releases memory that a message has used.
    pub(crate) fn let_memory_go(&mut self) {
        self.wire.let_memory_go();
    }

    /// Sends a command that has no answer.
    pub(crate) async fn send(&mut self, command: &Command<'_>, limit: Duration) -> Result<(), Cause> {
        self.wire.put(command, usize::MAX)?;
        self.send_waiting(limit).await
    }

    async fn send_waiting(&mut self, limit: Duration) -> Result<(), Cause> {
        let sent = timeout(limit, self.wire.flush()).await;
        sent.unwrap_or(Err(Cause::TimedOut(limit)))
    }
}

async fn negotiate(filter: &Filter, wire: &mut Wire) -> Result<Conversation, Cause> {
    let offer = filter.offer();
    wire.put(&Command::Negotiate(Options::from(offer)), usize::MAX)?;
    wire.flush().await?;
    let mut asked = Vec::new();
    loop {
        let packet = wire.receive().await?;
        match Reply::parse(packet.name, &packet.data)? {
            Reply::Negotiate(options) => return Ok(Conversation::new(agree(offer, &options, &asked)?)),
            Reply::SetMacroList { stage, names } if asked.len() < LISTS_MAX => {
                asked.push((stage, names.to_vec()));
            }
            Reply::Progress => {}
            reply => return Err(Cause::Unasked(reply.word().into())),
        }
    }
}

/// Whether a failure on a reused connection says that the filter does not support reuse.
pub(crate) fn refuses_reuse(failure: &Failure) -> bool {
    !matches!(
        failure.cause,
        Cause::Closed | Cause::Broken(_) | Cause::Fault(Fault::Change(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_that_a_connection_is_of_no_more_use_to_others() {
        let failure = |cause| Failure {
            during: During::Step(Event::Connect),
            cause,
        };
        #[rustfmt::skip]
        let cases = [
            ("it waits for something else",     Cause::TimedOut(Duration::ZERO),    true),
            ("it has lost step",                Cause::Unasked("c".into()),         true),
            ("it has closed it meanwhile",      Cause::Closed,                      false),
            ("it broke",                        Cause::Broken(std::io::ErrorKind::Other.into()), false),
        ];
        for (shows, cause, refuses) in cases {
            assert_eq!(refuses_reuse(&failure(cause)), refuses, "{shows}");
        }
    }
}
