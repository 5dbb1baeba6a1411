//! Table look-ups: what is looked up, and the format of the table.

use super::facts::Stage;

/// A look-up in a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LookUp {
    /// The reference to the table.
    pub table: Box<str>,
    /// What is looked up.
    pub subject: Subject,
    /// The format of the table.
    pub form: Form,
    /// Whether `RELAY` in it is a reason to relay.
    pub relay: bool,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// The client's address, then the networks that it is in.
    Client,
    /// Its forward-confirmed host name, then the domains above that.
    ClientName,
    /// Its first host name, confirmed or not.
    ReverseName,
    /// Its `HELO` name.
    Helo,
    /// The sender of the envelope.
    Sender,
    /// The recipient.
    Recipient,
    /// The user name of the login.
    Login,
}

/// The format of a table, and so the meaning of its keys and results.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Keys as Postfix looks them up; any result means that the subject is in the table.
    Members,
    /// Postfix's access tables (access(5)).
    Postfix,
    /// Sendmail's access table: keys with tags, then without.
    Sendmail,
}

impl Subject {
    /// The stage from which it is known.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Client | Self::ClientName | Self::ReverseName => Stage::Connect,
            Self::Helo => Stage::Helo,
            Self::Sender | Self::Login => Stage::Mail,
            Self::Recipient => Stage::Rcpt,
        }
    }

    /// Whether the client's host name must be known.
    #[must_use]
    pub const fn needs_name(self) -> bool {
        matches!(self, Self::ClientName | Self::ReverseName)
    }

    /// The tag of sendmail's keys, without its colon.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Client | Self::ClientName | Self::ReverseName => "Connect",
            Self::Helo => "Helo",
            Self::Sender | Self::Login => "From",
            Self::Recipient => "To",
        }
    }
}

impl LookUp {
    /// The stage from which its subject is known.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.subject.stage()
    }

    /// Whether its results can be a reason to relay.
    #[must_use]
    pub const fn can_relay(&self) -> bool {
        self.relay
    }
}
