//! The meaning of an entry's right side.

use postern_mail::address::ParseOptions;
use postern_mail::{AddressError, Domain, Mailbox};

use super::key::{Key, split};
use super::refusal::{BadRefusal, RefusalText};
use super::{Form, Rank};

/// Most targets of one entry.
const GOALS_MAX: usize = 10_000;

/// One target of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Goal {
    /// An address, to be looked up again.
    Address(Mailbox),
    /// A name without a domain, unquoted.
    Name(String),
    /// Refused: the client is told this.
    Refuse(RefusalText),
    /// The mail is accepted and discarded (`/dev/null`).
    Discard,
}

/// An invalid right side.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadGoal {
    /// It is empty.
    #[error("it leads nowhere; write an address, or \"error:5.1.1:550 text\" to refuse")]
    Empty,
    /// An invalid address.
    #[error("{0:?} is not an address: {1}; write one, or \"@example.org\" for the same user there")]
    Address(String, AddressError),
    /// An invalid refusal.
    #[error(transparent)]
    Refusal(#[from] BadRefusal),
    /// A program or a file.
    #[error(
        "{0:?} is a program or a file, and neither is run or written to; hand the mail over by LMTP, with a [[route]]"
    )]
    Program(String),
    /// There are too many.
    #[error("over 10,000 targets; share them out")]
    TooMany,
}

/// Reads the right side that was found under `key` for `address`.
///
/// `@example.org` is the same user in that domain. In forms that have them, `%1` is the user, `%2` the detail, `%3` the detail
/// with its separator, `%0` the whole local part. A detail that the key does not have is appended to the user of each target if
/// `keep_detail` is set and the target itself uses no part of the address.
///
/// # Errors
///
/// [`BadGoal`], for the first of them.
pub fn goals(
    value: &str,
    key: &Key,
    address: &Mailbox,
    form: Form,
    separator: Option<char>,
    keep_detail: bool,
) -> Result<Vec<Goal>, BadGoal> {
    let value = value.trim();
    if let Some(text) = strip_word(value, "error:") {
        return Ok(vec![Goal::Refuse(RefusalText::parse_error_mailer(text)?)]);
    }
    let local = address.unquoted_local();
    let parts = Parts::of(&local, separator);
    let mut goals = Vec::new();
    for item in items(value) {
        if goals.len() >= GOALS_MAX {
            return Err(BadGoal::TooMany);
        }
        let (text, substituted) = if form.substitutes() {
            parts.substitute(&item)
        } else {
            (item, false)
        };
        let detail = key.detail.as_deref().filter(|_| keep_detail && !substituted);
        goals.push(goal(&text, substituted, &local, key, detail)?);
    }
    if goals.is_empty() {
        Err(BadGoal::Empty)
    } else {
        Ok(goals)
    }
}

/// The parts of a local part that right sides refer to.
struct Parts<'a> {
    whole: &'a str,
    user: &'a str,
    detail: &'a str,
    /// With its separator.
    tail: &'a str,
}

impl<'a> Parts<'a> {
    fn of(local: &'a str, separator: Option<char>) -> Self {
        let (user, detail) = split(local, separator).map_or((local, ""), |(user, _, detail)| (user, detail));
        Self {
            whole: local,
            user,
            detail,
            tail: &local[user.len()..],
        }
    }

    /// Fills the parts in; returns whether there were any.
    fn substitute(&self, item: &str) -> (String, bool) {
        let mut text = String::with_capacity(item.len() + self.whole.len());
        let (mut rest, mut any) = (item, false);
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            let part = match rest.as_bytes().get(at + 1) {
                Some(b'0') => Some(self.whole),
                Some(b'1') => Some(self.user),
                Some(b'2') => Some(self.detail),
                Some(b'3') => Some(self.tail),
                _ => None,
            };
            any |= part.is_some();
            text.push_str(part.unwrap_or("%"));
            rest = &rest[at + if part.is_some() { 2 } else { 1 }..];
        }
        text.push_str(rest);
        (text, any)
    }
}

fn goal(
    text: &str,
    substituted: bool,
    local: &str,
    key: &Key,
    detail: Option<&str>,
) -> Result<Goal, BadGoal> {
    if text == "/dev/null" {
        return Ok(Goal::Discard);
    }
    if text.starts_with(['|', '/']) || text.starts_with("\"|") || text.starts_with("\"/") {
        return Err(BadGoal::Program(text.to_owned()));
    }
    let bad = |error| BadGoal::Address(text.to_owned(), error);
    if let Some(domain) = text.strip_prefix('@') {
        let domain = Domain::parse(domain, true).map_err(bad)?;
        // The key has no detail, but the same user with the detail is meant.
        let user = match (&key.detail, key.rank) {
            (Some(tail), Rank::WithoutDetail | Rank::NameWithoutDetail) if detail.is_none() => {
                &local[..local.len() - tail.len()]
            }
            _ => local,
        };
        return Mailbox::new(user, domain).map(Goal::Address).map_err(bad);
    }
    // A part of the address may need quotes in its new position.
    if let Some((user, domain)) = text.rsplit_once('@').filter(|_| substituted) {
        let domain = Domain::parse(domain, true).map_err(bad)?;
        return Mailbox::new(user, domain).map(Goal::Address).map_err(bad);
    }
    if has_domain(text) {
        let options = ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        };
        let mailbox = Mailbox::parse(text, &options).map_err(bad)?;
        let with_detail = detail.map(|tail| format!("{}{tail}", mailbox.unquoted_local()));
        return match with_detail {
            Some(local) => Mailbox::new(&local, mailbox.domain().clone())
                .map(Goal::Address)
                .map_err(bad),
            None => Ok(Goal::Address(mailbox)),
        };
    }
    let name = text.strip_prefix('\\').unwrap_or(text);
    let name = name
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(name);
    let name = format!("{name}{}", detail.unwrap_or_default());
    // Checked with a domain, since it will get one.
    Mailbox::new(&name, Domain::Name("localhost".into())).map_err(bad)?;
    Ok(Goal::Name(name))
}

/// The items between commas and blanks, split as in Postfix; not within quotes.
fn items(value: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ' ' | '\t' if !quoted => {
                if !item.is_empty() {
                    items.push(std::mem::take(&mut item));
                }
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

fn has_domain(text: &str) -> bool {
    let mut quoted = false;
    text.chars().any(|c| {
        quoted ^= c == '"';
        c == '@' && !quoted
    })
}

/// The text after a word, ignoring case.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::keys;
    use super::*;

    fn show(goal: &Goal) -> String {
        match goal {
            Goal::Address(mailbox) => mailbox.to_string(),
            Goal::Name(name) => format!("name {name}"),
            Goal::Refuse(text) => format!("refuse {text}"),
            Goal::Discard => "discard".into(),
        }
    }

    fn found(address: &str, rank: Rank, value: &str, form: Form) -> Result<Vec<String>, BadGoal> {
        let address: Mailbox = address.parse().unwrap();
        let plus = Some('+');
        let keys = keys(&address, form, plus, true);
        let key = keys
            .iter()
            .find(|key| key.rank == rank)
            .expect("a key of the rank");
        goals(value, key, &address, form, plus, form.keeps_detail())
            .map(|goals| goals.iter().map(show).collect())
    }

    #[test]
    fn right_sides() {
        use Form::{Own, Postfix, Sendmail};
        use Rank::{AnyDetail, Domain, Whole, WithoutDetail};
        type Case<'a> = (&'a str, &'a str, Rank, &'a str, Form, &'a [&'a str]);
        #[rustfmt::skip]
        let cases: &[Case<'_>] = &[
            // what the case shows                    address          found by       right side                              form      leads to
            ("one address",                           "info@a.test",   Whole,         "office@b.test",                        Postfix,  &["office@b.test"]),
            ("several, by commas and blanks",         "x@a.test",      Whole,         "u@b.test, v@b.test w",                 Postfix,  &["u@b.test", "v@b.test", "name w"]),
            ("a detail goes along",                   "board+x@a.test", WithoutDetail, "u@b.test, v@b.test",                  Postfix,  &["u+x@b.test", "v+x@b.test"]),
            ("not with sendmail",                     "info+x@a.test", WithoutDetail, "office@b.test",                        Sendmail, &["office@b.test"]),
            ("unless it asks for it",                 "help+prn@a.test", AnyDetail,   "helpdesk%3@b.test",                    Sendmail, &["helpdesk+prn@b.test"]),
            ("the detail alone",                      "gen+joe@a.test", AnyDetail,    "%2@b.test",                            Sendmail, &["joe@b.test"]),
            ("the user of a catch-all",               "Lily@a.test",   Domain,        "%1@b.test",                            Sendmail, &["Lily@b.test"]),
            ("whose detail sendmail drops",           "lily+x@a.test", Domain,        "%1@b.test",                            Sendmail, &["lily@b.test"]),
            ("and keeps by %3",                       "lily+x@a.test", Domain,        "%1%3@b.test",                          Sendmail, &["lily+x@b.test"]),
            ("the same user elsewhere",               "hugo+x@a.test", Domain,        "@b.test",                              Postfix,  &["hugo+x@b.test"]),
            ("and of a key without the detail",       "hugo+x@a.test", WithoutDetail, "@b.test",                              Postfix,  &["hugo+x@b.test"]),
            ("a catch-all gives no detail back",      "u+x@a.test",    Domain,        "shop@b.test",                          Postfix,  &["shop@b.test"]),
            ("percent means nothing to Postfix",      "u@a.test",      Domain,        "%1@b.test",                            Postfix,  &["%1@b.test"]),
            ("our own knows both",                    "u+x@a.test",    WithoutDetail, "%1@b.test",                            Own,      &["u@b.test"]),
            ("quotes are put where they must be",     "\"a b\"@a.test", Domain,       "%1@b.test",                            Own,      &["\"a b\"@b.test"]),
            ("an address in quotes stays a name",     "\"x@evil.test\"@a.test", Domain, "%1@b.test",                          Own,      &["\"x@evil.test\"@b.test"]),
            ("a bare percent stays",                  "u@a.test",      Whole,         "a%b@b.test",                           Own,      &["a%b@b.test"]),
            ("a local name",                          "u@a.test",      Whole,         "anna",                                 Sendmail, &["name anna"]),
            ("a mailbox",                             "u@a.test",      Whole,         "\\anna",                               Own,      &["name anna"]),
            ("a refusal",                             "u@a.test",      Whole,         "error:5.7.1:550 we do not take these", Sendmail, &["refuse 550 5.7.1 we do not take these"]),
            ("the word in capitals",                  "u@a.test",      Whole,         "ERROR:nouser 550 No such user here",   Sendmail, &["refuse 550 5.0.0 No such user here"]),
            ("thrown away",                           "u@a.test",      Whole,         "/dev/null",                            Own,      &["discard"]),
            ("quotes hold a blank",                   "u@a.test",      Whole,         "\"jane doe\"@b.test",                  Own,      &["\"jane doe\"@b.test"]),
        ];
        for (shows, address, rank, value, form, wanted) in cases {
            let got = found(address, *rank, value, *form).expect(shows);
            assert_eq!(got, *wanted, "{shows}");
        }
    }

    #[test]
    fn right_sides_that_lead_nowhere() {
        for (value, says) in [
            ("", "leads nowhere"),
            (" , ", "leads nowhere"),
            ("a@", "is not an address"),
            ("@", "is not an address"),
            ("|/bin/prog", "by LMTP"),
            ("\"|/bin/prog -x\"", "by LMTP"),
            ("/var/mail/x", "by LMTP"),
            ("error:250 fine", "refuses"),
        ] {
            let error = found("u@a.test", Rank::Whole, value, Form::Own).expect_err(value);
            assert!(error.to_string().contains(says), "{value:?}: {error}");
        }
    }

    proptest! {
        /// No right side makes it panic, and none becomes an invalid address.
        #[test]
        fn any_text(value in "[a-c%0-3+@.,\"\\\\ :/|]{0,40}", local in "[a-c+]{1,8}") {
            let Ok(address) = format!("{local}@a.test").parse::<Mailbox>() else { return Ok(()) };
            for form in [Form::Own, Form::Postfix, Form::Sendmail] {
                for key in keys(&address, form, Some('+'), true) {
                    if let Ok(goals) = goals(&value, &key, &address, form, Some('+'), true) {
                        prop_assert!(!goals.is_empty());
                        for goal in goals {
                            if let Goal::Address(mailbox) = goal {
                                let again = Mailbox::parse(&mailbox.to_string(), &ParseOptions { utf8: true, ..ParseOptions::default() });
                                prop_assert_eq!(again.ok().map(|m| m.key()), Some(mailbox.key()));
                            }
                        }
                    }
                }
            }
        }
    }
}
