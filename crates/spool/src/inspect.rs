//! Inspectors of messages before they are queued: judges and filters, which judge and change, and signers, which sign what will
//! be sent.
//!
//! An [`Inspector`] is asked about each message when it begins. If it wants to see it, its [`Inspection`] sees the header when that
//! is complete, the body as it arrives, and finally the [`Assembly`], with trace and completing fields; after that only the
//! commit follows. They work in order of their [`Stage`]: judges, filters, signers; within a stage in the order listed. Messages
//! without inspectors cost one check of an empty list.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use postern_mail::Header;

use crate::assembly::{Arrival, Assembly};
use crate::engine::Spool;
use crate::error::SpoolError;
use crate::refusal::Refusal;
use crate::rework::{BodyRoom, NewBodies};

/// When an inspector sees a message, relative to others.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Before all filters: judges a message as received.
    Judge,
    /// Among the filters, which may refuse and change it. The mail filters of a session are asked before these.
    Filter,
    /// After all others: what it sees is what is sent.
    Signer,
}

/// Inspects messages. One serves all sessions.
pub trait Inspector: Send + Sync {
    /// Its stage.
    fn stage(&self) -> Stage {
        Stage::Filter
    }

    /// Begins to inspect a message; `None` if it does not want to see this one.
    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>>;
}

/// Inspects one message. Dropped before [`finish`](Self::finish) if the message is given up.
///
/// Nothing is read from the peer while a call waits, so each call must end by itself, and soon: one that asks another program
/// must set a time limit.
pub trait Inspection: Send {
    /// The received header, cleaned up, before anything is added.
    ///
    /// # Errors
    ///
    /// The message is refused.
    fn header<'a>(&'a mut self, header: &'a Header) -> InspectionFuture<'a>;

    /// The next octets of the body, never empty.
    ///
    /// # Errors
    ///
    /// The message is refused.
    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a>;

    /// The message as it will be sent, unless later inspectors change it. Its header, body, envelope and hold may be changed; a
    /// new body comes from `bodies`, through which the current one can be read too.
    ///
    /// # Errors
    ///
    /// The message is refused. Changes made until then are discarded.
    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        bodies: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a>;
}

/// The future of a call.
pub type InspectionFuture<'a> = BoxFuture<'a, Result<(), Refusal>>;

/// All inspectors, in order.
#[derive(Clone, Default)]
pub struct Inspectors(Vec<Arc<dyn Inspector>>);

/// The inspections of one message.
#[derive(Default)]
pub struct Inspections(Vec<(Stage, Box<dyn Inspection>)>);

impl Inspectors {
    /// Sorted by stage, and within a stage in the order given.
    #[must_use]
    pub fn new(mut inspectors: Vec<Arc<dyn Inspector>>) -> Self {
        inspectors.sort_by_key(|one| one.stage());
        Self(inspectors)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins with a message.
    #[must_use]
    pub fn begin(&self, arrival: &Arrival<'_>) -> Inspections {
        let begun = self
            .0
            .iter()
            .filter_map(|one| Some((one.stage(), one.begin(arrival)?)));
        Inspections(begun.collect())
    }

    /// Shows a complete message, from header to end.
    ///
    /// # Errors
    ///
    /// [`Inspected::Refused`] by the first that refuses it, [`Inspected::Unread`] if its body cannot be read.
    pub async fn inspect(
        &self,
        assembly: &mut Assembly,
        spool: &dyn Spool,
        room: &mut dyn BodyRoom,
    ) -> Result<(), Inspected> {
        let mut inspections = self.begin(&assembly.arrival());
        if inspections.is_empty() {
            return Ok(());
        }
        inspections.header(assembly.header_mut()).await?;
        let mut body = assembly.read_body(spool);
        while let Some(piece) = body.piece().await.map_err(Inspected::Unread)? {
            inspections.body(&piece).await?;
        }
        inspections
            .finish(assembly, &mut NewBodies::new(spool, room))
            .await?;
        Ok(())
    }
}

impl std::fmt::Debug for Inspectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Inspectors").field(&self.0.len()).finish()
    }
}

/// Why a message in memory did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Inspected {
    /// An inspector refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its body cannot be read.
    #[error(transparent)]
    Unread(SpoolError),
}

impl Inspections {
    /// Whether there are no inspections of this message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Separates the inspections before the mail filters of a session from those after them.
    #[must_use]
    pub fn part(self) -> (Self, Self) {
        let (judges, others) = self.0.into_iter().partition(|(stage, _)| *stage == Stage::Judge);
        (Self(judges), Self(others))
    }

    /// Shows the received header.
    ///
    /// # Errors
    ///
    /// An inspector refused the message.
    pub async fn header(&mut self, header: &Header) -> Result<(), Refusal> {
        for (_, one) in &mut self.0 {
            one.header(header).await?;
        }
        Ok(())
    }

    /// Shows the next octets of the body.
    ///
    /// # Errors
    ///
    /// An inspector refused the message.
    pub async fn body(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        for (_, one) in &mut self.0 {
            one.body(octets).await?;
        }
        Ok(())
    }

    /// Shows the message as it will be sent to each in turn: each sees the changes of those before it.
    ///
    /// # Errors
    ///
    /// An inspector refused the message.
    pub async fn finish(self, assembly: &mut Assembly, bodies: &mut NewBodies<'_>) -> Result<(), Refusal> {
        for (_, one) in self.0 {
            one.finish(assembly, bodies).await?;
        }
        Ok(())
    }
}
