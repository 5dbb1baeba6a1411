//! What neighbours say when they have logins checked by Dovecot's protocols, and what a Dovecot answers: no panic, and nothing that
//! is read can leave its field when it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_authwire::dovecot::{Answer, Client, Master, Server, ok};

fuzz_target!(|input: &[u8]| {
    if let Ok(Client::Auth(request)) = Client::parse(input) {
        let answer = ok(request.id, request.session.as_deref().unwrap_or_default());
        assert_eq!(answer.matches('\n').count(), 1);
        assert_eq!(answer.matches('\t').count(), 2);
    }
    let _ = Master::parse(input);
    if let Ok(Server::Answer(id, Answer::Granted { user: Some(user) })) = Server::parse(input) {
        let again = ok(id, &user);
        let read = Server::parse(again.trim_end_matches('\n').as_bytes());
        assert_eq!(read, Ok(Server::Answer(id, Answer::Granted { user: Some(user) })));
    }
});
