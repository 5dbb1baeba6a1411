//! What a socket is told by the configuration, checked already.

use std::path::PathBuf;

use ipnet::IpNet;
use postern_authwire::dovecot::Account;
use postern_sasl::Mechanism;

/// What holds for one socket.
#[derive(Clone, Debug)]
pub struct SocketSettings {
    /// Name in the log. Default: the path or address.
    pub name: String,
    /// What is spoken there.
    pub protocol: SocketProtocol,
    /// Mechanisms in place of those of [`AuthSettings`](crate::AuthSettings). Default: those. Those that bind to the channel
    /// are left out in any case: the channel does not end here.
    pub mechanisms: Option<Vec<Mechanism>>,
    /// Least bits in place of those of [`AuthSettings`](crate::AuthSettings). Default: those. The neighbour's word counts, 128
    /// bits where it does not tell how many.
    pub least_bits: Option<u32>,
    /// From where clients of the neighbour may log in. Empty for everywhere. A client whose address is not told is nowhere.
    pub networks: Vec<IpNet>,
    /// Whether the neighbour is believed who a client's certificate is, for EXTERNAL. Default no.
    pub trust_certificates: bool,
    /// Whether the realm that saslauthd's protocol tells apart is put behind the login. Default yes.
    pub join_realm: bool,
    /// Where Dovecot finds the mail of a login, for masters.
    pub accounts: Option<MailAccounts>,
    /// Most connections at once; further ones wait. Default 500.
    pub connections_max: usize,
}

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketProtocol {
    /// Dovecot's protocol for clients, which Postfix speaks too.
    Dovecot,
    /// Dovecot's protocol for masters: its mail processes ask whom they work for.
    DovecotMaster,
    /// saslauthd's, which Cyrus SASL speaks.
    Saslauthd,
}

impl SocketSettings {
    /// A socket with the defaults.
    #[must_use]
    pub fn new(name: &str, protocol: SocketProtocol) -> Self {
        Self {
            name: name.to_owned(),
            protocol,
            mechanisms: None,
            least_bits: None,
            networks: Vec::new(),
            trust_certificates: false,
            join_realm: true,
            accounts: None,
            connections_max: 500,
        }
    }
}

/// The account on this machine that mail processes work under, and where they find the mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailAccounts {
    /// The user id, never root's.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The home folder of each login.
    pub home: HomePattern,
}

impl MailAccounts {
    /// The account of a login; `None` for a login of which no folder can be made.
    pub(crate) fn of(&self, login: &str) -> Option<Account> {
        Some(Account {
            user: login.to_owned(),
            uid: self.uid,
            gid: self.gid,
            home: self.home.folder(login)?,
        })
    }
}

/// A folder with `{login}`, `{local}` and `{domain}` in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HomePattern(String);

/// An invalid pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HomePatternError {
    /// It does not begin at the root.
    #[error("not an absolute path")]
    Relative,
    /// A word in braces that is no placeholder.
    #[error("an unknown placeholder")]
    Placeholder,
    /// It would be the same for all.
    #[error("the same folder for all")]
    SameForAll,
}

impl HomePattern {
    /// Checks a pattern.
    ///
    /// # Errors
    ///
    /// See [`HomePatternError`].
    pub fn new(pattern: &str) -> Result<Self, HomePatternError> {
        if !pattern.starts_with('/') {
            return Err(HomePatternError::Relative);
        }
        let bare = pattern.replace("{login}", "").replace("{local}", "");
        if bare.replace("{domain}", "").contains(['{', '}']) {
            return Err(HomePatternError::Placeholder);
        }
        if bare == pattern {
            return Err(HomePatternError::SameForAll);
        }
        Ok(Self(pattern.to_owned()))
    }

    /// The folder of a login. `None` where a part of it is no name of a folder, or there is no domain where one is wanted: it
    /// must not lead elsewhere.
    fn folder(&self, login: &str) -> Option<PathBuf> {
        let (local, domain) = login.rsplit_once('@').unwrap_or((login, ""));
        let parts = [("{login}", login), ("{local}", local), ("{domain}", domain)];
        let mut folder = String::new();
        let mut rest = self.0.as_str();
        // From left to right, once: a login with braces in it is not filled in again.
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            let (name, part) = parts.iter().find(|(name, _)| from.starts_with(name))?;
            if !is_folder_name(part) {
                return None;
            }
            folder.push_str(before);
            folder.push_str(part);
            rest = &from[name.len()..];
        }
        folder.push_str(rest);
        Some(PathBuf::from(folder))
    }
}

/// Whether this can stand for one folder and no other.
fn is_folder_name(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 255
        && !part.starts_with('.')
        && !part.contains('/')
        && !part.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows             pattern                      login             folder
            ("by login",                       "/var/mail/{login}",         "acaird",         Some("/var/mail/acaird")),
            ("by both parts",                  "/m/{domain}/{local}/x",     "a@b.example",    Some("/m/b.example/a/x")),
            ("no domain where one is wanted",  "/m/{domain}/{local}",       "acaird",         None),
            ("one that would lead elsewhere",  "/m/{login}",                "../root",        None),
            ("a hidden one",                   "/m/{login}",                ".ssh",           None),
            ("one below another's",            "/m/{login}",                "a/b",            None),
            ("braces of its own",              "/m/{login}",                "{local}",        Some("/m/{local}")),
            ("nobody",                         "/m/{login}",                "",               None),
        ];
        for (shows, pattern, login, folder) in cases {
            let pattern = HomePattern::new(pattern).unwrap();
            assert_eq!(pattern.folder(login), folder.map(PathBuf::from), "{shows}");
        }
        assert_eq!(HomePattern::new("mail/{login}"), Err(HomePatternError::Relative));
        assert_eq!(
            HomePattern::new("/mail/{user}"),
            Err(HomePatternError::Placeholder)
        );
        assert_eq!(
            HomePattern::new("/mail/{domain}"),
            Err(HomePatternError::SameForAll)
        );
    }
}
