//! Addresses in header fields, and bodies that are edited: nothing but what is meant changes, whatever stands there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_mail::Header;
use postern_mail::address_list::{Place, places, replaced};
use postern_mail::content::{ContentEditor, Edit, Editor, Piece};

/// Keeps all.
struct Keeper(usize);

impl Editor for Keeper {
    fn edit(&mut self, piece: Piece<'_>) -> Edit {
        self.0 += match piece {
            Piece::Field { raw, .. } => raw.len(),
            Piece::Line(line) => line.len(),
        };
        Edit::Keep
    }
}

/// What stands between the addresses.
fn outside(value: &[u8], places: &[Place]) -> Vec<u8> {
    let cut: Vec<_> = places.iter().map(|place| (place.range.clone(), String::new())).collect();
    replaced(value, &cut)
}

fuzz_target!(|input: (&[u8], &[u8], &[u8], u16)| {
    let (value, header, body, cut) = input;
    let before = places(value);
    let mut end = 0;
    for place in &before {
        assert!(place.range.start >= end && place.range.start < place.range.end && place.range.end <= value.len());
        end = place.range.end;
    }
    let same: Vec<_> = before.iter().map(|place| (place.range.clone(), place.address.to_string())).collect();
    let once = replaced(value, &same);
    let again = places(&once);
    assert!(before.iter().map(|place| &place.address).eq(again.iter().map(|place| &place.address)));
    assert_eq!(outside(&once, &again), outside(value, &before));
    let other: Vec<_> = before.iter().map(|place| (place.range.clone(), "a@b.example".to_owned())).collect();
    let rewritten = replaced(value, &other);
    assert_eq!(places(&rewritten).len(), before.len());
    assert_eq!(outside(&rewritten, &places(&rewritten)), outside(value, &before));

    // A field whose value is put back is the field that it was, or is refused and stays.
    let mut fields = Header::parse(header.to_vec());
    let all = fields.clone().into_text();
    for index in 0..fields.len() {
        let value = fields.get(index).map(|field| field.value().to_vec()).unwrap_or_default();
        let _ = fields.set_value(index, &value);
    }
    assert_eq!(fields.into_text(), all);

    let mut editor = ContentEditor::new(header);
    let (mut keeper, mut out) = (Keeper(0), Vec::new());
    let (first, second) = body.split_at(usize::from(cut).min(body.len()));
    editor.feed(first, &mut keeper, &mut out);
    editor.feed(second, &mut keeper, &mut out);
    editor.finish(&mut keeper, &mut out);
    assert_eq!(out, body);
    assert!(!editor.is_edited() && keeper.0 <= body.len());
});
