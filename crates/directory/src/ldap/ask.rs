//! The questions asked of an LDAP directory, trying its servers in turn.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use ldap3::{Scope, SearchEntry};
use postern_mail::Mailbox;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::account::{self, take_secrets};
use super::changed;
use super::code::{of_search, of_user_bind};
use super::fleet::{Fleets, Server};
use super::groups::{Grouping, Via};
use super::mistakes::{mistakes, recipient_filter};
use super::pool::{Bound, Search};
use super::settings::{LdapCheck, LdapSettings};
use super::state;
use super::template::Template;
use crate::environment::Environment;
use crate::error::SetUpError;
use crate::failover::Fault;
use crate::foreign::KeyMaker;
use crate::hashing::Hashing;
use crate::keys::KeyKind;
use crate::mistake::refuse_first;
use crate::proof::Proof;
use crate::schemes::Stored;
use crate::source::Source;
use crate::time::now;
use crate::verdict::{Account, DenyReason, Finding, KeyFinding, Outage};
use crate::workers::{Asker, Workers};

/// An LDAP directory.
pub(crate) struct Ldap {
    settings: LdapSettings,
    filter: Template,
    recipient_filter: Template,
    direct_bind: Option<Template>,
    grouping: Grouping,
    fleets: Fleets,
    hashing: Hashing,
    /// Permits for binds, as many as there are connections for them.
    binds: Arc<Workers>,
    keys: KeyMaker,
}

/// An entry that matches a login, with the requested secrets kept apart.
struct Found {
    entry: SearchEntry,
    passwords: Vec<Zeroizing<String>>,
    keys: Vec<Zeroizing<String>>,
}

/// The result of searching for a login's entry.
enum Entries {
    One(Box<Found>),
    None(DenyReason),
}

/// What to read from an entry besides its account.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Also {
    Nothing,
    State,
    Passwords,
    Keys,
}

impl Ldap {
    /// Checks the settings and reads their files; makes no connection yet.
    pub(crate) fn new(settings: LdapSettings, environment: &Environment) -> Result<Self, SetUpError> {
        refuse_first(mistakes(&settings))?;
        let filter = Template::parse(&settings.filter).map_err(|e| SetUpError::setting("filter", e))?;
        let recipient_filter = match &settings.recipient_filter {
            Some(text) => text.clone(),
            None => recipient_filter(&settings.mail_attributes),
        };
        let recipient_filter =
            Template::parse(&recipient_filter).map_err(|e| SetUpError::setting("recipient_filter", e))?;
        let direct_bind = settings.direct_bind.as_deref().map(Template::of_bind).transpose();
        let direct_bind = direct_bind.map_err(|e| SetUpError::setting("direct_bind", e))?;
        Ok(Self {
            filter,
            recipient_filter,
            direct_bind,
            grouping: Grouping::new(&settings)?,
            fleets: Fleets::new(&settings, environment)?,
            // The entry is read each time; only verified hashes are cached.
            hashing: Hashing::new(settings.workers, settings.cache_ttl),
            binds: Workers::new(settings.pool_size),
            keys: KeyMaker::new(
                &settings.keys,
                &settings.schemes,
                environment.decoy(),
                settings.workers,
            ),
            settings,
        })
    }

    /// Whether entries can be searched for without a user's password.
    pub(crate) fn searches(&self) -> bool {
        self.direct_bind.is_none() || self.fleets.has_identity()
    }

    /// Compares with the stored passwords, of which an entry may have several.
    async fn compare(
        &self,
        login: &str,
        password: &SecretString,
        end: Instant,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let found = self.find_with_account(login, Also::Passwords, end).await?;
        let (found, account, refusal) = match found {
            Ok(found) => found,
            Err(reason) => {
                self.hashing.spend(password, asker).await?;
                return Ok(Finding::Denied(reason));
            }
        };
        let mut tried = false;
        for text in found.passwords {
            // Others, such as those that point to Kerberos, are not meant for this.
            let Ok(stored) = Stored::parse(&text, &self.settings.schemes) else {
                continue;
            };
            tried = true;
            if self
                .hashing
                .verify(text, stored, password, refusal.is_none(), asker)
                .await?
            {
                return Ok(match refusal {
                    None => Finding::Granted(account),
                    Some(reason) => Finding::DeniedTo(account.login, reason),
                });
            }
        }
        if !tried {
            self.hashing.spend(password, asker).await?;
            return Ok(Finding::DeniedTo(account.login, DenyReason::NoPassword));
        }
        Ok(Finding::DeniedTo(account.login, DenyReason::WrongPassword))
    }

    /// The entry of a login with its account, and the reason if the account may not log in or does not exist.
    async fn find_with_account(
        &self,
        login: &str,
        also: Also,
        end: Instant,
    ) -> Result<Result<(Box<Found>, Account, Option<DenyReason>), DenyReason>, Outage> {
        let fleet = self.fleets.current(end).await?;
        let ask = async |index: usize, deadline| {
            let server = &fleet.servers[index];
            let via = || Via::Pool(&server.searches);
            match self.entry_of(server, login, also, deadline).await? {
                Entries::One(found) => {
                    let refusal = state::refusal(&found.entry, Timestamp::now().as_second());
                    let finding = self.finish(via(), &found, login, deadline).await?;
                    Ok(Ok(match finding {
                        Finding::Granted(account) => (found, account, refusal),
                        Finding::Denied(reason) => (found, Account::default(), refusal.or(Some(reason))),
                        Finding::DeniedTo(login, reason) => {
                            let account = Account {
                                login,
                                ..Account::default()
                            };
                            (found, account, refusal.or(Some(reason)))
                        }
                    }))
                }
                Entries::None(reason) => {
                    self.grouping
                        .search_in_vain(via(), &self.settings, deadline)
                        .await?;
                    Ok(Err(reason))
                }
            }
        };
        fleet.failover.ask(end, ask).await
    }

    async fn check_at(
        &self,
        server: &Server,
        login: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<Finding, Fault> {
        let found = match self.entry_of(server, login, Also::Nothing, deadline).await? {
            Entries::One(found) => found,
            Entries::None(reason) => {
                self.bind_in_vain(server, deadline).await?;
                return Ok(Finding::Denied(reason));
            }
        };
        // A bind without a name is anonymous whatever the password (RFC 4513 section 5.1.1).
        if found.entry.dn.is_empty() {
            return Err(Fault::Question(
                "the entry found has no name to bind as: the search base is too wide".into(),
            ));
        }
        let result = server.binds.bind(&found.entry.dn, password, deadline).await?;
        match of_user_bind(&result)? {
            None => {
                self.finish(Via::Pool(&server.searches), &found, login, deadline)
                    .await
            }
            Some(reason) => {
                let account = account::account(&found.entry, self.filter.named(login), &self.settings);
                Ok(Finding::DeniedTo(account.login, reason))
            }
        }
    }

    /// Binds with a name made from the login, and reads that user's entry.
    async fn check_directly(
        &self,
        server: &Server,
        name: &str,
        login: &str,
        password: &SecretString,
        deadline: Instant,
    ) -> Result<Finding, Fault> {
        let (result, bound) = server.binds.bind_and_stay(name, password, deadline).await?;
        if let Some(reason) = of_user_bind(&result)? {
            return Ok(Finding::Denied(reason));
        }
        let Some(mut bound) = bound else {
            return Ok(Finding::Denied(DenyReason::WrongPassword));
        };
        let finding = match self.own_entry(&mut bound, login).await? {
            Entries::One(found) => {
                self.finish(Via::Bound(&mut bound), &found, login, deadline)
                    .await?
            }
            Entries::None(reason) => Finding::Denied(reason),
        };
        bound.give_back();
        Ok(finding)
    }

    /// The entry of the bound user. What the client typed is not enough: a name used to bind may match another user's entry in
    /// a search.
    async fn own_entry(&self, bound: &mut Bound<'_>, login: &str) -> Result<Entries, Fault> {
        let who = bound.who_am_i().await?;
        let filter = self.filter.fill(login);
        let attributes = self.attributes(Also::Nothing);
        let attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
        let (base, scope, filter) = match who.split_once(':') {
            Some(("dn", dn)) if !dn.is_empty() => (dn, Scope::Base, filter),
            Some(("u", user)) if !user.is_empty() => {
                let account = user.rsplit_once('\\').map_or(user, |(_, account)| account);
                let own = format!("(&(sAMAccountName={}){filter})", ldap3::ldap_escape(account));
                (
                    self.settings.search_base.as_str(),
                    self.settings.scope.of_library(),
                    own,
                )
            }
            // Anonymous in spite of a password.
            _ => return Ok(Entries::None(DenyReason::WrongPassword)),
        };
        let search = Search {
            base,
            scope,
            filter: &filter,
            attributes: &attributes,
            limit: 2,
        };
        let (entries, result) = bound.search(&search).await?;
        of_search(&result)?;
        Ok(self.only(entries))
    }

    /// The entry that matches a login.
    async fn entry_of(
        &self,
        server: &Server,
        login: &str,
        also: Also,
        deadline: Instant,
    ) -> Result<Entries, Fault> {
        let attributes = self.attributes(also);
        let attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
        let filter = self.filter.fill(login);
        let search = self.search(&filter, &attributes);
        let (entries, result) = server.searches.search(&search, deadline).await?;
        of_search(&result)?;
        Ok(self.only(entries))
    }

    fn only(&self, mut entries: Vec<SearchEntry>) -> Entries {
        let settings = &self.settings;
        match (entries.pop(), entries.is_empty()) {
            (Some(mut entry), true) => {
                let passwords = take_secrets(&mut entry, &settings.password_attribute);
                let mut keys = take_secrets(&mut entry, &settings.key_attribute);
                keys.extend(take_secrets(&mut entry, &settings.nt_attribute));
                keys.extend(passwords.iter().cloned());
                Entries::One(Box::new(Found {
                    entry,
                    passwords,
                    keys,
                }))
            }
            (Some(_), false) => Entries::None(DenyReason::Ambiguous),
            (None, _) => Entries::None(DenyReason::UnknownUser),
        }
    }

    fn attributes(&self, also: Also) -> Vec<String> {
        let settings = &self.settings;
        let mut list = vec![settings.login_attribute.clone()];
        list.extend(settings.mail_attributes.iter().cloned());
        list.extend(settings.member_of_attribute.clone());
        list.extend(changed::ATTRIBUTES.iter().map(|&name| name.to_owned()));
        if also != Also::Nothing {
            list.extend(state::ATTRIBUTES.iter().map(|&name| name.to_owned()));
        }
        if matches!(also, Also::Passwords | Also::Keys) {
            list.push(settings.password_attribute.clone());
        }
        if also == Also::Keys {
            list.extend([settings.key_attribute.clone(), settings.nt_attribute.clone()]);
        }
        list
    }

    fn search<'a>(&'a self, filter: &'a str, attributes: &'a [&'a str]) -> Search<'a> {
        Search {
            base: &self.settings.search_base,
            scope: self.settings.scope.of_library(),
            filter,
            attributes,
            limit: 2,
        }
    }

    /// The account with its groups, if they may log in.
    async fn finish(
        &self,
        via: Via<'_, '_>,
        found: &Found,
        typed: &str,
        deadline: Instant,
    ) -> Result<Finding, Fault> {
        let entry = &found.entry;
        let mut account = account::account(entry, self.filter.named(typed), &self.settings);
        // A user may see more of the entry than the identity that asks about it later: that would look like a change.
        let mark = match &via {
            Via::Pool(_) => changed::mark(entry, &found.passwords),
            Via::Bound(_) => None,
        };
        account.proof = Proof::of_password(mark);
        let groups = self
            .grouping
            .find(via, entry, &account.login, &self.settings, deadline)
            .await?;
        let allowed = &self.settings.allowed_groups;
        if !allowed.is_empty() && !account::is_allowed(&groups, allowed) {
            return Ok(Finding::DeniedTo(account.login, DenyReason::NotInGroup));
        }
        for group in groups {
            if !account.groups.contains(&group.name) {
                account.groups.push(group.name);
            }
        }
        Ok(Finding::Granted(account))
    }

    /// Binds as a nonexistent user with a made-up password, so that an unknown login takes as long as a known one.
    async fn bind_in_vain(&self, server: &Server, deadline: Instant) -> Result<(), Fault> {
        let nobody = format!("uid={:016x}", rand::random::<u64>());
        let dn = match self.settings.search_base.as_str() {
            "" => nobody,
            base => format!("{nobody},{base}"),
        };
        let password = SecretString::from(format!("{:032x}", rand::random::<u128>()));
        server.binds.bind(&dn, &password, deadline).await.map(drop)
    }

    fn too_late(&self) -> Outage {
        let ms = self.settings.timeout.as_millis();
        Outage::busy(format!("no time to hash within {ms} ms"))
    }
}

#[async_trait]
impl Source for Ldap {
    async fn check_password(
        &self,
        login: &str,
        password: &SecretString,
        asker: &Asker,
    ) -> Result<Finding, Outage> {
        let end = now() + self.settings.timeout;
        if self.settings.check == LdapCheck::Compare {
            let compared = tokio::time::timeout_at(end.into(), self.compare(login, password, end, asker));
            return compared.await.unwrap_or_else(|_| Err(self.too_late()));
        }
        let turn = tokio::time::timeout_at(end.into(), self.binds.turn(asker)).await;
        let _turn = turn.unwrap_or_else(|_| Err(Outage::busy("all connections are in use")))?;
        let fleet = self.fleets.current(end).await?;
        let ask = async |index: usize, deadline| {
            let server = &fleet.servers[index];
            match &self.direct_bind {
                Some(template) => {
                    self.check_directly(server, &template.fill_bind(login), login, password, deadline)
                        .await
                }
                None => self.check_at(server, login, password, deadline).await,
            }
        };
        fleet.failover.ask(end, ask).await
    }

    async fn find_account(&self, login: &str) -> Result<Finding, Outage> {
        if !self.searches() {
            return Ok(Finding::Denied(DenyReason::UnknownUser));
        }
        let end = now() + self.settings.timeout;
        let fleet = self.fleets.current(end).await?;
        let ask = async |index: usize, deadline| {
            let server = &fleet.servers[index];
            // The stored password it is compared with also shows a change.
            let also = match self.settings.check {
                LdapCheck::Compare => Also::Passwords,
                _ => Also::State,
            };
            let found = match self.entry_of(server, login, also, deadline).await? {
                Entries::One(found) => found,
                Entries::None(reason) => return Ok(Finding::Denied(reason)),
            };
            let refusal = state::refusal(&found.entry, Timestamp::now().as_second());
            // The password's age matters only to those who use it.
            if let Some(reason) = refusal.filter(|reason| *reason != DenyReason::PasswordExpired) {
                return Ok(Finding::Denied(reason));
            }
            self.finish(Via::Pool(&server.searches), &found, login, deadline)
                .await
        };
        fleet.failover.ask(end, ask).await
    }

    async fn recipient_exists(&self, address: &Mailbox) -> Result<bool, Outage> {
        if !self.searches() {
            return Ok(false);
        }
        let filter = self.recipient_filter.fill(&address.key());
        let end = now() + self.settings.timeout;
        let fleet = self.fleets.current(end).await?;
        let ask = async |index: usize, deadline| {
            let search = self.search(&filter, &["1.1"]);
            let (entries, result) = fleet.servers[index].searches.search(&search, deadline).await?;
            of_search(&result)?;
            Ok(!entries.is_empty())
        };
        fleet.failover.ask(end, ask).await
    }

    fn keeps(&self, kind: &KeyKind) -> bool {
        self.keys.keeps(kind) && self.searches()
    }

    async fn lookup_key(&self, login: &str, kind: &KeyKind, asker: &Asker) -> Result<KeyFinding, Outage> {
        let end = now() + self.settings.timeout;
        let found = self.find_with_account(login, Also::Keys, end).await?;
        let found = match found {
            Ok((found, account, None)) => (Finding::Granted(account), found.keys),
            Ok((found, _, Some(reason))) => (Finding::Denied(reason), found.keys),
            Err(reason) => (Finding::Denied(reason), Vec::new()),
        };
        self.keys.answer(kind, login, found, asker, end).await
    }

    fn finds_accounts(&self) -> bool {
        self.searches()
    }

    fn knows_recipients(&self) -> bool {
        self.searches()
    }
}
