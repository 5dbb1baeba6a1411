//! Which texts can be user names: PRECIS' IdentifierClass (RFC 8264 section 4.2) and the Bidi rule (RFC 5893 section 2).

use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use super::unseen::is_unseen;

/// The combining class of a virama, after which joiners change how a letter is written (RFC 5892 appendix A.1).
const VIRAMA: u8 = 9;

/// Where a character may be in a name.
enum Place {
    Anywhere,
    /// Only next to certain characters (RFC 5892 appendix A).
    ByContext,
    Nowhere,
}

/// Whether all characters of a word are of IdentifierClass.
pub(super) fn is_identifier(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    chars.iter().enumerate().all(|(at, c)| match place_of(*c) {
        Place::Anywhere => true,
        Place::ByContext => fits(&chars, at),
        Place::Nowhere => false,
    })
}

/// RFC 8264 section 8, in its order.
fn place_of(c: char) -> Place {
    use GeneralCategory::{
        DecimalNumber, LowercaseLetter, ModifierLetter, NonspacingMark, OtherLetter, SpacingMark,
        UppercaseLetter,
    };
    match c {
        '!'..='~' | '\u{df}' | '\u{3c2}' | '\u{6fd}' | '\u{6fe}' | '\u{f0b}' | '\u{3007}' => {
            return Place::Anywhere;
        }
        '\u{b7}' | '\u{375}' | '\u{5f3}' | '\u{5f4}' | '\u{30fb}' => return Place::ByContext,
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' | '\u{200c}' | '\u{200d}' => return Place::ByContext,
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}' => {
            return Place::Nowhere;
        }
        _ => {}
    }
    // Conjoining jamo of old Hangul, which nobody types.
    let is_old_hangul =
        matches!(c, '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7fb}');
    if is_old_hangul || is_unseen(c) || !std::iter::once(c).nfkc().eq([c]) {
        return Place::Nowhere;
    }
    match c.general_category() {
        LowercaseLetter | UppercaseLetter | OtherLetter | DecimalNumber | ModifierLetter | NonspacingMark
        | SpacingMark => Place::Anywhere,
        _ => Place::Nowhere,
    }
}

/// Whether a character has the neighbours that it needs.
fn fits(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied();
    let after = chars.get(at + 1).copied();
    match chars[at] {
        '\u{200c}' | '\u{200d}' => before.is_some_and(|c| canonical_combining_class(c) == VIRAMA),
        '\u{b7}' => before == Some('l') && after == Some('l'),
        '\u{375}' => after.is_some_and(|c| matches!(c, '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}')),
        '\u{5f3}' | '\u{5f4}' => before.is_some_and(|c| matches!(c, '\u{590}'..='\u{5ff}')),
        '\u{30fb}' => chars.iter().any(
            |c| matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{9fff}'),
        ),
        '\u{660}'..='\u{669}' => !chars.iter().any(|c| matches!(c, '\u{6f0}'..='\u{6f9}')),
        '\u{6f0}'..='\u{6f9}' => !chars.iter().any(|c| matches!(c, '\u{660}'..='\u{669}')),
        _ => false,
    }
}

/// Whether a word with right-to-left letters could be read in two ways.
pub(super) fn breaks_bidi(word: &str) -> bool {
    use BidiClass::{AL, AN, BN, CS, EN, ES, ET, NSM, ON, R};
    let classes: Vec<BidiClass> = word.chars().map(bidi_class).collect();
    if !classes.iter().any(|class| matches!(class, R | AL | AN)) {
        return false;
    }
    let has = |wanted| classes.contains(&wanted);
    let last = classes.iter().rev().find(|class| **class != NSM);
    let (Some(first), Some(last)) = (classes.first(), last) else {
        return true;
    };
    let runs_left = matches!(first, R | AL)
        && classes
            .iter()
            .all(|class| matches!(class, R | AL | AN | EN | ES | CS | ET | ON | BN | NSM))
        && matches!(last, R | AL | EN | AN)
        && !(has(EN) && has(AN));
    !runs_left
}
