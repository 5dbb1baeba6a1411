//! The client of both forms.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::message::{Form, is_token};
use crate::ClientError;
use crate::client::{ClientMechanism, Credentials, Response};
use crate::context::ClientContext;

/// Most characters of the server's own text that are logged.
const REFUSAL_MAX: usize = 300;

/// The client's side.
pub(crate) struct TokenClient {
    form: Form,
    identity: String,
    token: SecretString,
    host: String,
    port: u16,
    /// The server's text, once it has refused.
    refusal: Option<String>,
}

impl TokenClient {
    pub(crate) fn new(
        form: Form,
        credentials: &Credentials,
        context: &ClientContext,
    ) -> Result<Self, ClientError> {
        let mechanism = form.name();
        let token = credentials.token(mechanism)?;
        if !is_token(token.expose_secret()) {
            let what = "the token is empty, too long or not visible ASCII";
            return Err(ClientError::Unfit { mechanism, what });
        }
        let identity = credentials.authzid.as_ref().unwrap_or(&credentials.login);
        Ok(Self {
            form,
            identity: identity.clone(),
            token,
            host: context.host.clone(),
            port: context.port,
            refusal: None,
        })
    }
}

impl ClientMechanism for TokenClient {
    fn initial(&mut self) -> Option<Response> {
        let message = self
            .form
            .write(&self.identity, self.token.expose_secret(), &self.host, self.port);
        Some(Zeroizing::new(message.into_bytes()))
    }

    /// A challenge is a refusal. It is answered with the dummy response that the server expects; then its reply
    /// follows.
    fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        if let Some(refusal) = self.refusal.take() {
            return Err(ClientError::Refused(refusal));
        }
        let words = String::from_utf8_lossy(challenge);
        let shown = words.chars().filter(|c| !c.is_control()).take(REFUSAL_MAX);
        self.refusal = Some(shown.collect());
        Ok(Zeroizing::new(match self.form {
            Form::Bearer => vec![1],
            Form::Google => Vec::new(),
        }))
    }

    fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    fn finish(&mut self) -> Result<crate::Finish, ClientError> {
        match self.refusal.take() {
            Some(refusal) => Err(ClientError::Refused(refusal)),
            None => Ok(crate::Finish::default()),
        }
    }
}
