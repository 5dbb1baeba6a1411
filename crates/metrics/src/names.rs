//! Metrics by names from the configuration: of a listener, a directory, a filter.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

/// Most names distinguished. Further ones count as [`OTHER`].
const NAMES_MAX: usize = 100;

/// Everything without a known name.
pub(crate) const OTHER: &str = "other";

/// A value for each name, and one for all others. Names are added and never removed, so counts are kept.
pub(crate) struct ByName<T> {
    /// The first is [`OTHER`]. Few, so a linear search is faster than hashing the text.
    list: ArcSwap<Vec<Arc<Named<T>>>>,
    adding: Mutex<()>,
}

/// A name with its metrics.
pub(crate) struct Named<T> {
    pub(crate) name: Box<str>,
    pub(crate) value: T,
}

impl<T: Default> Default for ByName<T> {
    fn default() -> Self {
        Self {
            list: ArcSwap::from_pointee(vec![Arc::new(Named {
                name: OTHER.into(),
                value: T::default(),
            })]),
            adding: Mutex::new(()),
        }
    }
}

impl<T: Default> ByName<T> {
    /// Adds new names, as far as there is room.
    pub(crate) fn expect<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let _one = self.adding.lock();
        let mut list = (**self.list.load()).clone();
        for name in names {
            if list.len() <= NAMES_MAX && !list.iter().any(|named| &*named.name == name) {
                list.push(Arc::new(Named {
                    name: name.into(),
                    value: T::default(),
                }));
            }
        }
        self.list.store(Arc::new(list));
    }

    /// Passes the value of a name to `note`.
    pub(crate) fn with(&self, name: &str, note: impl FnOnce(&T)) {
        let list = self.list.load();
        let found = list.iter().find(|named| &*named.name == name);
        if let Some(named) = found.or_else(|| list.first()) {
            note(&named.value);
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Named<T>>>> {
        self.list.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atoms::Counter;

    #[test]
    fn names_that_nobody_has_written_are_one() {
        let counters = ByName::<Counter>::default();
        counters.expect(["mx", "submission"]);
        counters.with("mx", Counter::one);
        counters.expect(["mx", "new"]);
        for name in ["mx", "new", "a", "b"] {
            counters.with(name, Counter::one);
        }
        let many: Vec<String> = (0..1_000).map(|number| format!("n{number}")).collect();
        counters.expect(many.iter().map(String::as_str));
        counters.with("n999", Counter::one);
        let all = counters.all();
        let read = |name: &str| {
            all.iter()
                .find(|named| &*named.name == name)
                .map(|named| named.value.get())
        };
        assert_eq!(
            (read("mx"), read("new"), read("submission")),
            (Some(2), Some(1), Some(0))
        );
        assert_eq!(read(OTHER), Some(3), "two unknown ones, and one that had no room");
        assert_eq!(all.len(), NAMES_MAX + 1);
    }
}
