//! The protocol between Postern and the PAM helper: one request and one reply on each connection.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::verdict::DenyReason;

/// Longest field of a request, in octets.
const FIELD_MAX: usize = 1_024;

/// Longest request, in octets.
pub const REQUEST_MAX: u64 = 3 * (FIELD_MAX as u64 + 2);

/// Longest reply, in octets.
pub const REPLY_MAX: u64 = 2_048;

/// A question to PAM.
#[derive(Debug)]
pub struct Request {
    /// The user name.
    pub login: String,
    /// Its password.
    pub password: SecretString,
    /// The client's address, if known.
    pub peer: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// The password is right, and the account may log in; its name as PAM has it.
    Granted(String),
    /// The login is refused.
    Denied(DenyReason),
    /// That cannot be determined now.
    Unavailable(String),
}

/// Reasons and their words in the protocol.
const REASONS: [(DenyReason, &str); 6] = [
    (DenyReason::UnknownUser, "unknown-user"),
    (DenyReason::WrongPassword, "wrong-password"),
    (DenyReason::Locked, "locked"),
    (DenyReason::AccountExpired, "account-expired"),
    (DenyReason::PasswordExpired, "password-expired"),
    (DenyReason::NotNow, "not-now"),
];

impl Request {
    /// User name, password and address, each preceded by its length in two octets. `None` when one is too
    /// long.
    #[must_use]
    pub fn encode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let peer = self.peer.as_deref().unwrap_or_default();
        let fields = [self.login.as_str(), self.password.expose_secret(), peer];
        // The memory is reserved at once: growing would leave copies of the password behind.
        let room = fields.iter().map(|field| field.len() + 2).sum();
        let mut octets = Zeroizing::new(Vec::with_capacity(room));
        for field in fields {
            let length = u16::try_from(field.len())
                .ok()
                .filter(|_| field.len() <= FIELD_MAX)?;
            octets.extend_from_slice(&length.to_be_bytes());
            octets.extend_from_slice(field.as_bytes());
        }
        Some(octets)
    }

    /// Reads a request; `None` for anything else.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let mut rest = octets;
        let login = field(&mut rest)?;
        let password = field(&mut rest)?;
        let peer = field(&mut rest)?;
        let is_whole = rest.is_empty() && !login.is_empty() && !login.chars().any(char::is_control);
        is_whole.then(|| Self {
            login: login.to_owned(),
            password: SecretString::from(password),
            peer: Some(peer.to_owned()).filter(|peer| !peer.is_empty()),
        })
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length > FIELD_MAX {
        return None;
    }
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(field).ok()
}

impl Reply {
    /// A word and its arguments.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = match self {
            Self::Granted(login) => format!("OK {login}"),
            Self::Denied(reason) => {
                let word = REASONS.iter().find(|(known, _)| known == reason);
                format!("NO {}", word.map_or("wrong-password", |(_, word)| word))
            }
            Self::Unavailable(reason) => format!("ERROR {reason}"),
        };
        text.into_bytes()
    }

    /// Reads a reply; `None` for anything else.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(octets).ok()?;
        if octets.len() as u64 > REPLY_MAX || text.chars().any(char::is_control) {
            return None;
        }
        let (word, rest) = text.split_once(' ')?;
        match word {
            "OK" if !rest.is_empty() => Some(Self::Granted(rest.to_owned())),
            "NO" => {
                let (reason, _) = REASONS.iter().find(|(_, known)| *known == rest)?;
                Some(Self::Denied(*reason))
            }
            "ERROR" => Some(Self::Unavailable(rest.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies() {
        let cases: [(&str, &[u8], bool); 7] = [
            ("granted", b"OK acaird", true),
            ("granted to nobody", b"OK ", false),
            ("a reason", b"NO account-expired", true),
            ("no reason that is known", b"NO idea", false),
            ("nothing", b"", false),
            ("a line feed, which would forge a log line", b"ERROR a\nb", false),
            ("not UTF-8", b"OK \xff", false),
        ];
        for (shows, octets, good) in cases {
            let reply = Reply::decode(octets);
            assert_eq!(reply.is_some(), good, "{shows}");
            if let Some(reply) = reply {
                assert_eq!(reply.encode(), octets, "{shows}");
            }
        }
        for (reason, _) in REASONS {
            let reply = Reply::Denied(reason);
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
    }

    #[test]
    fn requests_that_are_none() {
        let good = Request {
            login: "acaird".into(),
            password: "x".into(),
            peer: None,
        };
        let octets = good.encode().expect("fits");
        for end in 0..octets.len() {
            assert!(Request::decode(&octets[..end]).is_none(), "cut at {end}");
        }
        assert!(
            Request::decode(&[octets.as_slice(), b"x"].concat()).is_none(),
            "more behind it"
        );
        let long = Request {
            password: "x".repeat(FIELD_MAX + 1).into(),
            ..good
        };
        assert!(long.encode().is_none());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(login in "[^\\p{Cc}]{1,30}", password in ".{0,30}", peer in "[0-9.:]{0,20}") {
            let peer = Some(peer).filter(|peer| !peer.is_empty());
            let request = Request { login: login.clone(), password: password.clone().into(), peer: peer.clone() };
            let got = Request::decode(&request.encode().expect("fits")).expect("whole");
            prop_assert_eq!(got.login, login);
            prop_assert_eq!(got.password.expose_secret(), password.as_str());
            prop_assert_eq!(got.peer, peer);
        }

        #[test]
        fn nothing_upsets_the_helper(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Request::decode(&octets);
            let _ = Reply::decode(&octets);
        }
    }
}
