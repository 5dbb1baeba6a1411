//! Whether the value of a field is what RFC 5322 says, old forms included.

use jiff::civil::Date;

use crate::date::MONTHS;
use crate::mailbox_list::mailbox_list;

/// Longest valid `Message-ID` in octets: its field must fit on a line.
const MESSAGE_ID_MAX: usize = 980;

/// Whether a value is a date (RFC 5322 sections 3.3 and 4.3): years of two digits and named zones are accepted.
#[must_use]
pub fn is_date(value: &str) -> bool {
    let Some(text) = without_comments(value).filter(|text| text.is_ascii()) else {
        return false;
    };
    let (day_of_week, rest) = match text.split_once(',') {
        Some((day, rest)) => (Some(day.trim()), rest),
        None => (None, text.as_str()),
    };
    let is_day = |day: &str| {
        let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        days.iter().any(|known| day.eq_ignore_ascii_case(known))
    };
    if day_of_week.is_some_and(|day| !is_day(day)) {
        return false;
    }
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let &[day, month, year, time, zone] = words.as_slice() else {
        return false;
    };
    is_day_of_year(day, month, year) && is_time(time) && is_zone(zone)
}

fn is_day_of_year(day: &str, month: &str, year: &str) -> bool {
    let month = MONTHS
        .iter()
        .position(|known| month.as_bytes().eq_ignore_ascii_case(*known));
    let year = match (year.len(), number(year, 4)) {
        // RFC 5322 section 4.3.
        (2, Some(year)) if year < 50 => Some(2000 + year),
        (2 | 3, Some(year)) => Some(1900 + year),
        (4, Some(year)) if year >= 1900 => Some(year),
        _ => None,
    };
    let (Some(day), Some(month), Some(year)) = (number(day, 2), month, year) else {
        return false;
    };
    let small = |number: usize| i8::try_from(number).unwrap_or(0);
    Date::new(i16::try_from(year).unwrap_or(0), small(month + 1), small(day)).is_ok()
}

fn is_time(time: &str) -> bool {
    let parts: Vec<Option<usize>> = time.split(':').map(|part| number(part, 2)).collect();
    match parts.as_slice() {
        [Some(hour), Some(minute)] => *hour < 24 && *minute < 60,
        [Some(hour), Some(minute), Some(second)] => *hour < 24 && *minute < 60 && *second <= 60,
        _ => false,
    }
}

fn is_zone(zone: &str) -> bool {
    match zone.as_bytes() {
        [b'+' | b'-', digits @ ..] => {
            digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) && digits[2] < b'6'
        }
        letters => letters.len() <= 5 && letters.iter().all(u8::is_ascii_alphabetic),
    }
}

fn number(text: &str, most_digits: usize) -> Option<usize> {
    let digits = (1..=most_digits).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Whether a value is one message id, `<left@right>` (RFC 5322 section 3.6.4); non-ASCII only if `utf8` is set (RFC 6532 section
/// 3.2).
#[must_use]
pub fn is_message_id(value: &str, utf8: bool) -> bool {
    if value.len() > MESSAGE_ID_MAX || value.contains('\u{fffd}') || !(utf8 || value.is_ascii()) {
        return false;
    }
    let Some(text) = without_comments(value) else {
        return false;
    };
    let id = text.trim().strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    let Some((left, right)) = id.and_then(|id| id.rsplit_once('@')) else {
        return false;
    };
    let is_part = |part: &str| {
        let is_odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '(' | ')' | ',' | ';');
        !part.is_empty() && !part.contains(is_odd)
    };
    is_part(left) && is_part(right) && (!left.contains('@') || left.starts_with('"'))
}

/// Whether a value of `From` names an author: mailboxes, or a group (RFC 6854).
#[must_use]
pub fn is_author(value: &str) -> bool {
    mailbox_list(value).is_some() || is_group(value)
}

fn is_group(value: &str) -> bool {
    let Some((name, members)) = value
        .trim_end()
        .strip_suffix(';')
        .and_then(|group| group.split_once(':'))
    else {
        return false;
    };
    let is_name = !name.trim().is_empty() && !name.contains(['@', '<', '>', ',', ';', '(', ')']);
    is_name && (members.trim().is_empty() || mailbox_list(members).is_some())
}

/// A value without its comments; `None` if one is unbalanced. Parentheses in quotes are text.
fn without_comments(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for c in value.chars() {
        let plain = std::mem::take(&mut escaped);
        match c {
            _ if plain => {}
            '\\' if quoted || depth > 0 => escaped = true,
            '(' if !quoted => {
                depth += 1;
                continue;
            }
            ')' if !quoted => {
                depth = depth.checked_sub(1)?;
                text.push(' ');
                continue;
            }
            '"' if depth == 0 => quoted = !quoted,
            _ => {}
        }
        if depth == 0 {
            text.push(c);
        }
    }
    (depth == 0 && !quoted).then_some(text)
}
