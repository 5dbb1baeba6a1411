//! What whoever asks on the control socket wants, as it is sent.

use postern_history::Term;
use serde::{Deserialize, Serialize};

/// What an administrator wants done with an account.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AccountWish {
    pub(crate) account: String,
    pub(crate) reason: Option<String>,
    /// Whether held mail is removed, and not let go.
    #[serde(default)]
    pub(crate) remove: bool,
}

/// What whoever asks says besides what is to be done.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Told {
    /// Who is behind the account: `SUDO_USER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sudo_user: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// What is followed: sessions and messages in which all that is given was said; everything if nothing is given.
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
