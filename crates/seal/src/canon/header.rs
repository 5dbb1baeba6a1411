//! The canonical form of a header field.

use super::Form;

/// Appends a field in its canonical form, with its CRLF (RFC 6376 sections 3.4.1 and 3.4.2).
///
/// `raw` is all of the field, from its name to its last line end, as in [`postern_mail::fields`].
pub fn field(form: Form, raw: &[u8], out: &mut Vec<u8>) {
    field_unended(form, raw, out);
    out.extend_from_slice(b"\r\n");
}

/// The same without the last CRLF: the form in which the field of a signature itself is signed (RFC 6376 section 3.7).
pub fn field_unended(form: Form, raw: &[u8], out: &mut Vec<u8>) {
    match form {
        Form::Simple => {
            let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
            out.extend_from_slice(raw.strip_suffix(b"\r").unwrap_or(raw));
        }
        Form::Relaxed => relaxed(raw, out),
    }
}

fn relaxed(raw: &[u8], out: &mut Vec<u8>) {
    let colon = raw.iter().position(|octet| *octet == b':').unwrap_or(raw.len());
    let (name, value) = raw.split_at(colon);
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    let Some((_, value)) = value.split_first() else {
        return;
    };
    out.push(b':');
    // A blank is only written when something follows it, so that none is left at the end.
    let (begin, mut blank) = (out.len(), false);
    for &octet in value {
        match octet {
            b'\r' | b'\n' => {}
            b' ' | b'\t' => blank = true,
            _ => {
                if std::mem::take(&mut blank) && out.len() > begin {
                    out.push(b' ');
                }
                out.push(octet);
            }
        }
    }
}
