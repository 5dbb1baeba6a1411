//! Puts checks to a header and to a body, and does to both what they say.

use std::ops::Range;

use postern_mail::content::{Edit, Editor, Piece};
use postern_mail::{Header, NewField};

use super::part::name_of;
use super::subject::to_octets;
use super::{Chosen, Findings, Part, Verdict};

/// Puts checks to these fields of a header, and edits them. Gives how many fields there are in their place.
///
/// What a check wants to put there and is no header field is left out, and told of.
pub fn header(
    chosen: &Chosen<'_>,
    header: &mut Header,
    fields: Range<usize>,
    findings: &mut Findings,
) -> usize {
    let (mut at, mut end) = (fields.start, fields.end.min(header.len()));
    let begin = at;
    while at < end && !findings.is_settled() {
        let Some(field) = header.get(at) else { break };
        let raw = field.raw();
        let Some((check, verdict)) = chosen.judge(Part::Header, raw) else {
            at += 1;
            continue;
        };
        let name = name_of(raw).to_vec();
        let verdict = possible(verdict);
        findings.note(check, &verdict, Some(&name));
        match verdict {
            Verdict::Remove => {
                header.remove(at);
                end -= 1;
            }
            Verdict::Replace(text) => {
                if let Some(field) = new_field(&text) {
                    let _ = header.replace(at, &field);
                }
                at += 1;
            }
            Verdict::Prepend(text) => {
                let added = new_field(&text).is_some_and(|field| header.insert(at, &field).is_ok());
                at += 1 + usize::from(added);
                end += usize::from(added);
            }
            _ => at += 1,
        }
    }
    end - begin
}

/// The verdict, or a note where its text is no header field.
fn possible(verdict: Verdict) -> Verdict {
    match &verdict {
        Verdict::Replace(text) | Verdict::Prepend(text) if new_field(text).is_none() => {
            let text: String = text.chars().take(200).collect();
            Verdict::Note(format!("{text:?} is no header field, and left out").into())
        }
        _ => verdict,
    }
}

/// `Name: value`.
fn new_field(text: &str) -> Option<NewField> {
    let (name, value) = text.split_once(':')?;
    NewField::verbatim(name.trim_end(), &to_octets(value)).ok()
}

/// Puts checks to a body as it streams by.
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
            // A line of the body is one line.
            false => Some(to_octets(&text.replace(['\r', '\n'], " "))),
        };
        match verdict {
            Verdict::Remove => Edit::Remove,
            Verdict::Replace(text) => made(&text).map_or(Edit::Keep, Edit::Replace),
            Verdict::Prepend(text) => made(&text).map_or(Edit::Keep, Edit::Before),
            _ => Edit::Keep,
        }
    }
}
