//! Who looks at messages before they are queued: filters, which judge and change, and signers, which seal what will really be sent.
//!
//! An [`Inspector`] is asked about each message when it begins. If it wants to see it, its [`Inspection`] sees the header when that
//! is complete, the body as it arrives, and at last the [`Assembly`]: trace and completing fields are in there, nothing comes
//! after it but the commit. They work by their [`Stage`]: judges, filters, signers; within a stage in the order in which they are listed.
//! Messages that nobody wants to see cost one look at an empty list.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use postern_mail::Header;

use crate::assembly::{Arrival, Assembly};
use crate::engine::Spool;
use crate::error::SpoolError;
use crate::refusal::Refusal;
use crate::rework::{BodyRoom, NewBodies};

/// When somebody looks at a message, compared to others.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Before all filters: says what is known of a message as it came.
    Judge,
    /// Among the filters, which may refuse and change it. The mail filters of a session are asked before these.
    Filter,
    /// Behind all others: what it sees is what is sent.
    Signer,
}

/// Looks at messages. One serves all sessions.
pub trait Inspector: Send + Sync {
    /// When it looks.
    fn stage(&self) -> Stage {
        Stage::Filter
    }

    /// Begins to look at a message; `None` if it does not want to see this one.
    fn begin(&self, arrival: &Arrival<'_>) -> Option<Box<dyn Inspection>>;
}

/// Looks at one message. Dropped before [`finish`](Self::finish) when the message is given up.
///
/// The peer is not read from while a call waits, so each call has to end by itself, and soon: who asks another program sets a
/// limit to its time.
pub trait Inspection: Send {
    /// The header that has arrived, put in order, before anything is added.
    ///
    /// # Errors
    ///
    /// The message is not to be taken.
    fn header<'a>(&'a mut self, header: &'a Header) -> InspectionFuture<'a>;

    /// The next octets of the body, never empty.
    ///
    /// # Errors
    ///
    /// The message is not to be taken.
    fn body<'a>(&'a mut self, octets: &'a [u8]) -> InspectionFuture<'a>;

    /// The message as it will be sent, as far as those behind it let it be. Its header, body, envelope and hold may be changed; a new
    /// body comes from `bodies`, from which the one that there is can be read, too.
    ///
    /// # Errors
    ///
    /// The message is not to be taken. Changes made until then count for nothing.
    fn finish<'a>(
        self: Box<Self>,
        assembly: &'a mut Assembly,
        bodies: &'a mut NewBodies<'_>,
    ) -> InspectionFuture<'a>;
}

/// A call on its way.
pub type InspectionFuture<'a> = BoxFuture<'a, Result<(), Refusal>>;

/// All inspectors, in their order.
#[derive(Clone, Default)]
pub struct Inspectors(Vec<Arc<dyn Inspector>>);

/// Those who look at one message.
#[derive(Default)]
pub struct Inspections(Vec<(Stage, Box<dyn Inspection>)>);

impl Inspectors {
    /// These: by their stages, and within a stage in this order.
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

    /// Shows a message that is complete, from its header to its end.
    ///
    /// # Errors
    ///
    /// [`Inspected::Refused`] by the first who does not want it taken, [`Inspected::Unread`] when its body cannot be read.
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
    /// Somebody does not want it taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its body cannot be read.
    #[error(transparent)]
    Unread(SpoolError),
}

impl Inspections {
    /// Whether nobody looks at this message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Parts those who look before the mail filters of a session from those who look behind them.
    #[must_use]
    pub fn part(self) -> (Self, Self) {
        let (judges, others) = self.0.into_iter().partition(|(stage, _)| *stage == Stage::Judge);
        (Self(judges), Self(others))
    }

    /// Shows the header that has arrived.
    ///
    /// # Errors
    ///
    /// Somebody does not want the message taken.
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
    /// Somebody does not want the message taken.
    pub async fn body(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        for (_, one) in &mut self.0 {
            one.body(octets).await?;
        }
        Ok(())
    }

    /// Shows the message as it will be sent, to one after the other: each sees what those before have changed.
    ///
    /// # Errors
    ///
    /// Somebody does not want the message taken.
    pub async fn finish(self, assembly: &mut Assembly, bodies: &mut NewBodies<'_>) -> Result<(), Refusal> {
        for (_, one) in self.0 {
            one.finish(assembly, bodies).await?;
        }
        Ok(())
    }
}
