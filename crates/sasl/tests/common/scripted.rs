//! A fake Kerberos: tokens with an authentication code, and keys that both ends derive.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use postern_sasl::{
    ContextAcceptor, ContextError, ContextFeatures, ContextInitiator, ContextStep, Principals,
    SecurityContext, Unwrapped,
};

pub const PRINCIPAL: &str = "acaird@FCCC.EXAMPLE";
pub const SERVICE: &str = "smtp/mail.fccc.example@FCCC.EXAMPLE";
pub const BITS: u32 = 256;
pub const LEFT: Duration = Duration::from_secs(90);

/// What both ends know; an end without it is detected.
const TICKET_KEY: u64 = 0x5eed;
const CODE: usize = 8;
/// Kind, sequence number and code of a message.
const HEADER: usize = 1 + 4 + CODE;

/// What the fake library is told to do.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    pub seed: u8,
    pub features: ContextFeatures,
    /// Whether the server's last token is left out, as without mutual authentication.
    pub silent: bool,
    pub principal: &'static str,
    pub failure: Option<fn(String) -> ContextError>,
}

impl Script {
    pub const fn new(seed: u8) -> Self {
        Self {
            seed,
            features: ContextFeatures {
                mutual: true,
                sequence: true,
                integrity: true,
                confidentiality: true,
            },
            silent: false,
            principal: PRINCIPAL,
            failure: None,
        }
    }

    fn context(&self, is_client: bool) -> Result<Box<dyn SecurityContext>, ContextError> {
        if let Some(failure) = self.failure {
            return Err(failure("scripted".into()));
        }
        Ok(Box::new(Scripted {
            script: *self,
            is_client,
            principal: self.principal.to_owned(),
            key: TICKET_KEY,
            sent: 0,
            received: 0,
        }))
    }
}

impl ContextAcceptor for Script {
    fn accept(&self) -> Result<Box<dyn SecurityContext>, ContextError> {
        self.context(false)
    }
}

impl ContextInitiator for Script {
    fn initiate(&self, service: &str, host: &str) -> Result<Box<dyn SecurityContext>, ContextError> {
        assert_eq!((service, host), ("smtp", super::HOST));
        self.context(true)
    }
}

struct Scripted {
    script: Script,
    is_client: bool,
    principal: String,
    key: u64,
    sent: u32,
    received: u32,
}

fn code(key: u64, parts: &[&[u8]]) -> [u8; CODE] {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    parts.hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

impl Scripted {
    fn signed(&self, kind: u8, body: &[u8]) -> Vec<u8> {
        [
            &[kind, self.script.seed][..],
            &code(TICKET_KEY, &[&[kind, self.script.seed], body]),
            body,
        ]
        .concat()
    }

    /// The peer's seed and the body.
    fn checked(kind: u8, token: &[u8]) -> Result<(u8, &[u8]), ContextError> {
        let malformed = || ContextError::Malformed("scripted".into());
        let (&[this, seed], rest) = token.split_first_chunk::<2>().ok_or_else(malformed)?;
        let (mac, body) = rest.split_first_chunk::<CODE>().ok_or_else(malformed)?;
        if this != kind || *mac != code(TICKET_KEY, &[&[kind, seed], body]) {
            return Err(ContextError::Refused("wrong key".into()));
        }
        Ok((seed, body))
    }

    fn agree(&mut self, client: u8, server: u8) {
        self.key = u64::from(client) << 8 | u64::from(server);
    }

    fn message_code(&self, kind: u8, from_client: bool, number: u32, plain: &[u8]) -> [u8; CODE] {
        code(
            self.key,
            &[&[kind, u8::from(from_client)], &number.to_be_bytes(), plain],
        )
    }
}

impl SecurityContext for Scripted {
    fn step(&mut self, token: &[u8]) -> Result<ContextStep, ContextError> {
        if self.is_client && token.is_empty() {
            let token = self.signed(b'Q', self.principal.as_bytes());
            let established = self.script.silent;
            self.agree(self.script.seed, 0);
            return Ok(ContextStep { token, established });
        }
        if self.is_client {
            let (seed, _) = Self::checked(b'P', token)?;
            self.agree(self.script.seed, seed);
            return Ok(ContextStep {
                token: Vec::new(),
                established: true,
            });
        }
        let (seed, body) = Self::checked(b'Q', token)?;
        self.principal = String::from_utf8_lossy(body).into_owned();
        self.agree(seed, if self.script.silent { 0 } else { self.script.seed });
        let token = match self.script.silent {
            true => Vec::new(),
            false => self.signed(b'P', b""),
        };
        Ok(ContextStep {
            token,
            established: true,
        })
    }

    fn features(&self) -> ContextFeatures {
        self.script.features
    }

    fn principals(&self) -> Result<Principals, ContextError> {
        Ok(Principals {
            initiator: self.principal.clone(),
            acceptor: SERVICE.into(),
            left: Some(LEFT),
        })
    }

    fn bits(&self) -> u32 {
        BITS
    }

    fn wrap_size_max(&self, _: bool, token_max: usize) -> Result<usize, ContextError> {
        Ok(token_max.saturating_sub(HEADER))
    }

    fn wrap(&mut self, plain: &[u8], confidential: bool) -> Result<Vec<u8>, ContextError> {
        let kind = u8::from(confidential);
        let mac = self.message_code(kind, self.is_client, self.sent, plain);
        let mut token = [&[kind][..], &self.sent.to_be_bytes(), &mac].concat();
        token.extend(plain.iter().map(|octet| octet ^ (kind * 0x5a)));
        self.sent += 1;
        Ok(token)
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<Unwrapped, ContextError> {
        let forged = || ContextError::Refused("forged".into());
        let (header, body) = token.split_first_chunk::<HEADER>().ok_or_else(forged)?;
        let kind = header[0];
        let plain: Vec<u8> = body.iter().map(|octet| octet ^ kind.wrapping_mul(0x5a)).collect();
        let mac = self.message_code(kind, !self.is_client, self.received, &plain);
        if header[1..5] != self.received.to_be_bytes() || header[5..] != mac || kind > 1 {
            return Err(forged());
        }
        self.received += 1;
        Ok(Unwrapped {
            plain,
            confidential: kind == 1,
        })
    }
}
