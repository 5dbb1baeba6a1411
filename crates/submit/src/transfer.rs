//! Hands a message to the server over an open stream: SMTP with `PIPELINING` and `CHUNKING`, which the server's local socket
//! always has.

use std::io::{self, Read, Seek, SeekFrom, Write};

use bytes::BytesMut;
use postern_mail::{Ret, xtext};
use postern_smtp::Reply;
use postern_smtp::client::objection::means_too_many;
use postern_smtp::client::{ReplyError, ReplyParser};

use crate::handover::{BadWord, Handover};
use crate::header::Header;

/// Most recipients sent before their replies are read, so that neither side blocks on full buffers.
const AT_ONCE: usize = 50;

/// Octets copied at a time.
const PIECE: usize = 64 << 10;

/// A message to be sent, perhaps more than once.
pub trait Content: Read + Seek {}

impl<T: Read + Seek> Content for T {}

/// What to send.
pub struct Order<'a> {
    /// The name from which the user's own address is made, if no sender is given.
    pub user: &'a str,
    /// The envelope.
    pub handover: &'a Handover,
    /// The header; addresses in it get a domain.
    pub header: &'a Header,
    /// The body.
    pub body: &'a mut dyn Content,
    /// Where it begins in `body`.
    pub body_at: u64,
    /// Its size in octets.
    pub body_len: u64,
}

/// What happened to a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    /// The server has accepted the message for it.
    Taken,
    /// Refused temporarily (4xx).
    Later(Reply),
    /// Refused permanently (5xx).
    Failed(Reply),
}

/// A recipient that was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The recipient.
    pub recipient: String,
    /// The server's reply.
    pub reply: Reply,
}

/// What happened to a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The recipients, each with its fate, in order.
    pub fates: Vec<(String, Fate)>,
    /// The server's replies when it accepted the message, one for each time that it was sent.
    pub replies: Vec<Reply>,
}

impl Outcome {
    /// The recipients to try again.
    #[must_use]
    pub fn later(&self) -> Vec<Refusal> {
        self.of(|fate| match fate {
            Fate::Later(reply) => Some(reply),
            _ => None,
        })
    }

    /// The recipients that were refused permanently.
    #[must_use]
    pub fn failed(&self) -> Vec<Refusal> {
        self.of(|fate| match fate {
            Fate::Failed(reply) => Some(reply),
            _ => None,
        })
    }

    fn of(&self, which: impl Fn(&Fate) -> Option<&Reply>) -> Vec<Refusal> {
        let found = self.fates.iter().filter_map(|(recipient, fate)| {
            Some(Refusal {
                recipient: recipient.clone(),
                reply: which(fate)?.clone(),
            })
        });
        found.collect()
    }
}

/// Why it is unknown what happened to a message. The server may or may not have it.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The stream broke.
    #[error("the connection to the server broke: {0}")]
    Stream(#[source] io::Error),
    /// The message cannot be read.
    #[error("cannot read the message: {0}")]
    Content(#[source] io::Error),
    /// The server sent an invalid reply.
    #[error("{0}")]
    Reply(#[from] ReplyError),
    /// An address that cannot be used in a command.
    #[error("{0}")]
    Word(#[from] BadWord),
}

/// Hands a message over. `show` is called with each command and reply, for `-v`.
///
/// Recipients beyond the server's limit for one transaction are sent in further ones.
///
/// # Errors
///
/// [`TransferError`]: it is unknown what happened to the message.
pub fn transfer<S: Read + Write>(
    stream: &mut S,
    order: Order<'_>,
    show: &mut dyn FnMut(&str),
) -> Result<Outcome, TransferError> {
    order.handover.check()?;
    let mut talk = Talk {
        stream,
        show,
        input: BytesMut::with_capacity(4_096),
        parser: ReplyParser::default(),
    };
    let all = &order.handover.recipients;
    let everybody = |reply: &Reply| Outcome {
        fates: all.iter().map(|one| (one.clone(), fate(reply))).collect(),
        replies: Vec::new(),
    };
    let greeting = talk.reply()?;
    if !greeting.is_success() {
        return Ok(everybody(&greeting));
    }
    talk.say("EHLO localhost\r\n")?;
    let hello = talk.reply()?;
    if !hello.is_success() {
        return Ok(everybody(&hello));
    }
    let header = order.header.qualified(domain_of(&hello));
    let mut round = Round {
        order,
        header,
        fates: Vec::new(),
        replies: Vec::new(),
    };
    let mut open: Vec<usize> = (0..round.order.handover.recipients.len()).collect();
    round.fates.resize(open.len(), None);
    while !open.is_empty() {
        let before = open.len();
        open = round.send(&mut talk, &open)?;
        if open.len() == before {
            break;
        }
    }
    let _ = talk.say("QUIT\r\n");
    Ok(round.finish())
}

/// Asks about recipients as if there were a message for them, but submits none. Returns the server's reply for each.
///
/// # Errors
///
/// As for [`transfer`].
pub fn ask<S: Read + Write>(
    stream: &mut S,
    user: &str,
    handover: &Handover,
) -> Result<Vec<(String, Reply)>, TransferError> {
    handover.check()?;
    let mut talk = Talk {
        stream,
        show: &mut |_| {},
        input: BytesMut::new(),
        parser: ReplyParser::default(),
    };
    let all = |reply: &Reply| {
        handover
            .recipients
            .iter()
            .map(|one| (one.clone(), reply.clone()))
            .collect()
    };
    let greeting = talk.reply()?;
    if !greeting.is_success() {
        return Ok(all(&greeting));
    }
    let sender = handover.sender.as_deref().unwrap_or(user);
    for command in [
        "EHLO localhost\r\n".to_owned(),
        format!("MAIL FROM:<{sender}>\r\n"),
    ] {
        talk.say(&command)?;
        let reply = talk.reply()?;
        if !reply.is_success() {
            return Ok(all(&reply));
        }
    }
    let mut replies = Vec::new();
    for recipient in &handover.recipients {
        talk.say(&format!("RCPT TO:<{recipient}>\r\n"))?;
        replies.push((recipient.clone(), talk.reply()?));
    }
    let _ = talk.say("RSET\r\nQUIT\r\n");
    Ok(replies)
}

/// The domain for addresses without one: that of the address with which the server greets the user, `mx Hello anna@example.org,
/// …`, or its name.
fn domain_of(hello: &Reply) -> &str {
    let first = hello.lines().next().unwrap_or_default();
    let (name, rest) = first.split_once(' ').unwrap_or((first, ""));
    let address = rest
        .strip_prefix("Hello ")
        .and_then(|rest| rest.split(',').next());
    let domain = address
        .and_then(|address| address.rsplit_once('@'))
        .map(|(_, domain)| domain);
    domain.filter(|domain| !domain.is_empty()).unwrap_or(name)
}

fn fate(reply: &Reply) -> Fate {
    if reply.is_permanent() {
        Fate::Failed(reply.clone())
    } else {
        Fate::Later(reply.clone())
    }
}

/// A dialogue.
struct Talk<'a, S> {
    stream: &'a mut S,
    show: &'a mut dyn FnMut(&str),
    input: BytesMut,
    parser: ReplyParser,
}

impl<S: Read + Write> Talk<'_, S> {
    fn say(&mut self, command: &str) -> Result<(), TransferError> {
        for line in command.lines() {
            (self.show)(&format!(">>> {line}"));
        }
        self.write(command.as_bytes())
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), TransferError> {
        self.stream.write_all(octets).map_err(TransferError::Stream)
    }

    fn reply(&mut self) -> Result<Reply, TransferError> {
        let mut piece = [0; 4_096];
        loop {
            if let Some(reply) = self.parser.next(&mut self.input)? {
                for line in reply.lines() {
                    (self.show)(&format!("{} {line}", reply.code));
                }
                return Ok(reply);
            }
            let read = match self.stream.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(TransferError::Stream)?,
            };
            if read == 0 {
                return Err(TransferError::Stream(io::ErrorKind::UnexpectedEof.into()));
            }
            self.input.extend_from_slice(&piece[..read]);
        }
    }
}

/// A message being transferred, in as many transactions as it takes.
struct Round<'a> {
    order: Order<'a>,
    header: Header,
    fates: Vec<Option<Fate>>,
    replies: Vec<Reply>,
}

impl Round<'_> {
    /// One transaction for these recipients, by index. Returns those for whom there was no room in it.
    fn send<S: Read + Write>(
        &mut self,
        talk: &mut Talk<'_, S>,
        places: &[usize],
    ) -> Result<Vec<usize>, TransferError> {
        talk.say(&self.mail())?;
        let answer = talk.reply()?;
        if !answer.is_success() {
            for &place in places {
                self.fates[place] = Some(fate(&answer));
            }
            return Ok(Vec::new());
        }
        let (mut taken, mut open) = (Vec::new(), Vec::new());
        let mut surplus = None;
        for some in places.chunks(AT_ONCE) {
            if surplus.is_some() {
                open.extend_from_slice(some);
                continue;
            }
            let commands: String = some.iter().map(|&place| self.rcpt(place)).collect();
            talk.say(&commands)?;
            for &place in some {
                let reply = talk.reply()?;
                if reply.is_success() {
                    taken.push(place);
                } else if means_too_many(&reply) {
                    open.push(place);
                    surplus = Some(reply);
                } else {
                    self.fates[place] = Some(fate(&reply));
                }
            }
        }
        if taken.is_empty() {
            for &place in &open {
                self.fates[place] = surplus.as_ref().map(fate);
            }
            talk.say("RSET\r\n")?;
            talk.reply()?;
            return Ok(Vec::new());
        }
        self.content(talk)?;
        let reply = talk.reply()?;
        for place in taken {
            self.fates[place] = Some(if reply.is_success() {
                Fate::Taken
            } else {
                fate(&reply)
            });
        }
        if reply.is_success() {
            self.replies.push(reply);
        }
        Ok(open)
    }

    fn mail(&self) -> String {
        let Handover {
            sender,
            recipients,
            ret,
            envid,
            ..
        } = self.order.handover;
        let sender = sender.as_deref().unwrap_or(self.order.user);
        let mut command = format!("MAIL FROM:<{sender}> SIZE={} BODY=8BITMIME", self.size());
        if !sender.is_ascii() || recipients.iter().any(|one| !one.is_ascii()) {
            command.push_str(" SMTPUTF8");
        }
        match ret {
            Some(Ret::Full) => command.push_str(" RET=FULL"),
            Some(Ret::Headers) => command.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = envid {
            command.push_str(" ENVID=");
            command.push_str(&xtext::encode(envid));
        }
        command.push_str("\r\n");
        command
    }

    fn rcpt(&self, place: usize) -> String {
        let recipient = &self.order.handover.recipients[place];
        let notify = self.order.handover.notify.to_string();
        if notify.is_empty() {
            format!("RCPT TO:<{recipient}>\r\n")
        } else {
            format!("RCPT TO:<{recipient}> NOTIFY={notify}\r\n")
        }
    }

    fn size(&self) -> u64 {
        self.header.octets().len() as u64 + 2 + self.order.body_len
    }

    fn content<S: Read + Write>(&mut self, talk: &mut Talk<'_, S>) -> Result<(), TransferError> {
        talk.say(&format!("BDAT {} LAST\r\n", self.size()))?;
        talk.write(self.header.octets())?;
        talk.write(b"\r\n")?;
        let body = &mut *self.order.body;
        body.seek(SeekFrom::Start(self.order.body_at))
            .map_err(TransferError::Content)?;
        let mut left = self.order.body_len;
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let wanted = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let read = match body.read(&mut piece[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(TransferError::Content)?,
            };
            if read == 0 {
                return Err(TransferError::Content(io::ErrorKind::UnexpectedEof.into()));
            }
            talk.write(&piece[..read])?;
            left -= read as u64;
        }
        Ok(())
    }

    fn finish(self) -> Outcome {
        let recipients = self.order.handover.recipients.iter();
        let fates = recipients.zip(self.fates).map(|(recipient, fate)| {
            let later = || Fate::Later(Reply::new(451, None, "not asked"));
            (recipient.clone(), fate.unwrap_or_else(later))
        });
        Outcome {
            fates: fates.collect(),
            replies: self.replies,
        }
    }
}

#[cfg(test)]
mod tests;
