//! Looks into tables: what is looked for, and how the table is written.

use super::facts::Stage;

/// A look-up in a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LookUp {
    /// The table, as it is referred to.
    pub table: Box<str>,
    /// What is looked for.
    pub subject: Subject,
    /// How the table is written.
    pub form: Form,
    /// Whether `RELAY` in it is a reason to relay.
    pub relay: bool,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// The client's address, then the networks that it is in.
    Client,
    /// The forward-confirmed name of it, then the domains above.
    ClientName,
    /// Its first name, whether that leads back or not.
    ReverseName,
    /// What it calls itself.
    Helo,
    /// The sender of the envelope.
    Sender,
    /// The recipient.
    Recipient,
    /// The login.
    Login,
}

/// How a table is written, and so what its keys and its results mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Keys as Postfix looks for them; whatever is found says that the subject is in the table.
    Members,
    /// Postfix's access tables (access(5)).
    Postfix,
    /// Sendmail's access table: keys with tags, then without.
    Sendmail,
}

impl Subject {
    /// From when on it is known.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Client | Self::ClientName | Self::ReverseName => Stage::Connect,
            Self::Helo => Stage::Helo,
            Self::Sender | Self::Login => Stage::Mail,
            Self::Recipient => Stage::Rcpt,
        }
    }

    /// Whether the name of the client's address has to be known.
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
    /// From when on its subject is known.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.subject.stage()
    }

    /// Whether what is found can be a reason to relay.
    #[must_use]
    pub const fn can_relay(&self) -> bool {
        self.relay
    }
}
