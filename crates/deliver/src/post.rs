//! What a worker holds while it works: a place for its connection, and its count at the next hop. Both end with it, however it
//! ends.

use std::sync::Arc;

use crate::destination::{Destination, Taken};
use crate::seat::Seat;
use crate::settings::Limits;

/// A worker's post at a next hop.
pub(crate) struct Post {
    pub(crate) seat: Seat,
    destination: Arc<Destination>,
    standing: Standing,
}

/// How the destination counts a worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// It has not asked for work since it was started or called.
    Arriving,
    /// It has work.
    Working,
    /// It has nothing to do, and waits to be called.
    Idle,
    /// It is no longer counted.
    Gone,
}

impl Post {
    /// For a worker with this place, if the destination wants one more; `free` is the number of further places.
    pub(crate) fn take_up(
        destination: &Arc<Destination>,
        seat: Seat,
        limits: &Limits,
        free: usize,
    ) -> Option<Self> {
        destination.hire(seat.class(), limits, free).then(|| Self {
            seat,
            destination: destination.clone(),
            standing: Standing::Arriving,
        })
    }

    /// The next message; see [`Destination::take`].
    pub(crate) fn take(&mut self, may_wait: bool) -> Taken {
        let seat = &self.seat;
        let arriving = self.standing == Standing::Arriving;
        let taken = self
            .destination
            .take(seat.class(), |class| seat.change(class), may_wait, arriving);
        self.standing = match taken {
            Taken::Work(_) => Standing::Working,
            Taken::Idle => Standing::Idle,
            Taken::Leave => Standing::Gone,
        };
        taken
    }

    /// It was idle, and has been called to work.
    pub(crate) fn was_called(&mut self) {
        self.standing = Standing::Arriving;
    }

    /// It is idle and wants to end; see [`Destination::withdraw`].
    pub(crate) fn withdraw(&mut self) -> bool {
        let ends = self.destination.withdraw(self.seat.class());
        if ends {
            self.standing = Standing::Gone;
        }
        ends
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let class = self.seat.class();
        match self.standing {
            Standing::Arriving => self.destination.leave(class, true),
            Standing::Working => self.destination.leave(class, false),
            Standing::Idle => self.destination.leave_idle(class),
            Standing::Gone => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use jiff::Timestamp;
    use postern_policy::concurrency::Class;
    use postern_policy::route::TlsLevel;

    use super::*;
    use crate::hop::{HopKind, NextHop};
    use crate::work::Work;

    /// Workers, idle ones, and how many more are wanted for two messages.
    fn counts(destination: &Destination, limits: &Limits) -> (usize, usize, usize) {
        let status = destination.status(Timestamp::UNIX_EPOCH, |time| time);
        let mut wanted = 0;
        while destination.hire(Class::Users, limits, 100) {
            wanted += 1;
        }
        for _ in 0..wanted {
            destination.leave(Class::Users, true);
        }
        (status.connections, status.idle, wanted)
    }

    /// However a worker ends, also by a panic, its destination knows.
    #[test]
    fn a_worker_that_is_dropped_counts_no_more() {
        let limits = Limits::default();
        // What the case shows, and how far the worker comes.
        for (shows, asks, called) in [
            ("before it has asked", 0, false),
            ("at work", 1, false),
            ("idle", 3, false),
            ("idle, and called", 3, true),
        ] {
            let hop = NextHop {
                kind: HopKind::Maildir(PathBuf::from("/x")),
                tls: TlsLevel::None,
                verify: false,
                login: None,
                lane: postern_policy::route::Lane::default(),
            };
            let destination = Arc::new(Destination::new(hop.name(), hop));
            for id in 1..=2 {
                destination.offer(Work::for_tests(id), &limits).ok();
            }
            let seat = Seat::local(Class::Users);
            let mut post = Post::take_up(&destination, seat, &limits, 100).unwrap();
            for _ in 0..asks {
                drop(post.take(true));
            }
            if called {
                destination.offer(Work::for_tests(3), &limits).ok();
            }
            let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                let _post = post;
                std::panic::resume_unwind(Box::new("a worker's panic"));
            }));
            assert!(panics.is_err());
            for id in 4..=5 {
                destination.offer(Work::for_tests(id), &limits).ok();
            }
            assert_eq!(counts(&destination, &limits), (0, 0, 2), "{shows}");
        }
    }
}
