//! One message over one dialogue: `MAIL`, `RCPT`, and `DATA` or `BDAT` (RFC 5321 section 3.3, RFC 2920, RFC 3030, RFC 2033).

use std::io::Write as _;

use postern_mail::{BodyKind, Envelope, Recipient, ReversePath};

use super::capabilities::Capabilities;
use super::command::{self, Declared};
use super::{Protocol, Stage, objection};
use crate::reply::{Class, Reply};

/// Hands one message to one peer.
///
/// Call [`Transaction::next`] and do what it says, until it says [`Next::Done`]; then [`Transaction::finish`] returns the verdict
/// for each recipient. With `PIPELINING`, all commands up to `DATA` are written at once; with `CHUNKING` as well, a small message
/// is sent along with them, in one round trip altogether.
///
/// The next transaction on the same dialogue begins when this one is done.
#[derive(Debug)]
pub struct Transaction<'a> {
    protocol: Protocol,
    peer: &'a Capabilities,
    order: Order<'a>,
    form: BodyForm,
    eager: bool,

    phase: Phase,
    /// Commands written, `MAIL` being the first.
    sent: usize,
    /// Replies received to them.
    answered: usize,
    /// The answer to `MAIL`, if it was no.
    mail_refused: bool,
    progress: Vec<Progress>,
    /// LMTP: the recipient whose final answer is next.
    next_final: usize,
    reusable: bool,
}

/// What to hand over.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The message's envelope, of whose recipients only those in [`Order::recipients`] count.
    pub envelope: &'a Envelope,
    /// The sender to give in `MAIL`: the envelope's, or a rewritten one.
    pub sender: &'a ReversePath,
    /// The recipients of this transaction, at least one.
    pub recipients: &'a [&'a Recipient],
    /// What [`needs::check`](super::needs::check) chose.
    pub declared: Declared,
    /// The exact length of the content in octets, before dots are stuffed.
    pub size: u64,
    /// Whether `BDAT` may be used where offered. `BINARYMIME` needs it in any case.
    pub chunking: bool,
    /// Whether the content may be sent along with the envelope, before it is known whether the peer takes any recipient: useful
    /// for content that fits in a few packets. Needs `CHUNKING` and `PIPELINING`.
    pub eager: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Envelope,
    Body,
    EndOfData,
    Reset,
    Done,
}

#[derive(Clone, Debug)]
enum Progress {
    Unasked,
    Accepted,
    Decided(Verdict),
}

/// How the content is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyForm {
    /// Through [`DotStuffer`](super::DotStuffer), with its end.
    Dots,
    /// As it is, exactly as many octets as were announced.
    Chunk,
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Next {
    /// Send what was written, read a reply, hand it to [`Transaction::reply`].
    Read(Stage),
    /// Send what was written, then the content. For a small one, both fit into one write.
    Body(BodyForm),
    /// Send what was written, if anything, and call [`Transaction::finish`].
    Done,
}

/// The verdict on one recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The peer has the message and answers for it.
    Taken(Reply),
    /// The peer refused, for now (4xx) or for good (5xx).
    Refused(Stage, Reply),
    /// To be sent in another transaction: the peer takes no more recipients in this one, but took others (RFC 5321 section
    /// 4.5.3.1.10).
    NextTransaction,
    /// The peer announced `CHUNKING` but does not know `BDAT`. With `DATA`, over a new connection, it may take the message.
    NoBdat(Reply),
    /// The connection broke while waiting in this stage. After [`Stage::EndOfData`] the peer may have the message.
    Lost(Stage),
}

/// The end of a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finished {
    /// One for each recipient, in their order.
    pub verdicts: Vec<Verdict>,
    /// Whether another transaction may follow on this dialogue.
    pub reusable: bool,
}

impl<'a> Transaction<'a> {
    /// A transaction with this peer.
    #[must_use]
    pub fn new(protocol: Protocol, peer: &'a Capabilities, order: Order<'a>) -> Self {
        let chunk = peer.chunking && (order.chunking || order.declared.body == BodyKind::BinaryMime);
        Self {
            protocol,
            peer,
            order,
            form: if chunk { BodyForm::Chunk } else { BodyForm::Dots },
            // An LMTP server replies once per accepted recipient; how often if it accepted none is not defined.
            eager: order.eager && chunk && peer.pipelining && protocol == Protocol::Smtp,
            phase: Phase::Envelope,
            sent: 0,
            answered: 0,
            mail_refused: false,
            progress: vec![Progress::Unasked; order.recipients.len()],
            next_final: 0,
            reusable: true,
        }
    }

    /// Says what to do next, and appends to `out` what is to be sent for it.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Next {
        match self.phase {
            Phase::Envelope => {
                if self.peer.pipelining && self.sent == 0 {
                    self.write_all(out);
                    if self.eager {
                        self.write_chunk(out);
                        return Next::Body(BodyForm::Chunk);
                    }
                } else if self.sent == self.answered {
                    self.write_command(self.sent, out);
                }
                Next::Read(self.stage())
            }
            Phase::Body => {
                self.phase = Phase::EndOfData;
                if !self.any_accepted() {
                    // `354` although no recipient was taken: end the data at once (RFC 2920 section 3.1).
                    out.extend_from_slice(b".\r\n");
                    return Next::Read(Stage::EndOfData);
                }
                if self.form == BodyForm::Chunk {
                    self.write_chunk(out);
                }
                Next::Body(self.form)
            }
            Phase::EndOfData => Next::Read(Stage::EndOfData),
            Phase::Reset => {
                out.extend_from_slice(b"RSET\r\n");
                Next::Read(Stage::Reset)
            }
            Phase::Done => Next::Done,
        }
    }

    /// Takes the reply that [`Transaction::next`] said to read.
    pub fn reply(&mut self, reply: Reply) {
        if reply.code == 421 {
            // The peer is closing the connection (RFC 5321 section 3.8): this answers everything still open.
            let stage = self.stage();
            self.decide_open(|| Verdict::Refused(stage, reply.clone()));
            self.end(false);
            return;
        }
        match self.phase {
            Phase::Envelope => self.envelope_reply(reply),
            Phase::EndOfData => self.final_reply(reply),
            Phase::Reset => self.end(reply.is_success()),
            Phase::Body | Phase::Done => self.end(false),
        }
    }

    /// The connection broke, a time limit passed, or the input was not a reply: whatever is open stays open.
    pub fn lost(&mut self) {
        let stage = self.stage();
        self.decide_open(|| Verdict::Lost(stage));
        self.end(false);
    }

    /// What the next reply answers.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.phase {
            Phase::Envelope if self.answered == 0 => Stage::Mail,
            Phase::Envelope if self.answered <= self.order.recipients.len() => Stage::Recipient,
            Phase::Envelope if self.form == BodyForm::Dots => Stage::Data,
            Phase::Envelope | Phase::Body | Phase::EndOfData | Phase::Done => Stage::EndOfData,
            Phase::Reset => Stage::Reset,
        }
    }

    /// How the content is framed, if it is sent.
    #[must_use]
    pub fn form(&self) -> BodyForm {
        self.form
    }

    /// Whether any reply has come. If none has, the peer may simply have closed an idle connection.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.answered > 0
    }

    /// The verdict on each recipient.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        if self.phase != Phase::Done {
            self.lost();
        }
        let stage = self.stage();
        let progressed = self.progress.iter().any(|progress| !postponed(progress));
        let verdicts = self.progress.into_iter().map(|progress| match progress {
            // If none was accepted, another transaction would end the same way.
            Progress::Decided(Verdict::Refused(Stage::Recipient, reply))
                if progressed && objection::means_too_many(&reply) =>
            {
                Verdict::NextTransaction
            }
            Progress::Decided(verdict) => verdict,
            Progress::Unasked | Progress::Accepted => Verdict::Lost(stage),
        });
        Finished {
            verdicts: verdicts.collect(),
            reusable: self.reusable,
        }
    }

    fn envelope_reply(&mut self, reply: Reply) {
        let stage = self.stage();
        let place = self.answered;
        self.answered += 1;
        match stage {
            Stage::Mail if !reply.is_success() => {
                self.mail_refused = true;
                self.decide_open(|| Verdict::Refused(Stage::Mail, reply.clone()));
                if self.sent == self.answered {
                    self.end(true);
                }
            }
            Stage::Mail => {}
            Stage::Recipient => {
                if let Some(progress @ Progress::Unasked) = self.progress.get_mut(place - 1) {
                    *progress = if reply.is_success() {
                        Progress::Accepted
                    } else {
                        Progress::Decided(Verdict::Refused(Stage::Recipient, reply))
                    };
                }
                if place == self.order.recipients.len() {
                    self.envelope_ended();
                }
            }
            Stage::Data if reply.class() == Class::Intermediate => self.phase = Phase::Body,
            Stage::Data => {
                self.decide_open(|| Verdict::Refused(Stage::Data, reply.clone()));
                self.reset();
            }
            _ => self.end(false),
        }
    }

    /// All recipients have been answered.
    fn envelope_ended(&mut self) {
        let pipelined_data = self.sent > self.answered;
        if pipelined_data {
            return;
        }
        if self.eager {
            self.phase = Phase::EndOfData;
        } else if !self.any_accepted() {
            self.reset();
        } else if self.form == BodyForm::Chunk {
            self.phase = Phase::Body;
        }
    }

    fn final_reply(&mut self, reply: Reply) {
        let verdict = |reply: Reply| {
            if reply.is_success() {
                Verdict::Taken(reply)
            } else {
                Verdict::Refused(Stage::EndOfData, reply)
            }
        };
        if !self.any_accepted() {
            // The reply to content that was for nobody.
            self.reset();
            return;
        }
        let may_go_by_data = self.form == BodyForm::Chunk && self.order.declared.body != BodyKind::BinaryMime;
        if may_go_by_data && objection::means_no_bdat(&reply) {
            self.decide_open(|| Verdict::NoBdat(reply.clone()));
            self.end(false);
            return;
        }
        match self.protocol {
            Protocol::Smtp => {
                self.decide_open(|| verdict(reply.clone()));
                self.end(true);
            }
            Protocol::Lmtp => {
                let open = |progress: &Progress| matches!(progress, Progress::Accepted);
                let from = self.next_final;
                if let Some(at) = self.progress[from..].iter().position(open).map(|at| at + from) {
                    self.progress[at] = Progress::Decided(verdict(reply));
                    self.next_final = at + 1;
                }
                if !self.any_accepted() {
                    self.end(true);
                }
            }
        }
    }

    fn any_accepted(&self) -> bool {
        self.progress
            .iter()
            .any(|progress| matches!(progress, Progress::Accepted))
    }

    fn decide_open(&mut self, verdict: impl Fn() -> Verdict) {
        for progress in &mut self.progress {
            if !matches!(progress, Progress::Decided(_)) {
                *progress = Progress::Decided(verdict());
            }
        }
    }

    /// Ends a transaction that the peer still holds open.
    fn reset(&mut self) {
        if self.mail_refused {
            self.end(true);
        } else {
            self.phase = Phase::Reset;
        }
    }

    fn end(&mut self, reusable: bool) {
        self.phase = Phase::Done;
        self.reusable = reusable;
    }

    fn write_all(&mut self, out: &mut Vec<u8>) {
        let data = usize::from(self.form == BodyForm::Dots);
        for place in 0..=self.order.recipients.len() + data {
            self.write_command(place, out);
        }
    }

    fn write_command(&mut self, place: usize, out: &mut Vec<u8>) {
        match place.checked_sub(1) {
            None => {
                let Order {
                    sender,
                    envelope,
                    declared,
                    ..
                } = &self.order;
                command::mail(out, sender, envelope, declared, self.peer);
            }
            Some(index) => match self.order.recipients.get(index) {
                Some(recipient) => command::rcpt(out, recipient, &self.order.declared, self.peer),
                None => out.extend_from_slice(b"DATA\r\n"),
            },
        }
        self.sent = place + 1;
    }

    fn write_chunk(&self, out: &mut Vec<u8>) {
        // Writing into a `Vec` does not fail.
        let _ = write!(out, "BDAT {} LAST\r\n", self.order.size);
    }
}

fn postponed(progress: &Progress) -> bool {
    matches!(progress, Progress::Decided(Verdict::Refused(Stage::Recipient, reply)) if objection::means_too_many(reply))
}

#[cfg(test)]
mod tests;
