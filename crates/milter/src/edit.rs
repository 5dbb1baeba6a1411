//! Applies changes to the fields of a header, and to a list of recipients.

use crate::change::Change;

/// A field of the header as it is after the changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field<'a> {
    /// The field that was at this index, unchanged to the octet.
    Kept(usize),
    /// A new field, or a new value for one.
    New {
        /// Its name. One that was changed keeps its own spelling.
        name: &'a [u8],
        /// Everything after the colon, without the last line end.
        value: &'a [u8],
    },
}

/// Applies changes to the fields of a header, given as names and values from the top.
///
/// The first `own` fields are the server's (its `Received`): filters have not seen them and cannot change them.
///
/// - Added fields go to the end, in the order in which they were requested.
/// - An insertion counts from the top, the own fields included: 0 is above all, with one own field 1 is right below it, and an
///   index beyond the end means the end. Fields deleted by the same filter still count.
/// - A change or deletion counts the fields with that name that the filter has seen, in order, then those that it has added
///   itself. Deleted ones still count, so that deleting "1, 2, 3" (as in sendmail) or "3, 2, 1" means the same fields. 0 means 1.
///   A change beyond the last adds a field, a deletion beyond the last does nothing.
///
/// Names are compared without regard to case (RFC 5322 section 1.2.2).
#[must_use]
pub fn fields<'a>(
    header: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    own: usize,
    changes: &'a [Change],
) -> Vec<Field<'a>> {
    let names = header.into_iter().map(|(name, _)| name);
    fields_unseen(names, |place| place < own, changes)
}

/// The same with the server's fields in any position, as after a filter that has inserted one above them.
#[must_use]
pub fn fields_unseen<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    is_own: impl Fn(usize) -> bool,
    changes: &'a [Change],
) -> Vec<Field<'a>> {
    let slots = names
        .into_iter()
        .enumerate()
        .map(|(place, name)| Slot {
            name,
            seen: !is_own(place),
            field: Some(Field::Kept(place)),
        })
        .collect::<Vec<_>>();
    let order = (0..slots.len()).collect();
    let mut edited = Header { slots, order };
    for change in changes {
        edited.apply(change);
    }
    let Header { slots, order, .. } = edited;
    order.into_iter().filter_map(|slot| slots[slot].field).collect()
}

struct Slot<'a> {
    name: &'a [u8],
    /// Whether the filter has seen it.
    seen: bool,
    /// `None` once it is deleted.
    field: Option<Field<'a>>,
}

struct Header<'a> {
    /// Those in the original header, then new ones in the order in which they came.
    slots: Vec<Slot<'a>>,
    /// Slots from the top.
    order: Vec<usize>,
}

impl<'a> Header<'a> {
    fn apply(&mut self, change: &'a Change) {
        match change {
            Change::AddField { name, value } => self.insert(usize::MAX, name.as_bytes(), value),
            Change::InsertField { index, name, value } => {
                self.insert(*index as usize, name.as_bytes(), value);
            }
            Change::ChangeField { index, name, value } => match self.find(name.as_bytes(), *index) {
                Some(slot) => {
                    slot.field = Some(Field::New {
                        name: slot.name,
                        value,
                    })
                }
                None => self.insert(usize::MAX, name.as_bytes(), value),
            },
            Change::DeleteField { index, name } => {
                if let Some(slot) = self.find(name.as_bytes(), *index) {
                    slot.field = None;
                }
            }
            Change::AddRecipient { .. }
            | Change::RemoveRecipient(_)
            | Change::ChangeSender { .. }
            | Change::Quarantine(_) => {}
        }
    }

    fn insert(&mut self, place: usize, name: &'a [u8], value: &'a [u8]) {
        let place = place.min(self.order.len());
        self.order.insert(place, self.slots.len());
        self.slots.push(Slot {
            name,
            seen: true,
            field: Some(Field::New { name, value }),
        });
    }

    fn find(&mut self, name: &[u8], index: u32) -> Option<&mut Slot<'a>> {
        let index = (index as usize).saturating_sub(1);
        self.slots
            .iter_mut()
            .filter(|slot| slot.seen && slot.name.eq_ignore_ascii_case(name))
            .nth(index)
    }
}

/// A recipient as it is after the changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recipient<'a> {
    /// The one that was at this index.
    Kept(usize),
    /// A new one.
    New {
        /// The address as the filter wrote it.
        recipient: &'a str,
        /// Parameters of `RCPT` separated by spaces.
        parameters: &'a str,
    },
}

/// Applies changes to the recipients of a message. Existing ones are not added again; missing ones are not removed.
///
/// Addresses are the same if their local parts are equal, and their domains are equal ignoring case (RFC 5321 section 2.4); angle
/// brackets are optional.
#[must_use]
pub fn recipients<'a>(
    present: impl IntoIterator<Item = &'a str>,
    changes: &'a [Change],
) -> Vec<Recipient<'a>> {
    let mut list: Vec<(&str, Recipient<'_>)> = present
        .into_iter()
        .enumerate()
        .map(|(place, address)| (address, Recipient::Kept(place)))
        .collect();
    for change in changes {
        match change {
            Change::AddRecipient {
                recipient,
                parameters,
            } if !list.iter().any(|(present, _)| same_address(present, recipient)) => {
                list.push((
                    recipient,
                    Recipient::New {
                        recipient,
                        parameters,
                    },
                ));
            }
            Change::RemoveRecipient(recipient) => {
                list.retain(|(present, _)| !same_address(present, recipient));
            }
            _ => {}
        }
    }
    list.into_iter().map(|(_, recipient)| recipient).collect()
}

/// Whether two spellings mean the same address.
#[must_use]
pub fn same_address(one: &str, other: &str) -> bool {
    let bare = |address: &str| -> (String, String) {
        let address = address.trim();
        let address = address.strip_prefix('<').unwrap_or(address);
        let address = address.strip_suffix('>').unwrap_or(address);
        match address.rsplit_once('@') {
            Some((local, domain)) => (local.to_owned(), domain.to_ascii_lowercase()),
            None => (address.to_owned(), String::new()),
        }
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &str, value: &str) -> Change {
        Change::AddField {
            name: name.into(),
            value: value.into(),
        }
    }

    fn insert(index: u32, name: &str, value: &str) -> Change {
        Change::InsertField {
            index,
            name: name.into(),
            value: value.into(),
        }
    }

    fn change(name: &str, index: u32, value: &str) -> Change {
        Change::ChangeField {
            index,
            name: name.into(),
            value: value.into(),
        }
    }

    fn delete(name: &str, index: u32) -> Change {
        Change::DeleteField {
            index,
            name: name.into(),
        }
    }

    /// The header of each case: an own `Received`, then the received fields. Each field is written as its first letter and its
    /// value.
    const HEADER: [(&str, &str); 5] = [
        ("Received", "own"),
        ("Received", "1"),
        ("X", "1"),
        ("x", "2"),
        ("X", "3"),
    ];

    fn edited(changes: &[Change]) -> String {
        let header = HEADER
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let fields = fields(header, 1, changes);
        let fields = fields.iter().map(|field| match *field {
            Field::Kept(place) => format!("{}{}", &HEADER[place].0[..1], HEADER[place].1),
            Field::New { name, value } => {
                format!("{}{}", char::from(name[0]), String::from_utf8_lossy(value))
            }
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn headers() {
        #[rustfmt::skip]
        let cases: Vec<(&str, Vec<Change>, &str)> = vec![
            ("nothing",                             vec![],                                             "Rown R1 X1 x2 X3"),
            ("added in order",                      vec![add("X", "a"), add("Y", "b"), add("X", "c")],  "Rown R1 X1 x2 X3 Xa Yb Xc"),
            ("above all",                           vec![insert(0, "Y", "a")],                          "Ya Rown R1 X1 x2 X3"),
            ("below the own",                       vec![insert(1, "Y", "a")],                          "Rown Ya R1 X1 x2 X3"),
            ("further down",                        vec![insert(2, "Y", "a"), insert(4, "Y", "b")],     "Rown R1 Ya X1 Yb x2 X3"),
            ("beyond the end",                      vec![insert(99, "Y", "a")],                         "Rown R1 X1 x2 X3 Ya"),
            ("changed, spelled as it was",          vec![change("X", 2, "n")],                          "Rown R1 X1 xn X3"),
            ("changed twice",                       vec![change("X", 1, "a"), change("X", 1, "b")],     "Rown R1 Xb x2 X3"),
            ("0 means 1",                           vec![change("X", 0, "n")],                          "Rown R1 Xn x2 X3"),
            ("changed beyond the last",             vec![change("X", 4, "n")],                          "Rown R1 X1 x2 X3 Xn"),
            ("changed where there is none",         vec![change("Y", 1, "n")],                          "Rown R1 X1 x2 X3 Yn"),
            ("the own one is not seen",             vec![change("Received", 1, "n"), delete("Received", 2)], "Rown Rn X1 x2 X3"),
            ("deleted upwards",                     vec![delete("X", 1), delete("X", 2), delete("X", 3)], "Rown R1"),
            ("deleted downwards",                   vec![delete("X", 3), delete("X", 2), delete("X", 1)], "Rown R1"),
            ("the first, three times over",         vec![delete("X", 1), delete("X", 1), delete("X", 1)], "Rown R1 x2 X3"),
            ("deleted beyond the last",             vec![delete("X", 4)],                               "Rown R1 X1 x2 X3"),
            ("deleted and changed after all",       vec![delete("X", 1), change("X", 1, "n")],          "Rown R1 Xn x2 X3"),
            ("an inserted one does not shift",      vec![insert(1, "X", "a"), delete("X", 1)],          "Rown Xa R1 x2 X3"),
            ("its own can be changed",              vec![add("X", "a"), change("X", 4, "b")],           "Rown R1 X1 x2 X3 Xb"),
            ("its own can be deleted",              vec![insert(0, "Y", "a"), delete("Y", 1)],          "Rown R1 X1 x2 X3"),
            ("deleted ones count for insertion",    vec![delete("Received", 1), insert(2, "Y", "a")],   "Rown Ya X1 x2 X3"),
        ];
        for (shows, changes, expected) in cases {
            assert_eq!(edited(&changes), expected, "{shows}");
        }
    }

    #[test]
    fn envelopes() {
        let add = |recipient: &str| Change::AddRecipient {
            recipient: recipient.into(),
            parameters: "P".into(),
        };
        let remove = |recipient: &str| Change::RemoveRecipient(recipient.into());
        #[rustfmt::skip]
        let cases: Vec<(&str, Vec<Change>, &str)> = vec![
            ("nothing",                     vec![],                                             "0 1"),
            ("one more",                    vec![add("<c@d>")],                                 "0 1 <c@d>P"),
            ("there already",               vec![add("<a@B>")],                                 "0 1"),
            ("without brackets",            vec![add("a@b")],                                   "0 1"),
            ("another local part",          vec![add("<A@b>")],                                 "0 1 <A@b>P"),
            ("added twice",                 vec![add("<c@d>"), add("<c@D>")],                   "0 1 <c@d>P"),
            ("removed",                     vec![remove("a@B")],                                "1"),
            ("nobody left",                 vec![remove("<a@b>"), remove("<b@b>")],             ""),
            ("never there",                 vec![remove("<c@d>")],                              "0 1"),
            ("replaced",                    vec![remove("<a@b>"), add("<a@b>")],                "1 <a@b>P"),
        ];
        for (shows, changes, expected) in cases {
            let list = recipients(["<a@b>", "<b@b>"], &changes);
            let list = list.iter().map(|recipient| match recipient {
                Recipient::Kept(place) => place.to_string(),
                Recipient::New {
                    recipient,
                    parameters,
                } => format!("{recipient}{parameters}"),
            });
            assert_eq!(list.collect::<Vec<_>>().join(" "), expected, "{shows}");
        }
    }
}
