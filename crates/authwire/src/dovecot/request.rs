//! What clients say, and what a server says to them.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Cookie, LineError, MAJOR, MINOR, escape, hex, key_and_value, number, text, version};

/// A line of a client.
#[derive(Debug)]
pub enum Client {
    /// Its protocol version: major and minor.
    Version(u32, u32),
    /// Its process id. Masters refer to it.
    Pid(u32),
    /// It begins an exchange.
    Auth(Box<AuthRequest>),
    /// It continues one.
    Continue {
        /// Which exchange.
        id: u32,
        /// The decoded response; `None` if it is not base64.
        response: Option<Zeroizing<Vec<u8>>>,
    },
    /// It cancels one, or no longer needs the result.
    Cancel(u32),
    /// Anything that this version does not know, to be ignored.
    Other,
}

/// The beginning of an exchange. Its `Debug` form shows no response.
pub struct AuthRequest {
    /// Its number, chosen by the client; the number of an exchange in progress must not be used again.
    pub id: u32,
    /// The mechanism as the client named it.
    pub mechanism: String,
    /// The service: `smtp`, `imap`.
    pub service: String,
    /// The address of the client that authenticates, if known; an error if an invalid one is given. Such an exchange must
    /// be refused while the connection goes on: many exchanges share it.
    pub remote: Result<Option<IpAddr>, LineError>,
    /// Whether nobody else can read what the client sends: TLS, or the same machine.
    pub secured: bool,
    /// Key length of the TLS cipher in bits, if given.
    pub tls_bits: Option<u32>,
    /// TLS version, if given, such as `TLSv1.3`.
    pub tls_version: Option<String>,
    /// Whether a certificate was shown and verified.
    pub valid_client_cert: bool,
    /// The name in that certificate.
    pub cert_username: Option<String>,
    /// Whether no mail process will ask for the account.
    pub no_login: bool,
    /// The session's id in the client's log.
    pub session: Option<String>,
    /// The initial response, decoded: `Some(None)` if it is not base64.
    pub response: Option<Option<Zeroizing<Vec<u8>>>>,
}

impl std::fmt::Debug for AuthRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthRequest")
            .field("id", &self.id)
            .field("mechanism", &self.mechanism)
            .field("service", &self.service)
            .field("remote", &self.remote)
            .field("secured", &self.secured)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads a line, without its end.
    ///
    /// # Errors
    ///
    /// See [`LineError`]; the connection is to be closed.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut fields = text(line)?.split('\t');
        match fields.next().unwrap_or_default() {
            "VERSION" => version(fields).map(|(major, minor)| Self::Version(major, minor)),
            "CPID" => number(fields.next(), "pid").map(Self::Pid),
            "AUTH" => AuthRequest::parse(fields).map(|request| Self::Auth(Box::new(request))),
            "CONT" => Ok(Self::Continue {
                id: number(fields.next(), "id")?,
                response: decode(fields.next().ok_or(LineError::Missing("response"))?),
            }),
            "CANCEL" => number(fields.next(), "id").map(Self::Cancel),
            _ => Ok(Self::Other),
        }
    }
}

impl AuthRequest {
    fn parse<'a>(mut fields: impl Iterator<Item = &'a str>) -> Result<Self, LineError> {
        let mut request = Self {
            id: number(fields.next(), "id")?,
            mechanism: fields.next().ok_or(LineError::Missing("mechanism"))?.to_owned(),
            service: String::new(),
            remote: Ok(None),
            secured: false,
            tls_bits: None,
            tls_version: None,
            valid_client_cert: false,
            cert_username: None,
            no_login: false,
            session: None,
            response: None,
        };
        for field in fields {
            if request.response.is_some() {
                return Err(LineError::BehindResponse);
            }
            // Responses are long, hold secrets, and need no unescaping.
            match field.strip_prefix("resp=") {
                Some(response) => request.response = Some(decode_initial(response)),
                None => request.take(field)?,
            }
        }
        if request.service.is_empty() {
            return Err(LineError::Missing("service"));
        }
        Ok(request)
    }

    /// Takes one field. Those not needed here are ignored.
    fn take(&mut self, field: &str) -> Result<(), LineError> {
        let (key, value) = key_and_value(field)?;
        match key {
            "service" => self.service = value.into_owned(),
            "rip" => self.remote = address(&value),
            "secured" => self.secured = true,
            "tls_cipher_bits" => self.tls_bits = Some(number(Some(&value), "tls_cipher_bits")?),
            "tls_protocol" => self.tls_version = Some(value.into_owned()),
            "valid-client-cert" => self.valid_client_cert = true,
            "cert_username" => self.cert_username = Some(value.into_owned()),
            "nologin" => self.no_login = true,
            "session" => self.session = Some(value.into_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// An address; `None` if the client does not know it itself, which Postfix calls `unknown`.
fn address(value: &str) -> Result<Option<IpAddr>, LineError> {
    // The zone of a link-local address means nothing elsewhere.
    let bare = value.split('%').next().unwrap_or_default();
    match bare {
        "" | "unknown" => Ok(None),
        _ => {
            let address: IpAddr = bare.parse().map_err(|_| LineError::Field("rip"))?;
            Ok(Some(address.to_canonical()))
        }
    }
}

fn decode(base64: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD.decode(base64).map(Zeroizing::new).ok()
}

/// As [`decode`]; a lone `=` is an empty response.
fn decode_initial(base64: &str) -> Option<Zeroizing<Vec<u8>>> {
    decode(if base64 == "=" { "" } else { base64 })
}

/// A server's greeting.
#[derive(Clone, Copy, Debug)]
pub struct Greeting<'a> {
    /// Names of mechanisms, and whether an eavesdropper can read the password.
    pub mechanisms: &'a [(&'a str, bool)],
    /// The server's process id.
    pub pid: u32,
    /// The connection's number.
    pub connection: u32,
    /// The connection's cookie, for masters.
    pub cookie: &'a Cookie,
}

/// Writes a server's greeting.
#[must_use]
pub fn greeting(greeting: &Greeting<'_>) -> String {
    let mut text = format!("VERSION\t{MAJOR}\t{MINOR}\n");
    for (name, plaintext) in greeting.mechanisms {
        let word = if *plaintext { "\tplaintext" } else { "" };
        text.push_str(&format!("MECH\t{name}{word}\n"));
    }
    let Greeting { pid, connection, .. } = greeting;
    let cookie = hex(greeting.cookie);
    text.push_str(&format!(
        "SPID\t{pid}\nCUID\t{connection}\nCOOKIE\t{cookie}\nDONE\n"
    ));
    text
}

/// Writes that an exchange succeeded.
#[must_use]
pub fn ok(id: u32, login: &str) -> String {
    format!("OK\t{id}\tuser={}\n", escape(login))
}

/// Writes a challenge.
#[must_use]
pub fn challenge(id: u32, octets: &[u8]) -> String {
    format!("CONT\t{id}\t{}\n", STANDARD.encode(octets))
}

/// Writes that an exchange failed. `temporary` says that it may succeed later, `reason` is shown to people.
#[must_use]
pub fn failure(id: u32, login: Option<&str>, temporary: bool, reason: Option<&str>) -> String {
    let mut line = format!("FAIL\t{id}");
    if let Some(login) = login {
        line.push_str(&format!("\tuser={}", escape(login)));
    }
    if temporary {
        // The first is what version 1.1 of the protocol says, the second what 1.2 does.
        line.push_str("\ttemp\tcode=temp_fail");
    }
    if let Some(reason) = reason {
        line.push_str(&format!("\treason={}", escape(reason)));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn auth(line: &str) -> Result<AuthRequest, LineError> {
        match Client::parse(line.as_bytes())? {
            Client::Auth(request) => Ok(*request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_postfix_sends() {
        let line = "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=::ffff:198.51.100.7\tsecured\tresp=AGEAYg==";
        let request = auth(line).unwrap();
        assert_eq!(
            (request.id, &*request.mechanism, &*request.service),
            (1, "PLAIN", "smtp")
        );
        assert_eq!(
            request.remote,
            Ok("198.51.100.7".parse().ok()),
            "in canonical form"
        );
        assert!(request.secured && request.no_login && !request.valid_client_cert);
        assert_eq!(request.response.unwrap().unwrap().as_slice(), b"\0a\0b");
        assert!(
            !format!("{:?}", auth(line).unwrap()).contains("AGEA"),
            "nothing of the password"
        );
    }

    #[test]
    fn what_dovecot_sends() {
        let request = auth(
            "AUTH\t7\tSCRAM-SHA-256\tservice=imap\tsecured=tls\tsession=Ab+c\tcert_username=a\x01tb\tlip=::1\trip=fe80::1%eth0\t\
             lport=993\ttls_cipher_bits=256\ttls_protocol=TLSv1.3\tvalid-client-cert\tclient_id=x",
        )
        .unwrap();
        assert_eq!(
            (request.tls_bits, request.tls_version.as_deref()),
            (Some(256), Some("TLSv1.3"))
        );
        assert_eq!(request.cert_username.as_deref(), Some("a\tb"));
        assert_eq!(request.remote, Ok("fe80::1".parse().ok()));
        assert!(request.secured && request.valid_client_cert && !request.no_login);
        assert!(request.response.is_none(), "the server speaks first");
    }

    #[test]
    fn mistakes() {
        #[rustfmt::skip]
        let cases = [
            ("no number",                    "AUTH",                                       LineError::Missing("id")),
            ("no mechanism",                 "AUTH\t1",                                    LineError::Missing("mechanism")),
            ("no service",                   "AUTH\t1\tPLAIN",                             LineError::Missing("service")),
            ("fields behind the response",   "AUTH\t1\tPLAIN\tservice=x\tresp==\tsecured", LineError::BehindResponse),
            ("an escape that there is not",  "AUTH\t1\tPLAIN\tservice=\x01x",              LineError::NotText),
            ("a process of letters",         "CPID\tx",                                    LineError::Field("pid")),
            ("half a version",               "VERSION\t1",                                 LineError::Missing("version")),
            ("no response",                  "CONT\t1",                                    LineError::Missing("response")),
        ];
        for (shows, line, error) in cases {
            assert_eq!(Client::parse(line.as_bytes()).err(), Some(error), "{shows}");
        }
        let long = vec![b'a'; super::super::LINE_MAX + 1];
        assert_eq!(Client::parse(&long).err(), Some(LineError::TooLong));
        assert_eq!(Client::parse(b"AUTH\t\xff").err(), Some(LineError::NotText));
        let remote = |told: &str| {
            auth(&format!("AUTH\t1\tPLAIN\tservice=x\trip={told}"))
                .unwrap()
                .remote
        };
        assert_eq!(remote("unknown"), Ok(None));
        assert_eq!(
            remote("nowhere"),
            Err(LineError::Field("rip")),
            "made up: this exchange alone"
        );
        let response = |line: &str| auth(line).unwrap().response.unwrap();
        assert_eq!(
            response("AUTH\t1\tPLAIN\tservice=x\tresp==").unwrap().as_slice(),
            b"",
            "empty"
        );
        assert!(
            response("AUTH\t1\tPLAIN\tservice=x\tresp=!").is_none(),
            "no base64 is the exchange's end alone"
        );
    }

    #[test]
    fn what_a_server_says() {
        let said = greeting(&Greeting {
            mechanisms: &[("PLAIN", true), ("SCRAM-SHA-256", false)],
            pid: 7,
            connection: 8,
            cookie: &[1; 16],
        });
        assert_eq!(
            said,
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tSCRAM-SHA-256\nSPID\t7\nCUID\t8\n\
             COOKIE\t01010101010101010101010101010101\nDONE\n"
        );
        assert_eq!(ok(1, "a\tb"), "OK\t1\tuser=a\x01tb\n");
        assert_eq!(challenge(2, b"\0"), "CONT\t2\tAA==\n");
        assert_eq!(failure(3, Some("a"), false, None), "FAIL\t3\tuser=a\n");
        assert_eq!(
            failure(3, None, true, Some("later")),
            "FAIL\t3\ttemp\tcode=temp_fail\treason=later\n"
        );
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(AUTH|CONT|CPID|VERSION|CANCEL|X)?(\t|\x01|=|resp=|rip=|service=|[0-9]{1,11}|[ -~]{0,9}){0,12}") {
            let _ = Client::parse(line.as_bytes());
        }
    }
}
