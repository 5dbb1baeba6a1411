//! A message given as its parts, in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::text::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Trouble;

/// Recipients of one message.
const RECIPIENTS_MAX: usize = 10_000;

/// A message given as its parts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Composed {
    /// As `anna@example.org`, or with `name` and `address`.
    pub(super) from: Person,
    #[serde(default)]
    pub(super) to: Vec<Person>,
    #[serde(default)]
    pub(super) cc: Vec<Person>,
    /// Recipients hidden from the others.
    #[serde(default)]
    pub(super) bcc: Vec<Person>,
    #[serde(default)]
    pub(super) reply_to: Vec<Person>,
    #[serde(default)]
    pub(super) subject: String,
    /// The body as text.
    #[serde(default)]
    pub(super) text: Option<String>,
    /// The body as HTML, in addition to the text or instead of it.
    #[serde(default)]
    pub(super) html: Option<String>,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
    /// Further header fields, by name.
    #[serde(default)]
    pub(super) headers: std::collections::BTreeMap<String, String>,
}

/// Somebody with an address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Person {
    /// The address alone.
    Address(String),
    /// With a name.
    Named {
        /// The name shown to people.
        name: String,
        /// The address.
        address: String,
    },
}

impl Person {
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Address(address) | Self::Named { address, .. } => address,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Address(_) => None,
            Self::Named { name, .. } => Some(name),
        }
    }
}

/// An attached file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attachment {
    pub(super) filename: String,
    /// Its media type.
    #[serde(default = "octets")]
    pub(super) content_type: String,
    /// In Base64.
    pub(super) content: String,
}

fn octets() -> String {
    "application/octet-stream".to_owned()
}

/// An accepted message.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct Submitted {
    /// Its queue ids: one, unless it has more recipients than are allowed for one message.
    pub(crate) queue: Vec<String>,
    /// The recipients for which it was accepted.
    pub(crate) accepted: Vec<String>,
    /// The recipients for which it was refused, each with the server's reply.
    pub(crate) refused: Vec<RefusedRecipient>,
}

/// A recipient for which a message was refused.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct RefusedRecipient {
    pub(crate) to: String,
    /// The reply's code, as in SMTP.
    pub(crate) code: u16,
    /// Its enhanced status code.
    pub(crate) status: Option<String>,
    pub(crate) reply: String,
}

/// Fields that are made from the other parts, or that only servers write.
const NOT_FREE: &[&str] = &[
    "bcc",
    "cc",
    "date",
    "dkim-signature",
    "from",
    "message-id",
    "mime-version",
    "received",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
];

impl Composed {
    /// All recipients.
    pub(super) fn recipients(&self) -> Vec<String> {
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.map(|person| person.address().to_owned()).collect()
    }

    /// The message, without the recipients in `bcc`. `id` is its Message-ID, without brackets.
    ///
    /// # Errors
    ///
    /// What is wrong with a part.
    pub(super) fn message(&self, id: String) -> Result<Vec<u8>, Trouble> {
        if self.to.len() + self.cc.len() + self.bcc.len() > RECIPIENTS_MAX {
            return Err(Trouble::bad(format!(
                "a message has at most {RECIPIENTS_MAX} recipients"
            )));
        }
        let mut builder = MessageBuilder::new()
            .message_id(id)
            .from(one(&self.from)?)
            .subject(line("subject", &self.subject)?);
        for (field, people) in [("To", &self.to), ("Cc", &self.cc), ("Reply-To", &self.reply_to)] {
            if !people.is_empty() {
                let list: Result<Vec<_>, _> = people.iter().map(one).collect();
                builder = builder.header(field, Address::new_list(list?));
            }
        }
        for (name, value) in &self.headers {
            builder = builder.header(free_name(name)?.to_owned(), Text::new(line(name, value)?));
        }
        if let Some(text) = &self.text {
            builder = builder.text_body(text.as_str());
        }
        if let Some(html) = &self.html {
            builder = builder.html_body(html.as_str());
        }
        if self.text.is_none() && self.html.is_none() {
            builder = builder.text_body("");
        }
        for attachment in &self.attachments {
            let content = STANDARD.decode(&attachment.content).map_err(|error| {
                Trouble::bad(format!(
                    "the attachment {:?} is not in Base64: {error}",
                    attachment.filename
                ))
            })?;
            builder = builder.attachment(
                media_type(&attachment.content_type)?,
                line("filename", &attachment.filename)?,
                content,
            );
        }
        let written = builder.write_to_vec();
        written.map_err(|error| Trouble::bad(format!("cannot write the message: {error}")))
    }
}

fn one(person: &Person) -> Result<Address<'_>, Trouble> {
    let address = line("address", person.address())?;
    let odd = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | '(' | ')');
    if address.is_empty() || address.contains(odd) {
        return Err(Trouble::bad(format!(
            "{address:?} is not an address; write anna@example.org, and a name as \"name\""
        )));
    }
    let name = person.name().map(|name| line("name", name)).transpose()?;
    Ok(Address::new_address(name, address))
}

/// A text without line ends, which would start another field.
fn line<'a>(what: &str, text: &'a str) -> Result<&'a str, Trouble> {
    match text.chars().any(char::is_control) {
        true => Err(Trouble::bad(format!("`{what}` has a control character"))),
        false => Ok(text),
    }
}

/// The name of a field that clients may set.
fn free_name(name: &str) -> Result<&str, Trouble> {
    let lower = name.to_ascii_lowercase();
    let reserved = NOT_FREE.contains(&lower.as_str())
        || ["content-", "resent-", "arc-", "authentication-results"]
            .iter()
            .any(|start| lower.starts_with(start));
    let fits = !name.is_empty()
        && name.len() <= 76
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
    match fits && !reserved {
        true => Ok(name),
        false => Err(Trouble::bad(format!(
            "the header field {name:?} cannot be given in `headers`"
        ))),
    }
}

fn media_type(text: &str) -> Result<&str, Trouble> {
    let fits = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&octet))
    };
    match text.split_once('/') {
        Some((kind, sub)) if fits(kind) && fits(sub) => Ok(text),
        _ => Err(Trouble::bad(format!("{text:?} is not a media type"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(more: &str) -> Composed {
        let text = format!(r#"{{"from": "anna@a.example", "to": ["bert@b.example"]{more}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_a_message_is_made_of() {
        let message = composed(
            r#", "cc": [{"name": "Carl, the \"third\"", "address": "carl@c.example"}], "bcc": ["dora@d.example"],
               "subject": "Grüße", "text": "hello\n.\nworld", "html": "<p>hello", "headers": {"X-Ticket": "7"},
               "attachments": [{"filename": "a.txt", "content_type": "text/plain", "content": "aGVsbG8="}]"#,
        );
        assert_eq!(
            message.recipients(),
            ["bert@b.example", "carl@c.example", "dora@d.example"]
        );
        let text = String::from_utf8(message.message("id@host.example".into()).unwrap()).unwrap();
        for wanted in [
            "Message-ID: <id@host.example>\r\n",
            "X-Ticket: 7\r\n",
            "bert@b.example",
            "multipart/mixed",
            "multipart/alternative",
            "=?utf-8?",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        assert!(!text.contains("dora"), "{text}");
    }

    #[test]
    fn no_part_brings_a_field_of_its_own() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows           the parts
            ("a line end in the subject",    r#", "subject": "a\r\nBcc: x@y.example""#),
            ("one in a name",                r#", "cc": [{"name": "a\nX: y", "address": "c@c.example"}]"#),
            ("one in an address",            r#", "cc": ["c@c.example>\r\nX: y"]"#),
            ("two addresses in one",         r#", "cc": ["c@c.example, d@d.example"]"#),
            ("one in a field",               r#", "headers": {"X-A": "b\r\nX-B: c"}"#),
            ("one in a field's name",        r#", "headers": {"X-A: b\r\nX-B": "c"}"#),
            ("another author",               r#", "headers": {"from": "x@y.example"}"#),
            ("a trace",                      r#", "headers": {"Received": "x"}"#),
            ("a file's name",                r#", "attachments": [{"filename": "a\r\nX: y", "content": ""}]"#),
            ("a media type",                 r#", "attachments": [{"filename": "a", "content_type": "text/plain\r\nX: y", "content": ""}]"#),
            ("no Base64",                    r#", "attachments": [{"filename": "a", "content": "?"}]"#),
        ];
        for (shows, more) in cases {
            assert!(composed(more).message("id@x".into()).is_err(), "{shows}");
        }
    }
}
