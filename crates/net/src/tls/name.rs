//! Distinguished names as text.

use std::fmt::Write as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Writes a name as `openssl x509 -nameopt RFC2253` does (RFC 4514): most specific part first, joined by
/// commas, with everything escaped that could pass for structure or is not printable ASCII.
///
/// Two different names never have the same text, so rules may compare it.
pub(super) fn to_text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (index, part) in parts.into_iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            write_attribute(attribute, &mut text);
        }
    }
    text
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, out: &mut String) {
    let oid = attribute.attr_type().to_id_string();
    match (short_name(&oid), attribute.as_str()) {
        (Some(name), Ok(value)) => {
            out.push_str(name);
            out.push('=');
            write_escaped(value, out);
        }
        (name, _) => {
            out.push_str(name.unwrap_or(&oid));
            out.push_str("=#");
            write_dump(attribute, out);
        }
    }
}

/// The escapes of RFC 4514 section 2.4, with octets outside printable ASCII in hexadecimal.
fn write_escaped(value: &str, out: &mut String) {
    let last = value.len().saturating_sub(1);
    for (index, octet) in value.bytes().enumerate() {
        match octet {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(octet));
            }
            b' ' if index == 0 || index == last => out.push_str("\\ "),
            b'#' if index == 0 => out.push_str("\\#"),
            0x20..=0x7e => out.push(char::from(octet)),
            _ => {
                let _ = write!(out, "\\{octet:02X}");
            }
        }
    }
}

/// A value that is not plain text: its DER form in hexadecimal (RFC 4514 section 2.4, `hexstring`).
fn write_dump(attribute: &AttributeTypeAndValue<'_>, out: &mut String) {
    let value = attribute.attr_value();
    let data = value.data;
    let _ = write!(out, "{:02X}", value.tag().0);
    if data.len() < 0x80 {
        let _ = write!(out, "{:02X}", data.len());
    } else {
        let _ = write!(out, "82{:04X}", data.len());
    }
    for octet in data {
        let _ = write!(out, "{octet:02X}");
    }
}

fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.17" => "postalCode",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.3" => "mail",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows                       value          text
            ("plain",                                    "mx.test",     "mx.test"),
            ("a comma cannot begin another part",        "a,O=Bank",    "a\\,O=Bank"),
            ("a plus cannot either",                     "a+O=Bank",    "a\\+O=Bank"),
            ("outer blanks",                             " a b ",       "\\ a b\\ "),
            ("one blank",                                " ",           "\\ "),
            ("a number sign in front is no hexstring",   "#0a#",        "\\#0a#"),
            ("nothing breaks a log line",                "a\r\nb",      "a\\0D\\0Ab"),
            ("beyond ASCII",                             "é",           "\\C3\\A9"),
            ("backslash and quote",                      "\\\"",        "\\\\\\\""),
            ("empty",                                    "",            ""),
        ];
        for (shows, value, text) in cases {
            let mut out = String::new();
            write_escaped(value, &mut out);
            assert_eq!(out, text, "{shows}");
        }
    }
}
