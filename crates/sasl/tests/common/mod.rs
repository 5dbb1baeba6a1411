//! A directory with one account, which answers every question, and the contexts of both ends.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(unreachable_pub, reason = "each test program has this as a module")]

pub mod scripted;
pub mod smtp;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use postern_sasl::{
    Answer, ClientContext, CramSecret, Credentials, DecoySecret, DigestSecret, Mechanism, Nonce, NtHash,
    Outcome, Question, SaslError, ScramHash, ScramKeys, SecurityLayer, ServerContext, ServerExchange,
    ServerStep, StoredKey,
};
use secrecy::ExposeSecret;

pub const HOST: &str = "mail.fccc.example";
pub const LOGIN: &str = "acaird";
pub const PASSWORD: &str = "pass word, =ü";
pub const TOKEN: &str = "ya29.token";
pub const NOW: u64 = 1_795_000_000;

/// One account.
pub struct Directory {
    pub login: &'static str,
    pub password: &'static str,
}

impl Directory {
    pub const REAL: Self = Self {
        login: LOGIN,
        password: PASSWORD,
    };

    pub fn answer(&self, question: Question) -> Answer {
        let key = |name: &str, key: StoredKey| match name == self.login {
            true => Answer::Key {
                login: self.login.into(),
                key,
            },
            false => denied("no such account"),
        };
        let yes_or_no = |yes| match yes {
            true => Answer::Granted {
                login: self.login.into(),
            },
            false => denied("wrong"),
        };
        match question {
            Question::CheckPassword {
                authcid, password, ..
            } => yes_or_no(authcid == self.login && password.expose_secret() == self.password),
            Question::CramSecret { authcid } => {
                key(&authcid, StoredKey::Cram(CramSecret::derive(self.password)))
            }
            Question::DigestSecret { authcid, realm } => {
                let secret = DigestSecret::derive(self.login, &realm, self.password);
                key(&authcid, StoredKey::Digest(secret))
            }
            Question::ScramKeys { authcid, hash } => {
                key(&authcid, StoredKey::Scram(scram_keys(hash, self.password)))
            }
            Question::NtHash { authcid, .. } => key(&authcid, StoredKey::Nt(NtHash::derive(self.password))),
            Question::CertificateLogin { .. } => yes_or_no(true),
            Question::Authorize { .. } => denied("nobody acts as another here"),
            Question::PrincipalLogin { principal, .. } => {
                yes_or_no(principal.split('@').next() == Some(self.login))
            }
            Question::CheckToken { identity, token, .. } => {
                yes_or_no(identity.is_none_or(|name| name == self.login) && token.expose_secret() == TOKEN)
            }
        }
    }
}

/// Keys as in a directory: made once.
fn scram_keys(hash: ScramHash, password: &'static str) -> ScramKeys {
    static MADE: Mutex<BTreeMap<(ScramHash, &str), ScramKeys>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().expect("not poisoned");
    made.entry((hash, password))
        .or_insert_with(|| ScramKeys::derive(hash, password, b"salt of sixteen!", 4096).expect("preparable"))
        .clone()
}

fn denied(reason: &str) -> Answer {
    Answer::Denied {
        reason: reason.into(),
    }
}

pub fn server_context(random: u8) -> ServerContext {
    let mut context = ServerContext::new(HOST, Nonce::new([random; 32]), NOW, DecoySecret::new([7; 32]));
    context.decoy_iterations = 4096;
    context.kerberos = Some(Arc::new(scripted::Script::new(random)));
    context.bindings.exporter = Some([5; 32]);
    context.plus_offered = true;
    context
}

pub fn client_context(random: u8) -> ClientContext {
    let mut context = ClientContext::new(HOST, 587, Nonce::new([random; 32]), NOW);
    context.bindings.exporter = Some([5; 32]);
    context.plus_offered = true;
    context.workstation = "GATE".into();
    context
}

pub fn credentials(password: &str) -> Credentials {
    Credentials {
        login: LOGIN.into(),
        password: Some(password.into()),
        token: Some(TOKEN.into()),
        certificate: true,
        kerberos: Some(Arc::new(scripted::Script::new(1))),
        ..Credentials::default()
    }
}

/// What the server says next, once all its questions are answered.
pub enum Said {
    Challenge(Vec<u8>),
    Done(Outcome),
    Fail(SaslError),
}

/// A server whose questions a directory answers.
pub struct Server {
    pub exchange: ServerExchange,
    pub directory: Directory,
}

impl Server {
    pub fn new(mechanism: Mechanism, context: &ServerContext, directory: Directory) -> Self {
        Self {
            exchange: mechanism.server(context),
            directory,
        }
    }

    pub fn say(&mut self, message: Option<&[u8]>) -> Said {
        let mut step = self.exchange.step(message);
        loop {
            step = match step {
                ServerStep::Ask(question) => self.exchange.answer(self.directory.answer(question)),
                ServerStep::Challenge(challenge) => return Said::Challenge(challenge),
                ServerStep::Done(outcome) => return Said::Done(outcome),
                ServerStep::Fail(error) => return Said::Fail(error),
            };
        }
    }
}

/// Passes text through both ends of a security layer, in both directions.
pub fn try_layers(client: &mut dyn SecurityLayer, server: &mut dyn SecurityLayer) {
    for length in [0, 1, 7, 8, 100, 70_000, 1] {
        let text = vec![b'x'; length];
        let (mut wire, mut got) = (Vec::new(), Vec::new());
        client.wrap(&text, &mut wire).expect("wraps");
        assert_eq!(server.unwrap(&wire, &mut got), Ok(wire.len()));
        assert_eq!(got, text);
        wire.clear();
        got.clear();
        server.wrap(&text, &mut wire).expect("wraps");
        assert_eq!(client.unwrap(&wire, &mut got), Ok(wire.len()));
        assert_eq!(got, text);
    }
}
