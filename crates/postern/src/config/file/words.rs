//! Kinds of texts with a meaning in mail.

use std::net::IpAddr;

use postern_directory::addresses::key_of;
use postern_filter::Address as FilterAddress;
use postern_mail::address::ParseOptions;
use postern_mail::{Domain, Mailbox};
use postern_oauth::http::Endpoint;
use postern_policy::DomainSet;
use postern_policy::alias::RefusalText;
use postern_policy::identity::{self, AddressPattern};
use postern_policy::origin::{LoginSet, SenderSet};
use postern_policy::privacy::Privacy;
use postern_policy::route::Hop;
use postern_policy::screen::list::{AnswerRange, BadAnswerRange};
use postern_sasl::Mechanism;
use postern_seal::Canonicalization;
use toml::Spanned;
use toml::de::DeValue;

use crate::config::kinds::{Choice, split, text};
use crate::config::read::{Kind, Place, Reader};

/// A kind whose texts are read by a function of another crate.
macro_rules! word {
    ($(#[doc = $doc:literal])* $name:ident($described:literal, $sample:literal, $value:ty) = $read:expr) => {
        $(#[doc = $doc])*
        pub(crate) struct $name;

        impl Kind for $name {
            type Value = $value;

            fn describe(&self) -> String {
                $described.into()
            }

            fn sample(&self) -> String {
                $sample.into()
            }

            fn read(
                &self,
                value: &Spanned<DeValue<'_>>,
                place: &Place,
                reader: &mut Reader<'_>,
            ) -> Option<$value> {
                let read: fn(&str, &Place) -> Result<$value, (String, String)> = $read;
                text(value, place, reader, concat!("a ", $described, " in quotes"), |written| read(written, place))
            }
        }
    };
}

word! {
    /// A full host name.
    HostName("host name", "\"mx.example.org\"", String) = |written, place| {
        let remedy = || format!("a full name is needed: {}", place.remedy());
        match Domain::parse(written, true) {
            Ok(Domain::Name(name)) if name.contains('.') || &*name == "localhost" => Ok(name.into()),
            Ok(Domain::Name(_)) => Err(("not a full name: it has no dot".into(), remedy())),
            Ok(Domain::Literal(_)) => Err(("an address, not a name".into(), remedy())),
            Err(error) => Err((error.to_string(), remedy())),
        }
    }
}

word! {
    /// A selector of DKIM keys.
    SelectorName("selector", "\"r202612\"", String) = |written, place| {
        match Domain::parse(written, false) {
            Ok(Domain::Name(name)) => Ok(name.into()),
            _ => Err(("not a selector: letters, digits, hyphens and dots".into(), place.remedy())),
        }
    }
}

word! {
    /// The name of a header field.
    FieldName("name of a header field", "\"Subject\"", String) = |written, place| {
        let is_name = |octet: u8| matches!(octet, b'!'..=b'9' | b'<'..=b'~');
        let never = ["Received", "Return-Path", "DKIM-Signature", "Authentication-Results", "Bcc"];
        if written.is_empty() || written.len() > 76 || !written.bytes().all(is_name) {
            Err(("not the name of a header field".into(), place.remedy()))
        } else if never.iter().any(|name| name.eq_ignore_ascii_case(written)) {
            Err(("changes on the way (RFC 6376 section 5.4)".into(), "leave it out".into()))
        } else {
            Ok(written.to_owned())
        }
    }
}

word! {
    /// Canonical forms of DKIM.
    CanonicalForms("canonical forms", "\"relaxed/relaxed\"", Canonicalization) = |written, _| {
        written.parse().map_err(|_| (
            "unknown".into(),
            "write \"relaxed/relaxed\", \"relaxed/simple\", \"simple/relaxed\" or \"simple/simple\"".into(),
        ))
    }
}

word! {
    /// A domain, all names below one, or everything.
    DomainPattern("domain, \"*.domain\" or \"*\"", "\"example.org\"", String) = |written, place| {
        match DomainSet::new([written]) {
            Ok(_) => Ok(written.to_owned()),
            Err(error) => Err(split(&error, place)),
        }
    }
}

word! {
    /// A sender, or all of a domain.
    SenderPattern("address, \"@domain\", \"@*.domain\" or \"<>\"", "\"@example.org\"", String) = |written, place| {
        match SenderSet::new([written]) {
            Ok(_) => Ok(written.to_owned()),
            Err(error) => Err(split(&error, place)),
        }
    }
}

word! {
    /// A login, all that end in a domain, or everything.
    LoginPattern("login, \"@domain\" or \"*\"", "\"acaird\"", String) = |written, place| {
        match LoginSet::new([written]) {
            Ok(_) => Ok(written.to_owned()),
            Err(error) => Err(split(&error, place)),
        }
    }
}

word! {
    /// Where a filter listens.
    MilterAddress("address of a filter's socket", "\"unix:/run/opendkim/opendkim.sock\"", FilterAddress) = |written, place| {
        written.parse::<FilterAddress>().map_err(|error| split(&error, place))
    }
}

word! {
    /// A mail address.
    Address("mail address", "\"postmaster@example.org\"", Mailbox) = |written, place| {
        Mailbox::parse(written, &ParseOptions { utf8: true, ..ParseOptions::default() })
            .map_err(|error| split(&error, place))
    }
}

word! {
    /// The separator between name and detail in an address.
    Separator("character, or \"\"", "\"+\"", Option<char>) = |written, place| {
        let mut chars = written.chars();
        let separator = chars.next();
        if chars.next().is_some() || separator.is_some_and(char::is_control) {
            return Err(("not one character".into(), place.remedy()));
        }
        if separator.is_some_and(|c| c.is_alphanumeric() || matches!(c, '@' | '"' | '.' | '\\')) {
            return Err((
                "occurs in ordinary addresses: one user's would be a detail of another's".into(),
                "choose for example \"+\" or \"-\", or \"\" for none".into(),
            ));
        }
        Ok(separator)
    }
}

word! {
    /// One login, all of a domain, or all.
    LoginPatternText("login, \"*@domain\" or \"*\"", "\"acaird\"", identity::LoginPattern) = |written, _| {
        identity::LoginPattern::parse(written).map_err(|_| (
            "no login".into(),
            "write one such as \"acaird\", \"*@example.org\" for all of a domain, or \"*\" for all".into(),
        ))
    }
}

word! {
    /// One address, all of a domain, or all.
    AddressPatternText("mail address, \"*@domain\" or \"*\"", "\"sales@example.org\"", AddressPattern) = |written, _| {
        AddressPattern::parse(written).map_err(|_| (
            "no address".into(),
            "write one such as \"sales@example.org\", \"*@example.org\" for all of a domain, or \"*\" for all".into(),
        ))
    }
}

word! {
    /// One of sendmail's PrivacyOptions.
    PrivacyFlag("privacy flag", "\"goaway\"", String) = |written, place| {
        match Privacy::parse([written]) {
            Ok(_) => Ok(written.to_owned()),
            Err(error) => Err((format!("unknown privacy flag {:?}", error.found), error.remedy)),
        }
        .map_err(|(label, remedy)| if remedy.is_empty() { split(&label, place) } else { (label, remedy) })
    }
}

word! {
    /// A SASL mechanism of this version.
    MechanismName("mechanism", "\"PLAIN\"", Mechanism) = |written, place| {
        Mechanism::from_config(written).map_err(|error| split(&error, place))
    }
}

word! {
    /// A host to hand mail to.
    NextHop("host with port", "\"smarthost.example.org:25\"", Hop) = |written, place| {
        Hop::parse(written, 25).map_err(|error| split(&error, place))
    }
}

word! {
    /// The left-hand side of an alias.
    AliasPattern("address, or @domain", "\"info@example.org\"", String) = |written, place| {
        match key_of(written) {
            Ok(_) => Ok(written.to_owned()),
            Err(error) => Err(split(&error, place)),
        }
    }
}

word! {
    /// A recipient of a route.
    RecipientPattern("address, or @domain", "\"vip@example.org\"", String) = |written, place| {
        let mut one = SenderSet::default();
        match one.insert(written) {
            Ok(()) if written != "<>" => Ok(written.to_owned()),
            Ok(()) => Err(("not a recipient".into(), place.remedy())),
            Err(error) => {
                let (label, remedy) = split(&error, place);
                Err((label.replace("sender", "recipient"), remedy.replace(", or \"<>\"", "")))
            }
        }
    }
}

word! {
    /// An address of this host.
    SourceAddress("IP address", "\"192.0.2.1\"", IpAddr) = |written, place| {
        match written.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) if !ip.is_unspecified() && !ip.is_multicast() => Ok(ip),
            _ => Err(("not an address that mail can be sent from".into(), place.remedy())),
        }
    }
}

word! {
    /// The reply to a refused client.
    RefusalWords("code, enhanced code and text", "\"550 5.7.1 Not here\"", RefusalText) = |written, place| {
        RefusalText::parse(written).map_err(|error| split(&error, place))
    }
}

word! {
    /// An LDAP server.
    LdapUrl("LDAP address", "\"ldap://ldap.example.org/\"", String) = |written, place| {
        let rest = written.strip_prefix("ldap://").or_else(|| written.strip_prefix("ldaps://"));
        let host = rest.map(|rest| rest.trim_end_matches('/'));
        match host {
            Some(host) if !host.is_empty() && !host.contains(['/', '?', '@', ' ']) => Ok(written.to_owned()),
            _ => Err((
                "not the address of an LDAP server".into(),
                format!("write it as {}; the search base has a key of its own", place.example),
            )),
        }
    }
}

word! {
    /// A database server.
    SqlServer("host with port, or path of a socket", "\"db.example.org\"", String) = |written, place| {
        match postern_directory::sql::check_server(written) {
            Ok(()) => Ok(written.to_owned()),
            Err(_) => Err(("not a server".into(), format!("write host, host:port, [IPv6]:port or /path/of/socket: {}", place.remedy()))),
        }
    }
}

word! {
    /// An address of a provider of tokens.
    ProviderAddress("https address", "\"https://id.example.org/token\"", Endpoint) = |written, place| {
        Endpoint::parse(written).map_err(|error| split(&error, place))
    }
}

word! {
    /// A query, which may have several lines. Which engine it is for is known later.
    SqlQuery("SQL query", "\"SELECT …\"", String) = |written, place| {
        if written.trim().is_empty() {
            Err(("empty".into(), place.remedy()))
        } else {
            Ok(written.to_owned())
        }
    }
}

word! {
    /// The name of a scheme of stored passwords.
    SchemeName("name of a password scheme", "\"SSHA512\"", String) = |written, _| {
        if postern_directory::schemes::Stored::knows(written) {
            Ok(written.to_owned())
        } else {
            Err((
                "not a known scheme".into(),
                "name one such as \"SSHA512\", \"PLAIN-MD5\" or \"PBKDF2\"; crypt(3) strings need none".into(),
            ))
        }
    }
}

word! {
    /// SHA-256 of a certificate in hexadecimal digits.
    Fingerprint("SHA-256 fingerprint", "", String) = |written, _| {
        let digits: String = written.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(digits)
        } else {
            Err((
                "not 64 hexadecimal digits".into(),
                "`postern cert show FILE` prints it; colons between the digits may stay".into(),
            ))
        }
    }
}

word! {
    /// Answers of a DNS list.
    AnswerRangeText("single answer, range or network in 127.0.0.0/8", "\"127.0.0.2\"", AnswerRange) = |written, place| {
        written.parse().map_err(|error: BadAnswerRange| split(&error, place))
    }
}

word! {
    /// The zone of a DNS list. An IPv6 address in it takes 64 octets, and a name has room for 253.
    ListZone("zone of a DNS list", "\"bl.example.org\"", String) = |written, place| {
        match Domain::parse(written, true) {
            Ok(Domain::Name(name)) if name.len() <= 189 => Ok(name.into()),
            Ok(Domain::Name(_)) => Err(("longer than 189 octets".into(), place.remedy())),
            Ok(Domain::Literal(_)) => Err(("an address, not a name".into(), place.remedy())),
            Err(error) => Err(split(&error, place)),
        }
    }
}

word! {
    /// The name of a DNS list, which is written into messages.
    ListName("name of letters, digits, \".\", \"-\" and \"_\"", "\"blocklist\"", String) = |written, place| {
        let is_good = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
        if (1..=64).contains(&written.len()) && written.bytes().all(is_good) {
            Ok(written.to_owned())
        } else {
            Err(("not one to 64 letters, digits, \".\", \"-\" and \"_\"".into(), place.remedy()))
        }
    }
}

word! {
    /// The text of a reply.
    ReplyText("text of up to 300 ASCII characters", "\"{address} is blocked\"", String) = |written, place| {
        if (1..=300).contains(&written.len()) && written.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
            Ok(written.to_owned())
        } else {
            Err(("not one to 300 printable ASCII characters".into(), place.remedy()))
        }
    }
}

/// The engines of SQL directories.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EngineWord {
    PostgreSql,
    MySql,
    Sqlite,
}

impl Choice for EngineWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("postgresql", Self::PostgreSql),
        ("mysql", Self::MySql),
        ("sqlite", Self::Sqlite),
    ];
}
