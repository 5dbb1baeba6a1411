//! Starts exchanges: which mechanism is which type.

use crate::ClientError;
use crate::client::{ClientExchange, ClientMechanism, Credentials};
use crate::context::{ClientContext, ServerContext};
use crate::cram::{CramClient, CramServer};
use crate::digest::{DigestClient, DigestServer};
use crate::exchange::{ServerExchange, ServerMechanism};
use crate::external::{ExternalClient, ExternalServer};
use crate::gssapi::{GssapiClient, GssapiServer};
use crate::login::{LoginClient, LoginServer};
use crate::mechanism::Mechanism;
use crate::ntlm::{NtlmClient, NtlmServer};
use crate::oauth::{Form, TokenClient, TokenServer};
use crate::plain::{PlainClient, PlainServer};
use crate::scram::{ScramClient, ScramServer};

impl Mechanism {
    /// Starts an exchange as server. The context is used for this exchange only, its nonce above all.
    #[must_use]
    pub fn server(self, context: &ServerContext) -> ServerExchange {
        let machine: Box<dyn ServerMechanism> = match self {
            Self::Plain => Box::new(PlainServer::default()),
            Self::Login => Box::new(LoginServer::default()),
            Self::CramMd5 => Box::new(CramServer::new(context)),
            Self::DigestMd5 => Box::new(DigestServer::new(context)),
            Self::Scram(hash) => Box::new(ScramServer::new(hash, false, context)),
            Self::ScramPlus(hash) => Box::new(ScramServer::new(hash, true, context)),
            Self::Gssapi => Box::new(GssapiServer::new(context)),
            Self::Ntlm => Box::new(NtlmServer::new(context)),
            Self::External => Box::new(ExternalServer::default()),
            Self::OauthBearer => Box::new(TokenServer::new(Form::Bearer, context)),
            Self::Xoauth2 => Box::new(TokenServer::new(Form::Google, context)),
        };
        ServerExchange::new(self, machine)
    }

    /// Starts an exchange as client; [`crate::choose`] says with which mechanism.
    ///
    /// # Errors
    ///
    /// [`ClientError::Missing`] and [`ClientError::Unfit`] if the credentials do not suit the mechanism;
    /// [`ClientError::Context`] if Kerberos gives no ticket.
    pub fn client(
        self,
        credentials: &Credentials,
        context: &ClientContext,
    ) -> Result<ClientExchange, ClientError> {
        credentials.check(self.name())?;
        Ok(ClientExchange::new(
            self,
            self.client_machine(credentials, context)?,
        ))
    }

    fn client_machine(
        self,
        credentials: &Credentials,
        context: &ClientContext,
    ) -> Result<Box<dyn ClientMechanism>, ClientError> {
        Ok(match self {
            Self::Plain => Box::new(PlainClient::new(credentials)?),
            Self::Login => Box::new(LoginClient::new(credentials)?),
            Self::CramMd5 => Box::new(CramClient::new(credentials)?),
            Self::DigestMd5 => Box::new(DigestClient::new(credentials, context)?),
            Self::Scram(hash) => Box::new(ScramClient::new(hash, false, credentials, context)?),
            Self::ScramPlus(hash) => Box::new(ScramClient::new(hash, true, credentials, context)?),
            Self::Gssapi => Box::new(GssapiClient::new(credentials, context)?),
            Self::Ntlm => Box::new(NtlmClient::new(credentials, context)?),
            Self::External => Box::new(ExternalClient::new(credentials)?),
            Self::OauthBearer => Box::new(TokenClient::new(Form::Bearer, credentials, context)?),
            Self::Xoauth2 => Box::new(TokenClient::new(Form::Google, credentials, context)?),
        })
    }
}
