//! DIGEST-MD5's server.

use subtle::ConstantTimeEq;

use super::compute::{Facts, Prover, proof, session_key};
use super::directive::{Directives, push_quoted, push_token};
use super::hash::Hash;
use super::layer::{DigestLayer, Side};
use super::{BUFFER_MAX, Cipher, DigestSecret, NAME, NONCE_COUNT, Protection, buffer_max, text_of};
use crate::context::{Layers, ServerContext};
use crate::exchange::{Lookup, ServerMechanism, ServerStep, authorize, key_of};
use crate::layer::SecurityLayer;
use crate::question::{Answer, Question};
use crate::{SaslError, StoredKey, text};

/// Longest `digest-response`, in octets (RFC 2831 section 2.1.2).
const RESPONSE_MAX: usize = 4_096;

/// Longest `cnonce` and `digest-uri`, in octets.
const FIELD_MAX: usize = 512;

/// The server's side.
pub(crate) struct DigestServer {
    service: String,
    realm: String,
    names: Vec<String>,
    nonce: String,
    layers: Layers,
    state: State,
    layer: Option<Box<DigestLayer>>,
}

enum State {
    Start,
    Challenged,
    Asked(Box<Response>),
    /// `rspauth` was sent; an empty message ends it.
    Proven {
        login: String,
        response: Box<Response>,
    },
    Over,
}

/// What the client said.
struct Response {
    authcid: String,
    authzid: Option<String>,
    /// As it was sent, for the proof.
    authzid_octets: Option<Vec<u8>>,
    cnonce: Vec<u8>,
    digest_uri: Vec<u8>,
    protection: Protection,
    proof: Vec<u8>,
    buffer_max: usize,
}

impl DigestServer {
    pub(crate) fn new(context: &ServerContext) -> Self {
        Self {
            service: context.service.clone(),
            realm: context.realm.clone(),
            names: context.names.clone(),
            nonce: context.nonce.text(),
            layers: context.layers,
            state: State::Start,
            layer: None,
        }
    }

    /// `digest-challenge` (section 2.1.1).
    fn challenge(&self) -> Vec<u8> {
        let mut qop = "auth".to_owned();
        if self.layers.integrity {
            qop.push_str(",auth-int");
        }
        if self.layers.confidentiality {
            qop.push_str(",auth-conf");
        }
        let mut out = Vec::new();
        push_quoted(&mut out, "realm", self.realm.as_bytes());
        push_quoted(&mut out, "nonce", self.nonce.as_bytes());
        push_quoted(&mut out, "qop", qop.as_bytes());
        push_token(&mut out, "algorithm", "md5-sess");
        push_token(&mut out, "charset", "utf-8");
        if self.layers != Layers::default() {
            push_token(&mut out, "maxbuf", &BUFFER_MAX.to_string());
        }
        if self.layers.confidentiality {
            let names: Vec<&str> = Cipher::ALL.iter().map(|(name, _)| *name).collect();
            push_quoted(&mut out, "cipher", names.join(",").as_bytes());
        }
        out
    }

    /// `digest-response` (section 2.1.2).
    fn read(&self, message: &[u8]) -> Result<Response, &'static str> {
        let directives = Directives::parse(message, RESPONSE_MAX)?;
        let utf8 = directives.utf8()?;
        if directives.required("nonce")? != self.nonce.as_bytes() {
            return Err("the nonce is not the one of this exchange");
        }
        if directives.required("nc")? != NONCE_COUNT.as_bytes() {
            return Err("the nonce is used again");
        }
        let realm = text_of(directives.once("realm")?.unwrap_or_default(), utf8)?;
        if realm != self.realm {
            return Err("the realm is not the one that was offered");
        }
        let field = |name| match directives.required(name) {
            Ok(value) if value.is_empty() || value.len() > FIELD_MAX => Err("a field is empty or too long"),
            other => other,
        };
        let digest_uri = field("digest-uri")?;
        self.check_uri(digest_uri)?;
        let proof = directives.required("response")?;
        if proof.len() != 32 {
            return Err("the response is not 32 hexadecimal digits");
        }
        let authzid_octets = directives.once("authzid")?.filter(|authzid| !authzid.is_empty());
        let authzid = authzid_octets.map(|octets| text_of(octets, utf8)).transpose()?;
        Ok(Response {
            authcid: text_of(directives.required("username")?, utf8)?,
            authzid,
            authzid_octets: authzid_octets.map(<[u8]>::to_vec),
            cnonce: field("cnonce")?.to_vec(),
            digest_uri: digest_uri.to_vec(),
            protection: self.protection(&directives)?,
            proof: proof.to_vec(),
            buffer_max: buffer_max(directives.once("maxbuf")?)?,
        })
    }

    /// `serv-type "/" host [ "/" serv-name ]`: checks that this server was meant.
    fn check_uri(&self, uri: &[u8]) -> Result<(), &'static str> {
        let uri = std::str::from_utf8(uri).map_err(|_| "digest-uri is not UTF-8")?;
        let (service, rest) = uri.split_once('/').ok_or("digest-uri names no host")?;
        if !service.eq_ignore_ascii_case(&self.service) {
            return Err("digest-uri names another service");
        }
        let host = rest.split('/').next().unwrap_or_default();
        if !self.names.is_empty() && !self.names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return Err("digest-uri names another server; `service_names` may list it");
        }
        Ok(())
    }

    fn protection(&self, directives: &Directives) -> Result<Protection, &'static str> {
        match directives.once("qop")?.unwrap_or(b"auth") {
            b"auth" => Ok(Protection::None),
            b"auth-int" if self.layers.integrity => Ok(Protection::Integrity),
            b"auth-conf" if self.layers.confidentiality => {
                let name = std::str::from_utf8(directives.required("cipher")?).unwrap_or_default();
                let cipher = Cipher::by_name(name).ok_or("a cipher that was not offered")?;
                Ok(Protection::Confidentiality(cipher))
            }
            _ => Err("a protection that was not offered"),
        }
    }

    fn check(&mut self, response: Box<Response>, answer: Answer) -> Result<ServerStep, SaslError> {
        let realm = &self.realm;
        let found = key_of(answer, |key| match key {
            StoredKey::Digest(secret) if secret.realm() == realm => Some(secret),
            _ => None,
        })?;
        let (login, secret) = match found {
            Lookup::Found { login, key } => (Ok(login), key),
            Lookup::Denied(reason) => (Err(SaslError::Denied(reason)), DigestSecret::decoy()),
        };
        let facts = Facts {
            nonce: self.nonce.as_bytes(),
            cnonce: &response.cnonce,
            digest_uri: &response.digest_uri,
            authzid: response.authzid_octets.as_deref(),
            protection: response.protection,
        };
        let key = session_key(&secret, &facts);
        let want = proof(&key, &facts, Prover::Client);
        let right = bool::from(want.as_bytes().ct_eq(&response.proof));
        let login = login?;
        if !right {
            return Err(SaslError::Denied("wrong password".into()));
        }
        let rspauth = format!("rspauth={}", proof(&key, &facts, Prover::Server).as_str());
        self.put_in_place(&key, &response);
        self.state = State::Proven { login, response };
        Ok(ServerStep::Challenge(rspauth.into_bytes()))
    }

    fn put_in_place(&mut self, key: &Hash, response: &Response) {
        let layer = DigestLayer::new(Side::Server, key, response.protection, response.buffer_max);
        self.layer = layer.map(Box::new);
    }

    fn ask(&mut self, message: &[u8]) -> Result<ServerStep, SaslError> {
        let mut response = self.read(message).map_err(|what| SaslError::Malformed {
            mechanism: NAME,
            what,
        })?;
        response.authcid = text::identity(NAME, response.authcid.as_bytes())?;
        if let Some(authzid) = &response.authzid {
            text::identity(NAME, authzid.as_bytes())?;
        }
        let question = Question::DigestSecret {
            authcid: response.authcid.clone(),
            realm: self.realm.clone(),
        };
        self.state = State::Asked(Box::new(response));
        Ok(ServerStep::Ask(question))
    }
}

impl ServerMechanism for DigestServer {
    fn step(&mut self, input: Option<&[u8]>) -> ServerStep {
        match (std::mem::replace(&mut self.state, State::Over), input) {
            // An initial response refers to an earlier nonce, and none is kept: by section 2.2, the server starts again.
            (State::Start, _) => {
                self.state = State::Challenged;
                ServerStep::Challenge(self.challenge())
            }
            (State::Challenged, Some(message)) => self.ask(message).unwrap_or_else(ServerStep::Fail),
            (State::Proven { login, response }, Some([])) => {
                let bits = response.protection.bits();
                authorize(login, &response.authcid, response.authzid, bits)
            }
            (State::Proven { .. }, _) => ServerStep::Fail(SaslError::Malformed {
                mechanism: NAME,
                what: "something after the end",
            }),
            _ => ServerStep::Fail(SaslError::OutOfOrder("no message is due")),
        }
    }

    fn answer(&mut self, answer: Answer) -> ServerStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(response) => self.check(response, answer).unwrap_or_else(ServerStep::Fail),
            _ => ServerStep::Fail(SaslError::OutOfOrder("nothing was asked")),
        }
    }

    fn layer(&mut self) -> Option<Box<dyn SecurityLayer>> {
        let layer = self.layer.take()?;
        Some(layer)
    }
}

#[cfg(test)]
impl DigestServer {
    /// With the nonce of an RFC's example.
    pub(crate) fn with_nonce(mut self, nonce: &str) -> Self {
        self.nonce = nonce.to_owned();
        self
    }
}
