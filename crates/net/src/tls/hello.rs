//! What rustls does not report from a client's first message: whether it asks for the extended master secret.

use std::time::Duration;

use tokio::net::TcpStream;

/// Longest first message that is looked at, in octets: one record.
const HELLO_MAX: usize = 16 * 1024 + 5;

/// How long to wait for the rest of a message that comes in pieces, and how many times at most. After that, the message
/// counts as one that does not ask, which costs a TLS 1.2 client one kind of channel binding.
const PATIENCE: Duration = Duration::from_millis(5);
const PATIENCE_TIMES: u32 = 40;

/// Extension `extended_master_secret` (RFC 7627 section 5.1).
const EXTENDED_MASTER_SECRET: u16 = 23;

/// Looks at the first message without consuming it, and says whether it asks for the extended master secret. rustls
/// always grants it.
pub(crate) async fn asks_for_extended_master_secret(socket: &TcpStream) -> bool {
    // Most first messages fit in this.
    let mut seen = vec![0; 2_048];
    for _ in 0..PATIENCE_TIMES {
        let Ok(count) = socket.peek(&mut seen).await else {
            return false;
        };
        match has_extension(&seen[..count], EXTENDED_MASTER_SECRET) {
            Looked::Found(found) => return found,
            Looked::Nonsense => return false,
            Looked::Incomplete if count == 0 => return false,
            Looked::Incomplete if count == seen.len() && count < HELLO_MAX => seen.resize(HELLO_MAX, 0),
            Looked::Incomplete => tokio::time::sleep(PATIENCE).await,
        }
    }
    false
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Looked {
    Found(bool),
    /// More octets are needed to tell.
    Incomplete,
    /// Not a client's first message, or one split over several records.
    Nonsense,
}

/// Looks for an extension in a record with a `ClientHello` (RFC 5246 section 7.4.1.2, RFC 8446 section 4.1.2).
fn has_extension(octets: &[u8], wanted: u16) -> Looked {
    let (Some(&kind), Some(length)) = (octets.first(), octets.get(3..5)) else {
        return Looked::Incomplete;
    };
    if kind != 22 {
        return Looked::Nonsense;
    }
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let Some(record) = octets.get(5..5 + length) else {
        return Looked::Incomplete;
    };
    extension_in(record, wanted).map_or(Looked::Nonsense, Looked::Found)
}

fn extension_in(record: &[u8], wanted: u16) -> Option<bool> {
    let mut rest = Rest(record);
    if rest.take(1)? != [1] {
        return None;
    }
    let body = rest.vector(3)?;
    let mut rest = Rest(body);
    // Version and random.
    rest.take(34)?;
    let _session = rest.vector(1)?;
    let _suites = rest.vector(2)?;
    let _compressions = rest.vector(1)?;
    if rest.0.is_empty() {
        return Some(false);
    }
    let mut extensions = Rest(rest.vector(2)?);
    while !extensions.0.is_empty() {
        let kind = extensions.take(2)?;
        let _content = extensions.vector(2)?;
        if kind == wanted.to_be_bytes() {
            return Some(true);
        }
    }
    Some(false)
}

/// Octets not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A vector preceded by its length, in that many octets.
    fn vector(&mut self, length_octets: usize) -> Option<&'a [u8]> {
        let length = self
            .take(length_octets)?
            .iter()
            .fold(0, |length, &octet| length << 8 | usize::from(octet));
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello(extensions: Option<&[(u16, &[u8])]>) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(2);
        body.extend([1, 2]);
        body.extend([0, 2, 0xc0, 0x30]);
        body.extend([1, 0]);
        if let Some(extensions) = extensions {
            let mut list = Vec::new();
            for (kind, content) in extensions {
                list.extend(kind.to_be_bytes());
                list.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
                list.extend(*content);
            }
            body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
            body.extend(list);
        }
        let mut message = vec![1, 0];
        message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        message.extend(body);
        let mut record = vec![22, 3, 1];
        record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        record.extend(message);
        record
    }

    #[test]
    fn the_extension_is_found_where_it_is() {
        let ems = (EXTENDED_MASTER_SECRET, &[][..]);
        let name = (0, &b"\0\x0c\0\0\x09localhost"[..]);
        #[rustfmt::skip]
        let cases = [
            ("alone",                       hello(Some(&[ems])),             Looked::Found(true)),
            ("behind another",              hello(Some(&[name, ems])),       Looked::Found(true)),
            ("only another",                hello(Some(&[name])),            Looked::Found(false)),
            ("its number in the content",   hello(Some(&[(5, &[0, 23])])),   Looked::Found(false)),
            ("no extensions at all",        hello(None),                     Looked::Found(false)),
            ("nothing yet",                 Vec::new(),                      Looked::Incomplete),
            ("plain text",                  b"EHLO x\r\n".to_vec(),          Looked::Nonsense),
        ];
        for (shows, octets, want) in cases {
            assert_eq!(has_extension(&octets, EXTENDED_MASTER_SECRET), want, "{shows}");
        }
        let whole = hello(Some(&[name, ems]));
        for end in 0..whole.len() {
            assert_eq!(
                has_extension(&whole[..end], 23),
                Looked::Incomplete,
                "cut at {end}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_looked_at(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut record = vec![22, 3, 1, 0, u8::try_from(octets.len()).unwrap()];
            record.extend(octets);
            let _ = has_extension(&record, 23);
        }
    }
}
