//! sendmail's `PrivacyOptions`, by the same names.

/// What is kept from strangers. All off is `public`.
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
    /// `novrfy`: `VRFY` tells nothing.
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

/// A name that is no privacy flag.
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
    /// Sets the flags of these names, in any case.
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
        todo!("{name}")
    }
}
