//! sendmail's `PrivacyOptions`, by the same names.

use std::fmt;

use crate::rule::{Rule, Told, Verdict};

/// What is withheld from strangers. All off is `public`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Privacy {
    /// `needmailhelo`: `MAIL` needs `HELO` or `EHLO` before it.
    pub need_mail_helo: bool,
    /// `needexpnhelo`: so does `EXPN`.
    pub need_expn_helo: bool,
    /// `needvrfyhelo`: so does `VRFY`.
    pub need_vrfy_helo: bool,
    /// `noexpn`: no `EXPN`.
    pub no_expn: bool,
    /// `novrfy`: `VRFY` reveals nothing.
    pub no_vrfy: bool,
    /// `noverb`: no `VERB`.
    pub no_verb: bool,
    /// `noetrn`: no `ETRN`.
    pub no_etrn: bool,
    /// `authwarnings`: `X-Authentication-Warning` fields.
    pub auth_warnings: bool,
    /// `noactualrecipient`: reports do not name the mailbox behind an alias.
    pub no_actual_recipient: bool,
    /// `noreceipts`: no success reports, and `DSN` is not offered.
    pub no_receipts: bool,
    /// `nobodyreturn`: reports return header fields only.
    pub no_body_return: bool,
    /// `restrictmailq`: the queue is shown to administrators only.
    pub restrict_mailq: bool,
    /// `restrictqrun`: the queue is run by administrators only.
    pub restrict_qrun: bool,
    /// `restrictexpand`: aliases are expanded for administrators only.
    pub restrict_expand: bool,
}

/// What a flag refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PrivacyRefusal {
    /// `MAIL` before `HELO` or `EHLO`, with `needmailhelo`.
    NeedMailHelo,
    /// `VRFY` before them, with `needvrfyhelo`.
    NeedVrfyHelo,
    /// `EXPN` before them, with `needexpnhelo`.
    NeedExpnHelo,
    /// `EXPN`, with `noexpn`.
    NoExpn,
    /// `VERB`, with `noverb`.
    NoVerb,
    /// `ETRN`, with `noetrn`.
    NoEtrn,
}

impl Verdict for PrivacyRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::NeedMailHelo => Rule::PrivacyNeedMailHelo,
            Self::NeedVrfyHelo => Rule::PrivacyNeedVrfyHelo,
            Self::NeedExpnHelo => Rule::PrivacyNeedExpnHelo,
            Self::NoExpn => Rule::PrivacyNoExpn,
            Self::NoVerb => Rule::PrivacyNoVerb,
            Self::NoEtrn => Rule::PrivacyNoEtrn,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        match self {
            Self::NeedMailHelo | Self::NeedVrfyHelo | Self::NeedExpnHelo => &"no HELO or EHLO before it",
            Self::NoExpn | Self::NoVerb | Self::NoEtrn => &"off",
        }
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// An unknown privacy flag.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown privacy flag {found:?}; {remedy}")]
pub struct UnknownPrivacyFlag {
    /// What was written.
    pub found: String,
    /// What to write instead.
    pub remedy: String,
}

/// All names.
pub const NAMES: [&str; 16] = [
    "public",
    "goaway",
    "needmailhelo",
    "needexpnhelo",
    "needvrfyhelo",
    "noexpn",
    "novrfy",
    "noverb",
    "noetrn",
    "authwarnings",
    "noactualrecipient",
    "noreceipts",
    "nobodyreturn",
    "restrictmailq",
    "restrictqrun",
    "restrictexpand",
];

impl Privacy {
    /// Sets the flags with these names, in any case.
    ///
    /// # Errors
    ///
    /// [`UnknownPrivacyFlag`] for the first unknown name.
    pub fn parse<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, UnknownPrivacyFlag> {
        let mut privacy = Self::default();
        for name in names {
            privacy.set(name.as_ref())?;
        }
        Ok(privacy)
    }

    /// Sets one flag by its name, in any case. `public` sets none.
    ///
    /// # Errors
    ///
    /// [`UnknownPrivacyFlag`].
    pub fn set(&mut self, name: &str) -> Result<(), UnknownPrivacyFlag> {
        match name.to_ascii_lowercase().as_str() {
            "public" => {}
            "goaway" => self.go_away(),
            "needmailhelo" => self.need_mail_helo = true,
            "needexpnhelo" => self.need_expn_helo = true,
            "needvrfyhelo" => self.need_vrfy_helo = true,
            "noexpn" => self.no_expn = true,
            "novrfy" => self.no_vrfy = true,
            "noverb" => self.no_verb = true,
            "noetrn" => self.no_etrn = true,
            "authwarnings" => self.auth_warnings = true,
            "noactualrecipient" => self.no_actual_recipient = true,
            "noreceipts" => self.no_receipts = true,
            "nobodyreturn" => self.no_body_return = true,
            "restrictmailq" => self.restrict_mailq = true,
            "restrictqrun" => self.restrict_qrun = true,
            "restrictexpand" => self.restrict_expand = true,
            _ => return Err(UnknownPrivacyFlag::new(name)),
        }
        Ok(())
    }

    /// What sendmail's `goaway` sets: all but `noetrn`, `noreceipts`, `nobodyreturn` and the `restrict…` ones.
    fn go_away(&mut self) {
        self.need_mail_helo = true;
        self.need_expn_helo = true;
        self.need_vrfy_helo = true;
        self.no_expn = true;
        self.no_vrfy = true;
        self.no_verb = true;
        self.auth_warnings = true;
        self.no_actual_recipient = true;
    }
}

impl UnknownPrivacyFlag {
    fn new(found: &str) -> Self {
        // Longer texts are not typos, and would make the comparison expensive.
        let near = (found.len() <= 40)
            .then(|| nearest(&found.to_ascii_lowercase()))
            .flatten();
        let remedy = match near {
            Some(name) => format!("write {name:?}"),
            None => format!("write one of {}", NAMES.join(", ")),
        };
        Self {
            found: found.chars().take(100).collect(),
            remedy,
        }
    }
}

/// The name that differs in at most two letters.
fn nearest(found: &str) -> Option<&'static str> {
    NAMES
        .into_iter()
        .map(|name| (distance(found, name), name))
        .min()
        .filter(|(letters, _)| *letters <= 2)
        .map(|(_, name)| name)
}

/// The edit distance: letters to change, insert or delete.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (place, b) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goaway_is_what_it_is_in_sendmail() {
        let spelled_out = [
            "needmailhelo",
            "needexpnhelo",
            "needvrfyhelo",
            "noexpn",
            "novrfy",
            "noverb",
            "authwarnings",
            "noactualrecipient",
        ];
        assert_eq!(Privacy::parse(["goaway"]), Privacy::parse(spelled_out));
        let goaway = Privacy::parse(["GoAway"]).unwrap();
        for (flag, name) in [
            (goaway.no_etrn, "noetrn"),
            (goaway.no_receipts, "noreceipts"),
            (goaway.no_body_return, "nobodyreturn"),
            (goaway.restrict_mailq, "restrictmailq"),
            (goaway.restrict_qrun, "restrictqrun"),
            (goaway.restrict_expand, "restrictexpand"),
        ] {
            assert!(!flag, "{name} is not in goaway");
        }
    }

    #[test]
    fn every_name_sets_something_of_its_own() {
        let mut seen = Vec::new();
        for name in NAMES {
            let privacy = Privacy::parse([name]).unwrap();
            assert!(!seen.contains(&privacy), "{name}");
            seen.push(privacy);
        }
        assert_eq!(Privacy::parse(["public"]), Ok(Privacy::default()));
    }

    #[test]
    fn unknown_names_come_with_a_remedy() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows    name           remedy
            ("a letter too many",     "gooaway",     "write \"goaway\""),
            ("letters swapped",       "nvorfy",      "write \"novrfy\""),
            ("nothing like it",       "quiet",       "write one of public, goaway"),
            ("nothing",               "",            "write one of public, goaway"),
        ];
        for (shows, name, remedy) in cases {
            let error = Privacy::parse([name]).unwrap_err().to_string();
            assert!(error.contains(remedy), "{shows}: {error}");
        }
        assert!(Privacy::parse(["x".repeat(100_000)]).is_err());
    }
}
