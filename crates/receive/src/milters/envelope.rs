//! Recipients that filters add and remove: by the addresses that the client gave, which may be aliases.

use postern_mail::Mailbox;
use postern_milter::Change;
use postern_milter::edit::same_address;

/// A recipient as it was named, and where its mail goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Named {
    /// With angle brackets, as filters have seen it.
    pub(super) path: String,
    pub(super) goes: Vec<Mailbox>,
}

/// A recipient after the changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Slot<'a> {
    /// An existing one, with its remaining targets.
    Kept(Named),
    /// A new one.
    New {
        /// As the filter wrote it.
        recipient: &'a str,
        /// Parameters of `RCPT`.
        parameters: &'a str,
    },
}

/// Whether any change concerns recipients.
pub(super) fn concerns_recipients(changes: &[Change]) -> bool {
    changes
        .iter()
        .any(|change| matches!(change, Change::AddRecipient { .. } | Change::RemoveRecipient(_)))
}

/// Applies changes in order. An existing recipient is not added again; a removal applies to the recipient with that name or, if
/// there is none, to that address among alias targets.
pub(super) fn edit<'a>(present: &[Named], changes: &'a [Change]) -> Vec<Slot<'a>> {
    let mut slots: Vec<Slot<'_>> = present.iter().cloned().map(Slot::Kept).collect();
    for change in changes {
        match change {
            Change::AddRecipient {
                recipient,
                parameters,
            } if !slots.iter().any(|slot| slot.is_named(recipient)) => slots.push(Slot::New {
                recipient,
                parameters,
            }),
            Change::RemoveRecipient(recipient) => {
                let named = slots.len();
                slots.retain(|slot| !slot.is_named(recipient));
                if slots.len() == named {
                    for slot in &mut slots {
                        if let Slot::Kept(Named { goes, .. }) = slot {
                            goes.retain(|address| !same_address(&address.to_string(), recipient));
                        }
                    }
                    slots.retain(|slot| !matches!(slot, Slot::Kept(Named { goes, .. }) if goes.is_empty()));
                }
            }
            _ => {}
        }
    }
    slots
}

impl Slot<'_> {
    fn is_named(&self, address: &str) -> bool {
        match self {
            Self::Kept(Named { path, .. }) => same_address(path, address),
            Self::New { recipient, .. } => same_address(recipient, address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str, goes: &[&str]) -> Named {
        Named {
            path: path.into(),
            goes: goes.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn edits() {
        let add = |recipient: &str| Change::AddRecipient {
            recipient: recipient.into(),
            parameters: "NOTIFY=NEVER".into(),
        };
        let remove = |recipient: &str| Change::RemoveRecipient(recipient.into());
        let present = [
            named("<a@one.example>", &["a@one.example"]),
            named("<staff@one.example>", &["b@one.example", "c@two.example"]),
        ];
        let all = "a@one.example b@one.example,c@two.example";
        #[rustfmt::skip]
        let cases = [
            // what the case shows              changes                                             where it goes
            ("none",                            vec![],                                             all.to_owned()),
            ("one more",                        vec![add("<d@x.example>")],                         format!("{all} +<d@x.example>")),
            ("who is there",                    vec![add("a@ONE.example")],                         all.to_owned()),
            ("twice",                           vec![add("d@x.example"), add("<d@x.example>")],     format!("{all} +d@x.example")),
            ("one less",                        vec![remove("<a@one.example>")],                    "b@one.example,c@two.example".to_owned()),
            ("an alias",                        vec![remove("<Staff@one.example>"), remove("<staff@one.example>")], "a@one.example".to_owned()),
            ("one behind an alias",             vec![remove("<c@two.example>")],                    "a@one.example b@one.example".to_owned()),
            ("all behind an alias",             vec![remove("c@two.example"), remove("b@one.example")], "a@one.example".to_owned()),
            ("who is not there",                vec![remove("<x@y.example>")],                      all.to_owned()),
            ("added and removed",               vec![add("d@x.example"), remove("<d@x.example>")],  all.to_owned()),
            ("removed and added",               vec![remove("<a@one.example>"), add("<a@one.example>")], "b@one.example,c@two.example +<a@one.example>".to_owned()),
            ("nobody left",                     vec![remove("<a@one.example>"), remove("<staff@one.example>")], String::new()),
        ];
        for (shows, changes, expected) in cases {
            let got: Vec<String> = edit(&present, &changes)
                .into_iter()
                .map(|slot| match slot {
                    Slot::Kept(Named { goes, .. }) => {
                        let goes: Vec<String> = goes.iter().map(Mailbox::to_string).collect();
                        goes.join(",")
                    }
                    Slot::New { recipient, .. } => format!("+{recipient}"),
                })
                .collect();
            assert_eq!(got.join(" "), expected, "{shows}");
        }
    }
}
