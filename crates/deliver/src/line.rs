//! A fair line: submitters take turns, however many entries each of them has.

use std::collections::{HashMap, VecDeque};

/// Entries by submitter. Submitters take turns.
pub(crate) struct Line<T> {
    queues: HashMap<u64, VecDeque<T>>,
    turns: VecDeque<u64>,
    len: usize,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
        }
    }
}

impl<T> Line<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry behind all others of its submitter.
    pub(crate) fn push(&mut self, submitter: u64, entry: T) {
        self.queue(submitter).push_back(entry);
    }

    /// Adds an entry ahead of all others of its submitter: it has waited before.
    pub(crate) fn push_again(&mut self, submitter: u64, entry: T) {
        self.queue(submitter).push_front(entry);
    }

    fn queue(&mut self, submitter: u64) -> &mut VecDeque<T> {
        self.len += 1;
        self.queues.entry(submitter).or_insert_with(|| {
            self.turns.push_back(submitter);
            VecDeque::new()
        })
    }

    /// Takes the entry that has waited longest, of the submitter whose turn it is.
    pub(crate) fn pop_oldest(&mut self) -> Option<T> {
        self.pop(VecDeque::pop_front)
    }

    /// Takes the entry that came last, of the submitter whose turn it is.
    pub(crate) fn pop_newest(&mut self) -> Option<T> {
        self.pop(VecDeque::pop_back)
    }

    fn pop(&mut self, end: fn(&mut VecDeque<T>) -> Option<T>) -> Option<T> {
        let submitter = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&submitter)?;
        let entry = end(queue);
        self.len -= usize::from(entry.is_some());
        if queue.is_empty() {
            self.queues.remove(&submitter);
        } else {
            self.turns.push_back(submitter);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submitters_take_turns() {
        let mut line = Line::default();
        for entry in 10..14 {
            line.push(1, entry);
        }
        line.push(2, 20);
        line.push_again(1, 9);
        assert_eq!(line.len(), 6);
        let oldest = [line.pop_oldest(), line.pop_oldest(), line.pop_oldest()];
        assert_eq!(oldest, [Some(9), Some(20), Some(10)]);
        line.push(3, 30);
        assert_eq!(
            [
                line.pop_newest(),
                line.pop_newest(),
                line.pop_newest(),
                line.pop_newest()
            ],
            [Some(13), Some(30), Some(12), Some(11)]
        );
        assert!(line.is_empty() && line.pop_oldest().is_none() && line.pop_newest().is_none());
    }
}
