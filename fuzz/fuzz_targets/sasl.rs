//! SASL exchanges and their Base64.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_sasl::{Answer, Mechanism, ServerStep, wire};

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let (login, lines) = input;
    let name = if login { "LOGIN" } else { "PLAIN" };
    let Some(mechanism) = Mechanism::from_wire(name) else { return };
    let mut exchange = mechanism.server();
    for line in &lines {
        if let Ok(octets) = wire::decode(line) {
            assert_eq!(wire::encode(&octets).as_bytes(), &line[..]);
        }
        let mut step = exchange.step(Some(line));
        if let ServerStep::Ask(_) = step {
            step = exchange.answer(Answer::Granted { login: "someone".into() });
        }
        if matches!(step, ServerStep::Done(_) | ServerStep::Fail(_)) {
            return;
        }
    }
});
