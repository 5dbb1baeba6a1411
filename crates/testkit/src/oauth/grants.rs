//! The token endpoint: client credentials, refresh tokens, device codes (RFC 6749 sections 4.4 and 6, RFC 8628).

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

/// What was granted, and what is waiting for a user.
#[derive(Default)]
pub(super) struct Grants {
    refresh: HashSet<String>,
    /// By device code: the user's code, and what the user said.
    devices: HashMap<String, (String, Option<bool>)>,
    next: u64,
}

/// The result of a request to the token endpoint.
pub(super) enum Granted {
    /// A token, with a refresh token if there is one.
    Token(Option<String>),
    /// An error (RFC 6749 section 5.2).
    Error(&'static str),
}

impl Grants {
    pub(super) fn new_refresh_token(&mut self) -> String {
        let token = format!("refresh-{}", self.number());
        self.refresh.insert(token.clone());
        token
    }

    pub(super) fn revoke(&mut self) {
        self.refresh.clear();
    }

    pub(super) fn decide(&mut self, user_code: &str, agree: bool) -> bool {
        let waiting = self.devices.values_mut().find(|(code, _)| code == user_code);
        match waiting {
            Some((_, decision)) => {
                *decision = Some(agree);
                true
            }
            None => false,
        }
    }

    /// RFC 8628 section 3.2.
    pub(super) fn begin_device(&mut self, issuer: &str) -> Value {
        let number = self.number();
        let (device, user) = (format!("device-{number}"), format!("WDJB-{number:04}"));
        self.devices.insert(device.clone(), (user.clone(), None));
        json!({
            "device_code": device, "user_code": user, "verification_uri": format!("{issuer}/activate"),
            "verification_uri_complete": format!("{issuer}/activate?user_code={user}"), "expires_in": 300, "interval": 1,
        })
    }

    /// Refresh tokens are used once: each comes with the next.
    pub(super) fn grant(&mut self, form: &HashMap<String, String>) -> Granted {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        match field("grant_type") {
            "client_credentials" => Granted::Token(None),
            "refresh_token" if self.refresh.remove(field("refresh_token")) => {
                Granted::Token(Some(self.new_refresh_token()))
            }
            "refresh_token" => Granted::Error("invalid_grant"),
            "urn:ietf:params:oauth:grant-type:device_code" => {
                let code = field("device_code");
                match self.devices.get(code).map(|(_, decision)| *decision) {
                    None => Granted::Error("expired_token"),
                    Some(None) => Granted::Error("authorization_pending"),
                    Some(Some(false)) => Granted::Error("access_denied"),
                    Some(Some(true)) => {
                        self.devices.remove(code);
                        Granted::Token(Some(self.new_refresh_token()))
                    }
                }
            }
            _ => Granted::Error("unsupported_grant_type"),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
