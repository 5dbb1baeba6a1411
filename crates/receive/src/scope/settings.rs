//! The scopes of a configuration, and all that limits one login.

use postern_directory::tables::{Lookup, find_in};
use postern_mail::Mailbox;
use postern_policy::access::names::AddressKey;
use postern_policy::origin::LoginSet;
use postern_policy::scope::{Outside, Place, Scope, ScopeRefusal};
use postern_table::{Address, Plan, Subject};

/// The scopes of logins, in order: the first that is about a login counts.
#[derive(Clone, Debug, Default)]
pub struct ScopeSettings {
    /// All of them.
    pub rules: Vec<ScopeRule>,
}

/// A scope, and for whom it holds.
#[derive(Clone, Debug, Default)]
pub struct ScopeRule {
    /// The logins that it is about.
    pub logins: LoginSet,
    /// Tables with further ones.
    pub login_tables: Vec<Lookup>,
    /// What they are good for. Where there are tables, its sets are there, too.
    pub scope: Scope,
    /// Tables with further senders.
    pub sender_tables: Vec<Lookup>,
    /// Tables with further recipients.
    pub recipient_tables: Vec<Lookup>,
}

/// All that limits a login: each has to allow what it does.
#[derive(Debug, Default)]
pub struct Scoped<'a> {
    rules: Vec<&'a ScopeRule>,
    /// That of the app password.
    own: Option<&'a Scope>,
}

impl ScopeSettings {
    /// What limits a client that is known by these names: the login that was proved, and as whom it acts. `own` is the scope of its app
    /// password.
    ///
    /// # Errors
    ///
    /// [`Outside::Unsure`] where a table of logins does not answer.
    pub async fn about<'a>(
        &'a self,
        names: &[&str],
        own: Option<&'a Scope>,
    ) -> Result<Scoped<'a>, ScopeRefusal> {
        let mut rules: Vec<&ScopeRule> = Vec::new();
        for name in names {
            if let Some(rule) = self.of(name).await?
                && !rules.iter().any(|known| std::ptr::eq(*known, rule))
            {
                rules.push(rule);
            }
        }
        Ok(Scoped { rules, own })
    }

    async fn of(&self, login: &str) -> Result<Option<&ScopeRule>, ScopeRefusal> {
        for rule in &self.rules {
            if !rule.logins.is_empty() && rule.logins.find(Some(login)).is_some() {
                return Ok(Some(rule));
            }
            if !rule.login_tables.is_empty() {
                let lower = login.to_ascii_lowercase();
                let keys = Plan::Exact.keys(&Subject::Name(&lower));
                match find_in(&rule.login_tables, &keys).await {
                    Ok(Some(_)) => return Ok(Some(rule)),
                    Ok(None) => {}
                    Err(down) => return Err(rule.scope.refusal(Outside::Unsure, down.to_string())),
                }
            }
        }
        Ok(None)
    }
}

impl Scoped<'_> {
    /// Whether nothing limits the login.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.rules.is_empty() && self.own.is_none()
    }

    /// Whether it may use some senders only.
    #[must_use]
    pub fn limits_senders(&self) -> bool {
        let mut scopes = self.rules.iter().map(|rule| &rule.scope).chain(self.own);
        scopes.any(|scope| scope.senders.is_some())
    }

    /// Whether the login may be used here, now, and so.
    ///
    /// # Errors
    ///
    /// What is against it.
    pub fn admits(&self, place: &Place<'_>) -> Result<(), ScopeRefusal> {
        let mut scopes = self.rules.iter().map(|rule| &rule.scope).chain(self.own);
        scopes.try_for_each(|scope| scope.admits(place))
    }

    /// Whether it may be used with a sender.
    ///
    /// # Errors
    ///
    /// It may not, or a table does not answer.
    pub async fn sends_as(
        &self,
        sender: Option<&Mailbox>,
        separator: Option<char>,
    ) -> Result<(), ScopeRefusal> {
        let key = sender.map(|mailbox| AddressKey::new(mailbox, separator));
        for rule in &self.rules {
            let verdict = rule.scope.sends_as(key.as_ref(), false);
            if let (Err(_), Some(mailbox)) = (&verdict, sender) {
                let found = is_in(&rule.sender_tables, mailbox, separator, &rule.scope).await?;
                rule.scope.sends_as(key.as_ref(), found)?;
            } else {
                verdict?;
            }
        }
        self.own.map_or(Ok(()), |own| own.sends_as(key.as_ref(), false))
    }

    /// Whether it may be used for a recipient.
    ///
    /// # Errors
    ///
    /// It may not, or a table does not answer.
    pub async fn reaches(&self, recipient: &Mailbox, separator: Option<char>) -> Result<(), ScopeRefusal> {
        let key = AddressKey::new(recipient, separator);
        for rule in &self.rules {
            if rule.scope.reaches(&key, false).is_err() {
                let found = is_in(&rule.recipient_tables, recipient, separator, &rule.scope).await?;
                rule.scope.reaches(&key, found)?;
            }
        }
        self.own.map_or(Ok(()), |own| own.reaches(&key, false))
    }
}

/// Whether one of the tables has an address, its domain, or its name.
async fn is_in(
    tables: &[Lookup],
    mailbox: &Mailbox,
    separator: Option<char>,
    scope: &Scope,
) -> Result<bool, ScopeRefusal> {
    if tables.is_empty() {
        return Ok(false);
    }
    let (local, domain) = (mailbox.unquoted_local(), mailbox.domain().to_string());
    let separators = separator.map(String::from).unwrap_or_default();
    let keys = Plan::Address.keys(&Subject::Address(Address {
        local: &local,
        domain: &domain,
        separators: &separators,
        is_local: false,
    }));
    match find_in(tables, &keys).await {
        Ok(found) => Ok(found.is_some()),
        Err(down) => Err(scope.refusal(Outside::Unsure, down.to_string())),
    }
}
