//! Every reply the server can send, named once.
//!
//! Codes and enhanced codes are those of the sendmail that Postern replaces; its wording is kept
//! where it tells a stranger nothing. Client input is repeated only if it is a parsed address, or a
//! verb made of letters.

use std::fmt::Display;

use postern_mail::address::PathKind;
use postern_mail::{AddressError, Status};

use super::Reply;

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident = $code:literal ($class:literal, $subject:literal, $detail:literal) $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Reply = Reply::fixed($code, Status($class, $subject, $detail), $text);)*
    };
}

// Session.
fixed! {
    /// A client that sends commands before the greeting.
    EARLY_TALKER = 554 (5, 7, 1) "Command sent before the greeting";
    /// The server stops.
    SHUTTING_DOWN = 421 (4, 3, 2) "System going down, try again later";
    /// The session limit is reached, and this session made room for another.
    TOO_BUSY = 421 (4, 3, 2) "Too many connections, try again later";
    /// Longer silence than the time limit allows (RFC 5321 section 4.5.3.2.7).
    TIMEOUT = 421 (4, 4, 2) "Timeout, closing connection";
    /// More mistakes than one session may make.
    TOO_MANY_MISTAKES = 421 (4, 7, 0) "Too many errors, closing connection";
    /// A session that an administrator ends.
    SESSION_ENDED = 421 (4, 7, 0) "Session ended by the administrator, log in again";
    /// Another protocol's client, such as a web browser.
    NOT_SMTP = 502 (5, 7, 0) "This is a mail server, closing connection";
    /// `NOOP`.
    OK = 250 (2, 0, 0) "OK";
    /// `RSET`.
    RESET = 250 (2, 0, 0) "Reset state";
    /// `HELO` or `EHLO` without a name.
    DOMAIN_NEEDED = 501 (5, 0, 0) "EHLO requires domain address";
    /// `HELO` or `EHLO` with something that is neither a name nor an address literal.
    DOMAIN_INVALID = 501 (5, 0, 0) "Invalid domain name";
    /// An empty line, a control character, or an octet above 127 where none is allowed.
    BAD_LINE = 500 (5, 5, 2) "Line is not a command";
    /// A command line that ends in a bare LF.
    BARE_LINE_FEED = 500 (5, 5, 2) "Lines must end in CR LF";
    /// A line over the limit (RFC 5321 section 4.5.3.1.4).
    LINE_TOO_LONG = 500 (5, 5, 2) "Line too long";
    /// An argument to a command that takes none.
    NO_ARGUMENT_ALLOWED = 501 (5, 5, 4) "Command takes no argument";
    /// Something failed that is not the client's fault.
    LOCAL_ERROR = 451 (4, 3, 0) "Local error, try again later";
}

// STARTTLS.
fixed! {
    /// The handshake may start.
    READY_FOR_TLS = 220 (2, 0, 0) "Ready to start TLS";
    /// `STARTTLS` inside a transaction.
    TLS_IN_TRANSACTION = 503 (5, 5, 0) "TLS not permitted during a mail transaction";
    /// A second `STARTTLS`.
    TLS_ALREADY = 454 (4, 3, 3) "TLS not available after start";
    /// No certificate is loaded.
    TLS_UNAVAILABLE = 454 (4, 3, 3) "TLS not available";
}

// AUTH.
fixed! {
    /// Authenticated.
    AUTHENTICATED = 235 (2, 0, 0) "OK Authenticated";
    /// `AUTH` where it is not offered, above all without TLS.
    AUTH_UNAVAILABLE = 503 (5, 3, 3) "AUTH not available";
    /// `AUTH` when already authenticated.
    ALREADY_AUTHENTICATED = 503 (5, 5, 0) "Already Authenticated";
    /// `AUTH` inside a transaction.
    AUTH_IN_TRANSACTION = 503 (5, 5, 0) "AUTH not permitted during a mail transaction";
    /// `AUTH` without a mechanism.
    MECHANISM_MISSING = 501 (5, 5, 2) "AUTH mechanism must be specified";
    /// A mechanism that is not available.
    MECHANISM_UNAVAILABLE = 504 (5, 3, 3) "AUTH mechanism not available";
    /// Not Base64. It is not repeated, since it may be a password.
    BASE64_INVALID = 501 (5, 5, 4) "cannot BASE64 decode";
    /// Too many words after `AUTH`.
    AUTH_SYNTAX = 501 (5, 5, 4) "AUTH takes a mechanism and an initial response";
    /// `*`.
    AUTH_ABORTED = 501 (5, 0, 0) "AUTH aborted";
    /// A response over 12,288 octets (RFC 4954 section 4).
    AUTH_LINE_TOO_LONG = 500 (5, 5, 6) "Authentication exchange line is too long";
    /// A message that does not follow the mechanism.
    AUTH_PROTOCOL = 501 (5, 5, 2) "Authentication exchange not understood";
    /// Wrong user name or password, without saying which.
    AUTH_FAILED = 535 (5, 7, 0) "authentication failed";
    /// Valid credentials, in a session with less security than required.
    AUTH_TOO_WEAK = 534 (5, 7, 9) "Authentication mechanism is too weak";
    /// No directory could say whether the password is right.
    AUTH_TEMPORARY = 454 (4, 7, 0) "Temporary authentication failure";
    /// Too many failures from this network for this user name.
    AUTH_LOCKED_OUT = 454 (4, 7, 0) "Too many failed logins, try again later";
    /// More failed logins than one session may make.
    AUTH_TOO_MANY = 421 (4, 7, 0) "Too many failed logins, closing connection";
    /// `MAIL` before authentication on a listener that requires it.
    AUTH_NEEDED = 530 (5, 7, 0) "Authentication required";
    /// The same where `AUTH` is not offered before `STARTTLS` (RFC 3207 section 4).
    TLS_NEEDED = 530 (5, 7, 0) "Must issue a STARTTLS command first";
}

// MAIL.
fixed! {
    /// `MAIL` before `EHLO` under `needmailhelo`.
    HELO_FIRST = 503 (5, 0, 0) "Polite people say HELO first";
    /// A second `MAIL`.
    SENDER_ALREADY = 503 (5, 5, 0) "Sender already specified";
    /// Not `MAIL FROM:<address>`.
    MAIL_SYNTAX = 501 (5, 5, 2) "Syntax error, use MAIL FROM:<address>";
    /// A parameter with an invalid value (RFC 5321 section 4.1.1.11).
    PARAMETER_INVALID = 501 (5, 5, 4) "Invalid parameter";
    /// A parameter given twice.
    PARAMETER_TWICE = 501 (5, 5, 4) "Parameter given twice";
    /// A parameter that the `EHLO` answer did not offer.
    PARAMETER_UNKNOWN = 555 (5, 5, 4) "Parameter unrecognized";
}

// RCPT.
fixed! {
    /// `RCPT` without `MAIL`.
    MAIL_FIRST = 503 (5, 0, 0) "Need MAIL before RCPT";
    /// Not `RCPT TO:<address>`.
    RCPT_SYNTAX = 501 (5, 5, 2) "Syntax error, use RCPT TO:<address>";
    /// More refused recipients than one session may have.
    TOO_MANY_BAD_RECIPIENTS = 421 (4, 7, 0) "Too many refused recipients, closing connection";
}

// DATA and BDAT.
fixed! {
    /// `DATA` or `BDAT` without `MAIL`.
    DATA_WITHOUT_MAIL = 503 (5, 0, 0) "Need MAIL command";
    /// `DATA` or `BDAT` without an accepted recipient.
    DATA_WITHOUT_RCPT = 503 (5, 0, 0) "Need RCPT (recipient)";
    /// `DATA` for a body that declared itself binary (RFC 3030 section 3).
    DATA_BINARY = 503 (5, 5, 1) "BINARYMIME needs BDAT";
    /// `DATA`, `MAIL` or `RCPT` in the middle of chunks (RFC 3030 section 2).
    IN_CHUNKS = 503 (5, 5, 1) "BDAT under way, finish with LAST or RSET";
    /// Not `BDAT size [LAST]`.
    BDAT_SYNTAX = 501 (5, 5, 4) "Syntax error, use BDAT size [LAST]";
}

/// `354`: the client may send the message.
pub const START_DATA: Reply = Reply::bare(354, "End data with <CR><LF>.<CR><LF>");

// HELP, VRFY, EXPN, VERB, ETRN.
fixed! {
    /// `VRFY` where it is configured to reveal nothing.
    VRFY_SILENT = 252 (2, 5, 2) "Cannot VRFY user; try RCPT to attempt delivery (or try finger)";
    /// `EXPN` where it is off.
    EXPN_OFF = 502 (5, 7, 0) "Sorry, we do not allow this operation";
    /// `VERB` where it is off.
    VERB_OFF = 502 (5, 7, 0) "Verbose unavailable";
    /// `VERB`: it has no effect, since nothing is delivered while the client waits.
    VERB_DONE = 250 (2, 0, 0) "Verbose mode";
    /// `ETRN` where it is off by `noetrn`.
    ETRN_OFF = 502 (5, 7, 0) "Sorry, we do not allow this operation";
    /// `ETRN`: this server does not support it (RFC 1985 section 5.3).
    ETRN_UNSUPPORTED = 458 (4, 5, 1) "Unable to queue messages for that node";
    /// `VRFY` or `EXPN` without a name.
    ARGUMENT_MISSING = 501 (5, 5, 2) "Argument required";
    /// `VRFY` or `EXPN` when no directory answers.
    VRFY_TEMPORARY = 451 (4, 4, 3) "Directory not available, try again later";
    /// `EXPN` for a name that is not a list.
    EXPN_NONE = 550 (5, 1, 1) "Not a mailing list";
    /// `HELP`.
    HELP = 214 (2, 0, 0) "Commands: HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT\nRSET NOOP QUIT HELP VRFY EXPN VERB ETRN\nSee RFC 5321";
}

/// The greeting (RFC 5321 section 3.1): `220 text`.
#[must_use]
pub fn greeting(text: String) -> Reply {
    Reply::new(220, None, text)
}

/// `221`, after which the connection ends.
#[must_use]
pub fn bye(hostname: &str) -> Reply {
    Reply::new(
        221,
        Some(Status(2, 0, 0)),
        format!("{hostname} closing connection"),
    )
}

/// The answer to `HELO`.
#[must_use]
pub fn hello(hostname: &str, client: &str) -> Reply {
    Reply::new(
        250,
        None,
        format!("{hostname} Hello {client}, pleased to meet you"),
    )
}

/// `500` for a verb that does not exist, repeated only if it is a word.
#[must_use]
pub fn unrecognized(verb: &[u8]) -> Reply {
    let status = Some(Status(5, 5, 1));
    match std::str::from_utf8(verb) {
        Ok(word) if (1..=20).contains(&word.len()) && word.bytes().all(|c| c.is_ascii_alphanumeric()) => {
            Reply::new(500, status, format!("Command unrecognized: \"{word}\""))
        }
        _ => Reply::new(500, status, "Command unrecognized"),
    }
}

/// `504` for a mechanism that is off or unknown, repeated if it could be a mechanism name.
#[must_use]
pub fn mechanism_unavailable(name: &str) -> Reply {
    if name.len() > 20
        || !name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    {
        return MECHANISM_UNAVAILABLE;
    }
    Reply::new(
        504,
        Some(Status(5, 3, 3)),
        format!("AUTH mechanism {name} not available"),
    )
}

/// `334` with a challenge already in Base64.
#[must_use]
pub fn challenge(base64: String) -> Reply {
    Reply::new(334, None, base64)
}

/// `MAIL` was taken.
#[must_use]
pub fn sender_ok(path: &impl Display) -> Reply {
    Reply::new(250, Some(Status(2, 1, 0)), format!("{path}... Sender ok"))
}

/// `RCPT` was taken.
#[must_use]
pub fn recipient_ok(path: &impl Display) -> Reply {
    Reply::new(250, Some(Status(2, 1, 5)), format!("{path}... Recipient ok"))
}

/// The recipient's domain is local, but there is no such user.
#[must_use]
pub fn user_unknown(path: &impl Display) -> Reply {
    Reply::new(550, Some(Status(5, 1, 1)), format!("{path}... User unknown"))
}

/// An invalid address. It is not repeated, since it may hold anything.
#[must_use]
pub fn bad_address(error: AddressError, kind: PathKind) -> Reply {
    let reply = error.reply(kind);
    Reply::fixed(reply.code, reply.status, reply.text)
}

/// A message over the limit in octets (RFC 1870 section 6.1).
#[must_use]
pub fn message_too_large(limit: u64) -> Reply {
    too_large("Message", limit)
}

/// A header over the limit in octets.
#[must_use]
pub fn header_too_large(limit: u64) -> Reply {
    too_large("Message header", limit)
}

fn too_large(what: &str, limit: u64) -> Reply {
    let text = format!("{what} exceeds the limit of {limit} octets");
    Reply::new(552, Some(Status(5, 3, 4)), text)
}

/// A policy's refusal that names no address.
#[must_use]
pub fn refusal((code, status, words): (u16, Status, &'static str), mark: &str) -> Reply {
    if mark.is_empty() {
        return Reply::fixed(code, status, words);
    }
    Reply::new(code, Some(status), format!("{words}{mark}"))
}

/// A policy's refusal of a sender or recipient: `550 5.7.1 <a@b>... Relaying denied`.
///
/// `mark` is empty, or the session id, which a client may quote to the administrator.
#[must_use]
pub fn refused_path(path: &impl Display, (code, status, words): (u16, Status, &str), mark: &str) -> Reply {
    Reply::new(code, Some(status), format!("{path}... {words}{mark}"))
}

/// The message is on stable storage with this queue id.
#[must_use]
pub fn accepted(id: &impl Display) -> Reply {
    Reply::new(
        250,
        Some(Status(2, 0, 0)),
        format!("{id} Message accepted for delivery"),
    )
}

/// A chunk was accepted, more are to come (RFC 3030 section 2).
#[must_use]
pub fn chunk_ok(octets: u64) -> Reply {
    Reply::new(250, Some(Status(2, 0, 0)), format!("{octets} octets received"))
}

/// `VRFY` found a user.
#[must_use]
pub fn verified(mailbox: &impl Display) -> Reply {
    Reply::new(250, Some(Status(2, 1, 5)), format!("<{mailbox}>"))
}

/// `EXPN` found a list; `members` is not empty.
#[must_use]
pub fn expanded(members: &[String]) -> Reply {
    let lines: Vec<String> = members.iter().map(|member| format!("<{member}>")).collect();
    Reply::new(250, Some(Status(2, 1, 5)), lines.join("\n"))
}
