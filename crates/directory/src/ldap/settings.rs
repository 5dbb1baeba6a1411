//! How to reach an LDAP directory and what to look for in it.

use std::path::PathBuf;
use std::time::Duration;

/// An LDAP directory: one or more servers with the same tree.
///
/// Templates have the placeholders `{login}` (what the client typed), `{local}` and `{domain}` (its parts before and
/// after the last `@`; without one `{local}` is all of it and `{domain}` is empty), escaped as RFC 4515 section 3 asks.
/// In [`Self::recipient_filter`] they stand for the address and its parts, and `{address}` is the same as `{login}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LdapSettings {
    /// The servers, `ldap://host[:port]/` or `ldaps://host[:port]/`, tried in order. At least one, at most 16.
    ///
    /// Plain `ldap://` without [`Self::starttls`] sends passwords in the clear: for loopback and trusted networks.
    pub servers: Vec<String>,
    /// Where the search starts.
    pub search_base: String,
    /// How far it goes. Default: the whole subtree.
    pub scope: SearchScope,
    /// The filter that finds the entry of a login. Default `(uid={login})`.
    pub filter: String,
    /// The filter that finds the entry of a recipient's address. Default `(mail={address})` with the attribute of
    /// [`Self::mail_attribute`]. Set it where addresses lie in more than one attribute.
    pub recipient_filter: Option<String>,
    /// The service identity for searches; anonymous when `None`.
    pub bind_dn: Option<String>,
    /// File with the password of [`Self::bind_dn`], one line, readable by its owner alone.
    pub bind_password_file: Option<PathBuf>,
    /// The attribute whose first value is the canonical login. Default `uid`; an entry without it is known by what the
    /// client typed.
    pub login_attribute: String,
    /// The attribute with the entry's addresses. Default `mail`.
    pub mail_attribute: String,
    /// Whether `ldap://` connections are secured by StartTLS (RFC 4513 section 3) before anything else is sent.
    /// Default false. A server that refuses it is an outage, never a reason to go on in the clear.
    pub starttls: bool,
    /// Certificates that the servers' must lead up to. Default: those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Longest time for one check, over all servers and steps. Default 5 seconds.
    pub timeout: Duration,
    /// Most connections to each server for searches, and as many for binds. Default 8; 1 to 256.
    pub pool_size: usize,
    /// How long a server that failed is left for last. Default 30 seconds. Then the next login tries it first again, and
    /// waits for it at most its share of [`Self::timeout`].
    pub retry_primary_after: Duration,
    /// How long a login that was granted counts without asking again. Default zero: each is asked about.
    pub cache_ttl: Duration,
}

/// How far a search goes (RFC 4511 section 4.5.1.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SearchScope {
    /// The base entry alone.
    Base,
    /// The entries directly below the base.
    OneLevel,
    /// The base and everything below it.
    #[default]
    Subtree,
}

impl Default for LdapSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search_base: String::new(),
            scope: SearchScope::Subtree,
            filter: "(uid={login})".into(),
            recipient_filter: None,
            bind_dn: None,
            bind_password_file: None,
            login_attribute: "uid".into(),
            mail_attribute: "mail".into(),
            starttls: false,
            ca_file: None,
            timeout: Duration::from_secs(5),
            pool_size: 8,
            retry_primary_after: Duration::from_secs(30),
            cache_ttl: Duration::ZERO,
        }
    }
}
