//! Reading addresses: one pass over the text, no copy before it is known to be valid.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::characters::{is_atext, is_quotable};
use super::{AddressError, Domain, ForwardPath, Mailbox, ParseOptions, ReversePath};

/// Octets of a domain as written, before an internationalised one is converted to A-labels; longer ones are refused unseen.
const RAW_DOMAIN_MAX: usize = 1_024;

/// Octets of a domain name in A-labels (RFC 5321 section 4.5.3.1.2).
const DOMAIN_MAX: usize = 255;

/// Octets of one label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;

impl Mailbox {
    /// Reads an addr-spec without angle brackets: `local@domain`, `"quoted local"@domain`, `local@[192.0.2.1]`.
    ///
    /// # Errors
    ///
    /// See [`AddressError`].
    pub fn parse(text: &str, options: &ParseOptions<'_>) -> Result<Self, AddressError> {
        mailbox(text, options)
    }
}

impl Domain {
    /// Reads a domain name or an address literal in brackets. One trailing dot is dropped.
    ///
    /// # Errors
    ///
    /// See [`AddressError`]; [`AddressError::NeedsUtf8`] for a non-ASCII name when `utf8` is false.
    pub fn parse(text: &str, utf8: bool) -> Result<Self, AddressError> {
        domain(text, utf8)
    }
}

impl ReversePath {
    /// Reads the text between `FROM:` and the parameters: `<>`, `<a@b>`, or `a@b` as old clients write it.
    ///
    /// # Errors
    ///
    /// See [`AddressError`].
    pub fn parse(text: &str, options: &ParseOptions<'_>) -> Result<Self, AddressError> {
        reverse_path(text, options)
    }
}

impl ForwardPath {
    /// Reads the text between `TO:` and the parameters.
    ///
    /// # Errors
    ///
    /// See [`AddressError`].
    pub fn parse(text: &str, options: &ParseOptions<'_>) -> Result<Self, AddressError> {
        forward_path(text, options)
    }
}

fn mailbox(text: &str, options: &ParseOptions<'_>) -> Result<Mailbox, AddressError> {
    let (local, rest) = split_local(text, options.utf8)?;
    if local.len() > options.limits.local_max_of(local) {
        return Err(AddressError::LocalTooLong);
    }
    let domain = match rest.strip_prefix('@') {
        Some("") => return Err(AddressError::DomainMissing),
        Some(domain) => domain_within(domain, options)?,
        None if rest.is_empty() => options.default_domain.ok_or(AddressError::DomainMissing)?.clone(),
        None => return Err(AddressError::BadCharacter),
    };
    Ok(Mailbox {
        local: local.into(),
        domain,
    })
}

fn reverse_path(text: &str, options: &ParseOptions<'_>) -> Result<ReversePath, AddressError> {
    let inner = inside_angles(text, options)?;
    if inner.is_empty() {
        return if text.contains('<') {
            Ok(ReversePath::Null)
        } else {
            Err(AddressError::Empty)
        };
    }
    let (_, rest) = split_source_route(inner, options)?;
    Ok(ReversePath::Mailbox(mailbox(rest, options)?))
}

fn forward_path(text: &str, options: &ParseOptions<'_>) -> Result<ForwardPath, AddressError> {
    let inner = inside_angles(text, options)?;
    if inner.eq_ignore_ascii_case("postmaster") {
        return Ok(ForwardPath::Postmaster);
    }
    let (source_route, rest) = split_source_route(inner, options)?;
    Ok(ForwardPath::Mailbox {
        mailbox: mailbox(rest, options)?,
        source_route,
    })
}

fn domain(text: &str, utf8: bool) -> Result<Domain, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some(literal) = text.strip_prefix('[') {
        return address_literal(literal.strip_suffix(']').ok_or(AddressError::BadDomain)?);
    }
    if text.is_ascii() {
        return domain_name(text);
    }
    if !utf8 {
        return Err(AddressError::NeedsUtf8);
    }
    if text.len() > RAW_DOMAIN_MAX {
        return Err(AddressError::DomainTooLong);
    }
    domain_name(&idna::domain_to_ascii(text).map_err(|_| AddressError::BadDomain)?)
}

/// Splits what follows `FROM:` or `TO:` into the path and the parameters after it.
///
/// Spaces before the path are dropped; quoted strings are honoured, so `<"a> b"@c> SIZE=1` splits after the second `>`.
///
/// # Errors
///
/// [`AddressError::UnbalancedQuote`], [`AddressError::UnbalancedAngle`].
pub fn split_path(text: &str) -> Result<(&str, &str), AddressError> {
    let text = text.trim_start_matches([' ', '\t']);
    let angled = text.starts_with('<');
    let (mut quoted, mut escaped) = (false, false);
    let mut end = if angled { None } else { Some(text.len()) };
    for (index, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if angled && !quoted => {
                end = Some(index + 1);
                break;
            }
            b' ' | b'\t' if !angled && !quoted => {
                end = Some(index);
                break;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(AddressError::UnbalancedQuote);
    }
    let (path, rest) = text.split_at(end.ok_or(AddressError::UnbalancedAngle)?);
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Err(AddressError::BadCharacter);
    }
    Ok((path, rest.trim_matches([' ', '\t'])))
}

fn domain_within(text: &str, options: &ParseOptions<'_>) -> Result<Domain, AddressError> {
    let domain = domain(text, options.utf8)?;
    match domain.name() {
        Some(name) if name.len() > options.limits.domain_max => Err(AddressError::DomainTooLong),
        _ => Ok(domain),
    }
}

/// Removes the angle brackets, if there are any.
fn inside_angles<'t>(text: &'t str, options: &ParseOptions<'_>) -> Result<&'t str, AddressError> {
    let text = text.trim_matches([' ', '\t']);
    let (brackets, inner) = match text.strip_prefix('<') {
        Some(inner) => (0, inner),
        None => (2, text),
    };
    if text.len() + brackets > options.limits.path_max_of(inner) {
        return Err(AddressError::PathTooLong);
    }
    if has_open_quote(text) {
        return Err(AddressError::UnbalancedQuote);
    }
    match (text.strip_prefix('<'), text.ends_with('>')) {
        (Some(rest), true) => Ok(&rest[..rest.len() - 1]),
        (None, false) => Ok(text),
        _ => Err(AddressError::UnbalancedAngle),
    }
}

fn has_open_quote(text: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for octet in text.bytes() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    quoted
}

/// Splits off a source route, `@a,@b:` (RFC 5321 section 4.1.2, `A-d-l`). Its hosts must be valid domains.
fn split_source_route<'t>(
    text: &'t str,
    options: &ParseOptions<'_>,
) -> Result<(bool, &'t str), AddressError> {
    if !text.starts_with('@') {
        return Ok((false, text));
    }
    let mut rest = text;
    loop {
        let host = rest.strip_prefix('@').ok_or(AddressError::BadCharacter)?;
        // A literal contains colons itself.
        let from = if host.starts_with('[') {
            host.find(']').ok_or(AddressError::BadDomain)?
        } else {
            0
        };
        let Some(end) = host[from..].find([',', ':']).map(|index| index + from) else {
            // `<@domain>`: a domain without a local part.
            return Err(AddressError::Empty);
        };
        domain_within(&host[..end], options)?;
        let after = &host[end + 1..];
        if host.as_bytes()[end] == b':' {
            return Ok((true, after));
        }
        rest = after;
    }
}

/// Splits the local part, quotes included, from what follows it.
fn split_local(text: &str, utf8: bool) -> Result<(&str, &str), AddressError> {
    let end = if text.starts_with('"') {
        quoted_end(text, utf8)?
    } else {
        dot_string_end(text, utf8)?
    };
    Ok(text.split_at(end))
}

fn quoted_end(text: &str, utf8: bool) -> Result<usize, AddressError> {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            // Only graphic characters and the space may follow a backslash.
            ' '..='~' if escaped => escaped = false,
            '\\' => escaped = true,
            // `""@domain` fits the grammar but names nobody.
            '"' if index == 1 => return Err(AddressError::Empty),
            '"' => return Ok(index + 1),
            c if is_quotable(c, utf8) && !escaped => {}
            c if !c.is_ascii() && !utf8 => return Err(AddressError::NeedsUtf8),
            _ => return Err(AddressError::BadCharacter),
        }
    }
    Err(AddressError::UnbalancedQuote)
}

fn dot_string_end(text: &str, utf8: bool) -> Result<usize, AddressError> {
    let mut atom_empty = true;
    for (index, c) in text.char_indices() {
        match c {
            c if is_atext(c, utf8) => atom_empty = false,
            '.' if !atom_empty => atom_empty = true,
            '@' if index == 0 => return Err(AddressError::Empty),
            '@' if !atom_empty => return Ok(index),
            '"' if has_open_quote(text) => return Err(AddressError::UnbalancedQuote),
            c if !c.is_ascii() && !utf8 => return Err(AddressError::NeedsUtf8),
            _ => return Err(AddressError::BadCharacter),
        }
    }
    match (text.is_empty(), atom_empty) {
        (true, _) => Err(AddressError::Empty),
        (false, true) => Err(AddressError::BadCharacter),
        (false, false) => Ok(text.len()),
    }
}

/// The text between the brackets of an address literal (RFC 5321 section 4.1.3).
fn address_literal(text: &str) -> Result<Domain, AddressError> {
    const TAG: &str = "IPv6:";
    let ip = match text.get(..TAG.len()) {
        Some(tag) if tag.eq_ignore_ascii_case(TAG) => text[TAG.len()..].parse::<Ipv6Addr>().map(IpAddr::V6),
        _ => text.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    // One host has one form: an IPv4 address mapped into IPv6 is that IPv4 address.
    ip.map(|ip| Domain::Literal(ip.to_canonical()))
        .map_err(|_| AddressError::BadDomain)
}

/// An ASCII name. Letters, digits, hyphens, and underscores, which are in use.
fn domain_name(text: &str) -> Result<Domain, AddressError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() > DOMAIN_MAX {
        return Err(AddressError::DomainTooLong);
    }
    let mut last = "";
    for label in text.split('.') {
        if label.len() > LABEL_MAX {
            return Err(AddressError::DomainTooLong);
        }
        let good = label
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        if label.is_empty() || !good || label.starts_with('-') || label.ends_with('-') {
            return Err(AddressError::BadDomain);
        }
        last = label;
    }
    // `192.0.2.1` without brackets is not a name, since some resolvers take it for an address. Nor is `0x7f.1`.
    if is_number(last) {
        return Err(AddressError::BadDomain);
    }
    Ok(Domain::Name(text.to_ascii_lowercase().into_boxed_str()))
}

/// Whether a resolver could take the last label for the end of an IPv4 address: digits, or `0x` and hexadecimal digits.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hexadecimal.is_some_and(|digits| digits.bytes().all(|octet| octet.is_ascii_hexdigit()))
        || label.bytes().all(|octet| octet.is_ascii_digit())
}

/// Reads a stored or configured addr-spec: UTF-8 is allowed, a domain is required.
impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(
            text,
            &ParseOptions {
                utf8: true,
                ..ParseOptions::default()
            },
        )
    }
}

/// Reads a stored or configured domain: UTF-8 is allowed.
impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, true)
    }
}
