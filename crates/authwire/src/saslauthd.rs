//! The protocol of saslauthd: one question per connection, four strings with their lengths, and `OK` or `NO`.

use secrecy::SecretString;
use zeroize::Zeroizing;

/// Longest string of a question, in octets. saslauthd's own limit is 256; Postern's directories take user names and passwords
/// of up to this length.
pub const FIELD_MAX: usize = 1_024;

/// Longest question, in octets.
pub const QUESTION_MAX: usize = 4 * (FIELD_MAX + 2);

/// A question. Its `Debug` form shows no password.
#[derive(Debug)]
pub struct Question {
    /// The user name, without the realm if the asking library splits it off.
    pub login: String,
    /// The password.
    pub password: SecretString,
    /// The service: `smtp`, `imap`.
    pub service: String,
    /// The realm; often empty.
    pub realm: String,
}

/// A question that makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuestionError {
    /// A string over [`FIELD_MAX`].
    #[error("{0} over {FIELD_MAX} octets")]
    TooLong(&'static str),
    /// A string that is not UTF-8, or has a NUL.
    #[error("{0} is not text")]
    NotText(&'static str),
}

/// The strings, in order.
const FIELDS: [&str; 4] = ["the login", "the password", "the service", "the realm"];

impl Question {
    /// Reads a question from what has arrived so far; `None` while it is incomplete. Anything after it is ignored.
    ///
    /// # Errors
    ///
    /// See [`QuestionError`].
    pub fn parse(mut octets: &[u8]) -> Result<Option<Self>, QuestionError> {
        let mut fields: [&str; 4] = [""; 4];
        for (field, name) in fields.iter_mut().zip(FIELDS) {
            let Some((len, rest)) = octets.split_first_chunk::<2>() else {
                return Ok(None);
            };
            let len = usize::from(u16::from_be_bytes(*len));
            if len > FIELD_MAX {
                return Err(QuestionError::TooLong(name));
            }
            let Some((text, rest)) = rest.split_at_checked(len) else {
                return Ok(None);
            };
            *field = std::str::from_utf8(text).map_err(|_| QuestionError::NotText(name))?;
            if field.contains('\0') {
                return Err(QuestionError::NotText(name));
            }
            octets = rest;
        }
        let [login, password, service, realm] = fields;
        Ok(Some(Self {
            login: login.to_owned(),
            password: SecretString::from(password),
            service: service.to_owned(),
            realm: realm.to_owned(),
        }))
    }

    /// The user name with its realm, as it was before the asking library split it.
    #[must_use]
    pub fn full_login(&self) -> String {
        if self.realm.is_empty() || self.login.contains('@') {
            self.login.clone()
        } else {
            format!("{}@{}", self.login, self.realm)
        }
    }
}

/// Writes a question. `None` for a string over `field_max`, or with a NUL, where the server would truncate it.
#[must_use]
pub fn question(fields: [&str; 4], field_max: usize) -> Option<Zeroizing<Vec<u8>>> {
    // The memory is reserved at once: growing would leave copies of the password behind.
    let room = fields.iter().map(|field| field.len() + 2).sum();
    let mut question = Zeroizing::new(Vec::with_capacity(room));
    for field in fields {
        if field.len() > field_max || field.contains('\0') {
            return None;
        }
        let len = u16::try_from(field.len()).ok()?;
        question.extend_from_slice(&len.to_be_bytes());
        question.extend_from_slice(field.as_bytes());
    }
    Some(question)
}

/// Writes an answer: `OK` or `NO`, followed by words.
#[must_use]
pub fn answer(granted: bool, words: &str) -> Vec<u8> {
    let text = format!("{} {words}", if granted { "OK" } else { "NO" });
    let len = u16::try_from(text.len()).unwrap_or(2);
    let mut answer = len.to_be_bytes().to_vec();
    answer.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
    answer
}

/// Reads an answer: `OK` or `NO`, each with or without words after it; `None` for anything else.
#[must_use]
pub fn verdict(answer: &[u8]) -> Option<bool> {
    match answer.get(..2)? {
        b"OK" => Some(true),
        b"NO" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn questions() {
        let whole = question(["acaird", "pass word", "imap", "fccc.example"], FIELD_MAX).unwrap();
        let read = Question::parse(&whole).unwrap().unwrap();
        assert_eq!(
            (&*read.login, &*read.service, &*read.realm),
            ("acaird", "imap", "fccc.example")
        );
        assert_eq!(read.password.expose_secret(), "pass word");
        assert_eq!(read.full_login(), "acaird@fccc.example");
        assert!(!format!("{read:?}").contains("pass word"));
        for len in 0..whole.len() {
            assert!(
                Question::parse(&whole[..len]).unwrap().is_none(),
                "{len} octets are not all"
            );
        }
        let again = question(["a@b", "x", "imap", "c"], FIELD_MAX).unwrap();
        assert_eq!(
            Question::parse(&again).unwrap().unwrap().full_login(),
            "a@b",
            "it has one already"
        );
    }

    #[test]
    fn mistakes() {
        assert_eq!(
            Question::parse(&[0xff, 0xff]).err(),
            Some(QuestionError::TooLong("the login")),
            "before anything is kept for it"
        );
        assert_eq!(
            Question::parse(b"\0\x01a\0\x02x\0\0\0\0\0").err(),
            Some(QuestionError::NotText("the password"))
        );
        assert_eq!(
            Question::parse(b"\0\x01\xff").err(),
            Some(QuestionError::NotText("the login"))
        );
        assert!(
            question(["a\0b", "", "", ""], FIELD_MAX).is_none(),
            "would be cut to a"
        );
        assert!(question(["long", "", "", ""], 3).is_none());
    }

    #[test]
    fn answers() {
        assert_eq!(answer(true, "success"), b"\0\x0aOK success");
        assert_eq!(answer(false, "failed"), b"\0\x09NO failed");
        let cases: [(&[u8], Option<bool>, &str); 6] = [
            (b"OK", Some(true), "bare"),
            (b"OK success", Some(true), "with words"),
            (b"NO", Some(false), "bare"),
            (b"", None, "nothing"),
            (b"O", None, "cut off"),
            (b"ok", None, "never in small letters"),
        ];
        for (reply, want, shows) in cases {
            assert_eq!(verdict(reply), want, "{shows}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(login in "[^\\x00]{0,30}", password in "[^\\x00]{0,30}", realm in "[^\\x00]{0,9}") {
            let octets = question([&login, &password, "smtp", &realm], FIELD_MAX).unwrap();
            let read = Question::parse(&octets).unwrap().unwrap();
            prop_assert_eq!(read.login, login);
            prop_assert_eq!(read.password.expose_secret(), &password);
            prop_assert_eq!(read.realm, realm);
        }

        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Question::parse(&octets);
        }
    }
}
