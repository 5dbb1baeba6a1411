//! Bodies that replace received ones: they are written within the same limits as the first.

use postern_mail::QueueId;

use crate::body::BodyWriter;
use crate::engine::Spool;
use crate::message::Body;
use crate::refusal::Refusal;

/// Reserves disk and memory for bodies that are being written.
pub trait BodyRoom: Send {
    /// A new body begins; earlier ones may still exist.
    fn begin(&mut self);

    /// Reserves room for `more` octets in addition to those that the writer has. It may tell the writer to save memory.
    ///
    /// # Errors
    ///
    /// There is no room; with the reply to the client.
    fn make_room(&mut self, more: usize, writer: &mut BodyWriter) -> Result<(), Refusal>;
}

/// Reserves nothing: for messages made by this server, which are small.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLimit;

impl BodyRoom for NoLimit {
    fn begin(&mut self) {}

    fn make_room(&mut self, _: usize, _: &mut BodyWriter) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Makes bodies for the [`Assembly`](crate::Assembly) that is being inspected.
pub struct NewBodies<'a> {
    spool: &'a dyn Spool,
    room: &'a mut dyn BodyRoom,
}

/// A body that is being written. Dropped without [`finish`](Self::finish) it leaves nothing behind.
pub struct NewBody<'a> {
    writer: BodyWriter,
    room: &'a mut dyn BodyRoom,
    eight_bit: bool,
}

impl<'a> NewBodies<'a> {
    /// In this queue, within the given room.
    pub fn new(spool: &'a dyn Spool, room: &'a mut dyn BodyRoom) -> Self {
        Self { spool, room }
    }

    /// The queue, from which the current body can be read ([`Assembly::read_body`](crate::Assembly::read_body)).
    #[must_use]
    pub fn spool(&self) -> &'a dyn Spool {
        self.spool
    }

    /// Begins one for the message with this id.
    pub fn begin(&mut self, id: QueueId) -> NewBody<'_> {
        self.room.begin();
        NewBody {
            writer: self.spool.another_body(id),
            room: &mut *self.room,
            eight_bit: false,
        }
    }
}

impl NewBody<'_> {
    /// Appends to it: in memory up to [`inline_max`](crate::SpoolSettings::inline_max), then in a file.
    ///
    /// # Errors
    ///
    /// There is no room for it, or the disk fails; the message is refused.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        self.room.make_room(octets.len(), &mut self.writer)?;
        self.eight_bit |= !octets.is_ascii();
        self.writer
            .write(octets)
            .await
            .map_err(|error| Refusal::of_spool(&error))
    }

    /// Whether any non-ASCII octet was written.
    #[must_use]
    pub fn is_eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Ends it, for [`Assembly::replace_body`](crate::Assembly::replace_body). One in a file is on stable storage.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub async fn finish(self) -> Result<Body, Refusal> {
        self.writer
            .finish()
            .await
            .map_err(|error| Refusal::of_spool(&error))
    }
}

impl std::fmt::Debug for NewBodies<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewBodies")
    }
}

impl std::fmt::Debug for NewBody<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewBody").field(&self.writer).finish()
    }
}
