//! What access rules want done with an accepted message.

use std::sync::Arc;

use postern_mail::{Envelope, Mailbox};
use postern_policy::access::Noted;
use postern_policy::copy;
use postern_policy::route::Detour;
use postern_policy::rule::Rule;
use postern_spool::Hold;

/// Most fields that rules add to one message.
const FIELDS_MAX: usize = 100;

/// What to do with a message.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Why it is held.
    pub(crate) hold: Option<Hold>,
    /// The route that overrides all others for it.
    pub(crate) detour: Option<Arc<Detour>>,
    /// The addresses that get copies.
    copies: Vec<Mailbox>,
    /// The fields to add, each as it is written in the header.
    pub(super) fields: Vec<Vec<u8>>,
    /// What to report once it has been accepted: a rule, and what it did.
    pub(super) told: Vec<(Rule, String)>,
}

impl Notes {
    /// Adds what the rules want for one of its recipients. Each field is added only once.
    pub(super) fn add(&mut self, noted: &Noted<'_>) {
        if let Some((rule, reason)) = noted.hold
            && self.hold.is_none()
        {
            self.hold = Some(Hold::by_rule(Rule::AccessHeld, format_args!("{rule}: {reason}")));
            self.tell(Rule::AccessHeld, format!("{rule}: {reason}"));
        }
        if let Some((rule, detour)) = noted.detour {
            self.detour = Some(detour.clone());
            self.tell(Rule::AccessDetoured, format!("{rule}: {detour}"));
        }
        for (rule, to) in &noted.copies {
            if !self.copies.contains(to) && self.copies.len() < copy::COPIES_MAX {
                self.copies.push((*to).clone());
                self.tell(Rule::AccessCopied, format!("{rule}: to {to}"));
            }
        }
        for (rule, field) in &noted.tags {
            let is_there = self.fields.iter().any(|known| known == field.raw());
            if !is_there && self.fields.len() < FIELDS_MAX {
                self.fields.push(field.raw().to_vec());
                self.tell(Rule::AccessTagged, format!("{rule}: {}", field.name()));
            }
        }
        for (rule, text) in &noted.notes {
            self.tell(Rule::AccessNoted, format!("{rule}: {text}"));
        }
    }

    fn tell(&mut self, rule: Rule, reason: String) {
        let is_told = self.told.iter().any(|told| *told == (rule, reason.clone()));
        if !is_told && self.told.len() < FIELDS_MAX {
            self.told.push((rule, reason));
        }
    }

    /// Adds the recipients of copies, without duplicates of each other or of existing recipients.
    pub(crate) fn add_copies(&self, envelope: &mut Envelope) {
        for to in &self.copies {
            copy::add(envelope, to);
        }
    }

    /// Writes the fields.
    pub(crate) fn write_fields(&self, out: &mut Vec<u8>) {
        self.fields.iter().for_each(|field| out.extend_from_slice(field));
    }
}
