//! What a server says, as its client reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{LineError, key_and_value, number, text, version};

/// A line of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Server {
    /// Its protocol version: major and minor.
    Version(u32, u32),
    /// A mechanism that it offers.
    Mechanism(String),
    /// The greeting is over.
    Done,
    /// The result of an exchange.
    Answer(u32, Answer),
    /// Not used here: process ids, cookies, additions of later versions.
    Other,
}

/// The result of an exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Granted, to this user.
    Granted {
        /// The user name as the server has it.
        user: Option<String>,
    },
    /// It wants more. Its challenge in base64.
    Challenge(String),
    /// Authentication failed.
    Failed(Failure),
}

/// Why an exchange failed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Failure {
    /// The kind, if the server tells.
    pub code: Option<FailCode>,
    /// Why, in the server's words.
    pub reason: Option<String>,
}

/// The kinds of failure that servers tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailCode {
    /// A temporary failure.
    Temporary,
    /// The user may not act as the identity it asked for.
    Authorization,
    /// The account is disabled.
    UserDisabled,
    /// The password is right but has expired.
    PasswordExpired,
}

impl Server {
    /// Reads a line, without its end.
    ///
    /// # Errors
    ///
    /// See [`LineError`]; the connection is to be closed.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut fields = text(line)?.split('\t');
        Ok(match fields.next().unwrap_or_default() {
            "VERSION" => {
                let (major, minor) = version(fields)?;
                Self::Version(major, minor)
            }
            "MECH" => Self::Mechanism(fields.next().ok_or(LineError::Missing("mechanism"))?.to_owned()),
            "DONE" => Self::Done,
            "OK" => {
                let id = number(fields.next(), "id")?;
                let mut user = None;
                for field in fields {
                    let (key, value) = key_and_value(field)?;
                    if key == "user" && !value.is_empty() {
                        user = Some(value.into_owned());
                    }
                }
                Self::Answer(id, Answer::Granted { user })
            }
            "CONT" => {
                let id = number(fields.next(), "id")?;
                let challenge = fields.next().ok_or(LineError::Missing("challenge"))?;
                Self::Answer(id, Answer::Challenge(challenge.to_owned()))
            }
            "FAIL" => {
                let id = number(fields.next(), "id")?;
                Self::Answer(id, Answer::Failed(Failure::parse(fields)?))
            }
            _ => Self::Other,
        })
    }
}

impl Failure {
    fn parse<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Self, LineError> {
        let mut failure = Self::default();
        for field in fields {
            let (key, value) = key_and_value(field)?;
            // Version 1.1 has words, 1.2 has codes; current servers send both.
            let word = if key == "code" { &*value } else { key };
            match word {
                "temp" | "temp_fail" => failure.code = Some(FailCode::Temporary),
                "authz" | "authzfailed" => failure.code = Some(FailCode::Authorization),
                "user_disabled" => failure.code = Some(FailCode::UserDisabled),
                "pass_expired" => failure.code = Some(FailCode::PasswordExpired),
                "reason" => failure.reason = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(failure)
    }
}

/// Writes what a client says first.
#[must_use]
pub fn hello(pid: u32) -> String {
    format!("VERSION\t{}\t1\nCPID\t{pid}\n", super::MAJOR)
}

/// Writes a password to be checked: PLAIN with an initial response, for a client at `remote`. Wiped when dropped.
///
/// It says `secured`, since the caller has decided where passwords may be sent, `nologin`, since no mail process will follow,
/// and `no-penalty`, since the caller slows down guessing itself.
#[must_use]
pub fn check(
    id: u32,
    service: &str,
    remote: Option<std::net::IpAddr>,
    login: &str,
    password: &str,
) -> Zeroizing<String> {
    // The memory is reserved at once: growing would leave copies of the password behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(login.len() + password.len() + 2));
    plain.push(0);
    plain.extend_from_slice(login.as_bytes());
    plain.push(0);
    plain.extend_from_slice(password.as_bytes());
    let encoded = Zeroizing::new(STANDARD.encode(plain.as_slice()));
    let remote = remote.map(|remote| format!("\trip={remote}")).unwrap_or_default();
    let head = format!(
        "AUTH\t{id}\tPLAIN\tservice={}\tsecured\tnologin\tno-penalty{remote}\tresp=",
        super::escape(service)
    );
    let mut line = Zeroizing::new(String::with_capacity(head.len() + encoded.len() + 1));
    line.push_str(&head);
    line.push_str(&encoded);
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Client, challenge, failure, ok};
    use super::*;

    fn failed(code: Option<FailCode>, reason: Option<&str>) -> Answer {
        Answer::Failed(Failure {
            code,
            reason: reason.map(str::to_owned),
        })
    }

    #[test]
    fn answers() {
        #[rustfmt::skip]
        let cases = [
            ("a login by another name",    "OK\t1\tuser=acaird\toriginal_user=ACaird", Answer::Granted { user: Some("acaird".into()) }),
            ("a login without a name",     "OK\t1",                                    Answer::Granted { user: None }),
            ("an empty challenge",         "CONT\t1\t",                                Answer::Challenge(String::new())),
            ("a wrong password",           "FAIL\t1\tuser=a",                          failed(None, None)),
            ("down, as 2.2 says it",       "FAIL\t1\tuser=a\ttemp",                    failed(Some(FailCode::Temporary), None)),
            ("down, as 2.3 says it",       "FAIL\t1\tuser=a\tcode=temp_fail",          failed(Some(FailCode::Temporary), None)),
            ("switched off, with words",   "FAIL\t1\tuser_disabled\treason=Gone\x01tx", failed(Some(FailCode::UserDisabled), Some("Gone\tx"))),
            ("switched off, as 2.3",       "FAIL\t1\tcode=user_disabled",              failed(Some(FailCode::UserDisabled), None)),
            ("too old",                    "FAIL\t1\tcode=pass_expired",               failed(Some(FailCode::PasswordExpired), None)),
            ("not as him",                 "FAIL\t1\tcode=authzfailed",                failed(Some(FailCode::Authorization), None)),
        ];
        for (shows, line, answer) in cases {
            assert_eq!(
                Server::parse(line.as_bytes()),
                Ok(Server::Answer(1, answer)),
                "{shows}"
            );
        }
        assert_eq!(
            Server::parse(b"MECH\tPLAIN\tplaintext"),
            Ok(Server::Mechanism("PLAIN".into()))
        );
        assert_eq!(Server::parse(b"SPID\t12"), Ok(Server::Other));
        assert_eq!(Server::parse(b"OK"), Err(LineError::Missing("id")));
    }

    #[test]
    fn both_sides_agree() {
        let said = check(9, "smtp", "192.0.2.1".parse().ok(), "acaird", "pass word");
        let Ok(Client::Auth(request)) = Client::parse(said.trim_end().as_bytes()) else {
            panic!("{}", said.as_str());
        };
        assert_eq!((request.id, &*request.service), (9, "smtp"));
        assert_eq!(request.remote, Ok("192.0.2.1".parse().ok()));
        assert!(request.secured && request.no_login);
        assert_eq!(
            request.response.unwrap().unwrap().as_slice(),
            b"\0acaird\0pass word"
        );
        let read = |line: String| Server::parse(line.trim_end_matches('\n').as_bytes()).unwrap();
        assert_eq!(
            read(ok(9, "a b")),
            Server::Answer(
                9,
                Answer::Granted {
                    user: Some("a b".into())
                }
            )
        );
        assert_eq!(
            read(challenge(9, b"x")),
            Server::Answer(9, Answer::Challenge("eA==".into()))
        );
        assert_eq!(
            read(failure(9, Some("a"), true, Some("down"))),
            Server::Answer(9, failed(Some(FailCode::Temporary), Some("down")))
        );
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(OK|FAIL|CONT|MECH|VERSION|DONE)?(\t|\x01|=|user=|code=|reason=|[0-9]{1,11}|[ -~]{0,9}){0,12}") {
            let _ = Server::parse(line.as_bytes());
        }
    }
}
