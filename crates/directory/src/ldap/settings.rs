//! How to reach an LDAP directory and what to look for in it.

use std::path::PathBuf;
use std::time::Duration;

use crate::foreign::ForeignKeys;
use crate::schemes::SchemeRules;

/// An LDAP directory: one or more servers with the same tree.
///
/// Templates may contain the placeholders `{login}` (what the client typed), `{local}` and `{domain}` (its parts before and
/// after the last `@`; without one `{local}` is all of it and `{domain}` is empty), escaped as RFC 4515 section 3 asks. In
/// [`Self::recipient_filter`] they stand for the address and its parts, and `{address}` is the same as `{login}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LdapSettings {
    /// The servers, `ldap://host[:port]/` or `ldaps://host[:port]/`, tried in order. At least one, at most 16; none with
    /// [`Self::discover`].
    ///
    /// Plain `ldap://` without [`Self::starttls`] sends passwords in the clear: for loopback and trusted networks.
    pub servers: Vec<String>,
    /// The domain whose servers are looked up in DNS (`_ldap._tcp`, RFC 2782) instead of [`Self::servers`]. Hosts outside the
    /// domain are ignored: DNS may be forged, and their certificates would be valid.
    pub discover: Option<String>,
    /// Where the search starts.
    pub search_base: String,
    /// How far it goes. Default: the whole subtree.
    pub scope: SearchScope,
    /// The filter that finds the entry of a login. Default `(uid={login})`.
    pub filter: String,
    /// The filter that finds the entry of a recipient's address. Default `(mail={address})` with the attribute of
    /// [`Self::mail_attribute`]. Set it if addresses are in more than one attribute.
    pub recipient_filter: Option<String>,
    /// The service identity for searches; anonymous when `None`.
    pub bind_dn: Option<String>,
    /// File with the password of [`Self::bind_dn`], one line, readable only by its owner.
    pub bind_password_file: Option<PathBuf>,
    /// The attribute whose first value is the canonical login. Default `uid`; for an entry without it, the name that the
    /// client typed is used.
    pub login_attribute: String,
    /// The attributes with the entry's addresses, with a prefix `smtp:` removed; those with other prefixes (`x500:`, `sip:`)
    /// are skipped. Default `mail`.
    pub mail_attributes: Vec<String>,
    /// How a password is checked. Default: by a bind.
    pub check: LdapCheck,
    /// The name to bind as, without a search first, such as `{login}` or `{local}@corp.example` for Active Directory or
    /// `uid={login},ou=People,dc=example,dc=org`. The server tells who that is (RFC 4532), and the entry is read with the
    /// user's own rights.
    pub direct_bind: Option<String>,
    /// The attribute with stored passwords, for [`LdapCheck::Compare`] and for keys. Default `userPassword`.
    pub password_attribute: String,
    /// Which stored passwords are accepted there.
    pub schemes: SchemeRules,
    /// Most passwords hashed at the same time. Default: half the processors, at least 1.
    pub workers: usize,
    /// The attribute with keys for SCRAM in the syntax of RFC 5803. Default `authPassword`.
    pub key_attribute: String,
    /// The attribute with the NT hash. Default `sambaNTPassword`.
    pub nt_attribute: String,
    /// The mechanisms for which entries have keys. Default none.
    pub keys: ForeignKeys,
    /// The attribute that holds the names of an entry's groups, such as `memberOf`.
    pub member_of_attribute: Option<String>,
    /// The filter that finds the groups of an entry, with `{dn}` for its distinguished name and `{login}` for its canonical
    /// login.
    pub group_filter: Option<String>,
    /// Where groups are searched for, and below which the values of [`Self::member_of_attribute`] must be. Default: the
    /// search base, and anywhere.
    pub group_base: Option<String>,
    /// The attribute with a group's name. Default `cn`.
    pub group_attribute: String,
    /// The groups that may log in, by name or by distinguished name. Default: everybody may.
    pub allowed_groups: Vec<String>,
    /// Whether `ldap://` connections are secured by StartTLS (RFC 4513 section 3) before anything else is sent. Default
    /// false. A server that refuses it is an outage, never a reason to continue in cleartext.
    pub starttls: bool,
    /// The authorities that must have issued the servers' certificates. Default: those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Longest time for one check, over all servers and steps. Default 5 seconds.
    pub timeout: Duration,
    /// Most connections to each server for searches, and as many for binds. Default 8; 1 to 256.
    pub pool_size: usize,
    /// How long a server that failed is tried last. Default 30 seconds. After that, the next login tries it in its own place
    /// again, and waits at most its share of [`Self::timeout`].
    pub retry_primary_after: Duration,
    /// How long a granted login counts without asking again. Default zero: each is asked about.
    pub cache_ttl: Duration,
}

/// How a password is checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LdapCheck {
    /// By a bind as the entry: the server sees the password and applies its own lock-out rules, and the stored one stays
    /// there.
    #[default]
    Bind,
    /// The stored password is read and compared here. Locked and expired accounts are recognised only by their attributes.
    Compare,
}

/// How far a search goes (RFC 4511 section 4.5.1.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SearchScope {
    /// The base entry only.
    Base,
    /// The entries directly below the base.
    OneLevel,
    /// The base and everything below it.
    #[default]
    Subtree,
}

impl SearchScope {
    /// The same as the client library's type.
    pub(crate) const fn of_library(self) -> ldap3::Scope {
        match self {
            Self::Base => ldap3::Scope::Base,
            Self::OneLevel => ldap3::Scope::OneLevel,
            Self::Subtree => ldap3::Scope::Subtree,
        }
    }
}

impl Default for LdapSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            discover: None,
            search_base: String::new(),
            scope: SearchScope::Subtree,
            filter: "(uid={login})".into(),
            recipient_filter: None,
            bind_dn: None,
            bind_password_file: None,
            login_attribute: "uid".into(),
            mail_attributes: vec!["mail".into()],
            check: LdapCheck::Bind,
            direct_bind: None,
            password_attribute: "userPassword".into(),
            schemes: SchemeRules::default(),
            workers: std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2)),
            key_attribute: "authPassword".into(),
            nt_attribute: "sambaNTPassword".into(),
            keys: ForeignKeys::default(),
            member_of_attribute: None,
            group_filter: None,
            group_base: None,
            group_attribute: "cn".into(),
            allowed_groups: Vec::new(),
            starttls: false,
            ca_file: None,
            timeout: Duration::from_secs(5),
            pool_size: 8,
            retry_primary_after: Duration::from_secs(30),
            cache_ttl: Duration::ZERO,
        }
    }
}

impl LdapSettings {
    /// The filter for logins of Active Directory: the user principal name, or the pre-Windows 2000 name.
    pub const ACTIVE_DIRECTORY_FILTER: &str = "(&(objectClass=user)(!(objectClass=computer))(|(userPrincipalName={login})(sAMAccountName={login})))";

    /// Settings for Active Directory: logins by user principal name, Exchange addresses, groups by `memberOf`.
    #[must_use]
    pub fn active_directory() -> Self {
        Self {
            filter: Self::ACTIVE_DIRECTORY_FILTER.into(),
            login_attribute: "userPrincipalName".into(),
            mail_attributes: vec!["mail".into(), "proxyAddresses".into()],
            member_of_attribute: Some("memberOf".into()),
            ..Self::default()
        }
    }
}
