//! The server's side of one dialogue (RFC 5321 section 3), without I/O.
//!
//! [`Dialogue`] takes command lines and says in a [`Step`] what to do about each. It knows no socket,
//! no clock and no policy: whatever the protocol alone does not decide is a question to the driver. A question borrows the
//! dialogue, so no command can overtake its answer.
//!
//! Three things are kept apart: the *connection* is the driver's; the *dialogue* lives from greeting
//! to close, but forgets everything when TLS starts; the *transaction* lives from `MAIL` to the end
//! of data, and `RSET` or a new `EHLO` ends it.

mod ask;
mod auth;
mod mail_commands;
mod parameters;
mod rules;
mod transaction;

use std::sync::Arc;

use crate::command::{Command, CommandError};
use crate::extension::Offer;
use crate::reply::{Reply, texts};

pub use ask::{AskData, AskRecipient, AskSender};
pub use auth::{AuthFailure, AuthTurn};
pub use parameters::{requests_of_recipient, requests_of_sender};
pub use rules::{AuthRules, CommandRules, Extensions, Limits, OfferedMechanism, Rules};
pub use transaction::{Ground, Transaction};

/// What the driver does next.
#[derive(Debug)]
#[must_use]
pub enum Step<'d> {
    /// Send a reply.
    Answer(Answer),
    /// Say whether this sender is accepted.
    Sender(AskSender<'d>),
    /// Say whether this recipient is accepted.
    Recipient(AskRecipient<'d>),
    /// Say whether the message is accepted.
    Data(AskData<'d>),
    /// Take a chunk of a message; then, after the last one, [`Dialogue::take_transaction`], or, if it is faulty,
    /// [`Dialogue::abandon`].
    Chunk(Chunk),
    /// Read and discard this many octets, then send the reply: the chunk is refused (RFC 3030 section 4.1).
    Discard {
        /// Octets to discard.
        size: u64,
        /// The reply after them.
        reply: Reply,
    },
    /// Send [`texts::READY_FOR_TLS`], discard whatever was read, perform the handshake, and call [`Dialogue::tls_started`].
    StartTls,
    /// Take the next message of an authentication exchange.
    Auth(AuthTurn<'d>),
    /// Say which user has this name, or [`texts::VRFY_SILENT`].
    Verify(String),
    /// Say who is on this list.
    Expand(String),
}

/// A reply, and whether it is the last one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Answer {
    /// The reply to send.
    pub reply: Reply,
    /// Whether to close the connection after it.
    pub close: bool,
    /// The cause of a refusal by the dialogue itself, unless it is a mere mistake of the client.
    pub cause: Option<Cause>,
}

/// The cause of a refusal by the dialogue itself: a rule that it was given, or authentication.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// `MAIL` before `HELO` or `EHLO`, see [`CommandRules::mail_needs_helo`].
    MailBeforeHelo,
    /// `VRFY` before `HELO` or `EHLO`.
    VrfyBeforeHelo,
    /// `EXPN` before `HELO` or `EHLO`.
    ExpnBeforeHelo,
    /// `EXPN` is off.
    ExpnOff,
    /// `VERB` is off.
    VerbOff,
    /// `ETRN` is off.
    EtrnOff,
    /// Authentication is required first.
    LoginWanted,
    /// `AUTH` is not offered, here or now.
    AuthNotOffered,
    /// This mechanism is not offered.
    MechanismNotOffered,
    /// `AUTH` where it is not permitted.
    AuthOutOfOrder,
    /// `AUTH`, or a response, that does not follow RFC 4954.
    AuthSyntax,
    /// The client gave up the exchange.
    AuthGivenUp,
}

impl Answer {
    /// Send the reply and take the next line.
    pub fn stay(reply: Reply) -> Self {
        Self {
            reply,
            close: false,
            cause: None,
        }
    }

    /// Send the reply and close the connection.
    pub fn close(reply: Reply) -> Self {
        Self {
            reply,
            close: true,
            cause: None,
        }
    }

    /// Adds the cause. A session that is closed for too many mistakes keeps none.
    fn because(mut self, cause: impl Into<Option<Cause>>) -> Self {
        self.cause = if self.close { None } else { cause.into() };
        self
    }
}

impl From<Answer> for Step<'_> {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A chunk that follows (RFC 3030 section 2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chunk {
    /// Octets of the chunk.
    pub size: u64,
    /// Whether it is the first of its message.
    pub first: bool,
    /// Whether it is the last one.
    pub last: bool,
}

/// The server's side of one dialogue.
#[derive(Debug)]
pub struct Dialogue {
    rules: Arc<Rules>,
    peer: Box<str>,
    client: Option<Client>,
    tls: bool,
    /// Whether `STARTTLS` has made this session forget what it offered, until the next `EHLO` (RFC 3207 section 4.2).
    offer_forgotten: bool,
    authenticated: bool,
    /// Whether a mechanism's security layer is in effect.
    layered: bool,
    /// Mechanisms not offered to this session: a bit for each, by its position in the rules.
    withheld: u64,
    /// The mechanism of the current exchange.
    exchange: Option<&'static str>,
    transaction: Option<Box<Transaction>>,
    mistakes: u32,
    idle_commands: u32,
    refused_recipients: u32,
    failed_logins: u32,
}

/// How the client has introduced itself.
#[derive(Debug)]
struct Client {
    name: Box<str>,
    extended: bool,
}

impl Dialogue {
    /// Starts after the greeting. `peer` is what the client is called in the answer to `EHLO`: `name [address]`.
    #[must_use]
    pub fn new(rules: Arc<Rules>, peer: &str, tls: bool) -> Self {
        Self {
            rules,
            peer: peer.into(),
            client: None,
            tls,
            offer_forgotten: false,
            authenticated: false,
            layered: false,
            withheld: 0,
            exchange: None,
            transaction: None,
            mistakes: 0,
            idle_commands: 0,
            refused_recipients: 0,
            failed_logins: 0,
        }
    }

    /// Takes one line without its ending and says what to do about it.
    pub fn step(&mut self, line: &[u8]) -> Step<'_> {
        if self.exchange.is_some() {
            return self.auth_response(line);
        }
        match Command::parse(line) {
            Ok(command) => self.command(command),
            Err(error) => self.not_a_command(error).into(),
        }
    }

    fn command(&mut self, command: Command<'_>) -> Step<'_> {
        match command {
            // A transaction, step by step (RFC 5321 section 3.3).
            Command::Mail(argument) => self.mail(argument),
            Command::Rcpt(argument) => self.rcpt(argument),
            Command::Data => self.data(),
            Command::Bdat { size, last } => self.bdat(size, last),

            // In order at any time. A second greeting ends the transaction (section 4.1.4).
            Command::Ehlo(name) => self.greet(name, true),
            Command::Helo(name) => self.greet(name, false),
            Command::Rset => {
                self.transaction = None;
                self.idle(texts::RESET).into()
            }
            Command::Noop => self.idle(texts::OK).into(),
            Command::Quit => Answer::close(texts::bye(&self.rules.hostname)).into(),
            Command::Help => self.idle(texts::HELP).into(),

            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),

            Command::Vrfy(name) => self.vrfy(name),
            Command::Expn(name) => self.expn(name),
            Command::Verb => {
                let off = self.rules.commands.verb_off;
                self.idle(if off { texts::VERB_OFF } else { texts::VERB_DONE })
                    .because(off.then_some(Cause::VerbOff))
                    .into()
            }
            Command::Etrn => {
                let off = self.rules.commands.etrn_off;
                self.idle(if off {
                    texts::ETRN_OFF
                } else {
                    texts::ETRN_UNSUPPORTED
                })
                .because(off.then_some(Cause::EtrnOff))
                .into()
            }
        }
    }

    fn not_a_command(&mut self, error: CommandError<'_>) -> Answer {
        use postern_mail::address::PathKind::{Forward, Reverse};
        let reply = match error {
            CommandError::OtherProtocol => return Answer::close(texts::NOT_SMTP),
            CommandError::BdatSyntax => return Answer::close(texts::BDAT_SYNTAX),
            CommandError::Unreadable => texts::BAD_LINE,
            CommandError::Unrecognized(verb) => texts::unrecognized(verb),
            CommandError::Superfluous => texts::NO_ARGUMENT_ALLOWED,
            CommandError::NameMissing => texts::DOMAIN_NEEDED,
            CommandError::MailSyntax(None) => texts::MAIL_SYNTAX,
            CommandError::MailSyntax(Some(error)) => texts::bad_address(error, Reverse),
            CommandError::RcptSyntax(None) => texts::RCPT_SYNTAX,
            CommandError::RcptSyntax(Some(error)) => texts::bad_address(error, Forward),
            CommandError::MechanismMissing | CommandError::AuthSyntax => {
                let unreadable = match error {
                    CommandError::AuthSyntax => texts::AUTH_SYNTAX,
                    _ => texts::MECHANISM_MISSING,
                };
                let (reply, cause) = self.auth_state().err().unwrap_or((unreadable, Cause::AuthSyntax));
                return self.mistake(reply).because(cause);
            }
            CommandError::ArgumentMissing => texts::ARGUMENT_MISSING,
        };
        self.mistake(reply)
    }

    fn greet(&mut self, name: &[u8], extended: bool) -> Step<'_> {
        let any_name = self.rules.commands.any_helo_name && name.len() <= HELO_NAME_MAX;
        if !any_name && !is_helo_name(name) {
            return self.mistake(texts::DOMAIN_INVALID).into();
        }
        self.transaction = None;
        self.offer_forgotten = false;
        self.client = Some(Client {
            name: String::from_utf8_lossy(name).into(),
            extended,
        });
        let reply = if extended {
            self.offer_reply()
        } else {
            texts::hello(&self.rules.hostname, &self.peer)
        };
        self.idle(reply).into()
    }

    fn offer_reply(&self) -> Reply {
        let rules = &*self.rules;
        let mechanisms: Vec<&'static str> = match self.authenticated {
            true => Vec::new(),
            false => self.open_mechanisms().map(|mechanism| mechanism.name).collect(),
        };
        let offer = Offer {
            size_max: rules.body.size_max,
            dsn: rules.extensions.dsn,
            starttls: rules.starttls && !self.tls && !self.layered,
            mechanisms: &mechanisms,
            chunking: rules.extensions.chunking,
            binarymime: rules.extensions.binarymime,
            smtputf8: rules.extensions.smtputf8,
        };
        offer.reply(&rules.hostname, &self.peer)
    }

    fn starttls(&mut self) -> Step<'_> {
        let refusal = if self.tls {
            texts::TLS_ALREADY
        } else if !self.rules.starttls || self.layered {
            texts::TLS_UNAVAILABLE
        } else if self.transaction.is_some() {
            texts::TLS_IN_TRANSACTION
        } else {
            return Step::StartTls;
        };
        self.mistake(refusal).into()
    }

    fn vrfy(&mut self, name: &str) -> Step<'_> {
        let rules = self.rules.commands;
        if rules.vrfy_off {
            self.idle(texts::VRFY_SILENT).into()
        } else if rules.vrfy_needs_helo && self.client.is_none() {
            self.mistake(texts::HELO_FIRST)
                .because(Cause::VrfyBeforeHelo)
                .into()
        } else {
            self.out_of_patience()
                .map_or_else(|| Step::Verify(name.to_owned()), Step::Answer)
        }
    }

    fn expn(&mut self, name: &str) -> Step<'_> {
        let rules = self.rules.commands;
        if rules.expn_off {
            self.idle(texts::EXPN_OFF).because(Cause::ExpnOff).into()
        } else if rules.expn_needs_helo && self.client.is_none() {
            self.mistake(texts::HELO_FIRST)
                .because(Cause::ExpnBeforeHelo)
                .into()
        } else {
            self.out_of_patience()
                .map_or_else(|| Step::Expand(name.to_owned()), Step::Answer)
        }
    }

    /// The reply to a line that could not be framed: the one given, or `421` after too many mistakes.
    pub fn bad_line(&mut self, reply: Reply) -> Answer {
        self.exchange = None;
        self.mistake(reply)
    }

    /// A reply to a mistake of the client, which is counted.
    fn mistake(&mut self, reply: Reply) -> Answer {
        self.mistakes += 1;
        if self.mistakes > self.rules.limits.mistakes_max {
            return Answer::close(texts::TOO_MANY_MISTAKES);
        }
        Answer::stay(reply)
    }

    /// A reply to a command without use, which is counted.
    fn idle(&mut self, reply: Reply) -> Answer {
        self.out_of_patience().unwrap_or_else(|| Answer::stay(reply))
    }

    /// Counts such a command, and ends the session after too many.
    fn out_of_patience(&mut self) -> Option<Answer> {
        self.idle_commands += 1;
        (self.idle_commands > self.rules.limits.idle_commands_max)
            .then(|| Answer::close(texts::TOO_MANY_MISTAKES))
    }

    /// Forgets everything said before the handshake (RFC 3207 section 4.2): greeting, authentication, transaction.
    pub fn tls_started(&mut self) {
        self.tls = true;
        self.offer_forgotten = true;
        self.client = None;
        self.authenticated = false;
        self.exchange = None;
        self.transaction = None;
    }

    /// Narrows down the mechanisms of the rules for this session. To be called again after [`tls_started`](Self::tls_started),
    /// when more is known.
    pub fn offer_only(&mut self, is_offered: impl Fn(&'static str) -> bool) {
        let mechanisms = self.rules.auth.mechanisms.iter().take(64).enumerate();
        self.withheld = mechanisms
            .filter(|(_, mechanism)| !is_offered(mechanism.name))
            .fold(0, |withheld, (place, _)| withheld | 1 << place);
    }

    /// Forgets what the client said before the security layer of a mechanism took effect (RFC 4954 section 4), but not the
    /// authentication. Inside it there is no TLS.
    pub fn layer_started(&mut self) {
        self.layered = true;
        self.client = None;
        self.transaction = None;
    }

    /// Takes the transaction out of the dialogue, at the end of the last chunk. The client may begin another.
    pub fn take_transaction(&mut self) -> Option<Box<Transaction>> {
        self.idle_commands = 0;
        self.transaction.take()
    }

    /// Ends the transaction, if there is one, without a message.
    pub fn abandon(&mut self) {
        self.transaction = None;
    }

    /// The current transaction.
    #[must_use]
    pub fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_deref()
    }

    /// Whether chunks of a message have come but not the last one.
    #[must_use]
    pub fn in_chunks(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|transaction| transaction.in_chunks())
    }

    /// Whether the next line belongs to an `AUTH` exchange.
    #[must_use]
    pub fn in_exchange(&self) -> bool {
        self.exchange.is_some()
    }

    /// The name that the client gave in `HELO` or `EHLO`; empty before.
    #[must_use]
    pub fn client_name(&self) -> &str {
        self.client.as_ref().map_or("", |client| &client.name)
    }

    /// Whether the client said `EHLO`.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.extended)
    }

    /// Longest line accepted next, with its ending.
    ///
    /// A command line may be as long as an `AUTH` command with its initial response; the shorter limit of other
    /// commands is checked by [`line_fits`](Self::line_fits).
    #[must_use]
    pub fn line_max(&self) -> usize {
        let limits = &self.rules.limits;
        limits.auth_line_max.max(limits.command_line_max)
    }

    /// Whether a line of `consumed` octets, ending included, is within the limit for its kind.
    #[must_use]
    pub fn line_fits(&self, line: &[u8], consumed: usize) -> bool {
        let limits = &self.rules.limits;
        let auth = self.exchange.is_some()
            || line
                .get(..5)
                .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        consumed
            <= if auth {
                limits.auth_line_max
            } else {
                limits.command_line_max
            }
    }

    /// The reply to a line that does not fit.
    #[must_use]
    pub fn too_long(&self) -> Reply {
        if self.exchange.is_some() {
            texts::AUTH_LINE_TOO_LONG
        } else {
            texts::LINE_TOO_LONG
        }
    }
}

/// Whether the name of a greeting could be a host name or an address literal. It goes into the log and the trace field,
/// so few characters are allowed; whether the host exists is not checked.
fn is_helo_name(name: &[u8]) -> bool {
    name.len() <= HELO_NAME_MAX
        && name
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b".-_:[]#".contains(c))
}

/// Longest name in a greeting, in octets (RFC 5321 section 4.5.3.1.2).
const HELO_NAME_MAX: usize = 255;

#[cfg(test)]
#[rustfmt::skip] // tables of lines read better wide
mod tests;
