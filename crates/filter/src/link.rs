//! A connection on which everything is agreed, and one step after the other on it.

use std::time::Duration;

use postern_milter::frame::Packet;
use postern_milter::lines::BodyLines;
use postern_milter::negotiation::{Options, agree};
use postern_milter::{Answer, Change, Command, Conversation, Event, Fault, Macros, Plan, Reply, Verdict};
use tokio::time::{Instant, timeout, timeout_at};

use crate::body::NewBody;
use crate::failure::{Cause, During, Failure};
use crate::session::{End, EndError};
use crate::settings::Filter;
use crate::wire::Wire;

/// Most lists of macros that a filter may send before its choice: each stage twice.
const LISTS_MAX: usize = 14;

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

    /// Tells a step and takes its answer. The end of a message has a function of its own.
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
        let plan = self.tell(event, command, macros).map_err(failed)?;
        let limit = filter.timeouts.command;
        if plan != Plan::Ask {
            // Fields and pieces of the body are gathered; all else the filter hears at once, as it would have to answer at once.
            let content = matches!(event, Event::Header | Event::EndOfHeader | Event::Body);
            if plan == Plan::Tell && (!content || self.wire.is_full()) {
                let sent = timeout(limit, self.wire.flush()).await;
                sent.unwrap_or(Err(Cause::TimedOut(limit))).map_err(failed)?;
            }
            return Ok(Verdict::Continue);
        }
        let mut clock = Clock::start(Instant::now(), limit, filter.timeouts.progress);
        clock.limit(self.wire.flush()).await.map_err(failed)?;
        loop {
            let packet = clock.limit(self.wire.receive()).await.map_err(failed)?;
            match self.understand(event, &packet).map_err(failed)? {
                Answer::Final(verdict) => return Ok(verdict),
                _ => clock.restart(Instant::now()),
            }
        }
    }

    /// Puts macros and command behind what waits to be sent.
    fn tell(
        &mut self,
        event: Event,
        command: &Command<'_>,
        macros: &(dyn Macros + Sync),
    ) -> Result<Plan, Cause> {
        let plan = self.conversation.plan(event)?;
        if plan == Plan::Pass {
            return Ok(plan);
        }
        if plan == Plan::Ask {
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

    /// Ends a message: takes all changes, and the answer behind them.
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
        if self.tell(Event::End, &Command::End, macros).map_err(failed)? != Plan::Ask {
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
                Answer::Change(change) => wanted.add(change, filter).map_err(failed)?,
                Answer::BodyPiece(piece) => {
                    wanted.add_piece(piece, filter).map_err(failed)?;
                    wanted.write(new_body).await?;
                }
                Answer::Final(verdict) => break verdict,
            }
            clock.restart(Instant::now());
        };
        // An answer too many now is one too few at a step before: this one may have been meant for that.
        match self.wire.check_quiet() {
            Ok(()) | Err(Cause::Closed) => {}
            Err(cause) => return Err(failed(cause)),
        }
        if !matches!(verdict, Verdict::Continue | Verdict::Accept) {
            return Ok(End::through(verdict));
        }
        if let Some(body) = &mut wanted.body {
            body.lines.finish(&mut body.pending);
        }
        wanted.write(new_body).await?;
        Ok(End {
            verdict,
            changes: wanted.changes,
            body_replaced: wanted.body.is_some(),
        })
    }

    /// Whether the connection is still there and nothing has come on it.
    pub(crate) fn check_quiet(&mut self) -> Result<(), Cause> {
        self.wire.check_quiet()
    }

    /// Octets that wait to be sent.
    pub(crate) fn waiting(&self) -> usize {
        self.wire.waiting()
    }

    /// Sends what needs no answer as soon as so many octets of it wait; until the message is over.
    pub(crate) fn gather_up_to(&mut self, octets: usize) {
        self.wire.gather_up_to(octets);
    }

    /// Lets memory go that a message has taken.
    pub(crate) fn let_memory_go(&mut self) {
        self.wire.let_memory_go();
    }

    /// Sends a command that has no answer.
    pub(crate) async fn send(&mut self, command: &Command<'_>, limit: Duration) -> Result<(), Cause> {
        self.wire.put(command, usize::MAX)?;
        timeout(limit, self.wire.flush())
            .await
            .unwrap_or(Err(Cause::TimedOut(limit)))
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

/// What a filter wants changed, until its answer says whether it counts.
#[derive(Default)]
struct Wanted {
    changes: Vec<Change>,
    size: usize,
    body: Option<Body>,
}

#[derive(Default)]
struct Body {
    lines: BodyLines,
    len: u64,
    pending: Vec<u8>,
}

impl Wanted {
    fn add(&mut self, change: Change, filter: &Filter) -> Result<(), Cause> {
        self.size += change.size();
        if self.size > filter.changes_size_max {
            return Err(Cause::TooMuch {
                what: "changes",
                max: filter.changes_size_max as u64,
            });
        }
        self.changes.push(change);
        Ok(())
    }

    fn add_piece(&mut self, piece: &[u8], filter: &Filter) -> Result<(), Cause> {
        let body = self.body.get_or_insert_default();
        body.len += piece.len() as u64;
        if body.len > filter.body_size_max {
            return Err(Cause::TooMuch {
                what: "body",
                max: filter.body_size_max,
            });
        }
        body.lines.feed(piece, &mut body.pending);
        Ok(())
    }

    async fn write(&mut self, new_body: &mut impl NewBody) -> Result<(), EndError> {
        if let Some(body) = &mut self.body
            && !body.pending.is_empty()
        {
            new_body.write(&body.pending).await.map_err(EndError::NewBody)?;
            body.pending.clear();
        }
        Ok(())
    }
}

/// The time that an answer may take.
struct Clock {
    limit: Duration,
    next: Instant,
    last: Instant,
}

impl Clock {
    fn start(now: Instant, limit: Duration, longest: Duration) -> Self {
        Self {
            limit,
            next: now + limit,
            last: now + limit.max(longest),
        }
    }

    /// Something has come: the time starts anew, but not for ever.
    fn restart(&mut self, now: Instant) {
        self.next = (now + self.limit).min(self.last);
    }

    async fn limit<T>(&self, work: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
        timeout_at(self.next, work)
            .await
            .unwrap_or(Err(Cause::TimedOut(self.limit)))
    }
}

/// Whether a failure on a connection that was used before says that the filter does not take such connections.
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
    fn progress_stretches_an_answer_but_not_for_ever() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        let mut clock = Clock::start(start, seconds(10), seconds(25));
        assert_eq!(clock.next, at(10));
        for (now, next) in [(0, 10), (9, 19), (18, 25), (24, 25)] {
            clock.restart(at(now));
            assert_eq!(clock.next, at(next), "a note after {now} s");
        }
        let clock = Clock::start(start, seconds(10), seconds(5));
        assert_eq!(clock.next, at(10), "without a note the limit alone counts");
    }

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
