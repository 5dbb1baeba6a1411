//! SASL exchanges of every mechanism, with every answer that a driver may give, and their Base64.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

use postern_sasl::{
    ContextAcceptor, ContextError, ContextFeatures, ContextStep, Principals, SecurityContext, Unwrapped,
};
use postern_sasl::{
    Answer, ChannelBindings, CramSecret, DecoySecret, DigestSecret, Layers, Mechanism, Nonce, NtHash, Question,
    ScramKeys, ServerContext, ServerStep, StoredKey, wire,
};

const HOST: &str = "mail.example";

/// A Kerberos that takes every token and protects nothing.
#[derive(Debug)]
struct Credulous;

impl ContextAcceptor for Credulous {
    fn accept(&self) -> Result<Box<dyn SecurityContext>, ContextError> {
        Ok(Box::new(Self))
    }
}

impl SecurityContext for Credulous {
    fn step(&mut self, token: &[u8]) -> Result<ContextStep, ContextError> {
        Ok(ContextStep { token: token.iter().skip(4).copied().collect(), established: token.len() % 2 == 0 })
    }

    fn features(&self) -> ContextFeatures {
        ContextFeatures { mutual: true, sequence: true, integrity: true, confidentiality: true }
    }

    fn principals(&self) -> Result<Principals, ContextError> {
        Ok(Principals { initiator: "someone@EXAMPLE".into(), acceptor: "smtp/mail.example@EXAMPLE".into() })
    }

    fn bits(&self) -> u32 {
        256
    }

    fn wrap_size_max(&self, _: bool, token_max: usize) -> Result<usize, ContextError> {
        Ok(token_max.saturating_sub(60))
    }

    fn wrap(&mut self, plain: &[u8], _: bool) -> Result<Vec<u8>, ContextError> {
        Ok(plain.to_vec())
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<Unwrapped, ContextError> {
        Ok(Unwrapped { plain: token.to_vec(), confidential: token.len() % 3 != 0 })
    }
}

fn answer(question: &Question, choice: u8) -> Answer {
    let login = || "someone".to_owned();
    match choice % 4 {
        0 => return Answer::Denied { reason: "no".into() },
        1 => return Answer::Unavailable { reason: "down".into() },
        2 => return Answer::Granted { login: login() },
        _ => {}
    }
    let key = match question {
        Question::CramSecret { .. } => StoredKey::Cram(CramSecret::derive("pencil")),
        Question::DigestSecret { authcid, realm } => {
            StoredKey::Digest(DigestSecret::derive(authcid, realm, "pencil"))
        }
        Question::ScramKeys { hash, .. } => match ScramKeys::derive(*hash, "pencil", b"salt of sixteen ", 4_096) {
            Ok(keys) => StoredKey::Scram(keys),
            Err(_) => return Answer::Denied { reason: "no key".into() },
        },
        Question::NtHash { .. } => StoredKey::Nt(NtHash::derive("pencil")),
        _ => return Answer::Granted { login: login() },
    };
    Answer::Key { login: login(), key }
}

fuzz_target!(|input: (u8, u8, Vec<Vec<u8>>)| {
    let (which, choice, lines) = input;
    let mechanism = Mechanism::ALL[usize::from(which) % Mechanism::ALL.len()];
    let context = ServerContext {
        bindings: ChannelBindings { exporter: Some([1; 32]), server_end_point: None },
        plus_offered: choice & 0x80 != 0,
        layers: Layers { integrity: true, confidentiality: true },
        kerberos: Some(Arc::new(Credulous)),
        ..ServerContext::new(HOST, Nonce::new([5; 32]), 1_795_000_000, DecoySecret::new([6; 32]))
    };
    let mut exchange = mechanism.server(&context);
    for line in &lines {
        if let Ok(octets) = wire::decode(line) {
            assert_eq!(wire::encode(&octets).as_bytes(), &line[..]);
        }
        let mut step = exchange.step(Some(line));
        if let ServerStep::Ask(question) = &step {
            let answer = answer(question, choice);
            step = exchange.answer(answer);
        }
        if matches!(step, ServerStep::Done(_)) {
            if let Some(mut layer) = exchange.take_layer() {
                let mut out = Vec::new();
                for line in &lines {
                    if layer.unwrap(line, &mut out).is_err() {
                        break;
                    }
                }
            }
            return;
        }
        if matches!(step, ServerStep::Fail(_)) {
            return;
        }
    }
});
