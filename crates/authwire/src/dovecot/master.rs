//! The protocol of masters: a Dovecot mail process asks which user a client authenticated.

use std::path::PathBuf;

use super::{Cookie, LineError, cookie, escape, number, text, unescape, version};

/// A line of a master.
#[derive(Debug, Eq, PartialEq)]
pub enum Master {
    /// Its protocol version: major and minor.
    Version(u32, u32),
    /// Which user was authenticated?
    Request {
        /// The question's number.
        id: u32,
        /// The id of the process that had the credentials checked.
        client_pid: u32,
        /// The number that this process gave the exchange.
        client_id: u32,
        /// The cookie of that process's connection.
        cookie: Cookie,
    },
    /// Where is the mail of this user? Asked by delivery agents and administrators.
    User {
        /// The question's number.
        id: u32,
        /// The user name.
        user: String,
    },
    /// A request for all users or for a cleartext password, which is not answered.
    Refused {
        /// The question's number.
        id: u32,
        /// Whether a list was asked for, which ends with a different word.
        list: bool,
    },
    /// Anything that this version does not know, to be ignored.
    Other,
}

impl Master {
    /// Reads a line, without its end.
    ///
    /// # Errors
    ///
    /// See [`LineError`]; the connection is to be closed.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut fields = text(line)?.split('\t');
        let word = fields.next().unwrap_or_default();
        Ok(match word {
            "VERSION" => {
                let (major, minor) = version(fields)?;
                Self::Version(major, minor)
            }
            "REQUEST" => Self::Request {
                id: number(fields.next(), "id")?,
                client_pid: number(fields.next(), "pid")?,
                client_id: number(fields.next(), "id of the client")?,
                cookie: cookie(fields.next())?,
            },
            "USER" => Self::User {
                id: number(fields.next(), "id")?,
                user: unescape(fields.next().ok_or(LineError::Missing("user"))?)?.into_owned(),
            },
            "PASS" | "LIST" => Self::Refused {
                id: number(fields.next(), "id")?,
                list: word == "LIST",
            },
            _ => Self::Other,
        })
    }
}

/// Writes a server's greeting to a master.
#[must_use]
pub fn master_greeting(pid: u32) -> String {
    format!("VERSION\t{}\t1\nSPID\t{pid}\n", super::MAJOR)
}

/// The account of a user, as a mail process needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// The user name.
    pub user: String,
    /// The user id on this machine that the process takes.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The home folder.
    pub home: PathBuf,
}

impl Account {
    /// Writes the account.
    #[must_use]
    pub fn line(&self, id: u32) -> String {
        format!(
            "USER\t{id}\t{}\tuid={}\tgid={}\thome={}\n",
            escape(&self.user),
            self.uid,
            self.gid,
            escape(&self.home.to_string_lossy())
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions() {
        let digits = "0a".repeat(16);
        assert_eq!(
            Master::parse(
                format!("REQUEST\t1\t22\t3\t{digits}\tsession_pid=5\trequest_auth_token").as_bytes()
            ),
            Ok(Master::Request {
                id: 1,
                client_pid: 22,
                client_id: 3,
                cookie: [10; 16]
            })
        );
        let user = Master::User {
            id: 4,
            user: "a\tb".into(),
        };
        assert_eq!(Master::parse(b"USER\t4\ta\x01tb\tservice=lmtp"), Ok(user));
        assert_eq!(
            Master::parse(b"LIST\t4\tservice=x"),
            Ok(Master::Refused { id: 4, list: true })
        );
        assert_eq!(
            Master::parse(b"PASS\t4\ta"),
            Ok(Master::Refused { id: 4, list: false })
        );
        assert_eq!(
            Master::parse(b"REQUEST\t1\t22\t3\tzz"),
            Err(LineError::Field("cookie"))
        );
        assert_eq!(Master::parse(b"CACHE-FLUSH\t1"), Ok(Master::Other));
    }

    #[test]
    fn accounts() {
        let account = Account {
            user: "acaird".into(),
            uid: 5_000,
            gid: 5_001,
            home: "/var/mail/acaird".into(),
        };
        assert_eq!(
            account.line(7),
            "USER\t7\tacaird\tuid=5000\tgid=5001\thome=/var/mail/acaird\n"
        );
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(REQUEST|USER|LIST|PASS|VERSION)?(\t|\x01|=|[0-9a-f]{1,34}|[ -~]{0,9}){0,12}") {
            let _ = Master::parse(line.as_bytes());
        }
    }
}
