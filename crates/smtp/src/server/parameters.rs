//! The parameters of `MAIL` and `RCPT`.

use postern_mail::{BodyKind, Envelope, Notify, Ret, ReversePath, xtext};

use super::{Ground, Rules, Transaction};
use crate::command::{Parameters, number};
use crate::reply::{Reply, texts};

/// Longest `ENVID=` after decoding, in octets (RFC 3461 section 4.4).
const ENVID_MAX: usize = 100;

/// Longest `ORCPT=` as sent, in octets (RFC 3461 section 4.2).
const ORCPT_MAX: usize = 500;

/// Reads the parameters of `MAIL`: SIZE (RFC 1870), BODY (RFC 6152, 3030), RET and ENVID (RFC 3461),
/// AUTH (RFC 4954 section 5), SMTPUTF8 (RFC 6531).
pub(super) fn mail_parameters(
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
pub(super) fn rcpt_parameters(
    parameters: Parameters<'_>,
    dsn: bool,
) -> Result<(Notify, Option<String>), Reply> {
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
