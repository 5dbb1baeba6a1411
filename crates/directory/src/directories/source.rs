//! What a directory of any kind can be asked.
//!
//! A new kind implements this, and has a line in [`set_up`](super::set_up). What it does not say it can, it is not asked.

use std::net::IpAddr;

use futures_util::future::{BoxFuture, FutureExt as _};
use postern_mail::Mailbox;
use secrecy::SecretString;

use crate::dovecot::Dovecot;
use crate::keys::{KeyFinding, KeyKind};
use crate::ldap::Ldap;
use crate::pam::PamHelper;
use crate::saslauthd::Saslauthd;
use crate::sql::Sql;
use crate::users::Users;
use crate::verdict::{DenyReason, Finding, Outage};
use crate::workers::Asker;

/// An answer, or why there is none.
type Answer<'a, T> = BoxFuture<'a, Result<T, Outage>>;

/// One source of accounts.
pub(crate) trait Source: Send + Sync {
    /// Whether this is the login's password. Nobody asks with an empty one.
    fn check_password<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
        asker: &'a Asker,
    ) -> Answer<'a, Finding>;

    /// Whether the answer to that depends on the client's address in ways that only the directory knows.
    fn looks_at_peers(&self) -> bool {
        false
    }

    /// Whether it can find an account without its password.
    fn finds_accounts(&self) -> bool {
        false
    }

    /// The account of a login, without its password; only where [`finds_accounts`](Self::finds_accounts).
    fn find_account<'a>(&'a self, _login: &'a str) -> Answer<'a, Finding> {
        async { Ok(Finding::Denied(DenyReason::UnknownUser)) }.boxed()
    }

    /// Whether it knows which addresses exist.
    fn knows_recipients(&self) -> bool {
        false
    }

    /// Whether an address is an account's; only where [`knows_recipients`](Self::knows_recipients).
    fn recipient_exists<'a>(&'a self, _address: &'a Mailbox) -> Answer<'a, bool> {
        async { Ok(false) }.boxed()
    }

    /// Whether there are keys of this kind.
    fn keeps(&self, _kind: &KeyKind) -> bool {
        false
    }

    /// The key of a login; only where [`keeps`](Self::keeps) it.
    fn lookup_key<'a>(
        &'a self,
        _login: &'a str,
        _kind: &'a KeyKind,
        _asker: &'a Asker,
    ) -> Answer<'a, KeyFinding> {
        async { Ok(KeyFinding::Denied(DenyReason::UnknownUser)) }.boxed()
    }

    /// A question that only finds out whether it answers, if it has one.
    fn probe(&self) -> Option<Answer<'_, ()>> {
        None
    }

    /// Own users, which are asked more than this.
    fn own_users(&self) -> Option<&Users> {
        None
    }
}

impl Source for Users {
    fn check_password<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
        asker: &'a Asker,
    ) -> Answer<'a, Finding> {
        self.check_password(login, password, asker).boxed()
    }

    fn finds_accounts(&self) -> bool {
        true
    }

    fn find_account<'a>(&'a self, login: &'a str) -> Answer<'a, Finding> {
        self.find_account(login).boxed()
    }

    fn knows_recipients(&self) -> bool {
        true
    }

    fn recipient_exists<'a>(&'a self, address: &'a Mailbox) -> Answer<'a, bool> {
        self.recipient_exists(address).boxed()
    }

    fn keeps(&self, kind: &KeyKind) -> bool {
        self.keeps(kind)
    }

    fn lookup_key<'a>(
        &'a self,
        login: &'a str,
        kind: &'a KeyKind,
        asker: &'a Asker,
    ) -> Answer<'a, KeyFinding> {
        let peer: Option<IpAddr> = asker.peer;
        self.lookup_key(login, kind, peer).boxed()
    }

    fn own_users(&self) -> Option<&Users> {
        Some(self)
    }
}

impl Source for Ldap {
    fn check_password<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
        asker: &'a Asker,
    ) -> Answer<'a, Finding> {
        self.check_password(login, password, asker).boxed()
    }

    fn finds_accounts(&self) -> bool {
        self.searches()
    }

    fn find_account<'a>(&'a self, login: &'a str) -> Answer<'a, Finding> {
        self.find_account(login).boxed()
    }

    fn knows_recipients(&self) -> bool {
        self.searches()
    }

    fn recipient_exists<'a>(&'a self, address: &'a Mailbox) -> Answer<'a, bool> {
        self.recipient_exists(address).boxed()
    }

    fn keeps(&self, kind: &KeyKind) -> bool {
        self.keeps(kind)
    }

    fn lookup_key<'a>(
        &'a self,
        login: &'a str,
        kind: &'a KeyKind,
        asker: &'a Asker,
    ) -> Answer<'a, KeyFinding> {
        self.lookup_key(login, kind, asker).boxed()
    }
}

impl Source for Sql {
    fn check_password<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
        asker: &'a Asker,
    ) -> Answer<'a, Finding> {
        self.check_password(login, password, asker).boxed()
    }

    fn finds_accounts(&self) -> bool {
        true
    }

    fn find_account<'a>(&'a self, login: &'a str) -> Answer<'a, Finding> {
        self.find_account(login).boxed()
    }

    fn knows_recipients(&self) -> bool {
        self.knows_recipients()
    }

    fn recipient_exists<'a>(&'a self, address: &'a Mailbox) -> Answer<'a, bool> {
        self.recipient_exists(address).boxed()
    }

    fn keeps(&self, kind: &KeyKind) -> bool {
        self.keeps(kind)
    }

    fn lookup_key<'a>(
        &'a self,
        login: &'a str,
        kind: &'a KeyKind,
        asker: &'a Asker,
    ) -> Answer<'a, KeyFinding> {
        self.lookup_key(login, kind, asker).boxed()
    }
}

impl Source for Saslauthd {
    fn check_password<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
        asker: &'a Asker,
    ) -> Answer<'a, Finding> {
        self.check_password(login, password, asker).boxed()
    }
}

impl Source for Dovecot {
    fn check_password<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
        asker: &'a Asker,
    ) -> Answer<'a, Finding> {
        self.check_password(login, password, asker).boxed()
    }

    /// By `allow_nets`.
    fn looks_at_peers(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Answer<'_, ()>> {
        Some(self.probe().boxed())
    }
}

impl Source for PamHelper {
    fn check_password<'a>(
        &'a self,
        login: &'a str,
        password: &'a SecretString,
        asker: &'a Asker,
    ) -> Answer<'a, Finding> {
        self.check_password(login, password, asker).boxed()
    }

    /// By `rhost`.
    fn looks_at_peers(&self) -> bool {
        true
    }
}
