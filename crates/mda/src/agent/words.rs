//! What a program is told about the message: its arguments and its environment.

use std::ffi::OsString;

use crate::rights::Account;
use crate::wire::{PipeRequest, Request};

/// The search path of programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The words of a command line with their placeholders filled in. Text from strangers stays one word, and never becomes an
/// option.
#[must_use]
pub fn expand(words: &[String], request: &Request, account: &Account, hostname: &str) -> Vec<String> {
    let values = values(account.name.clone(), request, account, hostname);
    words.iter().map(|word| fill(word, &values)).collect()
}

/// The same for a program that takes all mail of a route, which is `size` octets long here.
#[must_use]
pub fn expand_pipe(
    words: &[String],
    (request, asked, size): (&Request, &PipeRequest, u64),
    account: &Account,
    hostname: &str,
) -> Vec<String> {
    let mut values = values(no_option(&request.user), request, account, hostname);
    values.extend([
        ("{original}", address(&asked.original)),
        ("{next_hop}", no_option(&asked.next_hop)),
        ("{queue}", request.queue.clone()),
        ("{size}", size.to_string()),
    ]);
    words.iter().map(|word| fill(word, &values)).collect()
}

/// The values for all programs.
fn values(user: String, request: &Request, account: &Account, hostname: &str) -> Vec<(&'static str, String)> {
    vec![
        ("{user}", user),
        ("{detail}", no_option(&request.detail)),
        ("{home}", account.home.to_string_lossy().into_owned()),
        ("{sender}", sender(request)),
        ("{recipient}", address(&request.recipient)),
        ("{local}", no_option(&request.local)),
        ("{domain}", request.domain.clone()),
        ("{hostname}", hostname.to_owned()),
    ]
}

/// Placeholders that the command line of a pipe may have.
pub const PIPE_PLACEHOLDERS: [&str; 12] = [
    "{user}",
    "{detail}",
    "{home}",
    "{sender}",
    "{recipient}",
    "{original}",
    "{local}",
    "{domain}",
    "{next_hop}",
    "{queue}",
    "{size}",
    "{hostname}",
];

/// Placeholders that a command line may have.
pub const PLACEHOLDERS: [&str; 8] = [
    "{user}",
    "{detail}",
    "{home}",
    "{sender}",
    "{recipient}",
    "{local}",
    "{domain}",
    "{hostname}",
];

/// Fills in from left to right, so that values are not expanded again.
fn fill(word: &str, values: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                out.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A word that cannot be mistaken for an option.
fn no_option(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("_{rest}"),
        None => text.to_owned(),
    }
}

/// The same address, in quotes if it would be mistaken for an option (RFC 5321 section 4.1.2).
fn address(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) if local.starts_with('-') => format!("\"{local}\"@{domain}"),
        _ => no_option(text),
    }
}

fn sender(request: &Request) -> String {
    match request.sender.as_str() {
        "" => "MAILER-DAEMON".into(),
        sender => address(sender),
    }
}

/// The environment of a program: as in Postfix and sendmail, and nothing else.
#[must_use]
pub fn environment(request: &Request, account: &Account) -> Vec<(&'static str, OsString)> {
    let shell = match account.shell.as_os_str().is_empty() {
        true => "/bin/sh".into(),
        false => account.shell.clone().into_os_string(),
    };
    vec![
        ("PATH", PATH.into()),
        ("LANG", "C".into()),
        ("HOME", account.home.clone().into_os_string()),
        ("USER", account.name.clone().into()),
        ("LOGNAME", account.name.clone().into()),
        ("SHELL", shell),
        ("SENDER", sender(request).into()),
        ("RECIPIENT", request.recipient.clone().into()),
        ("LOCAL", request.local.clone().into()),
        ("DOMAIN", request.domain.clone().into()),
        ("EXTENSION", request.detail.clone().into()),
    ]
}

#[cfg(test)]
mod tests {
    use nix::unistd::{Gid, Uid};

    use super::*;
    use crate::wire::testing::request;

    /// What it shows, what is changed in the request, a word, and its result.
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Request), &'a str, &'a str);

    #[test]
    fn command_lines() {
        let account = Account {
            name: "ann".into(),
            uid: Uid::from_raw(1_000),
            gid: Gid::from_raw(1_000),
            home: "/home/ann".into(),
            shell: "/bin/sh".into(),
        };
        let with = |change: &dyn Fn(&mut Request), word: &str| {
            let mut request = request();
            change(&mut request);
            expand(&[word.to_owned()], &request, &account, "mx.test").remove(0)
        };
        #[rustfmt::skip]
        let cases: [Case<'_>; 10] = [
            ("a name",                    &|_| {},                                     "{user}",        "ann"),
            ("within a word",             &|_| {},                                     "--a={detail}.", "--a=shop."),
            ("two of them",               &|_| {},                                     "{home}/{user}", "/home/ann/ann"),
            ("an unknown one stays",      &|_| {},                                     "{x}{",          "{x}{"),
            ("nothing is filled in twice", &|r| r.detail = "{home}".into(),            "{detail}",      "{home}"),
            ("blanks stay in the word",   &|r| r.detail = "a; rm -rf b".into(),        "{detail}",      "a; rm -rf b"),
            ("a detail is no option",     &|r| r.detail = "-oops".into(),              "{detail}",      "_oops"),
            ("a sender is no option",     &|r| r.sender = "-f@y.test".into(),          "{sender}",      "\"-f\"@y.test"),
            ("reports",                   &|r| r.sender = String::new(),               "{sender}",      "MAILER-DAEMON"),
            ("the recipient",             &|_| {},                                     "{recipient}",   "ann+shop@example.org"),
        ];
        for (shows, change, word, want) in cases {
            assert_eq!(with(change, word), want, "{shows}");
        }
        for placeholder in PLACEHOLDERS {
            assert!(!with(&|_| {}, placeholder).contains('{'), "{placeholder}");
        }
    }
}
