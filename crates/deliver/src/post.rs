//! What a worker has while it works: a place for its connection, and that the next hop counts it. Both end with it, however it ends.

use std::sync::Arc;

use crate::destination::{Destination, Taken};
use crate::seat::Seat;

/// A worker's post at a next hop.
pub(crate) struct Post {
    pub(crate) seat: Seat,
    destination: Arc<Destination>,
    /// Whether it has not asked for work since it was started or called.
    arriving: bool,
    counts: bool,
}

impl Post {
    /// For a worker that [`Destination::hire`] has counted.
    pub(crate) fn new(destination: Arc<Destination>, seat: Seat) -> Self {
        Self {
            seat,
            destination,
            arriving: true,
            counts: true,
        }
    }

    /// The next message; see [`Destination::take`].
    pub(crate) fn take(&mut self, may_wait: bool) -> Taken {
        let seat = &self.seat;
        let arriving = std::mem::take(&mut self.arriving);
        let taken = self
            .destination
            .take(seat.class(), |class| seat.change(class), may_wait, arriving);
        self.counts = !matches!(taken, Taken::Leave);
        taken
    }

    /// It was idle, and has been called to work.
    pub(crate) fn was_called(&mut self) {
        self.arriving = true;
    }

    /// It is idle and wants to end; see [`Destination::withdraw`].
    pub(crate) fn withdraw(&mut self) -> bool {
        let ends = self.destination.withdraw(self.seat.class());
        self.counts = !ends;
        ends
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if self.counts {
            self.destination.leave(self.seat.class(), self.arriving);
        }
    }
}
