//! Entry points for fuzzing: each takes any octets and panics when an invariant of this crate is broken.
//!
//! The targets under `fuzz/` only call these; the property tests do too.

use std::sync::Arc;

use postern_mail::{ForwardPath, Recipient};

use crate::body::{BareLineEndings, BodyRules, ChunkDecoder, DataDecoder, Decoded};
use crate::command::Command;
use crate::line::{Framed, LineFramer};
use crate::reply::{Reply, texts};
use crate::server::{
    Answer, AuthFailure, AuthRules, CommandRules, Dialogue, Extensions, Ground, Limits, OfferedMechanism,
    Rules, Step,
};

/// Reads one line as a command, with all parameters.
pub fn command(line: &[u8]) {
    if let Ok(Command::Mail(argument) | Command::Rcpt(argument)) = Command::parse(line) {
        assert!(argument.parameters.count() <= line.len());
    }
}

/// Decodes a body: as `DATA` and as a chunk, both ways of treating bare line endings, whole and in two pieces.
///
/// The first octet says where to cut.
///
/// # Panics
///
/// When the result depends on the cut, a bare CR or LF gets through, or the end is anywhere but between two CRLF.
pub fn body(input: &[u8]) {
    let Some((&place, input)) = input.split_first() else {
        return;
    };
    let (head, tail) = input.split_at(usize::from(place).min(input.len()));
    for bare in [BareLineEndings::Refuse, BareLineEndings::Normalise] {
        let rules = BodyRules {
            size_max: 0,
            line_max: 0,
            bare,
        };
        let (text, ended, fault) = data(&[input], rules);
        assert_eq!(
            (text.clone(), ended, fault),
            data(&[head, tail], rules),
            "the cut shows"
        );
        assert_eq!(ended, first_end(input), "ends elsewhere");
        if !fault {
            assert!(
                paired(text.strip_suffix(b"\r").unwrap_or(&text)),
                "a bare line ending got through"
            );
        }
        let (text, fault) = chunks(&[input], rules);
        assert_eq!(
            (text.clone(), fault),
            chunks(&[head, tail], rules),
            "the border of chunks shows"
        );
        assert!(fault || paired(&text), "a bare line ending got through in chunks");
    }
}

/// Talks a whole session with a server whose driver says yes to everybody, whole and octet by octet.
///
/// # Panics
///
/// When the replies depend on where the input is cut, or are not replies.
pub fn dialogue(input: &[u8]) {
    let mut whole = Talk::new();
    whole.hear(input);
    let mut bytewise = Talk::new();
    for octet in input {
        bytewise.hear(&[*octet]);
    }
    assert_eq!(whole.said, bytewise.said, "the cut shows");
    assert!(whole.said.is_empty() || whole.said.ends_with(b"\r\n"));
    for line in String::from_utf8_lossy(&whole.said).lines() {
        assert!(
            line.len() > 3 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit),
            "no reply: {line}"
        );
    }
}

/// The body up to its end, where that is, and whether it is faulty. Nothing of a faulty one counts.
fn data(pieces: &[&[u8]], rules: BodyRules) -> (Vec<u8>, Option<usize>, bool) {
    let mut decoder = DataDecoder::new(rules);
    let (mut text, mut total, mut ended) = (Vec::new(), 0, None);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() && ended.is_none() {
            let decoded = decoder.decode(rest);
            text.extend_from_slice(decoded.text);
            total += decoded.consumed;
            rest = &rest[decoded.consumed..];
            ended = decoded.ended.then_some(total);
        }
    }
    let fault = decoder.fault().is_some();
    (if fault { Vec::new() } else { text }, ended, fault)
}

fn chunks(pieces: &[&[u8]], rules: BodyRules) -> (Vec<u8>, bool) {
    let mut decoder = ChunkDecoder::new(rules, false);
    let mut text = Vec::new();
    for piece in pieces {
        decoder.begin(piece.len() as u64);
        let mut rest = *piece;
        while !rest.is_empty() {
            let decoded = decoder.decode(rest);
            text.extend_from_slice(decoded.text);
            rest = &rest[decoded.consumed..];
        }
    }
    text.extend_from_slice(decoder.finish());
    let fault = decoder.fault().is_some();
    (if fault { Vec::new() } else { text }, fault)
}

/// The end of the first line that is a single dot between two CRLF.
fn first_end(input: &[u8]) -> Option<usize> {
    if input.starts_with(b".\r\n") {
        return Some(3);
    }
    input
        .windows(5)
        .position(|window| window == b"\r\n.\r\n")
        .map(|at| at + 5)
}

/// Whether every CR is followed by LF, and every LF follows a CR.
fn paired(text: &[u8]) -> bool {
    let crs = text.iter().filter(|&&octet| octet == b'\r').count();
    let lfs = text.iter().filter(|&&octet| octet == b'\n').count();
    let pairs = text.windows(2).filter(|window| window == b"\r\n").count();
    crs == pairs && lfs == pairs
}

/// A session without a socket.
struct Talk {
    framer: LineFramer,
    dialogue: Dialogue,
    reads: Reads,
    heard: Vec<u8>,
    said: Vec<u8>,
}

/// What the next octets belong to.
enum Reads {
    Lines,
    Data(DataDecoder),
    Chunk(ChunkDecoder, bool),
    Nothing(u64, Reply),
    /// Nothing more is read.
    Closed,
}

impl Talk {
    fn new() -> Self {
        Self {
            framer: LineFramer::new(),
            dialogue: Dialogue::new(Arc::new(rules()), "fuzz", false),
            reads: Reads::Lines,
            heard: Vec::new(),
            said: Vec::new(),
        }
    }

    fn hear(&mut self, piece: &[u8]) {
        self.heard.extend_from_slice(piece);
        while let Some(consumed) = self.once() {
            self.heard.drain(..consumed);
        }
    }

    /// Takes the first item of the input; `None` when more is needed.
    fn once(&mut self) -> Option<usize> {
        match std::mem::replace(&mut self.reads, Reads::Closed) {
            Reads::Closed => None,
            Reads::Lines => {
                self.reads = Reads::Lines;
                self.line()
            }
            Reads::Data(mut decoder) => {
                let Decoded { consumed, ended, .. } = decoder.decode(&self.heard);
                if ended {
                    self.say(Answer {
                        reply: texts::OK,
                        close: decoder.fault().is_some(),
                        cause: None,
                    });
                } else {
                    self.reads = Reads::Data(decoder);
                }
                (ended || !self.heard.is_empty()).then_some(consumed)
            }
            Reads::Chunk(mut decoder, last) => {
                let Decoded { consumed, ended, .. } = decoder.decode(&self.heard);
                if ended {
                    if last {
                        assert!(self.dialogue.take_transaction().is_some());
                    }
                    self.say(Answer::stay(texts::chunk_ok(decoder.size())));
                } else {
                    self.reads = Reads::Chunk(decoder, last);
                }
                (ended || !self.heard.is_empty()).then_some(consumed)
            }
            Reads::Nothing(size, reply) => {
                let here = usize::try_from(size).map_or(self.heard.len(), |size| size.min(self.heard.len()));
                if here as u64 == size {
                    self.say(Answer::stay(reply));
                    return Some(here);
                }
                self.reads = Reads::Nothing(size - here as u64, reply);
                (here > 0).then_some(here)
            }
        }
    }

    fn line(&mut self) -> Option<usize> {
        let max = self.dialogue.line_max();
        let (answer, consumed) = match self.framer.next(&self.heard, max, BareLineEndings::Refuse) {
            Framed::Incomplete { discard } => {
                self.heard.drain(..discard);
                return None;
            }
            Framed::Line { len, consumed } => {
                self.step(len);
                return Some(consumed);
            }
            Framed::TooLong { consumed } => (self.dialogue.bad_line(self.dialogue.too_long()), consumed),
            Framed::BareLineFeed { consumed } => (self.dialogue.bad_line(texts::BARE_LINE_FEED), consumed),
        };
        self.say(answer);
        Some(consumed)
    }

    fn step(&mut self, len: usize) {
        let answer = match self.dialogue.step(&self.heard[..len]) {
            Step::Answer(answer) => answer,
            Step::Sender(ask) => Answer::stay(ask.accept()),
            Step::Recipient(ask) => {
                let recipient = match ask.path() {
                    ForwardPath::Mailbox { mailbox, .. } => Some(Recipient::new(mailbox.clone())),
                    ForwardPath::Postmaster => None,
                };
                Answer::stay(ask.accept(Ground::Here, recipient))
            }
            Step::Data(ask) => {
                assert!(
                    !ask.start().envelope.recipients.is_empty(),
                    "nobody to deliver to"
                );
                self.reads = Reads::Data(DataDecoder::new(rules().body));
                texts::START_DATA.write_to(&mut self.said);
                return;
            }
            Step::Chunk(chunk) => {
                let mut decoder = ChunkDecoder::new(rules().body, false);
                decoder.begin(chunk.size);
                self.reads = Reads::Chunk(decoder, chunk.last);
                return;
            }
            Step::Discard { size, reply } => {
                self.reads = Reads::Nothing(size, reply);
                return;
            }
            Step::StartTls => Answer::close(texts::READY_FOR_TLS),
            Step::Auth(turn) => match turn.input().map(<[u8]>::len) {
                None => Answer::stay(turn.challenge(b"?")),
                Some(0) => turn.fail(AuthFailure::Denied),
                Some(_) => Answer::stay(turn.succeed()),
            },
            Step::Verify(_) | Step::Expand(_) => Answer::stay(texts::VRFY_SILENT),
        };
        self.say(answer);
    }

    fn say(&mut self, answer: Answer) {
        answer.reply.write_to(&mut self.said);
        self.reads = if answer.close { Reads::Closed } else { Reads::Lines };
    }
}

fn rules() -> Rules {
    Rules {
        hostname: "fuzz.example".to_owned(),
        qualify: None,
        qualify_recipients: None,
        limits: Limits::default(),
        body: BodyRules {
            size_max: 1_000,
            line_max: 0,
            bare: BareLineEndings::Refuse,
        },
        extensions: Extensions::default(),
        starttls: true,
        auth: AuthRules {
            mechanisms: vec![OfferedMechanism {
                name: "PLAIN",
                plaintext: true,
            }],
            plaintext_anywhere: true,
            required: false,
        },
        commands: CommandRules::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            8 => prop::sample::select(vec![
                "EHLO c\r\n", "MAIL FROM:<a@a.example>\r\n", "RCPT TO:<b@b.example>\r\n", "DATA\r\n", "text\r\n", ".\r\n",
                "\r\n.\r\n", "BDAT 5\r\n", "BDAT 5 LAST\r\n", "RSET\r\n", "AUTH PLAIN\r\n", "AUTH PLAIN =\r\n", "AAAA\r\n",
                "*\r\n", "NOOP\r\n", "STARTTLS\r\n", "QUIT\r\n", "VRFY x\r\n", "\n", "\r", ".", "\0",
            ])
            .prop_map(|word| word.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..9),
        ];
        proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn sessions(input in words()) {
            dialogue(&input);
        }

        #[test]
        fn bodies(place in any::<u8>(), input in words()) {
            let mut all = vec![place];
            all.extend_from_slice(&input);
            body(&all);
        }

        #[test]
        fn commands(line in words()) {
            command(&line);
        }
    }

    #[test]
    fn a_long_line_in_a_session_does_not_show_its_pieces() {
        let mut input = vec![b'a'; 13_000];
        input.extend_from_slice(b"\r\nNOOP\r\n");
        dialogue(&input);
    }
}
