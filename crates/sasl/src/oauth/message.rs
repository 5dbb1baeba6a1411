//! The messages of both forms as text.

use std::fmt::Write as _;

use crate::context::OauthAdvice;

/// Longest token, in octets. JWTs with many groups have a few thousand.
pub const TOKEN_MAX: usize = 8_192;

/// Which of the two mechanisms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// OAUTHBEARER.
    Bearer,
    /// XOAUTH2.
    Google,
}

/// A client's message.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) identity: Option<String>,
    /// `None` if the client only asks which token it would need (RFC 7628 section 4.3).
    pub(super) token: Option<&'a str>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

impl Form {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "OAUTHBEARER",
            Self::Google => "XOAUTH2",
        }
    }

    /// Reads the client's first message.
    pub(super) fn parse(self, message: &[u8]) -> Result<Said<'_>, &'static str> {
        let message = std::str::from_utf8(message).map_err(|_| "not UTF-8")?;
        let (identity, pairs) = match self {
            Self::Bearer => {
                let (header, pairs) = message.split_once('\u{1}').ok_or("no separator")?;
                (gs2_identity(header)?, pairs)
            }
            Self::Google => {
                let rest = message.strip_prefix("user=").ok_or("no user")?;
                let (user, pairs) = rest.split_once('\u{1}').ok_or("no separator")?;
                (Some(user.to_owned()), pairs)
            }
        };
        // Each `key=value` followed by %x01, and a %x01 at the end.
        let pairs = pairs.strip_suffix('\u{1}').ok_or("no end")?;
        let (mut auth, mut host, mut port) = (None, None, None);
        for pair in pairs.split_terminator('\u{1}') {
            let (key, value) = pair.split_once('=').ok_or("a key without a value")?;
            let before = match key {
                "auth" => auth.replace(value),
                "host" => host.replace(value),
                "port" => port.replace(value),
                _ => None,
            };
            if before.is_some() {
                return Err("a key is given twice");
            }
        }
        if host.is_some_and(|host| host.len() > 255 || host.chars().any(char::is_control)) {
            return Err("no host name");
        }
        Ok(Said {
            identity,
            token: bearer(auth.ok_or("no auth")?)?,
            host: host.map(str::to_owned),
            port: port.map(|port| port.parse().map_err(|_| "no port")).transpose()?,
        })
    }

    /// Writes the client's first message.
    pub(super) fn write(self, identity: &str, token: &str, host: &str, port: u16) -> String {
        match self {
            Self::Bearer => format!(
                "n,a={},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {token}\u{1}\u{1}",
                crate::scram::escape(identity)
            ),
            Self::Google => format!("user={identity}\u{1}auth=Bearer {token}\u{1}\u{1}"),
        }
    }

    /// What the client is told if its token is not accepted (RFC 7628 section 3.2.2).
    pub(super) fn refusal(self, advice: &OauthAdvice) -> String {
        let mut json = match self {
            Self::Bearer => r#"{"status":"invalid_token""#.to_owned(),
            Self::Google => r#"{"status":"401","schemes":"bearer""#.to_owned(),
        };
        if let Some(scope) = &advice.scope {
            push_member(&mut json, "scope", scope);
        }
        if let (Self::Bearer, Some(address)) = (self, &advice.openid_configuration) {
            push_member(&mut json, "openid-configuration", address);
        }
        json.push('}');
        json
    }
}

/// `gs2-header` without channel binding: `n,,` or `n,a=name,`.
fn gs2_identity(header: &str) -> Result<Option<String>, &'static str> {
    let rest = header
        .strip_prefix("n,")
        .or_else(|| header.strip_prefix("y,"))
        .ok_or("no GS2 header, or one with channel binding")?;
    let name = rest.strip_suffix(',').ok_or("the GS2 header has no end")?;
    match name.strip_prefix("a=") {
        Some(name) if !name.contains(',') => crate::scram::unescape(name).map(Some),
        None if name.is_empty() => Ok(None),
        _ => Err("no authorization identity"),
    }
}

/// The token of an `Authorization` value. The scheme's name is case-insensitive (RFC 7235 section
/// 2.1).
fn bearer(auth: &str) -> Result<Option<&str>, &'static str> {
    if auth.is_empty() {
        return Ok(None);
    }
    let (scheme, token) = auth.split_once(' ').ok_or("no token")?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err("a scheme other than Bearer");
    }
    if !is_token(token) {
        return Err("the token is empty, too long or not visible ASCII");
    }
    Ok(Some(token))
}

pub(super) fn is_token(token: &str) -> bool {
    (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
}

/// Appends `,"name":"value"`.
fn push_member(json: &mut String, name: &str, value: &str) {
    let _ = write!(json, ",\"{name}\":\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            c if c.is_control() => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
}
