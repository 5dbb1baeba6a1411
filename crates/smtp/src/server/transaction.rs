//! `MAIL`, `RCPT`, `DATA` and `BDAT` with their parameters.

use postern_mail::address::PathKind;
use postern_mail::{
    BodyKind, Envelope, ForwardPath, Notify, ParseOptions, Recipient, Ret, ReversePath, xtext,
};

use super::{AskData, AskRecipient, AskSender, Cause, Chunk, Dialogue, Rules, Step};
use crate::command::{Parameters, PathArgument, number};
use crate::reply::{Reply, texts};

/// What one transaction has collected.
#[derive(Debug)]
pub struct Transaction {
    /// Sender, recipients, and what was asked for them.
    pub envelope: Envelope,
    /// `SIZE=` (RFC 1870).
    pub declared_size: Option<u64>,
    /// Why its recipients were accepted: the widest ground that any of them needed.
    pub ground: Ground,
    /// Recipients that were accepted but whose mail is discarded: they are not in the envelope. The message is received even if
    /// there are no others.
    pub discarded: u32,
    in_chunks: bool,
}

/// Why a recipient was accepted, from what any client may do to what few may.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Ground {
    /// It is local.
    Here,
    /// It is in a domain for which this server relays.
    Behind,
    /// The client may relay to any domain.
    Relayed,
}

/// Longest `ENVID=` after decoding, in octets (RFC 3461 section 4.4).
const ENVID_MAX: usize = 100;
/// Longest `ORCPT=` as sent, in octets (RFC 3461 section 4.2).
const ORCPT_MAX: usize = 500;

impl Transaction {
    /// Whether the first chunk has come.
    #[must_use]
    pub fn in_chunks(&self) -> bool {
        self.in_chunks
    }

    /// Adds a recipient, unless its address is already there.
    pub(super) fn add(&mut self, recipient: Recipient) {
        let recipients = &mut self.envelope.recipients;
        if !recipients.iter().any(|known| known.address == recipient.address) {
            recipients.push(recipient);
        }
    }
}

impl Dialogue {
    pub(super) fn mail(&mut self, argument: PathArgument<'_>) -> Step<'_> {
        let mut cause = None;
        let refusal = if self.rules.commands.mail_needs_helo && self.client.is_none() {
            cause = Some(Cause::MailBeforeHelo);
            texts::HELO_FIRST
        } else if self.in_chunks() {
            texts::IN_CHUNKS
        } else if self.transaction.is_some() {
            texts::SENDER_ALREADY
        } else if self.rules.auth.required && !self.authenticated {
            cause = Some(Cause::LoginWanted);
            self.login_wanted()
        } else {
            match begin(argument, &self.rules, self.authenticated) {
                Ok(transaction) => {
                    return Step::Sender(AskSender {
                        dialogue: self,
                        transaction: Box::new(transaction),
                    });
                }
                Err(refusal) => refusal,
            }
        };
        self.mistake(refusal).because(cause).into()
    }

    pub(super) fn rcpt(&mut self, argument: PathArgument<'_>) -> Step<'_> {
        let Some(transaction) = self.transaction.as_deref() else {
            return self.mistake(texts::MAIL_FIRST).into();
        };
        if transaction.in_chunks {
            return self.mistake(texts::IN_CHUNKS).into();
        }
        let options = ParseOptions {
            utf8: transaction.envelope.smtputf8,
            default_domain: self.rules.qualify_recipients.as_ref(),
            limits: self.rules.limits.address,
        };
        let parsed = ForwardPath::parse(argument.path, &options)
            .map_err(|error| texts::bad_address(error, PathKind::Forward))
            .and_then(|path| {
                Ok((
                    path,
                    rcpt_parameters(argument.parameters, self.rules.extensions.dsn)?,
                ))
            });
        match parsed {
            Ok((path, (notify, orcpt))) => Step::Recipient(AskRecipient {
                dialogue: self,
                path,
                notify,
                orcpt,
            }),
            Err(refusal) => self.mistake(refusal).into(),
        }
    }

    /// Whether a message may be sent now, with `DATA` or `BDAT`.
    fn ready_for_message(&self) -> Result<&Transaction, Reply> {
        match self.transaction.as_deref() {
            None => Err(texts::DATA_WITHOUT_MAIL),
            Some(transaction) if transaction.envelope.recipients.is_empty() && transaction.discarded == 0 => {
                Err(texts::DATA_WITHOUT_RCPT)
            }
            Some(transaction) => Ok(transaction),
        }
    }

    pub(super) fn data(&mut self) -> Step<'_> {
        let refusal = match self.ready_for_message() {
            Err(refusal) => refusal,
            Ok(transaction) if transaction.in_chunks => texts::IN_CHUNKS,
            Ok(transaction) if transaction.envelope.body == BodyKind::BinaryMime => texts::DATA_BINARY,
            Ok(_) => match self.transaction.take() {
                Some(transaction) => {
                    return Step::Data(AskData {
                        dialogue: self,
                        transaction,
                    });
                }
                None => texts::DATA_WITHOUT_MAIL,
            },
        };
        self.mistake(refusal).into()
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool) -> Step<'_> {
        let refusal = if self.rules.extensions.chunking {
            self.ready_for_message().err()
        } else {
            Some(texts::unrecognized(b"BDAT"))
        };
        if let Some(reply) = refusal {
            let answer = self.mistake(reply);
            if answer.close {
                return answer.into();
            }
            return Step::Discard {
                size,
                reply: answer.reply,
            };
        }
        // An empty chunk makes no progress.
        if size == 0
            && !last
            && let Some(answer) = self.out_of_patience()
        {
            return answer.into();
        }
        let first = match &mut self.transaction {
            Some(transaction) => !std::mem::replace(&mut transaction.in_chunks, true),
            None => false,
        };
        Step::Chunk(Chunk { size, first, last })
    }
}

/// Reads the arguments of `MAIL`.
fn begin(argument: PathArgument<'_>, rules: &Rules, authenticated: bool) -> Result<Transaction, Reply> {
    let mut transaction = mail_parameters(argument.parameters, rules, authenticated)?;
    let options = ParseOptions {
        utf8: transaction.envelope.smtputf8,
        default_domain: rules.qualify.as_ref(),
        limits: rules.limits.address,
    };
    transaction.envelope.sender = ReversePath::parse(argument.path, &options)
        .map_err(|error| texts::bad_address(error, PathKind::Reverse))?;
    Ok(transaction)
}

/// Reads the parameters of `MAIL`: SIZE (RFC 1870), BODY (RFC 6152, 3030), RET and ENVID (RFC 3461),
/// AUTH (RFC 4954 section 5), SMTPUTF8 (RFC 6531).
fn mail_parameters(
    parameters: Parameters<'_>,
    rules: &Rules,
    authenticated: bool,
) -> Result<Transaction, Reply> {
    let extensions = rules.extensions;
    let (mut size, mut body, mut ret, mut envid, mut auth, mut utf8) = (None, None, None, None, None, None);
    for parameter in parameters {
        let parameter = parameter.map_err(|()| texts::PARAMETER_INVALID)?;
        match (KeywordOf(parameter.keyword), parameter.value) {
            (k, Some(value)) if k.is("SIZE") => once(&mut size, number(value))?,
            (k, Some(value)) if k.is("BODY") => once(&mut body, body_kind(value, rules))?,
            (k, Some(value)) if k.is("RET") && extensions.dsn => once(&mut ret, ret_of(value))?,
            (k, Some(value)) if k.is("ENVID") && extensions.dsn => once(&mut envid, envid_of(value))?,
            (k, Some(value)) if k.is("AUTH") && !rules.auth.mechanisms.is_empty() => {
                once(&mut auth, auth_of(value))?;
            }
            (k, None) if k.is("SMTPUTF8") && extensions.smtputf8 => once(&mut utf8, Some(()))?,
            _ => return Err(texts::PARAMETER_UNKNOWN),
        }
    }
    let envelope = Envelope {
        sender: ReversePath::Null,
        recipients: Vec::new(),
        ret,
        envid,
        body: body.unwrap_or_default(),
        smtputf8: utf8.is_some(),
        // An unauthenticated client could name anybody; its `AUTH=` counts as `AUTH=<>` (RFC 4954 section 5).
        auth: auth.map(|auth| if authenticated { auth } else { String::new() }),
    };
    Ok(Transaction {
        envelope,
        declared_size: size,
        ground: Ground::Here,
        discarded: 0,
        in_chunks: false,
    })
}

/// Reads the parameters of `RCPT`: NOTIFY and ORCPT (RFC 3461).
fn rcpt_parameters(parameters: Parameters<'_>, dsn: bool) -> Result<(Notify, Option<String>), Reply> {
    let (mut notify, mut orcpt) = (None, None);
    for parameter in parameters {
        let parameter = parameter.map_err(|()| texts::PARAMETER_INVALID)?;
        match (KeywordOf(parameter.keyword), parameter.value) {
            (k, Some(value)) if k.is("NOTIFY") && dsn => once(&mut notify, value.parse().ok())?,
            (k, Some(value)) if k.is("ORCPT") && dsn => once(&mut orcpt, orcpt_of(value))?,
            _ => return Err(texts::PARAMETER_UNKNOWN),
        }
    }
    Ok((notify.unwrap_or_default(), orcpt))
}

/// What `RCPT` parameters that do not come from a client ask for: which reports, and `ORCPT` as `type;address` (RFC 3461).
///
/// # Errors
///
/// The reply that a client would get: a parameter is unknown, given twice, or invalid.
pub fn requests_of_recipient(parameters: &str) -> Result<(Notify, Option<String>), Reply> {
    rcpt_parameters(Parameters::new(parameters), true)
}

/// What `MAIL` parameters that do not come from a client ask for: `RET` and `ENVID` (RFC 3461). Those that say what the message
/// is like (`SIZE`, `BODY`, `SMTPUTF8`) or who submitted it (`AUTH`) are ignored: that is already known.
///
/// # Errors
///
/// The reply that a client would get: a parameter is unknown, given twice, or invalid.
pub fn requests_of_sender(parameters: &str) -> Result<(Option<Ret>, Option<String>), Reply> {
    let (mut ret, mut envid) = (None, None);
    for parameter in Parameters::new(parameters) {
        let parameter = parameter.map_err(|()| texts::PARAMETER_INVALID)?;
        let keyword = KeywordOf(parameter.keyword);
        match parameter.value {
            Some(value) if keyword.is("RET") => once(&mut ret, ret_of(value))?,
            Some(value) if keyword.is("ENVID") => once(&mut envid, envid_of(value))?,
            _ if ["SIZE", "BODY", "SMTPUTF8", "AUTH"]
                .iter()
                .any(|known| keyword.is(known)) => {}
            _ => return Err(texts::PARAMETER_UNKNOWN),
        }
    }
    Ok((ret, envid))
}

struct KeywordOf<'a>(&'a str);

impl KeywordOf<'_> {
    fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

/// Keeps a parameter's value, once. `None` is an invalid value.
fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), Reply> {
    if slot.is_some() {
        return Err(texts::PARAMETER_TWICE);
    }
    *slot = Some(value.ok_or(texts::PARAMETER_INVALID)?);
    Ok(())
}

fn body_kind(value: &str, rules: &Rules) -> Option<BodyKind> {
    let binary = rules.extensions.chunking && rules.extensions.binarymime;
    if value.eq_ignore_ascii_case("7BIT") {
        Some(BodyKind::SevenBit)
    } else if value.eq_ignore_ascii_case("8BITMIME") {
        Some(BodyKind::EightBitMime)
    } else if value.eq_ignore_ascii_case("BINARYMIME") && binary {
        Some(BodyKind::BinaryMime)
    } else {
        None
    }
}

fn ret_of(value: &str) -> Option<Ret> {
    if value.eq_ignore_ascii_case("FULL") {
        Some(Ret::Full)
    } else if value.eq_ignore_ascii_case("HDRS") {
        Some(Ret::Headers)
    } else {
        None
    }
}

fn envid_of(value: &str) -> Option<String> {
    xtext::decode(value).ok().filter(|envid| envid.len() <= ENVID_MAX)
}

fn orcpt_of(value: &str) -> Option<String> {
    if value.len() > ORCPT_MAX {
        return None;
    }
    xtext::decode_orcpt(value).ok()
}

/// The mailbox of `AUTH=`, empty for `<>`.
fn auth_of(value: &str) -> Option<String> {
    if value == "<>" {
        return Some(String::new());
    }
    let mailbox = xtext::decode(value).ok()?;
    mailbox
        .parse::<postern_mail::Mailbox>()
        .ok()
        .map(|mailbox| mailbox.to_string())
}
