//! The settings of a socket, already checked.

use std::path::PathBuf;

use ipnet::IpNet;
use postern_authwire::dovecot::Account;
use postern_sasl::Mechanism;

/// The settings of one socket.
#[derive(Clone, Debug)]
pub struct SocketSettings {
    /// Name in the log. Default: the path or address.
    pub name: String,
    /// The protocol.
    pub protocol: SocketProtocol,
    /// Mechanisms in place of those of [`AuthSettings`](crate::AuthSettings). Default: those. Those with channel binding are
    /// always left out, since the channel does not end here.
    pub mechanisms: Option<Vec<Mechanism>>,
    /// Fewest bits in place of those of [`AuthSettings`](crate::AuthSettings). Default: those. The other server's word counts;
    /// 128 bits if it does not say how many.
    pub least_bits: Option<u32>,
    /// Networks from which clients of the other server may log in. Empty for all. A client whose address is not told is in none.
    pub networks: Vec<IpNet>,
    /// Whether the other server is trusted to name the user of a client's certificate, for EXTERNAL. Default no.
    pub trust_certificates: bool,
    /// Whether the separate realm in saslauthd's protocol is appended to the user name. Default yes.
    pub join_realm: bool,
    /// Where Dovecot finds the mail of a user, for masters.
    pub accounts: Option<MailAccounts>,
    /// Most connections at once; further ones wait. Default 500.
    pub connections_max: usize,
}

/// The protocol of a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketProtocol {
    /// Dovecot's protocol for clients, which Postfix speaks too.
    Dovecot,
    /// Dovecot's protocol for masters: its mail processes ask which user they work for.
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

/// The system account that mail processes run under, and where they find the mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailAccounts {
    /// The user id, never root's.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The home folder of each user.
    pub home: HomePattern,
}

impl MailAccounts {
    /// The account of a user; `None` for a user name that cannot be part of a folder.
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
    /// It is not an absolute path.
    #[error("not an absolute path")]
    Relative,
    /// A word in braces that is not a placeholder.
    #[error("an unknown placeholder")]
    Placeholder,
    /// It would be the same for all users.
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

    /// The folder of a user. `None` if a part of the user name cannot be a folder name, or a domain is missing: it must not lead
    /// elsewhere.
    fn folder(&self, login: &str) -> Option<PathBuf> {
        let (local, domain) = login.rsplit_once('@').unwrap_or((login, ""));
        let parts = [("{login}", login), ("{local}", local), ("{domain}", domain)];
        let mut folder = String::new();
        let mut rest = self.0.as_str();
        // From left to right, once: braces in a user name are not expanded again.
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

/// Whether this is a valid name for a single folder.
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
