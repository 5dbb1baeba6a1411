//! sendmail's command line, as accepted by sendmail and Postfix: what has a meaning here, and what is silently ignored.

use std::fmt;

use postern_mail::{Notify, Ret};

/// The name by which the program was called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Name {
    /// `sendmail`.
    Sendmail,
    /// `mailq`: lists the queue.
    Mailq,
    /// `newaliases`: checks the aliases.
    Newaliases,
}

impl Name {
    /// The name in the last part of a path, if it is one of them.
    #[must_use]
    pub fn of(called: &str) -> Option<Self> {
        match called {
            "sendmail" | "send-mail" => Some(Self::Sendmail),
            "mailq" => Some(Self::Mailq),
            "newaliases" => Some(Self::Newaliases),
            _ => None,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// `-bm`: submit a message from standard input.
    #[default]
    Deliver,
    /// `-bs`: SMTP on standard input and output.
    Smtp,
    /// `-bp`: list the queue.
    List,
    /// `-bv`: say what would happen for each recipient, and submit nothing.
    Verify,
    /// `-bt`: read addresses from standard input, and say where each goes.
    Test,
    /// `-bi`, `-I`: check the aliases.
    Aliases,
    /// `-q`: deliver what is waiting now; all, or as specified.
    Flush(Flush),
    /// `-bd`, `-bD`, `-q30m`: run as a server, which `postern serve` does.
    Daemon,
    /// `-bh`, `-bH`, `-bk` and others without a counterpart, by letter.
    Unknown(char),
}

/// What to deliver now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Flush {
    /// All.
    #[default]
    All,
    /// `-qR`: mail for a domain.
    Domain(String),
    /// `-qI`: one message.
    Message(String),
    /// `-qS`: mail of a sender.
    Sender(String),
}

/// How a refused message is reported.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Errors {
    /// The refusal on standard error, and the exit status.
    #[default]
    Print,
    /// `-oeq`: only the exit status.
    Quiet,
    /// `-oee`: the refusal on standard error, and always status 0.
    Zero,
}

/// A parsed command line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// What to do.
    pub mode: Mode,
    /// `-f`, `-r`: the sender of the envelope; empty for `<>`, `None` for the user's own address.
    pub sender: Option<String>,
    /// `-F`: the name in an added `From` field.
    pub full_name: Option<String>,
    /// `-t`: recipients are in the header.
    pub header_recipients: bool,
    /// `-i`, `-oi`: a line with only a dot does not end the message.
    pub dots_are_text: bool,
    /// `-N`: which reports are wanted.
    pub notify: Notify,
    /// `-R`: how much of the message a report returns.
    pub ret: Option<Ret>,
    /// `-V`: the envelope's id.
    pub envid: Option<String>,
    /// `-e`, `-oe`: how a refused message is reported.
    pub errors: Errors,
    /// `-v`: the dialogue is shown.
    pub verbose: bool,
    /// The recipients on the command line.
    pub recipients: Vec<String>,
}

/// An invalid command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UsageError {
    /// An unknown option.
    Unknown(char),
    /// An option without its required value.
    Missing(char),
    /// An invalid value of an option.
    Value(char, String),
    /// More arguments than [`ARGUMENTS_MAX`].
    TooMany,
}

impl std::error::Error for UsageError {}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(letter) => write!(f, "unknown option -{letter}"),
            Self::Missing(letter) => write!(f, "option -{letter} needs a value"),
            Self::Value(letter, value) => write!(f, "option -{letter} cannot be {value:?}"),
            Self::TooMany => write!(f, "more than {ARGUMENTS_MAX} arguments"),
        }
    }
}

/// Most arguments.
pub const ARGUMENTS_MAX: usize = 100_000;

/// Letters that take a value, attached or in the next argument. `e` and `o` have theirs attached or in the next one too.
const WITH_VALUE: &str = "ABCDFLMNORVXefhopr";

/// Letters whose value, if any, is attached.
const VALUE_ATTACHED: &str = "bdq";

/// Letters without a value.
const PLAIN: &str = "cGIUimnstvxTY";

impl Options {
    /// Reads the arguments that follow the program's name.
    ///
    /// Options may be mixed with recipients, as in Postfix; after `--` all are recipients.
    ///
    /// # Errors
    ///
    /// [`UsageError`], for which the exit status is `EX_USAGE`.
    pub fn parse(name: Name, arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut options = Self {
            mode: match name {
                Name::Sendmail => Mode::Deliver,
                Name::Mailq => Mode::List,
                Name::Newaliases => Mode::Aliases,
            },
            ..Self::default()
        };
        let mut arguments = arguments.into_iter().take(ARGUMENTS_MAX + 1);
        let mut count = 0;
        let mut next = || {
            count += 1;
            (count <= ARGUMENTS_MAX)
                .then(|| arguments.next())
                .ok_or(UsageError::TooMany)
        };
        while let Some(argument) = next()? {
            if argument == "--" {
                while let Some(recipient) = next()? {
                    options.recipients.push(recipient);
                }
                break;
            }
            let Some(cluster) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                options.recipients.push(argument);
                continue;
            };
            let mut rest = cluster.chars();
            while let Some(letter) = rest.next() {
                let attached = rest.as_str();
                if WITH_VALUE.contains(letter) {
                    let value = match attached {
                        "" => next()?.ok_or(UsageError::Missing(letter))?,
                        attached => attached.to_owned(),
                    };
                    options.with_value(letter, value)?;
                    break;
                }
                if VALUE_ATTACHED.contains(letter) {
                    options.attached(letter, attached)?;
                    break;
                }
                if !PLAIN.contains(letter) {
                    return Err(UsageError::Unknown(letter));
                }
                options.plain(letter);
            }
        }
        Ok(options)
    }

    fn plain(&mut self, letter: char) {
        match letter {
            'i' => self.dots_are_text = true,
            't' => self.header_recipients = true,
            'v' => self.verbose = true,
            'I' => self.mode = Mode::Aliases,
            // Metoo, no aliasing, gateway submission and others change nothing here.
            _ => {}
        }
    }

    fn with_value(&mut self, letter: char, value: String) -> Result<(), UsageError> {
        let bad = || UsageError::Value(letter, value.clone());
        match letter {
            'f' | 'r' => {
                // `-f <>` and `-f ""` are the null sender.
                let bare = value.trim();
                let bare = bare
                    .strip_prefix('<')
                    .and_then(|inner| inner.strip_suffix('>'))
                    .unwrap_or(bare);
                self.sender = Some(bare.to_owned());
            }
            'F' => self.full_name = Some(value),
            'N' => self.notify = value.parse().map_err(|_| bad())?,
            'R' => {
                self.ret = Some(match value.to_ascii_lowercase().as_str() {
                    "hdrs" => Ret::Headers,
                    "full" => Ret::Full,
                    _ => return Err(bad()),
                });
            }
            'V' => self.envid = Some(value),
            'B' => match value.to_ascii_uppercase().as_str() {
                // What the message needs is determined from the message.
                "7BIT" | "8BITMIME" => {}
                _ => return Err(bad()),
            },
            'e' => self.errors(&value),
            'o' => self.old_option(&value)?,
            'O' => self.long_option(&value)?,
            // Another configuration, macros, a label for the log, hop counts, a file for the dialogue: not supported, ignored.
            _ => {}
        }
        Ok(())
    }

    fn attached(&mut self, letter: char, value: &str) -> Result<(), UsageError> {
        match letter {
            'b' => {
                self.mode = match value.chars().next() {
                    None => return Err(UsageError::Missing('b')),
                    Some('m' | 'a') => Mode::Deliver,
                    Some('s') => Mode::Smtp,
                    Some('p') => Mode::List,
                    Some('v') => Mode::Verify,
                    Some('t') => Mode::Test,
                    Some('i') => Mode::Aliases,
                    Some('d' | 'D' | 'l') => Mode::Daemon,
                    Some(other) => Mode::Unknown(other),
                };
            }
            // An interval with `-bd`, or alone, asks for a server that runs the queue.
            'q' if self.mode != Mode::Daemon => {
                self.mode = flush(value).map_or(Mode::Daemon, Mode::Flush);
            }
            _ => {}
        }
        Ok(())
    }

    /// `-oX value`: an option by letter.
    fn old_option(&mut self, option: &str) -> Result<(), UsageError> {
        let mut rest = option.chars();
        match rest.next() {
            Some('i') => self.dots_are_text = is_on(rest.as_str()),
            Some('v') => self.verbose = is_on(rest.as_str()),
            Some('e') => self.errors(rest.as_str()),
            Some('f') if !rest.as_str().is_empty() => self.with_value('f', rest.as_str().to_owned())?,
            _ => {}
        }
        Ok(())
    }

    /// `-OName=value`: an option by name.
    fn long_option(&mut self, option: &str) -> Result<(), UsageError> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "ignoredots" => self.dots_are_text = is_on(value),
            "verbose" => self.verbose = is_on(value),
            "errormode" => self.errors(value),
            _ => {}
        }
        Ok(())
    }

    fn errors(&mut self, mode: &str) {
        self.errors = match mode.trim().chars().next() {
            Some('q') => Errors::Quiet,
            Some('e') => Errors::Zero,
            // Those to be mailed or written to the terminal are also printed on standard error.
            _ => Errors::Print,
        };
    }
}

/// Whether the value of a switch is on: as in sendmail, unless it begins with one of these letters.
fn is_on(value: &str) -> bool {
    !value.trim().starts_with(['f', 'F', 'n', 'N', '0'])
}

/// What `-q` with this value delivers; `None` for an interval.
fn flush(value: &str) -> Option<Flush> {
    let value = value.strip_prefix(['f', 'L', 'Q', 'G']).unwrap_or(value);
    let mut rest = value.chars();
    match rest.next() {
        None => Some(Flush::All),
        Some('R') => Some(Flush::Domain(domain_of(rest.as_str()))),
        Some('I') => Some(Flush::Message(rest.as_str().to_owned())),
        Some('S') => Some(Flush::Sender(rest.as_str().to_owned())),
        Some(c) if c.is_ascii_digit() || c == 'p' => None,
        Some(_) => Some(Flush::All),
    }
}

fn domain_of(address: &str) -> String {
    address.rsplit('@').next().unwrap_or(address).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: Name, line: &str) -> Result<Options, UsageError> {
        Options::parse(name, line.split_whitespace().map(str::to_owned))
    }

    fn sendmail(line: &str) -> Options {
        parse(Name::Sendmail, line).unwrap()
    }

    #[test]
    fn what_programs_really_say() {
        let of = |recipients: &[&str]| Options {
            recipients: recipients.iter().map(|one| (*one).to_owned()).collect(),
            ..Options::default()
        };
        let dots = |options: Options| Options {
            dots_are_text: true,
            ..options
        };
        let header = |options: Options| Options {
            header_recipients: true,
            ..options
        };
        let from = |sender: &str, options: Options| Options {
            sender: Some(sender.to_owned()),
            ..options
        };
        #[rustfmt::skip]
        let cases = [
            // what calls                 with what                                          what it means
            ("cron of Debian",            "-FCronDaemon -i -B8BITMIME -oem root",            Options { full_name: Some("CronDaemon".into()), ..dots(of(&["root"])) }),
            ("cron of others",            "-FCronDaemon -i -odi -oem -oi -t -f root",        Options { full_name: Some("CronDaemon".into()), ..from("root", header(dots(of(&[])))) }),
            ("PHP",                       "-t -i",                                           header(dots(of(&[])))),
            ("PHP with a sender",         "-t -i -fweb@site.example",                        from("web@site.example", header(dots(of(&[]))))),
            ("mutt",                      "-oem -oi -f anna@site.example -- bea@x.example",  from("anna@site.example", dots(of(&["bea@x.example"])))),
            ("git",                       "-i bea@x.example",                                dots(of(&["bea@x.example"]))),
            ("bsd-mailx",                 "-i -m bea",                                       dots(of(&["bea"]))),
            ("mailutils",                 "-oi -f anna@h.example -t",                        from("anna@h.example", header(dots(of(&[]))))),
            ("s-nail",                    "-i -r anna@h.example -- bea",                     from("anna@h.example", dots(of(&["bea"])))),
            ("mdadm",                     "-t",                                              header(of(&[]))),
            ("logcheck, a null sender",   "-f <> -t",                                        from("", header(of(&[])))),
            ("options in one",            "-tiv",                                            Options { verbose: true, ..header(dots(of(&[]))) }),
            ("options behind recipients", "bea -i -f anna",                                  from("anna", dots(of(&["bea"])))),
            ("behind two dashes",         "-i -- -f bea",                                    dots(of(&["-f", "bea"]))),
            ("a dash alone",              "-",                                               of(&["-"])),
            ("quiet",                     "-oeq bea",                                        Options { errors: Errors::Quiet, ..of(&["bea"]) }),
            ("status 0",                  "-ee bea",                                         Options { errors: Errors::Zero, ..of(&["bea"]) }),
            ("by long names",             "-O IgnoreDots=true -OErrorMode=q bea",            Options { errors: Errors::Quiet, ..dots(of(&["bea"])) }),
            ("dots off again",            "-oi -oif bea",                                    of(&["bea"])),
            ("passed by",                 "-n -m -G -U -x -A m -C /x -L label -h 3 -X /dev/null -d0.1 -d -M{a}b -p ESMTP:x -oMrSMTP -odq -o7 bea", of(&["bea"])),
            ("reports",                   "-N success,delay -R hdrs -V id1 bea",             Options {
                notify: Notify::On { success: true, failure: false, delay: true }, ret: Some(Ret::Headers), envid: Some("id1".into()), ..of(&["bea"]) }),
        ];
        for (shows, line, expected) in cases {
            assert_eq!(sendmail(line), expected, "{shows}");
        }
    }

    #[test]
    fn modes() {
        let flush = |what| Mode::Flush(what);
        #[rustfmt::skip]
        let cases = [
            ("-bm", Mode::Deliver), ("-ba", Mode::Deliver), ("-bs", Mode::Smtp), ("-bp", Mode::List), ("-bv", Mode::Verify),
            ("-bt", Mode::Test), ("-bi", Mode::Aliases), ("-I", Mode::Aliases), ("-bd", Mode::Daemon), ("-bd -q15m", Mode::Daemon),
            ("-q15m", Mode::Daemon), ("-qp", Mode::Daemon), ("-bh", Mode::Unknown('h')), ("-q", flush(Flush::All)), ("-qf", flush(Flush::All)),
            ("-qRx.example", flush(Flush::Domain("x.example".into()))), ("-qRa@x.example", flush(Flush::Domain("x.example".into()))),
            ("-qIabc", flush(Flush::Message("abc".into()))), ("-qSanna", flush(Flush::Sender("anna".into()))), ("-bs -v", Mode::Smtp),
        ];
        for (line, expected) in cases {
            assert_eq!(sendmail(line).mode, expected, "{line}");
        }
        assert_eq!(parse(Name::Mailq, "-v").unwrap().mode, Mode::List);
        assert_eq!(parse(Name::Newaliases, "").unwrap().mode, Mode::Aliases);
    }

    #[test]
    fn what_makes_no_sense() {
        #[rustfmt::skip]
        let cases = [
            ("-Z", UsageError::Unknown('Z')), ("-f", UsageError::Missing('f')), ("-b", UsageError::Missing('b')),
            ("-N sometimes", UsageError::Value('N', "sometimes".into())), ("-R half", UsageError::Value('R', "half".into())),
            ("-B 9BIT", UsageError::Value('B', "9BIT".into())), ("-i\u{e4}", UsageError::Unknown('\u{e4}')),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(Name::Sendmail, line), Err(expected), "{line}");
        }
        let many = std::iter::repeat_n("a".to_owned(), ARGUMENTS_MAX + 1);
        assert_eq!(Options::parse(Name::Sendmail, many), Err(UsageError::TooMany));
    }

    proptest::proptest! {
        #[test]
        fn no_command_line_is_too_strange(arguments in proptest::collection::vec(".{0,20}", 0..8)) {
            let _ = Options::parse(Name::Sendmail, arguments);
        }
    }
}
