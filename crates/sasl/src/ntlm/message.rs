//! NTLM's three messages (MS-NLMP section 2.2.1). Errors are short texts for the log.

use super::flag;

/// How every message starts.
const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Position and length of the message integrity code in the third message.
pub(super) const CODE_AT: usize = 72;
pub(super) const CODE: usize = 16;

/// Most octets of target information accepted from a server.
const TARGET_INFO_MAX: usize = 4_096;

/// Octets of an NTLMv2 response before the target information: the proof and the blob's head.
const ANSWER_MIN: usize = 16 + 28;

/// Kinds of target information (section 2.2.2.1).
pub(super) mod av {
    pub(in crate::ntlm) const END: u16 = 0;
    pub(in crate::ntlm) const COMPUTER: u16 = 1;
    pub(in crate::ntlm) const DOMAIN: u16 = 2;
    pub(in crate::ntlm) const DNS_COMPUTER: u16 = 3;
    pub(in crate::ntlm) const DNS_DOMAIN: u16 = 4;
    pub(in crate::ntlm) const FLAGS: u16 = 6;
    pub(in crate::ntlm) const TIMESTAMP: u16 = 7;
    /// The server that the client means, as a service principal name.
    pub(in crate::ntlm) const TARGET_NAME: u16 = 9;
    /// The channel that the client has seen.
    pub(in crate::ntlm) const CHANNEL: u16 = 10;
    /// In `FLAGS`: the third message has a message integrity code.
    pub(in crate::ntlm) const HAS_CODE: u32 = 2;
}

/// The flags of the first message.
pub(super) fn parse_negotiate(message: &[u8]) -> Result<u32, &'static str> {
    start(message, 1)?;
    long(message, 12).ok_or("cut short")
}

/// Writes the first message.
pub(super) fn negotiate(flags: u32) -> Vec<u8> {
    let mut out = head(1);
    out.extend(flags.to_le_bytes());
    out.extend([0; 16]);
    out
}

/// The second message.
#[derive(Debug)]
pub(super) struct Challenge<'a> {
    pub(super) flags: u32,
    pub(super) nonce: [u8; 8],
    pub(super) target_info: &'a [u8],
}

impl<'a> Challenge<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        start(message, 2)?;
        let flags = long(message, 20).ok_or("cut short")?;
        let target_info = match flags & flag::TARGET_INFO {
            0 => [].as_slice(),
            _ => field(message, 40)?,
        };
        if target_info.len() > TARGET_INFO_MAX {
            return Err("the target information is too long");
        }
        Ok(Self {
            flags,
            nonce: octets(message, 24).ok_or("cut short")?,
            target_info,
        })
    }
}

/// Writes the second message.
pub(super) fn challenge(flags: u32, nonce: [u8; 8], target: &str, target_info: &[u8]) -> Vec<u8> {
    const PAYLOAD: usize = 56;
    let target = text(target, flags);
    let mut out = head(2);
    push_field(&mut out, target.len(), PAYLOAD);
    out.extend(flags.to_le_bytes());
    out.extend(nonce);
    out.extend([0; 8]);
    push_field(&mut out, target_info.len(), PAYLOAD + target.len());
    out.extend([0; 8]);
    out.extend(&target);
    out.extend(target_info);
    out
}

/// The third message.
#[derive(Debug)]
pub(super) struct Authenticate<'a> {
    /// The NTLMv2 response, of at least [`ANSWER_MIN`] octets; in version 1, 24.
    pub(super) answer: &'a [u8],
    pub(super) domain: String,
    pub(super) user: String,
    /// The session key that the client chose, sealed.
    pub(super) sealed_key: Option<[u8; 16]>,
}

impl<'a> Authenticate<'a> {
    /// Reads it. `agreed` are the flags of the second message, whose character set applies if the client names none: JavaMail
    /// sends no flags at all.
    pub(super) fn parse(message: &'a [u8], agreed: u32) -> Result<Self, &'static str> {
        start(message, 3)?;
        let flags = long(message, 60).ok_or("cut short")?;
        let charset = match flags & (flag::UNICODE | flag::OEM) {
            0 => agreed,
            _ => flags,
        };
        let sealed_key = match flags & flag::KEY_EXCHANGE {
            0 => None,
            _ => Some(
                field(message, 52)?
                    .try_into()
                    .map_err(|_| "the session key has the wrong length")?,
            ),
        };
        Ok(Self {
            answer: field(message, 20)?,
            domain: read_text(field(message, 28)?, charset)?,
            user: read_text(field(message, 36)?, charset)?,
            sealed_key,
        })
    }
}

/// The content of an NTLMv2 response.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) proof: &'a [u8],
    /// Everything that the proof covers.
    pub(super) blob: &'a [u8],
    /// Whether the third message has a message integrity code.
    pub(super) has_code: bool,
    /// The hash of the channel that the client has seen, if it says so.
    pub(super) channel: Option<&'a [u8]>,
    /// The server that the client means, if it says so.
    pub(super) target: Option<String>,
}

impl<'a> Answer<'a> {
    pub(super) fn parse(answer: &'a [u8]) -> Result<Self, &'static str> {
        if answer.len() < ANSWER_MIN {
            return Err("the answer is cut short");
        }
        let (proof, blob) = answer.split_at(16);
        if blob[..2] != [1, 1] {
            return Err("the answer is of an unknown version");
        }
        let info = &blob[28..];
        let flags = find_av(info, av::FLAGS)?.and_then(|value| long(value, 0));
        let target = find_av(info, av::TARGET_NAME)?;
        Ok(Self {
            proof,
            blob,
            has_code: flags.is_some_and(|flags| flags & av::HAS_CODE != 0),
            channel: find_av(info, av::CHANNEL)?,
            target: target.map(|name| read_text(name, flag::UNICODE)).transpose()?,
        })
    }
}

/// The parts of the third message.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) flags: u32,
    pub(super) answer: &'a [u8],
    pub(super) domain: &'a str,
    pub(super) user: &'a str,
    pub(super) workstation: &'a str,
}

/// Writes the third message, with zeros in place of the message integrity code.
pub(super) fn authenticate(parts: &Parts<'_>) -> Vec<u8> {
    let domain = text(parts.domain, parts.flags);
    let user = text(parts.user, parts.flags);
    let workstation = text(parts.workstation, parts.flags);
    let lm = [0; 24];
    let mut at = CODE_AT + CODE;
    let mut out = head(3);
    for part in [&lm, parts.answer, &domain, &user, &workstation, &[]] {
        push_field(&mut out, part.len(), at);
        at += part.len();
    }
    out.extend(parts.flags.to_le_bytes());
    out.extend([0; 8 + CODE]);
    for part in [&lm, parts.answer, &domain, &user, &workstation] {
        out.extend(part);
    }
    out
}

/// The first value of a kind in target information, which must be well formed up to its end or [`av::END`].
pub(super) fn find_av(info: &[u8], kind: u16) -> Result<Option<&[u8]>, &'static str> {
    let mut found = None;
    for pair in av_pairs(info) {
        let (this, value) = pair?;
        if this == kind && found.is_none() {
            found = Some(value);
        }
    }
    Ok(found)
}

/// All pairs of target information before its end.
pub(super) fn av_pairs(info: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), &'static str>> {
    let mut rest = Some(info).filter(|info| !info.is_empty());
    std::iter::from_fn(move || {
        let now = rest.take()?;
        let whole = short(now, 0).zip(short(now, 2)).and_then(|(kind, length)| {
            let end = 4 + usize::from(length);
            Some((kind, now.get(4..end)?, &now[end..]))
        });
        match whole {
            Some((av::END, ..)) => None,
            Some((kind, value, behind)) => {
                rest = Some(behind).filter(|behind| !behind.is_empty());
                Some(Ok((kind, value)))
            }
            None => Some(Err("the target information is cut short")),
        }
    })
}

/// Appends a pair of target information.
pub(super) fn push_av(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(value);
}

/// Windows' time: tenths of a microsecond since 1601.
pub(super) fn file_time(unix_seconds: u64) -> [u8; 8] {
    unix_seconds
        .saturating_add(11_644_473_600)
        .saturating_mul(10_000_000)
        .to_le_bytes()
}

/// Text in UTF-16.
pub(super) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn text(text: &str, flags: u32) -> Vec<u8> {
    match flags & flag::UNICODE {
        0 => text.as_bytes().to_vec(),
        _ => utf16(text),
    }
}

fn read_text(octets: &[u8], flags: u32) -> Result<String, &'static str> {
    if flags & flag::UNICODE == 0 {
        let text = std::str::from_utf8(octets).map_err(|_| "a name that is not UTF-8")?;
        return Ok(text.to_owned());
    }
    if !octets.len().is_multiple_of(2) {
        return Err("half a character in a name");
    }
    let units = octets
        .chunks_exact(2)
        .map(|two| u16::from_le_bytes([two[0], two[1]]));
    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .map_err(|_| "a name that is not UTF-16")
}

fn head(kind: u32) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.extend(kind.to_le_bytes());
    out
}

fn start(message: &[u8], kind: u32) -> Result<(), &'static str> {
    if !message.starts_with(SIGNATURE) {
        return Err("no NTLM message");
    }
    match long(message, 8) {
        Some(this) if this == kind => Ok(()),
        _ => Err("a message of another kind"),
    }
}

/// Appends length, allocated length and offset of a part.
fn push_field(out: &mut Vec<u8>, length: usize, at: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    out.extend(length);
    out.extend(length);
    out.extend(u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
}

/// The part whose length and offset are at `at`.
fn field(message: &[u8], at: usize) -> Result<&[u8], &'static str> {
    let (Some(length), Some(place)) = (short(message, at), long(message, at + 4)) else {
        return Err("cut short");
    };
    if length == 0 {
        return Ok(&[]);
    }
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    place
        .checked_add(usize::from(length))
        .and_then(|end| message.get(place..end))
        .ok_or("a part is outside of the message")
}

fn octets<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..at + N)?.try_into().ok()
}

fn short(message: &[u8], at: usize) -> Option<u16> {
    octets(message, at).map(u16::from_le_bytes)
}

fn long(message: &[u8], at: usize) -> Option<u32> {
    octets(message, at).map(u32::from_le_bytes)
}
