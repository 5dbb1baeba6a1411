//! A message being put together: one form for what clients send, for reports, and for mail made on this machine.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use postern_mail::{Envelope, Header, QueueId};
use postern_policy::route::Detour;
use postern_policy::rule::Rule;

use crate::body::BodyReader;
use crate::engine::Spool;
use crate::message::{Body, Hold, NewMessage, Note, Origin};

/// A message with everything that will be sent, before it is queued: its header with trace and completing fields on top, its body
/// as it arrived.
///
/// This is what delivery will send; the header can still be edited, field by field. If it is not edited, it is not even parsed.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// Its id, from [`next_id`](crate::Spool::next_id).
    pub id: QueueId,
    /// Sender and recipients.
    pub envelope: Envelope,
    /// When it was accepted, by the system clock.
    pub received_at: Timestamp,
    /// The authenticated user who submitted it.
    pub login: Option<String>,
    /// The session in which it was received.
    pub session: Option<String>,
    /// Why it is held until an administrator releases it; `None` for mail to be delivered.
    pub hold: Option<Hold>,
    /// Where it came from.
    pub origin: Origin,
    /// The route of all its recipients, if a rule has set one for it.
    pub detour: Option<Arc<Detour>>,
    /// Leave it to the next queue run.
    pub queue_only: bool,
    /// A note committed together with it.
    pub note: Option<Note>,
    /// The rule by which its client may send as its author; `None` if that was not judged.
    pub author_rule: Option<Rule>,
    /// Whether that client is responsible for the author even if users may write any address; see
    /// [`SigningFacts`](postern_policy::signing::SigningFacts::answers).
    pub answers_for_author: bool,
    /// The header as text, until its fields are requested.
    text: Vec<u8>,
    /// Octets of it that this server added on top.
    own: usize,
    /// Its fields, and how many of them are this server's.
    parsed: Option<(Header, usize)>,
    /// Whether there is an empty line.
    separated: bool,
    body: Body,
    /// Whether the body was replaced.
    replaced: bool,
}

/// What is known about a message when it begins.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its id.
    pub id: QueueId,
    /// Sender and recipients.
    pub envelope: &'a Envelope,
    /// The authenticated user who submits it.
    pub login: Option<&'a str>,
    /// The session in which it is received.
    pub session: Option<&'a str>,
    /// Where it comes from.
    pub origin: Origin,
    /// The client that sends it; `None` for mail made on this machine.
    pub client: Option<Client<'a>>,
}

/// What is known about a client when its message begins.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The name of the listener.
    pub listener: &'a str,
    /// Whether the listener is for mail from other servers: its role is `mx`.
    pub mx: bool,
    /// Its address and port; behind a proxy, those in the PROXY header.
    pub peer: SocketAddr,
    /// The forward-confirmed name of its address.
    pub name: Option<&'a str>,
    /// Its name in `HELO` or `EHLO`; empty without either.
    pub helo: &'a str,
}

/// The octets of a message, in the parts from which it is put together.
#[derive(Debug)]
pub struct Parts {
    /// The fields that this server adds on top, trace first, each with its CRLF, followed by the received ones; all in one
    /// buffer, which is queued as it is.
    pub header: Vec<u8>,
    /// Octets of `header` that are this server's.
    pub own: usize,
    /// Whether an empty line follows. A message that ended within its header has none.
    pub separated: bool,
    /// The body.
    pub body: Body,
}

impl Parts {
    /// From a complete message in memory, as programs write it.
    #[must_use]
    pub fn of(content: Vec<u8>) -> Self {
        let (header, at) = Header::split(&content);
        let (header, separated) = (header.to_vec(), header.len() < at);
        Self {
            header,
            own: 0,
            separated,
            body: Body::Inline(bytes::Bytes::from(content).slice(at..)),
        }
    }
}

impl Assembly {
    /// Puts a message together. It will be delivered at once, unless changed.
    #[must_use]
    pub fn new(
        id: QueueId,
        envelope: Envelope,
        received_at: Timestamp,
        origin: Origin,
        parts: Parts,
    ) -> Self {
        Self {
            id,
            envelope,
            received_at,
            login: None,
            session: None,
            hold: None,
            origin,
            detour: None,
            queue_only: false,
            note: None,
            author_rule: None,
            answers_for_author: false,
            own: parts.own.min(parts.header.len()),
            text: parts.header,
            parsed: None,
            separated: parts.separated,
            body: parts.body,
            replaced: false,
        }
    }

    /// What is known about it before inspection, for mail made on this machine.
    #[must_use]
    pub fn arrival(&self) -> Arrival<'_> {
        Arrival {
            id: self.id,
            envelope: &self.envelope,
            login: self.login.as_deref(),
            session: self.session.as_deref(),
            origin: self.origin,
            client: None,
        }
    }

    /// Its header as it will be sent, to be inspected and edited.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.parsed().0
    }

    /// How many of its fields, from the top, this server had added before any edits: trace, and those missing in a submission.
    /// After them come the client's.
    pub fn own_fields(&mut self) -> usize {
        self.parsed().1
    }

    fn parsed(&mut self) -> &mut (Header, usize) {
        self.parsed.get_or_insert_with(|| {
            let own = Header::parse(self.text[..self.own].to_vec()).len();
            (Header::parse(std::mem::take(&mut self.text)), own)
        })
    }

    /// Its body: everything after the empty line.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// Replaces the body with one from [`Spool::another_body`] or built in memory; the old one leaves nothing behind. One that is
    /// not empty gets an empty line before it, if there was none.
    ///
    /// The caller must set [`Envelope::body`] if the kind of the body has changed.
    pub fn replace_body(&mut self, body: Body) {
        self.separated |= !body.is_empty();
        self.body = body;
        self.replaced = true;
    }

    /// Whether the received body was replaced.
    #[must_use]
    pub const fn is_body_replaced(&self) -> bool {
        self.replaced
    }

    /// Replaces the header; the first `own` fields are this server's.
    pub fn replace_header(&mut self, header: Header, own: usize) {
        self.text = Vec::new();
        self.parsed = Some((header, own));
    }

    /// Reads the body again, piece by piece, from memory or its file.
    #[must_use]
    pub fn read_body(&self, spool: &dyn Spool) -> BodyReader {
        spool.open_new(self.id, &self.body)
    }

    /// The message to be queued.
    #[must_use]
    pub fn into_message(self) -> NewMessage {
        let mut head = match self.parsed {
            None => self.text,
            Some((header, _)) => header.into_text(),
        };
        if self.separated {
            head.extend_from_slice(b"\r\n");
        }
        NewMessage {
            id: self.id,
            envelope: self.envelope,
            received_at: self.received_at,
            prefix: head.into(),
            body: self.body,
            login: self.login,
            session: self.session,
            hold: self.hold,
            origin: self.origin,
            detour: self.detour,
            queue_only: self.queue_only,
            note: self.note,
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_mail::{BodyKind, NewField, ReversePath};

    use super::*;

    fn assembly(parts: Parts) -> Assembly {
        let envelope = Envelope {
            sender: ReversePath::Null,
            recipients: Vec::new(),
            ret: None,
            envid: None,
            body: BodyKind::SevenBit,
            smtputf8: false,
            auth: None,
        };
        Assembly::new(
            QueueId::new(1, 1),
            envelope,
            Timestamp::UNIX_EPOCH,
            Origin::Local,
            parts,
        )
    }

    fn content(assembly: Assembly) -> String {
        let message = assembly.into_message();
        let Body::Inline(body) = message.body else {
            panic!("it was in memory");
        };
        String::from_utf8([message.prefix, body].concat()).unwrap()
    }

    #[test]
    fn what_is_not_edited_stays() {
        for (shows, text) in [
            ("a message", "A: b\r\n c\r\n\r\nbody\r\n"),
            ("no body", "A: b\r\n"),
            ("an empty body", "A: b\r\n\r\n"),
            ("no header", "\r\nbody"),
            ("nothing", ""),
        ] {
            assert_eq!(content(assembly(Parts::of(text.into()))), text, "{shows}");
            let mut looked_at = assembly(Parts::of(text.into()));
            let _ = looked_at.header_mut();
            assert_eq!(content(looked_at), text, "{shows}, looked at");
        }
    }

    #[test]
    fn another_body_takes_its_place() {
        for (shows, text, body, expected) in [
            ("usual", "A: b\r\n\r\nold", "new", "A: b\r\n\r\nnew"),
            ("by none", "A: b\r\n\r\nold", "", "A: b\r\n\r\n"),
            ("there was none", "A: b\r\n", "new", "A: b\r\n\r\nnew"),
            ("none by none", "A: b\r\n", "", "A: b\r\n"),
        ] {
            let mut assembly = assembly(Parts::of(text.into()));
            assembly.replace_body(Body::Inline(body.into()));
            assert_eq!(content(assembly), expected, "{shows}");
        }
    }

    #[test]
    fn own_fields_are_told_from_those_that_came() {
        let own = "Received: here\r\n\tnow\r\nDate: today\r\n";
        let mut assembly = assembly(Parts {
            header: format!("{own}Received: there\r\nFrom: a\r\n").into(),
            own: own.len(),
            separated: true,
            body: Body::Inline("text".into()),
        });
        assert_eq!(assembly.own_fields(), 2);
        let header = assembly.header_mut();
        assert_eq!(header.len(), 4);
        header.insert(2, &NewField::new("X", b"y").unwrap()).unwrap();
        assert_eq!(assembly.own_fields(), 2);
        assert_eq!(
            content(assembly),
            format!("{own}X: y\r\nReceived: there\r\nFrom: a\r\n\r\ntext")
        );
    }
}
