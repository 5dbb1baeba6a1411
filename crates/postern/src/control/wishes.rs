//! Requests on the control socket, as they are sent.

use postern_history::Term;
use serde::{Deserialize, Serialize};

/// What to do with an account.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccountWish {
    pub(crate) account: String,
    pub(crate) reason: Option<String>,
    /// Whether held mail is removed rather than released.
    #[serde(default)]
    pub(crate) remove: bool,
}

/// Additional data about the caller of a request.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Told {
    /// The user behind the account: `SUDO_USER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sudo_user: Option<String>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// What to follow: sessions and messages that match everything given; all if nothing is given.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Follow {
    pub(crate) login: Option<String>,
    /// `ADDRESS/BITS`.
    pub(crate) client: Option<String>,
    pub(crate) address: Option<String>,
}

impl Follow {
    pub(crate) fn terms(self) -> Result<Vec<Term>, String> {
        let client = self.client.map(|text| {
            let network = text.parse();
            network
                .map(Term::Client)
                .map_err(|_| format!("{text:?} is not a network"))
        });
        let client = client.transpose()?;
        let login = self.login.map(Term::Login);
        let address = self.address.map(Term::Address);
        Ok(login.into_iter().chain(client).chain(address).collect())
    }
}
