//! DIGEST-MD5's client.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::compute::{Facts, Prover, proof, session_key};
use super::directive::{Directives, push_quoted, push_token};
use super::layer::{DigestLayer, Side};
use super::{BUFFER_MAX, Cipher, DigestSecret, NAME, NONCE_COUNT, Protection, SERVICE, buffer_max, text_of};
use crate::ClientError;
use crate::client::{ClientMechanism, Credentials, Finish, Response};
use crate::context::{ClientContext, Layers};

/// Longest `digest-challenge`, in octets (RFC 2831 section 2.1.1).
const CHALLENGE_MAX: usize = 2_048;

/// The client's side.
pub(crate) struct DigestClient {
    login: String,
    authzid: Option<String>,
    domain: Option<String>,
    password: SecretString,
    cnonce: String,
    digest_uri: String,
    layers: Layers,
    state: State,
}

enum State {
    Start,
    /// The expected `rspauth`, and the layer that it enables.
    Proved {
        want: String,
        layer: Option<Box<DigestLayer>>,
    },
    ServerProven(Option<Box<DigestLayer>>),
    Over,
}

/// What the server said.
struct Challenge {
    realm: Option<String>,
    nonce: Vec<u8>,
    utf8: bool,
    protection: Protection,
    buffer_max: usize,
}

impl DigestClient {
    pub(crate) fn new(credentials: &Credentials, context: &ClientContext) -> Result<Self, ClientError> {
        Ok(Self {
            login: credentials.login.clone(),
            authzid: credentials.authzid.clone(),
            domain: credentials.domain.clone(),
            password: credentials.password(NAME)?,
            cnonce: context.nonce.text(),
            digest_uri: format!("{SERVICE}/{}", context.host),
            layers: context.layers,
            state: State::Start,
        })
    }

    fn read(&self, message: &[u8]) -> Result<Challenge, &'static str> {
        let directives = Directives::parse(message, CHALLENGE_MAX)?;
        if !directives
            .required("algorithm")?
            .eq_ignore_ascii_case(b"md5-sess")
        {
            return Err("unknown algorithm");
        }
        let utf8 = directives.utf8()?;
        let realms: Result<Vec<String>, _> = directives
            .all("realm")
            .map(|realm| text_of(realm, utf8))
            .collect();
        let realms = realms?;
        let own = realms.iter().find(|realm| Some(*realm) == self.domain.as_ref());
        let nonce = directives.required("nonce")?;
        if nonce.is_empty() {
            return Err("the nonce is empty");
        }
        Ok(Challenge {
            realm: own.or_else(|| realms.first()).cloned(),
            nonce: nonce.to_vec(),
            utf8,
            protection: self.protection(&directives)?,
            buffer_max: buffer_max(directives.once("maxbuf")?)?,
        })
    }

    /// The strongest protection that both support.
    fn protection(&self, directives: &Directives) -> Result<Protection, &'static str> {
        let offered = directives.list("qop")?.unwrap_or_else(|| vec!["auth".to_owned()]);
        let ciphers = directives.list("cipher")?.unwrap_or_default();
        let offers = |qop: &str| offered.iter().any(|known| known == qop);
        let cipher = Cipher::ALL
            .iter()
            .find(|(name, _)| ciphers.iter().any(|known| known == name));
        match cipher {
            Some(&(_, cipher)) if self.layers.confidentiality && offers("auth-conf") => {
                Ok(Protection::Confidentiality(cipher))
            }
            _ if self.layers.integrity && offers("auth-int") => Ok(Protection::Integrity),
            _ if offers("auth") => Ok(Protection::None),
            _ => Err("the server insists on a security layer that is not allowed here"),
        }
    }

    /// Text in the character set that the server reads.
    fn encode(text: &str, utf8: bool) -> Result<Vec<u8>, ClientError> {
        if utf8 {
            return Ok(text.as_bytes().to_vec());
        }
        let narrow: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        narrow.ok_or(ClientError::Unfit {
            mechanism: NAME,
            what: "the server reads ISO 8859-1 only",
        })
    }

    fn prove(&mut self, message: &[u8]) -> Result<Response, ClientError> {
        let challenge = self.read(message).map_err(malformed)?;
        let realm = challenge.realm.as_deref();
        let secret = DigestSecret::derive(
            &self.login,
            realm.unwrap_or_default(),
            self.password.expose_secret(),
        );
        let authzid = match &self.authzid {
            Some(authzid) => Some(Self::encode(authzid, challenge.utf8)?),
            None => None,
        };
        let facts = Facts {
            nonce: &challenge.nonce,
            cnonce: self.cnonce.as_bytes(),
            digest_uri: self.digest_uri.as_bytes(),
            authzid: authzid.as_deref(),
            protection: challenge.protection,
        };
        let key = session_key(&secret, &facts);
        let mut out = Vec::new();
        if challenge.utf8 {
            push_token(&mut out, "charset", "utf-8");
        }
        push_quoted(&mut out, "username", &Self::encode(&self.login, challenge.utf8)?);
        if let Some(realm) = realm {
            push_quoted(&mut out, "realm", &Self::encode(realm, challenge.utf8)?);
        }
        push_quoted(&mut out, "nonce", &challenge.nonce);
        push_token(&mut out, "nc", NONCE_COUNT);
        push_quoted(&mut out, "cnonce", self.cnonce.as_bytes());
        push_quoted(&mut out, "digest-uri", self.digest_uri.as_bytes());
        push_token(&mut out, "response", &proof(&key, &facts, Prover::Client));
        push_token(&mut out, "qop", challenge.protection.qop());
        if challenge.protection != Protection::None {
            push_token(&mut out, "maxbuf", &BUFFER_MAX.to_string());
        }
        if let Protection::Confidentiality(cipher) = challenge.protection {
            push_token(&mut out, "cipher", cipher.name());
        }
        if let Some(authzid) = &authzid {
            push_quoted(&mut out, "authzid", authzid);
        }
        self.state = State::Proved {
            want: proof(&key, &facts, Prover::Server).to_string(),
            layer: DigestLayer::new(Side::Client, &key, challenge.protection, challenge.buffer_max)
                .map(Box::new),
        };
        Ok(Response::new(out))
    }
}

impl ClientMechanism for DigestClient {
    fn initial(&mut self) -> Option<Response> {
        None
    }

    fn step(&mut self, challenge: &[u8]) -> Result<Response, ClientError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.prove(challenge),
            State::Proved { want, layer } => {
                let directives = Directives::parse(challenge, CHALLENGE_MAX).map_err(malformed)?;
                let rspauth = directives.required("rspauth").map_err(malformed)?;
                if !bool::from(rspauth.ct_eq(want.as_bytes())) {
                    return Err(not_proven("rspauth is wrong"));
                }
                self.state = State::ServerProven(layer);
                Ok(Response::default())
            }
            State::ServerProven(_) | State::Over => Err(malformed("a challenge too many")),
        }
    }

    fn finish(&mut self) -> Result<Finish, ClientError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::ServerProven(None) => Ok(Finish::default()),
            State::ServerProven(Some(layer)) => Ok(Finish { layer: Some(layer) }),
            _ => Err(not_proven("it granted the login without rspauth")),
        }
    }
}

fn malformed(what: &'static str) -> ClientError {
    let mechanism = NAME;
    ClientError::Malformed { mechanism, what }
}

fn not_proven(what: &'static str) -> ClientError {
    let mechanism = NAME;
    ClientError::ServerNotProven { mechanism, what }
}

#[cfg(test)]
impl DigestClient {
    /// With the nonce and service of an RFC's example.
    pub(crate) fn with_nonce(mut self, cnonce: &str, digest_uri: &str) -> Self {
        self.cnonce = cnonce.to_owned();
        self.digest_uri = digest_uri.to_owned();
        self
    }
}
