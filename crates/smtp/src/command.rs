//! Parses one command line (RFC 5321 section 4.1, RFC 3030, RFC 3207, RFC 4954).
//!
//! The result borrows from the line. Addresses and parameters are only separated here; they are
//! parsed by [`server`](crate::server), which knows whether `SMTPUTF8` was given and which domain
//! to add.

use postern_mail::AddressError;
use postern_mail::address::split_path;

/// One command with its arguments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command<'a> {
    /// `HELO name`. The name may be in any character set.
    Helo(&'a [u8]),
    /// `EHLO name`, likewise.
    Ehlo(&'a [u8]),
    /// `MAIL FROM:path parameters`.
    Mail(PathArgument<'a>),
    /// `RCPT TO:path parameters`.
    Rcpt(PathArgument<'a>),
    /// `DATA`.
    Data,
    /// `BDAT size [LAST]` (RFC 3030 section 2).
    Bdat {
        /// Octets of the chunk.
        size: u64,
        /// Whether the message ends with it.
        last: bool,
    },
    /// `RSET`.
    Rset,
    /// `NOOP`, with or without an argument.
    Noop,
    /// `QUIT`.
    Quit,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH mechanism [initial response]` (RFC 4954).
    Auth {
        /// The mechanism's name as written.
        mechanism: &'a str,
        /// The initial response, Base64 or `=`.
        initial: Option<&'a str>,
    },
    /// `HELP`, with or without a topic.
    Help,
    /// `VRFY name`.
    Vrfy(&'a str),
    /// `EXPN name`.
    Expn(&'a str),
    /// `VERB`, sendmail's.
    Verb,
    /// `ETRN domain` (RFC 1985).
    Etrn,
}

/// What follows `FROM:` or `TO:`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PathArgument<'a> {
    /// The path, with its angle brackets if there were any.
    pub path: &'a str,
    /// What follows it.
    pub parameters: Parameters<'a>,
}

/// Parameters of `MAIL` or `RCPT`, read one after the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parameters<'a>(&'a str);

/// One `KEYWORD` or `KEYWORD=value` (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parameter<'a> {
    /// The keyword as written.
    pub keyword: &'a str,
    /// The text after `=`, never empty.
    pub value: Option<&'a str>,
}

/// Why a line is not a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CommandError<'a> {
    /// Empty, or with octets not allowed in commands: control characters, invalid UTF-8.
    Unreadable,
    /// An unknown command.
    Unrecognized(&'a [u8]),
    /// Another protocol, such as HTTP: a web browser has been made to connect here. Close the
    /// connection.
    OtherProtocol,
    /// An argument to a command that takes none.
    Superfluous,
    /// `HELO` or `EHLO` without a name.
    NameMissing,
    /// Not `MAIL FROM:`, or a malformed path.
    MailSyntax(Option<AddressError>),
    /// Not `RCPT TO:`, or a malformed path.
    RcptSyntax(Option<AddressError>),
    /// Not `BDAT size [LAST]`. How many octets of a message follow is unknown: close the connection.
    BdatSyntax,
    /// `AUTH` without a mechanism.
    MechanismMissing,
    /// More than two words after `AUTH`.
    AuthSyntax,
    /// `VRFY` or `EXPN` without a name.
    ArgumentMissing,
}

/// Most digits of a size in `BDAT`: 20, as for `SIZE` (RFC 1870 section 3).
const SIZE_DIGITS_MAX: usize = 20;

impl<'a> Command<'a> {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; the dialogue stays where it is.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError<'a>> {
        let line = without_end(line);
        let text = match readable(line) {
            Ok(text) => text,
            Err(error) => return greeting_in_another_charset(line).ok_or(error),
        };
        let (verb, rest) = match text.find(' ') {
            Some(space) => (&text[..space], text[space..].trim_matches(' ')),
            None => (text, ""),
        };
        let mut upper = [0_u8; 8];
        let Some(upper) = upper.get_mut(..verb.len()) else {
            return Err(CommandError::Unrecognized(verb.as_bytes()));
        };
        upper.copy_from_slice(verb.as_bytes());
        upper.make_ascii_uppercase();
        match &*upper {
            b"MAIL" => mail_or_rcpt(rest, "FROM:")
                .map(Command::Mail)
                .map_err(CommandError::MailSyntax),
            b"RCPT" => mail_or_rcpt(rest, "TO:")
                .map(Command::Rcpt)
                .map_err(CommandError::RcptSyntax),
            b"DATA" => alone(rest, Command::Data),
            b"BDAT" => bdat(rest),
            b"EHLO" => named(rest, CommandError::NameMissing).map(|name| Command::Ehlo(name.as_bytes())),
            b"HELO" => named(rest, CommandError::NameMissing).map(|name| Command::Helo(name.as_bytes())),
            b"RSET" => alone(rest, Command::Rset),
            b"NOOP" => Ok(Command::Noop),
            b"QUIT" => alone(rest, Command::Quit),
            b"STARTTLS" => alone(rest, Command::StartTls),
            b"AUTH" => auth(rest),
            b"HELP" => Ok(Command::Help),
            b"VRFY" => named(rest, CommandError::ArgumentMissing).map(Command::Vrfy),
            b"EXPN" => named(rest, CommandError::ArgumentMissing).map(Command::Expn),
            b"VERB" => Ok(Command::Verb),
            b"ETRN" => Ok(Command::Etrn),
            b"GET" | b"POST" | b"PUT" | b"HEAD" | b"CONNECT" | b"OPTIONS" | b"DELETE" | b"TRACE" => {
                Err(CommandError::OtherProtocol)
            }
            _ => Err(CommandError::Unrecognized(verb.as_bytes())),
        }
    }
}

/// A line without trailing white space, which must be tolerated (RFC 5321 section 4.1.1).
fn without_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|octet| !matches!(octet, b' ' | b'\t'));
    end.map_or(&[], |last| &line[..=last])
}

/// The line as text: UTF-8 without control characters, and not empty.
fn readable(line: &[u8]) -> Result<&str, CommandError<'_>> {
    let clean = line.iter().all(|&octet| octet >= b' ' && octet != 127);
    match std::str::from_utf8(line) {
        Ok(text) if clean && !text.is_empty() => Ok(text),
        _ => Err(CommandError::Unreadable),
    }
}

/// A greeting whose name is not UTF-8.
fn greeting_in_another_charset(line: &[u8]) -> Option<Command<'_>> {
    let (verb, name) = line.split_at_checked(5)?;
    if line.iter().any(u8::is_ascii_control) || std::str::from_utf8(line).is_ok() {
        return None;
    }
    match verb.to_ascii_uppercase().as_slice() {
        b"EHLO " => Some(Command::Ehlo(name.trim_ascii_start())),
        b"HELO " => Some(Command::Helo(name.trim_ascii_start())),
        _ => None,
    }
}

fn alone<'a>(rest: &str, command: Command<'a>) -> Result<Command<'a>, CommandError<'a>> {
    if rest.is_empty() {
        Ok(command)
    } else {
        Err(CommandError::Superfluous)
    }
}

fn named<'a>(rest: &'a str, missing: CommandError<'a>) -> Result<&'a str, CommandError<'a>> {
    if rest.is_empty() { Err(missing) } else { Ok(rest) }
}

fn mail_or_rcpt<'a>(rest: &'a str, word: &str) -> Result<PathArgument<'a>, Option<AddressError>> {
    match rest.get(..word.len()) {
        Some(start) if start.eq_ignore_ascii_case(word) => {}
        _ => return Err(None),
    }
    let (path, parameters) = split_path(&rest[word.len()..]).map_err(Some)?;
    if path.is_empty() {
        return Err(None);
    }
    Ok(PathArgument {
        path,
        parameters: Parameters(parameters),
    })
}

fn bdat<'a>(rest: &str) -> Result<Command<'a>, CommandError<'a>> {
    let (size, last) = match rest.split_once(' ') {
        Some((size, word)) if word.trim_start_matches(' ').eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(CommandError::BdatSyntax),
        None => (rest, false),
    };
    // A chunk with more octets than can be counted would never end.
    let size = size
        .parse()
        .ok()
        .filter(|_| is_number(size))
        .ok_or(CommandError::BdatSyntax)?;
    Ok(Command::Bdat { size, last })
}

fn auth(rest: &str) -> Result<Command<'_>, CommandError<'_>> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(CommandError::MechanismMissing)?;
    let initial = words.next();
    if words.next().is_some() {
        return Err(CommandError::AuthSyntax);
    }
    Ok(Command::Auth { mechanism, initial })
}

/// One to 20 digits as a number; one that does not fit is the largest that does.
pub(crate) fn number(text: &str) -> Option<u64> {
    is_number(text).then(|| text.parse().unwrap_or(u64::MAX))
}

fn is_number(text: &str) -> bool {
    (1..=SIZE_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit())
}

impl<'a> Parameters<'a> {
    /// Parameters separated by spaces, as after a path.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// All words, whether they are valid parameters or not.
    pub fn words(self) -> impl Iterator<Item = &'a str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }
}

impl<'a> Iterator for Parameters<'a> {
    /// `Err` for a word that is not a parameter.
    type Item = Result<Parameter<'a>, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches(' ');
        if text.is_empty() {
            return None;
        }
        let end = text.find(' ').unwrap_or(text.len());
        self.0 = &text[end..];
        let word = &text[..end];
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let keyword_fits = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
            && keyword.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        let value_fits = value.is_none_or(|value| !value.is_empty() && !value.contains('='));
        Some(if keyword_fits && value_fits {
            Ok(Parameter { keyword, value })
        } else {
            Err(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read<'a> = Result<Parameter<'a>, ()>;

    fn path<'a>(path: &'a str, parameters: &'a str) -> PathArgument<'a> {
        PathArgument {
            path,
            parameters: Parameters(parameters),
        }
    }

    #[test]
    fn lines_and_commands() {
        use CommandError as E;
        #[rustfmt::skip]
        let cases: [(&str, &[u8], Result<Command<'_>, CommandError<'_>>); 45] = [
            ("any case",                     b"eHlO x.example",          Ok(Command::Ehlo(b"x.example"))),
            ("a blank too many",             b"HELO  x ",                Ok(Command::Helo(b"x"))),
            ("a name in Latin-1",            b"ehlo M\xdcLLER-PC ",       Ok(Command::Ehlo(b"M\xdcLLER-PC"))),
            ("a control character in it",    b"EHLO \xdc\x07",           Err(E::Unreadable)),
            ("another command in Latin-1",   b"VRFY M\xdcLLER",          Err(E::Unreadable)),
            ("no name",                      b"EHLO",                    Err(E::NameMissing)),
            ("blanks for a name",            b"EHLO   ",                 Err(E::NameMissing)),
            ("a sender",                     b"MAIL FROM:<a@b>",         Ok(Command::Mail(path("<a@b>", "")))),
            ("a blank behind the colon",     b"mail from: <a@b>",        Ok(Command::Mail(path("<a@b>", "")))),
            ("no sender",                    b"MAIL FROM:",              Err(E::MailSyntax(None))),
            ("another word",                 b"MAIL TO:<a@b>",           Err(E::MailSyntax(None))),
            ("no colon",                     b"MAIL FROM <a@b>",         Err(E::MailSyntax(None))),
            ("not on a character's border",  "MAIL FROM\u{e9}".as_bytes(), Err(E::MailSyntax(None))),
            ("a recipient",                  b"RCPT TO:<a@b>",           Ok(Command::Rcpt(path("<a@b>", "")))),
            ("the quote never ends",         b"RCPT TO:<\"a@b>",         Err(E::RcptSyntax(Some(AddressError::UnbalancedQuote)))),
            ("data",                         b"DATA",                    Ok(Command::Data)),
            ("data with something",          b"DATA now",                Err(E::Superfluous)),
            ("a chunk",                      b"BDAT 86",                 Ok(Command::Bdat { size: 86, last: false })),
            ("the last chunk",               b"bdat 0 last",             Ok(Command::Bdat { size: 0, last: true })),
            ("no size",                      b"BDAT LAST",               Err(E::BdatSyntax)),
            ("a negative size",              b"BDAT -1",                 Err(E::BdatSyntax)),
            ("a signed size",                b"BDAT +1",                 Err(E::BdatSyntax)),
            ("another word than LAST",       b"BDAT 1 FIRST",            Err(E::BdatSyntax)),
            ("21 digits",                    b"BDAT 100000000000000000000", Err(E::BdatSyntax)),
            ("20 digits that do not fit",    b"BDAT 99999999999999999999", Err(E::BdatSyntax)),
            ("the largest chunk",            b"BDAT 18446744073709551615", Ok(Command::Bdat { size: u64::MAX, last: false })),
            ("a tab behind it",              b"QUIT\t",                  Ok(Command::Quit)),
            ("white space behind a name",    b"EHLO x.example \t ",       Ok(Command::Ehlo(b"x.example"))),
            ("white space behind a path",    b"MAIL FROM:<a@b> \t",       Ok(Command::Mail(path("<a@b>", "")))),
            ("a tab inside",                 b"EHLO\tx.example",          Err(E::Unreadable)),
            ("nothing but white space",      b" \t",                     Err(E::Unreadable)),
            ("the eighth letter",            b"starttls",                Ok(Command::StartTls)),
            ("one letter more",              b"starttlss",               Err(E::Unrecognized(b"starttlss"))),
            ("auth alone",                   b"AUTH ",                   Err(E::MechanismMissing)),
            ("auth",                         b"auth login",              Ok(Command::Auth { mechanism: "login", initial: None })),
            ("an initial response",          b"AUTH PLAIN =",            Ok(Command::Auth { mechanism: "PLAIN", initial: Some("=") })),
            ("a word too many",              b"AUTH PLAIN = =",          Err(E::AuthSyntax)),
            ("a reason for nothing",         b"NOOP really",             Ok(Command::Noop)),
            ("whom",                         b"VRFY",                    Err(E::ArgumentMissing)),
            ("an empty line",                b"",                        Err(E::Unreadable)),
            ("a blank first",                b" NOOP",                   Err(E::Unrecognized(b""))),
            ("a bare CR inside",             b"NO\rOP",                  Err(E::Unreadable)),
            ("a NUL",                        b"NOOP\0",                  Err(E::Unreadable)),
            ("no UTF-8",                     b"NOOP \xff",               Err(E::Unreadable)),
            ("a browser",                    b"GET / HTTP/1.1",          Err(E::OtherProtocol)),
        ];
        for (shows, line, command) in cases {
            assert_eq!(Command::parse(line), command, "{shows}");
        }
    }

    #[test]
    fn parameters_in_turn() {
        let one = |keyword, value| Ok(Parameter { keyword, value });
        #[rustfmt::skip]
        let cases: [(&str, &str, &[Read<'_>]); 7] = [
            ("none",                 "  ",                  &[]),
            ("two",                  " SIZE=1 SMTPUTF8",    &[one("SIZE", Some("1")), one("SMTPUTF8", None)]),
            ("no value behind =",    "SIZE=",               &[Err(())]),
            ("no keyword",           "=1",                  &[Err(())]),
            ("a second =",           "A=b=c",               &[Err(())]),
            ("a hyphen first",       "-A",                  &[Err(())]),
            ("a hyphen inside",      "A-B=\u{e9}",          &[one("A-B", Some("\u{e9}"))]),
        ];
        for (shows, text, expected) in cases {
            assert_eq!(Parameters(text).collect::<Vec<_>>(), expected, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_parser(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn what_follows_a_verb_breaks_nothing(
            verb in prop::sample::select(vec!["MAIL FROM:", "RCPT TO:", "AUTH ", "BDAT ", "EHLO ", "VRFY "]),
            rest in "\\PC{0,60}",
        ) {
            let line = format!("{verb}{rest}");
            if let Ok(Command::Mail(argument) | Command::Rcpt(argument)) = Command::parse(line.as_bytes()) {
                prop_assert!(argument.parameters.count() <= line.len());
            }
        }
    }
}
