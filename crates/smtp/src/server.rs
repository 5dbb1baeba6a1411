//! The server's side of one dialogue (RFC 5321 section 3), without I/O.
//!
//! [`Dialogue`] takes command lines and says in a [`Step`] what to do about each. It knows no socket,
//! no clock and no policy: whatever is not decided by the protocol alone is a question to the
//! driver. A question borrows the dialogue, so no command can overtake its answer.
//!
//! Three things are kept apart: the *connection* is the driver's; the *dialogue* lives from greeting
//! to close, but forgets everything when TLS starts; the *transaction* lives from `MAIL` to the end
//! of data, and `RSET` or a new `EHLO` ends it.

mod ask;
mod auth;
mod transaction;

use std::sync::Arc;

use postern_mail::{AddressLimits, Domain};

use crate::body::BodyRules;
use crate::command::{Command, CommandError};
use crate::extension::Offer;
use crate::reply::{Reply, texts};

pub use ask::{AskData, AskRecipient, AskSender};
pub use auth::{AuthFailure, AuthTurn};
pub use transaction::Transaction;

/// Sizes and counts that a client cannot exceed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Longest command line in octets, with CRLF; a longer one gets `500 5.5.2`.
    ///
    /// Default 2,048: the 512 of RFC 5321 section 4.5.3.1.4 and what each extension adds to it.
    pub command_line_max: usize,
    /// Longest line of an `AUTH` command or exchange in octets, with CRLF; a longer one gets `500 5.5.6`.
    ///
    /// Default 12,288, which RFC 4954 section 4 asks for.
    pub auth_line_max: usize,
    /// Longest line of a message in octets, with CRLF; a message with a longer one gets `554 5.6.0`. 0 for no limit.
    ///
    /// Default 0. RFC 5321 section 4.5.3.1.6 lets a server stop at 1,000, but much honest mail has longer lines.
    pub text_line_max: usize,
    /// Largest header section in octets; a larger one gets `552 5.3.4`. Default 256 KiB.
    pub header_max: u64,
    /// Lengths of addresses (RFC 5321 sections 4.5.3.1.1 to 4.5.3.1.3); a longer one gets a `5xx` reply.
    pub address: AddressLimits,
    /// Mistakes (unknown commands, wrong order, bad syntax) in one session before it is closed with `421 4.7.0`.
    ///
    /// Default 25, as in sendmail.
    pub mistakes_max: u32,
    /// Commands without use (`NOOP`, `RSET`, `HELP`, `VRFY`, `EXPN`, `VERB`, `ETRN`, repeated greetings) between two
    /// messages before the session is closed with `421 4.7.0`. Default 100.
    pub idle_commands_max: u32,
    /// Recipients refused for good in one session before it is closed with `421 4.7.0`: somebody is guessing names.
    ///
    /// Default 100.
    pub refused_recipients_max: u32,
    /// Failed logins in one session before it is closed with `421 4.7.0`. Default 3.
    pub failed_logins_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line_max: 2_048,
            auth_line_max: 12_288,
            text_line_max: 0,
            header_max: 256 * 1024,
            address: AddressLimits::default(),
            mistakes_max: 25,
            idle_commands_max: 100,
            refused_recipients_max: 100,
            failed_logins_max: 3,
        }
    }
}

/// What holds for every dialogue of one listener.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The name by which the server introduces itself.
    pub hostname: String,
    /// The domain given to addresses without one (RFC 6409 section 8.1); `None` where those are refused.
    pub qualify: Option<Domain>,
    /// Sizes and counts.
    pub limits: Limits,
    /// What a body may be; its size is announced as `SIZE`.
    pub body: BodyRules,
    /// Extensions that can be off.
    pub extensions: Extensions,
    /// Whether `STARTTLS` is offered.
    pub starttls: bool,
    /// How one logs in.
    pub auth: AuthRules,
    /// Which commands need a greeting before them, and which are off.
    pub commands: CommandRules,
}

/// Extensions that can be off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extensions {
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3030; counts only with `chunking`.
    pub binarymime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
}

impl Default for Extensions {
    /// All on.
    fn default() -> Self {
        Self {
            dsn: true,
            chunking: true,
            binarymime: true,
            smtputf8: true,
        }
    }
}

/// How one logs in.
#[derive(Clone, Debug, Default)]
pub struct AuthRules {
    /// Mechanisms in the order in which they are offered; none where `AUTH` is off.
    pub mechanisms: Vec<OfferedMechanism>,
    /// Whether mechanisms that show the password are open outside TLS too.
    pub plaintext_anywhere: bool,
    /// Whether `MAIL` needs a login before it.
    pub required: bool,
}

/// One mechanism as the dialogue knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OfferedMechanism {
    /// Its registered name, in capitals.
    pub name: &'static str,
    /// Whether who reads the wire learns the password.
    pub plaintext: bool,
}

/// Which commands need a greeting before them, and which are off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CommandRules {
    /// `MAIL` needs `HELO` or `EHLO` first.
    pub mail_needs_helo: bool,
    /// `VRFY` does.
    pub vrfy_needs_helo: bool,
    /// `EXPN` does.
    pub expn_needs_helo: bool,
    /// `VRFY` tells nothing.
    pub vrfy_off: bool,
    /// `EXPN` is off.
    pub expn_off: bool,
    /// `VERB` is off.
    pub verb_off: bool,
    /// `ETRN` is off.
    pub etrn_off: bool,
}

/// What the driver does next.
#[derive(Debug)]
#[must_use]
pub enum Step<'d> {
    /// Send the reply and take the next line.
    Reply(Reply),
    /// Send the reply and close the connection.
    Close(Reply),
    /// Say whether this sender may be.
    Sender(AskSender<'d>),
    /// Say whether this recipient may be.
    Recipient(AskRecipient<'d>),
    /// Say whether the message may come.
    Data(AskData<'d>),
    /// Take a chunk of a message; then, after the last one, [`Dialogue::take_transaction`], or, if there is something
    /// wrong with it, [`Dialogue::abandon`].
    Chunk(Chunk),
    /// Read so many octets, throw them away, and send the reply: a chunk that cannot be taken (RFC 3030 section 4.1).
    Discard {
        /// Octets to throw away.
        size: u64,
        /// The reply after them.
        reply: Reply,
    },
    /// Send [`texts::READY_FOR_TLS`], throw away whatever was read, shake hands, and call [`Dialogue::tls_started`].
    StartTls,
    /// Take the next message of a login.
    Auth(AuthTurn<'d>),
    /// Say who is behind a name, or [`texts::VRFY_SILENT`].
    Verify(String),
    /// Say who is on a list.
    Expand(String),
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
    authenticated: bool,
    /// The mechanism of an exchange under way, by its place in the rules.
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
            authenticated: false,
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
            Err(error) => self.not_a_command(error),
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
                self.idle(texts::RESET)
            }
            Command::Noop => self.idle(texts::OK),
            Command::Quit => Step::Close(texts::bye(&self.rules.hostname)),
            Command::Help => self.idle(texts::HELP),

            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),

            Command::Vrfy(name) => self.vrfy(name),
            Command::Expn(name) => self.expn(name),
            Command::Verb => {
                let off = self.rules.commands.verb_off;
                self.idle(if off { texts::VERB_OFF } else { texts::VERB_DONE })
            }
            Command::Etrn => {
                let off = self.rules.commands.etrn_off;
                self.idle(if off {
                    texts::ETRN_OFF
                } else {
                    texts::ETRN_UNSUPPORTED
                })
            }
        }
    }

    fn not_a_command(&mut self, error: CommandError<'_>) -> Step<'static> {
        use postern_mail::address::PathKind::{Forward, Reverse};
        let reply = match error {
            CommandError::OtherProtocol => return Step::Close(texts::NOT_SMTP),
            CommandError::BdatSyntax => return Step::Close(texts::BDAT_SYNTAX),
            CommandError::Unreadable => texts::BAD_LINE,
            CommandError::Unrecognized(verb) => texts::unrecognized(verb),
            CommandError::Superfluous => texts::NO_ARGUMENT_ALLOWED,
            CommandError::NameMissing => texts::DOMAIN_NEEDED,
            CommandError::MailSyntax(None) => texts::MAIL_SYNTAX,
            CommandError::MailSyntax(Some(error)) => texts::bad_address(error, Reverse),
            CommandError::RcptSyntax(None) => texts::RCPT_SYNTAX,
            CommandError::RcptSyntax(Some(error)) => texts::bad_address(error, Forward),
            CommandError::MechanismMissing if self.auth_state().is_ok() => texts::MECHANISM_MISSING,
            CommandError::AuthSyntax if self.auth_state().is_ok() => texts::AUTH_SYNTAX,
            CommandError::MechanismMissing | CommandError::AuthSyntax => {
                self.auth_state().err().unwrap_or(texts::AUTH_UNAVAILABLE)
            }
            CommandError::ArgumentMissing => texts::ARGUMENT_MISSING,
        };
        self.mistake(reply)
    }

    fn greet(&mut self, name: &str, extended: bool) -> Step<'_> {
        if !is_helo_name(name) {
            return self.mistake(texts::DOMAIN_INVALID);
        }
        self.transaction = None;
        self.client = Some(Client {
            name: name.into(),
            extended,
        });
        let reply = if extended {
            self.offer_reply()
        } else {
            texts::hello(&self.rules.hostname, &self.peer)
        };
        self.idle(reply)
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
            starttls: rules.starttls && !self.tls,
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
        } else if !self.rules.starttls {
            texts::TLS_UNAVAILABLE
        } else if self.transaction.is_some() {
            texts::TLS_IN_TRANSACTION
        } else {
            return Step::StartTls;
        };
        self.mistake(refusal)
    }

    fn vrfy(&mut self, name: &str) -> Step<'_> {
        let rules = self.rules.commands;
        if rules.vrfy_off {
            self.idle(texts::VRFY_SILENT)
        } else if rules.vrfy_needs_helo && self.client.is_none() {
            self.mistake(texts::HELO_FIRST)
        } else {
            self.count_idle(Step::Verify(name.to_owned()))
        }
    }

    fn expn(&mut self, name: &str) -> Step<'_> {
        let rules = self.rules.commands;
        if rules.expn_off {
            self.idle(texts::EXPN_OFF)
        } else if rules.expn_needs_helo && self.client.is_none() {
            self.mistake(texts::HELO_FIRST)
        } else {
            self.count_idle(Step::Expand(name.to_owned()))
        }
    }

    /// What the driver answers to a line it could not frame: `500`, or `421` when there were too many mistakes.
    pub fn bad_line(&mut self, reply: Reply) -> Step<'static> {
        self.exchange = None;
        self.mistake(reply)
    }

    /// A reply that says that the client did something wrong.
    fn mistake(&mut self, reply: Reply) -> Step<'static> {
        self.mistakes += 1;
        if self.mistakes > self.rules.limits.mistakes_max {
            return Step::Close(texts::TOO_MANY_MISTAKES);
        }
        Step::Reply(reply)
    }

    /// A reply to a command that brings no message nearer.
    fn idle(&mut self, reply: Reply) -> Step<'static> {
        self.count_idle(Step::Reply(reply))
    }

    fn count_idle(&mut self, step: Step<'static>) -> Step<'static> {
        self.idle_commands += 1;
        if self.idle_commands > self.rules.limits.idle_commands_max {
            return Step::Close(texts::TOO_MANY_MISTAKES);
        }
        step
    }

    /// Forgets everything said before the handshake (RFC 3207 section 4.2): greeting, login, transaction.
    pub fn tls_started(&mut self) {
        self.tls = true;
        self.client = None;
        self.authenticated = false;
        self.exchange = None;
        self.transaction = None;
    }

    /// Takes the transaction off the dialogue, at the end of the last chunk. The client may begin another one.
    pub fn take_transaction(&mut self) -> Option<Box<Transaction>> {
        self.idle_commands = 0;
        self.transaction.take()
    }

    /// Ends the transaction, if there is one, without a message.
    pub fn abandon(&mut self) {
        self.transaction = None;
    }

    /// The transaction under way.
    #[must_use]
    pub fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_deref()
    }

    /// Whether chunks of a message were taken and the last one is still to come.
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

    /// Whether the client has logged in.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Longest line that may come next, with its ending.
    ///
    /// A command line may be as long as an `AUTH` command with its initial response; the shorter limit of other
    /// commands is checked by [`line_fits`](Self::line_fits).
    #[must_use]
    pub fn line_max(&self) -> usize {
        let limits = &self.rules.limits;
        limits.auth_line_max.max(limits.command_line_max)
    }

    /// Whether a line of `consumed` octets, ending included, is within the limit for what it is.
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
/// so its characters are few; that it exists is nobody's business.
fn is_helo_name(name: &str) -> bool {
    name.len() <= 255
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b".-_:[]#".contains(&c))
}

#[cfg(test)]
#[rustfmt::skip] // tables of lines read better wide
mod tests;
