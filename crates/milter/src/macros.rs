//! Macros: values with sendmail's names that are sent with a step.

use std::borrow::Cow;

/// The steps before which macros are sent, in order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MacroStage {
    /// A connection (`SMFIM_CONNECT`).
    Connect,
    /// `HELO` or `EHLO`.
    Helo,
    /// `MAIL`.
    Mail,
    /// Each `RCPT`.
    Rcpt,
    /// `DATA`.
    Data,
    /// The end of the header.
    EndOfHeader,
    /// The end of the message.
    End,
}

impl MacroStage {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Helo,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::EndOfHeader,
        Self::End,
    ];

    /// Its number in a list that a filter asks for: the end of the message has 5, the end of the header 6.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Connect => 0,
            Self::Helo => 1,
            Self::Mail => 2,
            Self::Rcpt => 3,
            Self::Data => 4,
            Self::End => 5,
            Self::EndOfHeader => 6,
        }
    }

    /// The stage with this number.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.number() == number)
    }

    /// The octet of the command that the macros belong to.
    #[must_use]
    pub const fn command(self) -> u8 {
        match self {
            Self::Connect => b'C',
            Self::Helo => b'H',
            Self::Mail => b'M',
            Self::Rcpt => b'R',
            Self::Data => b'T',
            Self::EndOfHeader => b'N',
            Self::End => b'E',
        }
    }

    /// The stage of this command.
    #[must_use]
    pub fn of_command(command: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.command() == command)
    }

    /// What is sent to a filter that asks for nothing, as in sendmail's default lists.
    #[must_use]
    pub const fn default_list(self) -> &'static [&'static str] {
        match self {
            Self::Connect => &["j", "_", "{daemon_name}", "{if_name}", "{if_addr}"],
            Self::Helo => &[
                "{tls_version}",
                "{cipher}",
                "{cipher_bits}",
                "{cert_subject}",
                "{cert_issuer}",
            ],
            Self::Mail => &[
                "i",
                "{auth_type}",
                "{auth_authen}",
                "{auth_ssf}",
                "{auth_author}",
                "{mail_mailer}",
                "{mail_host}",
                "{mail_addr}",
            ],
            Self::Rcpt => &["{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"],
            Self::Data | Self::EndOfHeader => &[],
            Self::End => &["{msg_id}"],
        }
    }
}

/// Where macros get their values from.
pub trait Macros {
    /// The value of a macro by sendmail's name (`j`, `{daemon_name}`), `None` while it is unknown.
    ///
    /// It is asked only for what may go to a filter at this stage (see [`sent_at`]), so an answer may be the same at all stages.
    fn value(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// Names of macros, each with its value.
pub type Values<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// No macro has a value.
impl Macros for () {
    fn value(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// Pairs of name and value.
impl Macros for [(&str, &str)] {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, value) = self.iter().find(|(known, _)| *known == name)?;
        Some(Cow::Borrowed(value))
    }
}

/// As for the slice.
impl<const LEN: usize> Macros for [(&str, &str); LEN] {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self[..].value(name)
    }
}

/// Whether a macro is sent at a stage, if it is asked for and has a value.
///
/// Each is sent from the stage on at which it becomes known, as sendmail does: TLS from `HELO`, the login and the sender from
/// `MAIL`, the `Message-ID` from the end of the header. A recipient's macros are for that recipient only. Those of the
/// connection, and the queue id, are sent at all stages; so is a name that Postern does not know, which will have no value.
#[must_use]
pub fn sent_at(name: &str, stage: MacroStage) -> bool {
    let first = match name {
        "{rcpt_mailer}" | "{rcpt_host}" | "{rcpt_addr}" => return stage == MacroStage::Rcpt,
        "{tls_version}" | "{cipher}" | "{cipher_bits}" | "{cert_subject}" | "{cert_issuer}" | "{verify}"
        | "{cn_subject}" | "{cn_issuer}" => MacroStage::Helo,
        "{auth_type}" | "{auth_authen}" | "{auth_author}" | "{auth_ssf}" | "{mail_mailer}"
        | "{mail_host}" | "{mail_addr}" | "{nrcpts}" | "{nbadrcpts}" => MacroStage::Mail,
        "{msg_id}" => MacroStage::EndOfHeader,
        _ => MacroStage::Connect,
    };
    stage >= first
}

/// Most names in the list of a stage; further ones are ignored. sendmail's limit is 50.
pub const NAMES_MAX: usize = 100;

/// Which macros go to one filter at which stage.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MacroLists {
    asked: [Option<Vec<String>>; 7],
}

impl MacroLists {
    /// Takes what a filter asks for at a stage instead of the default list: names separated by spaces or commas. An empty list
    /// means that it wants none.
    ///
    /// A name of several letters gets the braces that it lacks, one of a single letter loses them, since that is how they are
    /// sent; names that are not text are ignored.
    pub fn ask(&mut self, stage: MacroStage, names: &[u8]) {
        let names = names
            .split(|&octet| octet == b',' || octet.is_ascii_whitespace())
            .filter_map(|name| spelled(std::str::from_utf8(name).ok()?))
            .take(NAMES_MAX)
            .collect();
        self.asked[stage.number() as usize] = Some(names);
    }

    /// What the filter asked for at a stage, `None` for the default list.
    #[must_use]
    pub fn asked(&self, stage: MacroStage) -> Option<&[String]> {
        self.asked[stage.number() as usize].as_deref()
    }

    /// The names for a stage.
    pub fn names(&self, stage: MacroStage) -> impl Iterator<Item = &str> {
        let asked = self.asked(stage);
        let default = match asked {
            Some(_) => &[],
            None => stage.default_list(),
        };
        let asked = asked.unwrap_or_default().iter().map(String::as_str);
        asked.chain(default.iter().copied())
    }

    /// What is sent with a step: the names that have a value, with these. `None` means that nothing need be sent.
    ///
    /// `sent_before` says that macros were sent for an earlier step of this stage on the same connection (another recipient). A
    /// filter keeps those until others come, so if nothing is known now, all names are sent with empty values.
    #[must_use]
    pub fn values<'a>(
        &'a self,
        stage: MacroStage,
        macros: &'a (impl Macros + ?Sized),
        sent_before: bool,
    ) -> Option<Values<'a>> {
        let names = || self.names(stage).filter(|name| sent_at(name, stage));
        let mut known: Vec<_> = names()
            .filter_map(|name| Some((name, printable(macros.value(name)?))))
            .collect();
        if known.is_empty() && sent_before {
            known = names().map(|name| (name, Cow::Borrowed(""))).collect();
        }
        (!known.is_empty()).then_some(known)
    }
}

/// A value on one line: filters write values into header fields, and a line end in one would begin another field.
fn printable(value: Cow<'_, str>) -> Cow<'_, str> {
    if value.contains(char::is_control) {
        Cow::Owned(value.replace(char::is_control, "?"))
    } else {
        value
    }
}

/// The form of a name as it is sent.
fn spelled(name: &str) -> Option<String> {
    let bare = name.trim_start_matches('{').trim_end_matches('}');
    if bare.is_empty() || !bare.bytes().all(|octet| octet.is_ascii_graphic()) {
        return None;
    }
    Some(if bare.len() == 1 {
        bare.to_owned()
    } else {
        format!("{{{bare}}}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: [&str; 27] = [
        "j",
        "_",
        "v",
        "i",
        "{daemon_name}",
        "{daemon_addr}",
        "{daemon_port}",
        "{if_name}",
        "{if_addr}",
        "{client_name}",
        "{client_addr}",
        "{client_port}",
        "{client_ptr}",
        "{client_resolve}",
        "{tls_version}",
        "{cipher}",
        "{cipher_bits}",
        "{cert_subject}",
        "{verify}",
        "{auth_type}",
        "{auth_authen}",
        "{auth_ssf}",
        "{mail_addr}",
        "{rcpt_addr}",
        "{nrcpts}",
        "{nbadrcpts}",
        "{msg_id}",
    ];

    struct All;

    impl Macros for All {
        fn value(&self, name: &str) -> Option<Cow<'_, str>> {
            Some(Cow::Owned(format!("value of {name}")))
        }
    }

    /// What sendmail sends to a filter that asks for everything at each stage, as recorded from a real one.
    #[test]
    fn sent_where_sendmail_sends_them() {
        #[rustfmt::skip]
        let cases = [
            ("j",                "CHMRTNE"), ("_",               "CHMRTNE"), ("v",              "CHMRTNE"),
            ("i",                "CHMRTNE"), ("{daemon_name}",   "CHMRTNE"), ("{daemon_addr}",  "CHMRTNE"),
            ("{daemon_port}",    "CHMRTNE"), ("{if_name}",       "CHMRTNE"), ("{if_addr}",      "CHMRTNE"),
            ("{client_name}",    "CHMRTNE"), ("{client_addr}",   "CHMRTNE"), ("{client_port}",  "CHMRTNE"),
            ("{client_ptr}",     "CHMRTNE"), ("{client_resolve}", "CHMRTNE"),
            ("{tls_version}",    "HMRTNE"),  ("{cipher}",        "HMRTNE"),  ("{cipher_bits}",  "HMRTNE"),
            ("{cert_subject}",   "HMRTNE"),  ("{cert_issuer}",   "HMRTNE"),  ("{verify}",       "HMRTNE"),
            ("{auth_type}",      "MRTNE"),   ("{auth_authen}",   "MRTNE"),   ("{auth_author}",  "MRTNE"),
            ("{auth_ssf}",       "MRTNE"),   ("{mail_mailer}",   "MRTNE"),   ("{mail_host}",    "MRTNE"),
            ("{mail_addr}",      "MRTNE"),   ("{nrcpts}",        "MRTNE"),   ("{nbadrcpts}",    "MRTNE"),
            ("{rcpt_mailer}",    "R"),       ("{rcpt_host}",     "R"),       ("{rcpt_addr}",    "R"),
            ("{msg_id}",         "NE"),
        ];
        for (name, expected) in cases {
            let stages: String = MacroStage::ALL
                .into_iter()
                .filter(|&stage| sent_at(name, stage))
                .map(|stage| char::from(stage.command()))
                .collect();
            assert_eq!(stages, expected, "{name}");
        }
    }

    #[test]
    fn without_being_asked() {
        #[rustfmt::skip]
        let cases = [
            (MacroStage::Connect,       "j _ {daemon_name} {if_name} {if_addr}"),
            (MacroStage::Helo,          "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}"),
            (MacroStage::Mail,          "i {auth_type} {auth_authen} {auth_ssf} {auth_author} {mail_mailer} {mail_host} {mail_addr}"),
            (MacroStage::Rcpt,          "{rcpt_mailer} {rcpt_host} {rcpt_addr}"),
            (MacroStage::Data,          ""),
            (MacroStage::EndOfHeader,   ""),
            (MacroStage::End,           "{msg_id}"),
        ];
        let lists = MacroLists::default();
        for (stage, expected) in cases {
            let sent = lists.values(stage, &All, false).unwrap_or_default();
            let names: Vec<_> = sent.iter().map(|&(name, _)| name).collect();
            assert_eq!(names.join(" "), expected, "{stage:?}");
        }
    }

    #[test]
    fn asked_for() {
        let mut lists = MacroLists::default();
        for stage in MacroStage::ALL {
            lists.ask(stage, EVERYTHING.join(" ").as_bytes());
            assert_eq!(lists.asked(stage).map(<[_]>::len), Some(EVERYTHING.len()));
        }
        for stage in MacroStage::ALL {
            let sent = lists.values(stage, &All, false).unwrap();
            assert!(sent.iter().all(|(name, _)| sent_at(name, stage)));
            assert_eq!(sent[0].1, "value of j");
        }
        lists.ask(MacroStage::Mail, b"");
        assert_eq!(lists.values(MacroStage::Mail, &All, true), None, "it wants none");
        assert_eq!(
            lists.names(MacroStage::Helo).count(),
            EVERYTHING.len(),
            "a list of its own"
        );
    }

    #[test]
    fn spellings() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], &[&str]); 7] = [
            ("as sendmail writes them",     b"j, {auth_type}",      &["j", "{auth_type}"]),
            ("braces forgotten",            b"auth_type",           &["{auth_type}"]),
            ("braces too many",             b"{i}",                 &["i"]),
            ("blanks and line ends",        b" i\t_\r\nv ",         &["i", "_", "v"]),
            ("nothing inside",              b"{} , ",               &[]),
            ("no text",                     b"\xff i",              &["i"]),
            ("control characters",          b"a\x01b i",            &["i"]),
        ];
        for (shows, asked, expected) in cases {
            let mut lists = MacroLists::default();
            lists.ask(MacroStage::Connect, asked);
            let names: Vec<_> = lists.names(MacroStage::Connect).collect();
            assert_eq!(names, expected, "{shows}");
        }
        let mut lists = MacroLists::default();
        lists.ask(MacroStage::Connect, "x ".repeat(1_000).as_bytes());
        assert_eq!(lists.names(MacroStage::Connect).count(), NAMES_MAX);
    }

    #[test]
    fn values_of_an_earlier_step_do_not_stay() {
        let lists = MacroLists::default();
        let known = [("{cipher}", "AES")];
        let sent = lists.values(MacroStage::Helo, &known, false).unwrap();
        assert_eq!(sent, [("{cipher}", Cow::Borrowed("AES"))], "only what is known");
        assert_eq!(lists.values(MacroStage::Helo, &(), false), None);
        let cleared = lists.values(MacroStage::Helo, &(), true).unwrap();
        assert_eq!(cleared.len(), 5);
        assert!(cleared.iter().all(|(_, value)| value.is_empty()));
    }

    #[test]
    fn a_value_is_one_line() {
        let lists = MacroLists::default();
        let known = [("{mail_addr}", "a\r\nX-Spam: no\u{7f}"), ("i", "grün")];
        let sent = lists.values(MacroStage::Mail, &known, false).unwrap();
        assert_eq!(
            sent,
            [
                ("i", Cow::Borrowed("grün")),
                ("{mail_addr}", Cow::Borrowed("a??X-Spam: no?"))
            ]
        );
    }

    #[test]
    fn numbers() {
        for stage in MacroStage::ALL {
            assert_eq!(MacroStage::of_number(stage.number()), Some(stage));
            assert_eq!(MacroStage::of_command(stage.command()), Some(stage));
        }
        assert_eq!(MacroStage::of_number(7), None);
        assert_eq!(MacroStage::of_command(b'B'), None);
    }
}
