//! The protocol between the server and the helper: on each connection one request, the message in pieces, one reply.
//!
//! A request is a line of JSON. Each piece of the message follows its length in four octets (big-endian); a piece of length zero
//! ends it, so that a truncated message can be recognised. The reply is a line of JSON.

use serde::{Deserialize, Serialize};

use crate::trouble::Trouble;

/// Longest request, in octets.
pub const REQUEST_MAX: usize = 16 << 10;

/// Longest piece of a message, in octets.
pub const PIECE_MAX: usize = 64 << 10;

/// Longest reply, in octets.
pub const REPLY_MAX: usize = 256 << 10;

/// Most addresses that one `.forward` may name.
pub const FORWARD_MAX: usize = 100;

/// A request: for whom a message is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Request {
    /// The user's name, in any case.
    pub user: String,
    /// The text after the separator in the recipient's address; empty without one.
    pub detail: String,
    /// The envelope's sender; empty for reports.
    pub sender: String,
    /// The recipient as in the envelope.
    pub recipient: String,
    /// The part of it before the `@`.
    pub local: String,
    /// The part after the `@`.
    pub domain: String,
    /// The queue id.
    pub queue: String,
    /// The recipient's index in the envelope. Together with the id it forms the file name in a Maildir, so that a repeated
    /// delivery replaces the first one.
    pub index: u32,
    /// When the message was accepted, in seconds since 1970.
    pub received: i64,
    /// Whether the message has the mark that this recipient has already forwarded it.
    pub forwarded_before: bool,
    /// The program that it is for, in place of the user's mailbox; then `user` is the recipient's name without its detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipe: Option<PipeRequest>,
}

/// The program that a message is for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PipeRequest {
    /// Its name in the configuration.
    pub name: String,
    /// The additional argument from the route.
    pub next_hop: String,
    /// The recipient as the sender wrote it.
    pub original: String,
}

/// The result.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Delivered.
    Done(Done),
    /// Not delivered.
    Failed(Trouble),
}

/// Where a message went.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Done {
    /// As text, such as `/var/mail/ann`.
    pub places: Vec<String>,
    /// The addresses to which the server must forward it.
    pub forward: Vec<String>,
    /// What the administrator should know, such as a `.forward` that was ignored.
    pub warnings: Vec<String>,
}

impl Reply {
    /// A reply as one line, cut to what fits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // A value of texts and numbers can always be serialised.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a reply; `None` for anything else.
    #[must_use]
    pub fn decode(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line.strip_suffix(b"\n")?).ok()
    }
}

impl Request {
    /// A request as one line; `None` if it is too long.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut line = serde_json::to_vec(self).ok()?;
        line.push(b'\n');
        (line.len() <= REQUEST_MAX).then_some(line)
    }

    /// Reads a request, without the end of its line; `None` for anything that a server would not send.
    #[must_use]
    pub fn decode(line: &[u8]) -> Option<Self> {
        let request: Self = serde_json::from_slice(line).ok()?;
        let texts = [
            &request.user,
            &request.detail,
            &request.sender,
            &request.recipient,
            &request.local,
            &request.domain,
            &request.queue,
        ];
        let of_pipe = request.pipe.iter();
        let of_pipe = of_pipe.flat_map(|pipe| [&pipe.name, &pipe.next_hop, &pipe.original]);
        let clean = texts
            .into_iter()
            .chain(of_pipe)
            .all(|text| !text.chars().any(char::is_control));
        // It becomes part of a file name.
        let plain = request.queue.chars().all(|c| c.is_ascii_alphanumeric()) && !request.queue.is_empty();
        (clean && plain && request.queue.len() <= 64).then_some(request)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Request;

    /// Mail for ann with a detail.
    pub(crate) fn request() -> Request {
        Request {
            user: "ann".into(),
            detail: "shop".into(),
            sender: "x@y.test".into(),
            recipient: "ann+shop@example.org".into(),
            local: "ann+shop".into(),
            domain: "example.org".into(),
            queue: "1a2b".into(),
            index: 3,
            received: 1_790_000_000,
            forwarded_before: false,
            pipe: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::request;
    use super::*;
    use crate::trouble::Kind;

    fn of_pipe() -> Request {
        Request {
            pipe: Some(PipeRequest {
                name: "list".into(),
                next_hop: "lists.example.org".into(),
                original: "old@example.org".into(),
            }),
            ..request()
        }
    }

    /// What it shows, and what is changed.
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Request));

    #[test]
    fn requests() {
        let good = of_pipe();
        let line = good.encode().unwrap();
        assert_eq!(Request::decode(line.trim_ascii_end()), Some(good));
        #[rustfmt::skip]
        let bad: [Case<'_>; 7] = [
            ("a line feed in a next hop", &|r| r.pipe.as_mut().unwrap().next_hop = "a\nb".into()),
            ("a line feed in the name", &|r| r.user = "ann\nbob".into()),
            ("NUL in a detail",         &|r| r.detail = "\0".into()),
            ("a path as queue id",      &|r| r.queue = "../../x".into()),
            ("no queue id",             &|r| r.queue = String::new()),
            ("a long queue id",         &|r| r.queue = "a".repeat(100)),
            ("an escape in the sender", &|r| r.sender = "\u{1b}[2J@x.test".into()),
        ];
        for (shows, change) in bad {
            let mut other = of_pipe();
            change(&mut other);
            let line = other.encode().unwrap();
            assert_eq!(Request::decode(line.trim_ascii_end()), None, "{shows}");
        }
        let long = Request {
            detail: "x".repeat(REQUEST_MAX),
            ..request()
        };
        assert_eq!(long.encode(), None);
        assert_eq!(Request::decode(b"{}"), None);
    }

    #[test]
    fn replies() {
        let replies = [
            Reply::Done(Done {
                places: vec!["/var/mail/ann".into()],
                forward: vec!["a@b.test".into()],
                warnings: Vec::new(),
            }),
            Reply::Failed(Trouble::new(Kind::DiskFull, "full\nof it")),
        ];
        for reply in replies {
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
        assert_eq!(Reply::decode(b"{\"done\":"), None);
        let whole = Reply::Done(Done::default()).encode();
        assert_eq!(Reply::decode(&whole[..whole.len() - 1]), None, "cut off");
    }
}
