//! What waits in memory for one next hop, of one class of mail: in order of arrival, with a share for retries.

use std::collections::VecDeque;

use postern_mail::QueueId;

use crate::settings::Limits;
use crate::work::Work;

/// Untried messages taken in a row while retries wait.
const UNTRIED_IN_ROW: u8 = 3;

/// Messages of one class for one next hop.
#[derive(Default)]
pub(crate) struct Queue {
    /// Directly from reception.
    fresh: VecDeque<Work>,
    /// Never tried, read back from the spool where they were left because there were too many.
    read_back: VecDeque<Work>,
    /// Deferred before.
    retry: VecDeque<Work>,
    untried_in_row: u8,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.fresh.len() + self.read()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were read from the spool.
    pub(crate) fn read(&self) -> usize {
        self.read_back.len() + self.retry.len()
    }

    /// How many more may be read from the spool.
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        limits.waiting_per_destination.saturating_sub(self.read())
    }

    /// Adds work behind all other of its kind; returns it if there is no room.
    pub(crate) fn push(&mut self, work: Work, limits: &Limits) -> Result<(), Work> {
        let waiting = if work.is_fresh() {
            self.fresh.len()
        } else {
            self.read()
        };
        if waiting >= limits.waiting_per_destination {
            return Err(work);
        }
        self.queue_of(&work).push_back(work);
        Ok(())
    }

    /// Puts back untried work, ahead of all other of its kind.
    pub(crate) fn put_back(&mut self, work: Work) {
        self.queue_of(&work).push_front(work);
    }

    fn queue_of(&mut self, work: &Work) -> &mut VecDeque<Work> {
        if work.is_fresh() {
            &mut self.fresh
        } else if work.is_untried() {
            &mut self.read_back
        } else {
            &mut self.retry
        }
    }

    /// The next one: untried work in order of arrival, with every fourth turn for retries.
    pub(crate) fn next(&mut self) -> Option<Work> {
        let untried = [&self.fresh, &self.read_back].map(|queue| queue.front().map(|work| work.id));
        let from = match untried {
            _ if self.untried_in_row >= UNTRIED_IN_ROW && !self.retry.is_empty() => None,
            [Some(fresh), Some(read)] if read < fresh => Some(&mut self.read_back),
            [Some(_), _] => Some(&mut self.fresh),
            [None, Some(_)] => Some(&mut self.read_back),
            [None, None] => None,
        };
        match from {
            Some(queue) => {
                self.untried_in_row = if self.retry.is_empty() {
                    0
                } else {
                    self.untried_in_row + 1
                };
                queue.pop_front()
            }
            None => {
                self.untried_in_row = 0;
                self.retry.pop_front()
            }
        }
    }

    /// The submitter of the next one.
    pub(crate) fn submitter(&self) -> Option<u64> {
        let fronts = [&self.fresh, &self.read_back, &self.retry];
        fronts
            .into_iter()
            .find_map(|queue| queue.front())
            .map(|work| work.submitter)
    }

    /// Takes these out.
    pub(crate) fn forget(&mut self, ids: &[QueueId]) -> Vec<Work> {
        let mut gone = Vec::new();
        for queue in [&mut self.fresh, &mut self.read_back, &mut self.retry] {
            let (out, kept): (VecDeque<Work>, VecDeque<Work>) = std::mem::take(queue)
                .into_iter()
                .partition(|work| ids.contains(&work.id));
            *queue = kept;
            gone.extend(out);
        }
        gone
    }

    /// Takes all out.
    pub(crate) fn drain(&mut self) -> Vec<Work> {
        let queues = [&mut self.fresh, &mut self.read_back, &mut self.retry];
        queues.into_iter().flat_map(std::mem::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Due;

    fn work(id: i64, attempts: u32) -> Work {
        Work {
            recipients: vec![Due {
                attempts,
                ..Due::fresh(0)
            }],
            ..Work::for_tests(id)
        }
    }

    fn order(queue: &mut Queue) -> Vec<i64> {
        std::iter::from_fn(|| queue.next())
            .map(|work| work.id.as_i64())
            .collect()
    }

    #[test]
    fn what_was_not_tried_goes_by_age_and_what_was_has_every_fourth_place() {
        let limits = Limits::default();
        let mut queue = Queue::default();
        for id in [10, 11, 12, 13, 14] {
            assert!(queue.push(work(id, 0), &limits).is_ok());
        }
        for id in [1, 2] {
            assert!(queue.push(work(id, 3), &limits).is_ok());
        }
        queue.put_back(work(9, 0));
        assert_eq!(queue.len(), 8);
        assert_eq!(order(&mut queue), [9, 10, 11, 1, 12, 13, 14, 2]);
    }
}
