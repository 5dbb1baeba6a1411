//! Runs checks on a header and a body, and applies their edits.

use std::ops::Range;

use postern_mail::content::{Edit, Editor, Piece};
use postern_mail::{FieldEdit, Header, NewField};

use super::part::name_of;
use super::subject::{to_line, to_octets};
use super::{Chosen, Findings, Part, Verdict};

/// Most octets by which checks make a header longer. A message with many fields, each of which matches, could otherwise become any size.
const GROWTH_MAX: usize = 256 * 1024;

/// Runs checks on these fields of a header, and edits them. Returns how many fields there are in their place.
///
/// If the text of a check is not a header field, or would make the header more than 256 KiB longer, it is left out and logged.
pub fn header(
    chosen: &Chosen<'_>,
    header: &mut Header,
    fields: Range<usize>,
    findings: &mut Findings,
) -> usize {
    let mut room = GROWTH_MAX;
    header.edit(fields, |field| {
        if findings.is_settled() {
            return FieldEdit::Keep;
        }
        let raw = field.raw();
        let Some((check, verdict)) = chosen.judge(Part::Header, raw) else {
            return FieldEdit::Keep;
        };
        let verdict = within(possible(verdict), raw.len(), &mut room);
        findings.note(check, &verdict, Some(name_of(raw)));
        match verdict {
            Verdict::Remove => FieldEdit::Remove,
            Verdict::Replace(text) => new_field(&text).map_or(FieldEdit::Keep, FieldEdit::Replace),
            Verdict::Prepend(text) => new_field(&text).map_or(FieldEdit::Keep, FieldEdit::Before),
            _ => FieldEdit::Keep,
        }
    })
}

/// The verdict, or a note if its text is not a header field.
fn possible(verdict: Verdict) -> Verdict {
    match &verdict {
        Verdict::Replace(text) | Verdict::Prepend(text) if new_field(text).is_none() => {
            let text: String = text.chars().take(200).collect();
            Verdict::Note(format!("{text:?} is not a header field, and was left out").into())
        }
        _ => verdict,
    }
}

/// The verdict, or a note where it would make the header longer than there is room for.
fn within(verdict: Verdict, before: usize, room: &mut usize) -> Verdict {
    let longer = match &verdict {
        Verdict::Prepend(text) => text.len(),
        Verdict::Replace(text) => text.len().saturating_sub(before),
        _ => 0,
    };
    match room.checked_sub(longer) {
        Some(left) => {
            *room = left;
            verdict
        }
        None => Verdict::Note("a new field is left out: checks have made this header 256 KiB longer".into()),
    }
}

/// `Name: value`. Nothing in it can end the field: an LF becomes a fold, and with a CR or NUL it is not a field.
fn new_field(text: &str) -> Option<NewField> {
    let (name, value) = text.split_once(':')?;
    NewField::verbatim(name.trim_end(), &to_octets(value)).ok()
}

/// Runs checks on a body as it streams through.
#[derive(Debug)]
pub struct Body<'a> {
    /// The checks.
    pub chosen: &'a Chosen<'a>,
    /// What they find.
    pub findings: &'a mut Findings,
}

impl Editor for Body<'_> {
    fn edit(&mut self, piece: Piece<'_>) -> Edit {
        if self.findings.is_settled() {
            return Edit::Keep;
        }
        let (part, octets) = match piece {
            Piece::Field { nested: false, raw } => (Part::Mime, raw),
            Piece::Field { nested: true, raw } => (Part::Nested, raw),
            Piece::Line(line) => (Part::Body, line),
        };
        let Some((check, verdict)) = self.chosen.judge(part, octets) else {
            return Edit::Keep;
        };
        let is_field = part != Part::Body;
        let verdict = if is_field { possible(verdict) } else { verdict };
        self.findings
            .note(check, &verdict, is_field.then(|| name_of(octets)));
        let made = |text: &str| match is_field {
            true => new_field(text).map(|field| field.raw().to_vec()),
            // A line of the body stays one line.
            false => Some(to_line(text)),
        };
        match verdict {
            Verdict::Remove => Edit::Remove,
            Verdict::Replace(text) => made(&text).map_or(Edit::Keep, Edit::Replace),
            Verdict::Prepend(text) => made(&text).map_or(Edit::Keep, Edit::Before),
            _ => Edit::Keep,
        }
    }
}
