//! A message from a file, and the changes to it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use postern_mail::fields::Header;
use postern_mail::{Mailbox, ReversePath, mailbox_list};
use postern_milter::lines::BodyLines;
use postern_milter::{Change, edit};

use crate::exit::{Exit, Failure};

/// Largest message that is read.
const SIZE_MAX: u64 = 2 << 30;

/// A message with CRLF, in its parts.
pub(super) struct Message {
    pub(super) header: Header,
    pub(super) body: Vec<u8>,
    /// Whether its lines ended with LF in the file, as is usual in files.
    unix_lines: bool,
}

impl Message {
    /// Reads a file, or standard input for `-`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io(&format!("cannot read {}", path.display()), &error);
        let mut octets = Vec::new();
        let source: Box<dyn io::Read> = match path.as_os_str() == "-" {
            true => Box::new(io::stdin().lock()),
            false => Box::new(File::open(path).map_err(failed)?),
        };
        source
            .take(SIZE_MAX + 1)
            .read_to_end(&mut octets)
            .map_err(failed)?;
        if octets.len() as u64 > SIZE_MAX {
            let title = format!("{} is larger than 2 GiB, the limit for a message", path.display());
            return Err(Failure::new(Exit::InputOutput, title));
        }
        Ok(Self::parse(&octets))
    }

    fn parse(octets: &[u8]) -> Self {
        let first_end = octets.iter().position(|&octet| octet == b'\n');
        let unix_lines = first_end.is_some_and(|at| at == 0 || octets[at - 1] != b'\r');
        let mut mended = Vec::with_capacity(octets.len() + octets.len() / 32);
        let mut lines = BodyLines::default();
        lines.feed(octets, &mut mended);
        lines.finish(&mut mended);
        let (header, body) = Header::split(&mended);
        Self {
            body: mended[body..].to_vec(),
            header: Header::parse(header.to_vec()),
            unix_lines,
        }
    }

    pub(super) fn size(&self) -> u64 {
        (self.header.octets() + 2 + self.body.len()) as u64
    }

    /// Its fields, each with its name and the text after the colon. Lines that are not fields are skipped.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields = self.header.fields();
        fields
            .filter(|field| !field.name().is_empty())
            .map(|field| (field.name(), field.value()))
    }

    fn first(&self, name: &str) -> Option<String> {
        let (_, field) = self.header.named(name).next()?;
        Some(String::from_utf8_lossy(&field.unfolded()).into_owned())
    }

    pub(super) fn message_id(&self) -> Option<String> {
        self.first("Message-ID")
    }

    /// The sender in its own header.
    pub(super) fn sender(&self) -> ReversePath {
        let author = self.first("From").and_then(|value| mailbox_list(&value));
        match author.into_iter().flatten().next() {
            Some(mailbox) => ReversePath::Mailbox(mailbox),
            None => ReversePath::Null,
        }
    }

    /// The recipients in its own header.
    pub(super) fn recipients(&self) -> Vec<Mailbox> {
        let named = self.first("To").and_then(|value| mailbox_list(&value));
        named.unwrap_or_default()
    }

    /// Writes it with these changes, and with another body if there is one.
    ///
    /// The server's own `Received` field, which filters do not see but which counts as the first, is taken into account and left
    /// out.
    pub(super) fn write(
        &self,
        changes: &[Change],
        new_body: Option<&[u8]>,
        out: &mut impl io::Write,
    ) -> io::Result<()> {
        let own: (&[u8], &[u8]) = (b"Received", b"");
        let there: Vec<_> = self.header.fields().collect();
        let named = there.iter().map(|field| (field.name(), field.value()));
        let mut text = Vec::new();
        for field in edit::fields(std::iter::once(own).chain(named), 1, changes) {
            match field {
                edit::Field::Kept(0) => {}
                edit::Field::Kept(place) => text.extend_from_slice(there[place - 1].raw()),
                edit::Field::New { name, value } => {
                    text.extend_from_slice(name);
                    text.push(b':');
                    text.extend_from_slice(value);
                    text.extend_from_slice(b"\r\n");
                }
            }
        }
        text.extend_from_slice(b"\r\n");
        let mut out = io::BufWriter::new(out);
        for part in [&text, new_body.unwrap_or(&self.body)] {
            match self.unix_lines {
                true => {
                    for line in part.split_inclusive(|&octet| octet == b'\n') {
                        match line.strip_suffix(b"\r\n") {
                            Some(line) => {
                                out.write_all(line)?;
                                out.write_all(b"\n")?;
                            }
                            None => out.write_all(line)?,
                        }
                    }
                }
                false => out.write_all(part)?,
            }
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, value: &str) -> Change {
        Change::ChangeField {
            index: 1,
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn what_is_not_changed_stays_to_the_octet() {
        let insert = Change::InsertField {
            index: 1,
            name: "X-Top".into(),
            value: b" 1".to_vec(),
        };
        let add = Change::AddField {
            name: "X-End".into(),
            value: b" folded\r\n\there".to_vec(),
        };
        let unix = "From: Ann <a@x.example>\nsubject:  a\n\tb\nTo: b@y.example, c@y.example\n\nHello.\n";
        let crlf = unix.replace('\n', "\r\n");
        let all = [change("Subject", " new"), insert, add];
        type Case<'a> = (&'a str, &'a str, &'a [Change], Option<&'a [u8]>, &'a str);
        #[rustfmt::skip]
        let cases: [Case<'_>; 5] = [
            ("nothing",         unix,   &[],        None,                       unix),
            ("nothing, CRLF",   &crlf,  &[],        None,                       &crlf),
            ("fields",          unix,   &all,       None,
             "X-Top: 1\nFrom: Ann <a@x.example>\nsubject: new\nTo: b@y.example, c@y.example\nX-End: folded\n\there\n\nHello.\n"),
            ("the body",        unix,   &[],        Some(b"Bye.\r\n"),
             "From: Ann <a@x.example>\nsubject:  a\n\tb\nTo: b@y.example, c@y.example\n\nBye.\n"),
            ("no last line end", "A: b\n\nx", &[],  None,                       "A: b\n\nx\n"),
        ];
        for (shows, from, changes, body, want) in cases {
            let message = Message::parse(from.as_bytes());
            let mut written = Vec::new();
            message.write(changes, body, &mut written).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), want, "{shows}");
        }
        let message = Message::parse(unix.as_bytes());
        assert_eq!(message.sender().to_string(), "<a@x.example>");
        let to = message.recipients();
        assert_eq!(to.len(), 2);
        assert_eq!(to[1].to_string(), "c@y.example");
    }
}
