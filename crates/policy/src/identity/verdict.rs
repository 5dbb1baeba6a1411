//! Verdicts about identities, with the rule that decided.

use std::fmt;

use postern_mail::{Mailbox, Status};

use crate::rule::{Rule, Told, Verdict};

/// Why an address may be used, or why a user may act as another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis<'a> {
    /// Users may use any address.
    Any,
    /// There is no address: `<>`, or a message without an author.
    Null,
    /// It is the user's own.
    Own,
    /// It is an own address with a tag.
    Tag,
    /// It is an alias of the user.
    Alias,
    /// It belongs to the account with this name, which made the user its delegate.
    Delegate(&'a str),
    /// A table names the user as an owner.
    Table,
    /// It is in a domain of this server, and the sender is a machine that may relay.
    Domain,
    /// It is granted to a group.
    Group {
        /// The grant's name.
        grant: &'a str,
        /// The group.
        group: &'a str,
    },
    /// It is granted to the user.
    Grant {
        /// The grant's name.
        grant: &'a str,
    },
}

impl Verdict for Basis<'_> {
    fn rule(&self) -> Rule {
        match self {
            Self::Any => Rule::SenderAny,
            Self::Null => Rule::SenderNull,
            Self::Own => Rule::IdentityOwn,
            Self::Tag => Rule::IdentityTag,
            Self::Alias => Rule::IdentityAlias,
            Self::Delegate(_) => Rule::IdentityDelegate,
            Self::Table => Rule::IdentityTable,
            Self::Domain => Rule::SenderDomain,
            Self::Group { .. } => Rule::IdentityGroup,
            Self::Grant { .. } => Rule::IdentityGrant,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

impl fmt::Display for Basis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("whoever may relay may use any address"),
            Self::Null => f.write_str("there is no address"),
            Self::Own => f.write_str("an own address"),
            Self::Tag => f.write_str("an own address with a tag"),
            Self::Alias => f.write_str("an alias"),
            Self::Delegate(owner) => write!(f, "a delegate of {owner}"),
            Self::Table => f.write_str("a table names the login as its owner"),
            Self::Domain => f.write_str("in a domain of this server"),
            Self::Group { grant, group } => write!(f, "grant {grant:?} to the group {group:?}"),
            Self::Grant { grant } => write!(f, "grant {grant:?}"),
        }
    }
}

/// Who a user may act as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ActAs<'a> {
    /// Itself, by its user name or an own address.
    Itself,
    /// Another user.
    Other {
        /// The other's user name, for the directories to look up.
        login: &'a str,
        /// Why it may.
        basis: Basis<'a>,
    },
}

impl Verdict for ActAs<'_> {
    fn rule(&self) -> Rule {
        match self {
            Self::Itself => Rule::IdentityOwn,
            Self::Other { basis, .. } => basis.rule(),
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        match self {
            Self::Itself => &"itself",
            Self::Other { basis, .. } => basis,
        }
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// A user may not act as another: rule `login.authorization`, `535`. The reply is the same as for a wrong password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither a delegate nor granted")]
pub struct NotActAs;

impl Verdict for NotActAs {
    fn rule(&self) -> Rule {
        Rule::LoginAuthorization
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

/// An address may not be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SenderRefusal {
    /// In the envelope: rule `sender.own`, `553 5.7.1`.
    #[error("neither an own address nor an alias, delegated or granted")]
    Envelope,
    /// In the message: rule `sender.own-header`, `550 5.7.1`.
    #[error("{field} names {}", Named(.address.as_ref()))]
    Header {
        /// The header field.
        field: &'static str,
        /// The first address that is somebody else's; `None` if the field is ambiguous.
        address: Option<Mailbox>,
    },
    /// A stranger used a sender reserved for authenticated users: rule `sender.login`, `553 5.7.1`.
    #[error("an address of this server, without a login")]
    Login,
    /// A table of owners cannot be asked, and why: rule `sender.table`, `451 4.4.3`.
    #[error("{0}")]
    Table(String),
    /// For a local user: rule `sender.local`, `553 5.7.1` for the envelope, `550 5.7.1` for a header field.
    #[error("{} names {}", .field.unwrap_or("MAIL"), Named(.address.as_ref()))]
    Local {
        /// The header field; `None` for the envelope.
        field: Option<&'static str>,
        /// The first address that is somebody else's; `None` if the field is ambiguous.
        address: Option<Mailbox>,
    },
    /// For a machine that relays by network or certificate: rule `sender.machine`, `553 5.7.1` for the envelope, `550 5.7.1` for a
    /// header field.
    #[error("{} names {}", .field.unwrap_or("MAIL"), Named(.address.as_ref()))]
    Machine {
        /// The header field; `None` for the envelope.
        field: Option<&'static str>,
        /// The first address that is in no domain of this server; `None` if the field is ambiguous.
        address: Option<Mailbox>,
    },
}

/// For the log: an address, or a text if there is none.
struct Named<'a>(Option<&'a Mailbox>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("more than one, or what cannot be read without doubt"),
        }
    }
}

impl Verdict for SenderRefusal {
    fn rule(&self) -> Rule {
        match self {
            Self::Envelope => Rule::SenderOwn,
            Self::Header { .. } => Rule::SenderOwnHeader,
            Self::Machine { .. } => Rule::SenderMachine,
            Self::Login => Rule::SenderLogin,
            Self::Table(_) => Rule::SenderTable,
            Self::Local { .. } => Rule::SenderLocal,
        }
    }

    fn reason(&self) -> &dyn fmt::Display {
        self
    }

    fn reply(&self) -> Option<Told> {
        Some(self.told())
    }
}

impl SenderRefusal {
    /// The reply.
    #[must_use]
    pub fn told(&self) -> Told {
        let status = Status(5, 7, 1);
        match self {
            Self::Envelope => (553, status, "Sender address not owned by this login"),
            Self::Login => (553, status, "Sender address needs a login"),
            Self::Table(_) => (451, Status(4, 4, 3), "Table not available, try again later"),
            Self::Header { field: "From", .. } => (550, status, "Address in From not owned by this login"),
            Self::Header { field: "Sender", .. } => {
                (550, status, "Address in Sender not owned by this login")
            }
            Self::Header { .. } => (550, status, "Address in Resent-From not owned by this login"),
            Self::Local { field: None, .. } => (553, status, "Sender address not owned by this user"),
            Self::Local {
                field: Some("From"), ..
            } => (550, status, "Address in From not owned by this user"),
            Self::Local {
                field: Some("Sender"),
                ..
            } => (550, status, "Address in Sender not owned by this user"),
            Self::Local { .. } => (550, status, "Address in Resent-From not owned by this user"),
            Self::Machine { field: None, .. } => {
                (553, status, "Sender address not in a domain of this server")
            }
            Self::Machine {
                field: Some("From"), ..
            } => (550, status, "Address in From not in a domain of this server"),
            Self::Machine {
                field: Some("Sender"),
                ..
            } => (550, status, "Address in Sender not in a domain of this server"),
            Self::Machine { .. } => (
                550,
                status,
                "Address in Resent-From not in a domain of this server",
            ),
        }
    }
}
