//! Kerberos for the GSSAPI mechanism: implements what `postern_sasl` asks for, with the library.

use std::path::PathBuf;
use std::time::Duration;

use postern_sasl::{
    ContextAcceptor, ContextError, ContextFeatures, ContextInitiator, ContextStep, Principals,
    SecurityContext, Unwrapped,
};

use crate::gss::{Context, Credential, Gss, GssError, Name, Source};

/// The server's side: a keytab, read again for each client, so that a new key works at once.
#[derive(Clone, Debug)]
pub struct KeytabAcceptor {
    gss: Gss,
    source: Source,
}

impl KeytabAcceptor {
    /// With a keytab and the library's replay cache file: it is created if missing, and used by this server only.
    #[must_use]
    pub fn new(gss: Gss, keytab: PathBuf, replay_cache: PathBuf) -> Self {
        Self {
            gss,
            source: Source::acceptor(&keytab, &replay_cache),
        }
    }

    /// Checks whether the keytab can be used.
    ///
    /// # Errors
    ///
    /// [`GssError`], in the library's words.
    pub fn check(&self) -> Result<(), GssError> {
        Credential::acceptor(&self.gss, &self.source).map(drop)
    }
}

impl ContextAcceptor for KeytabAcceptor {
    fn accept(&self) -> Result<Box<dyn SecurityContext>, ContextError> {
        let credential = Credential::acceptor(&self.gss, &self.source)
            .map_err(|error| ContextError::Unavailable(format!("{error} ({})", self.source)))?;
        Ok(Box::new(Established(Context::acceptor(credential))))
    }
}

/// The client's side: tickets from a cache, or fetched with a keytab.
#[derive(Clone, Debug)]
pub struct TicketInitiator {
    gss: Gss,
    principal: Option<String>,
    source: Source,
}

impl TicketInitiator {
    /// As `principal`, or as the source's own principal.
    #[must_use]
    pub fn new(gss: Gss, principal: Option<String>, source: Source) -> Self {
        Self {
            gss,
            principal,
            source,
        }
    }
}

impl ContextInitiator for TicketInitiator {
    fn initiate(&self, service: &str, host: &str) -> Result<Box<dyn SecurityContext>, ContextError> {
        let begin = || {
            let principal = self.principal.as_deref();
            let name = principal
                .map(|principal| Name::principal(&self.gss, principal))
                .transpose()?;
            let credential = Credential::initiator(&self.gss, name.as_ref(), &self.source)?;
            let target = Name::service(&self.gss, service, host)?;
            Ok(Context::initiator(credential, target))
        };
        let context = begin()
            .map_err(|error: GssError| ContextError::Unavailable(format!("{error} ({})", self.source)))?;
        Ok(Box::new(Established(context)))
    }
}

struct Established(Context);

impl SecurityContext for Established {
    fn step(&mut self, token: &[u8]) -> Result<ContextStep, ContextError> {
        let step = self.0.step(token).map_err(|error| match error {
            GssError::Status(status) if status.is_defective_token() => {
                ContextError::Malformed(status.to_string())
            }
            GssError::Status(status) if status.is_clock_skew() => ContextError::Refused(format!(
                "{status}; the clocks of both hosts and of the Kerberos server have to agree"
            )),
            GssError::Status(status) if status.is_about_own_credentials() => {
                ContextError::Unavailable(status.to_string())
            }
            error => ContextError::Refused(error.to_string()),
        })?;
        Ok(ContextStep {
            token: step.token,
            established: step.established,
        })
    }

    fn features(&self) -> ContextFeatures {
        ContextFeatures {
            mutual: self.0.is_mutual(),
            sequence: self.0.keeps_sequence(),
            integrity: self.0.has_integrity(),
            confidentiality: self.0.has_confidentiality(),
        }
    }

    fn principals(&self) -> Result<Principals, ContextError> {
        let (initiator, acceptor, left) = self.0.principals().map_err(unavailable)?;
        Ok(Principals {
            initiator,
            acceptor,
            left: left.map(|seconds| Duration::from_secs(seconds.into())),
        })
    }

    fn bits(&self) -> u32 {
        self.0.bits()
    }

    fn wrap_size_max(&self, confidential: bool, token_max: usize) -> Result<usize, ContextError> {
        self.0.wrap_size_max(confidential, token_max).map_err(refused)
    }

    fn wrap(&mut self, plain: &[u8], confidential: bool) -> Result<Vec<u8>, ContextError> {
        self.0.wrap(plain, confidential).map_err(refused)
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<Unwrapped, ContextError> {
        let (plain, confidential) = self.0.unwrap(token).map_err(refused)?;
        Ok(Unwrapped { plain, confidential })
    }
}

fn unavailable(error: GssError) -> ContextError {
    ContextError::Unavailable(error.to_string())
}

fn refused(error: GssError) -> ContextError {
    ContextError::Refused(error.to_string())
}
