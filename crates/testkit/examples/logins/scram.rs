//! SCRAM-SHA-256 as a client (RFC 5802, RFC 7677), with the salted password cached between logins.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Salted passwords by salt, iterations and password.
pub(crate) type Kept = Mutex<HashMap<(String, String), [u8; 32]>>;

static NONCE: AtomicU64 = AtomicU64::new(0);

/// One exchange.
pub(crate) struct Client {
    first_bare: String,
    password: String,
    server_signature: [u8; 32],
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The value of an attribute.
fn value<'a>(message: &'a str, name: &str) -> &'a str {
    let mut fields = message.split(',');
    fields
        .find_map(|field| field.strip_prefix(name))
        .unwrap_or_default()
}

impl Client {
    /// Starts an exchange; also returns its first message.
    pub(crate) fn begin(login: &str, password: &str) -> (Self, String) {
        let number = NONCE.fetch_add(1, Ordering::Relaxed);
        let first_bare = format!("n={login},r=bench{}x{number}", std::process::id());
        let first = format!("n,,{first_bare}");
        let client = Self {
            first_bare,
            password: password.to_owned(),
            server_signature: [0; 32],
        };
        (client, first)
    }

    /// The message that proves the password.
    pub(crate) fn proof(&mut self, server_first: &str, kept: &Kept) -> String {
        let (salt, iterations) = (value(server_first, "s="), value(server_first, "i="));
        let salted = *kept
            .lock()
            .unwrap()
            .entry((format!("{salt} {iterations}"), self.password.clone()))
            .or_insert_with(|| {
                let salt = BASE64.decode(salt).unwrap();
                let mut salted = [0; 32];
                let count = iterations.parse().unwrap();
                pbkdf2::pbkdf2_hmac::<Sha256>(self.password.as_bytes(), &salt, count, &mut salted);
                salted
            });
        let without_proof = format!("c=biws,r={}", value(server_first, "r="));
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(client_key), message.as_bytes());
        self.server_signature = hmac(&hmac(&salted, b"Server Key"), message.as_bytes());
        let mut proof = client_key;
        proof
            .iter_mut()
            .zip(signature)
            .for_each(|(octet, other)| *octet ^= other);
        format!("{without_proof},p={}", BASE64.encode(proof))
    }

    /// Checks that the server knows the password too.
    pub(crate) fn check(&self, server_final: &str) -> io::Result<()> {
        if value(server_final, "v=") == BASE64.encode(self.server_signature) {
            Ok(())
        } else {
            Err(io::Error::other("the server does not know the password"))
        }
    }
}
