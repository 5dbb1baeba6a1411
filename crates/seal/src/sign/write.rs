//! The text of a signature's field.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::signer::{FIELD, Signer};
use crate::BodyHash;

/// Where lines are folded, in octets (RFC 5322 section 2.1.1).
const LINE: usize = 76;

const FOLD: &str = "\r\n\t";

/// The value up to `b=`, which is empty and comes last.
pub(super) fn unsigned(signer: &Signer, names: &[&str], body: &BodyHash, now: Timestamp) -> String {
    let mut out = Lines {
        text: String::new(),
        column: FIELD.len() + 1,
    };
    out.put(" v=1;");
    out.put(&format!(" a={};", signer.algorithm()));
    out.put(&format!(" c={};", signer.canonicalization));
    out.put(&format!(" d={};", signer.domain));
    out.put(&format!(" s={};", signer.selector));
    out.put(&format!(" t={};", now.as_second()));
    if let Some(expires) = signer.expires {
        let end = u64::try_from(now.as_second())
            .unwrap_or(0)
            .saturating_add(expires.as_secs());
        out.put(&format!(" x={end};"));
    }
    for (at, name) in names.iter().enumerate() {
        let before = if at == 0 { " h=" } else { "" };
        let behind = if at + 1 == names.len() { ';' } else { ':' };
        out.put(&format!("{before}{name}{behind}"));
    }
    out.put(&format!(" bh={};", BASE64_STANDARD.encode(body.sha256)));
    out.put(" b=");
    // The leading blank is the one after the colon.
    out.text.split_off(1)
}

/// The value with the signature.
pub(super) fn signed(unsigned: String, signature: &[u8]) -> String {
    let begin = unsigned.rfind('\n').map_or(FIELD.len() + 2, |at| at + 1);
    let mut out = Lines {
        column: unsigned.len() - begin.min(unsigned.len()),
        text: unsigned,
    };
    let text = BASE64_STANDARD.encode(signature);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(rest.len().min(LINE.saturating_sub(out.column).max(1)));
        out.text.push_str(piece);
        out.column += piece.len();
        rest = others;
        if !rest.is_empty() {
            out.fold();
        }
    }
    out.text
}

/// Text in lines of bounded length.
struct Lines {
    text: String,
    column: usize,
}

impl Lines {
    /// Appends a word; the line may be folded at a blank before it, or at its beginning.
    fn put(&mut self, word: &str) {
        let mut word = word;
        if self.column + word.len() > LINE {
            self.fold();
            word = word.trim_start();
        }
        self.text.push_str(word);
        self.column += word.len();
    }

    fn fold(&mut self) {
        self.text.push_str(FOLD);
        self.column = 1;
    }
}
