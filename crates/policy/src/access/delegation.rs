//! Postfix's policy delegation protocol (SMTPD_POLICY_README), its text only: requests to policy services, and their answers.

/// The name of the request.
const REQUEST: &str = "smtpd_access_policy";

/// Longest answer that is read, in octets.
pub const ANSWER_MAX: usize = 8 * 1_024;

/// A request to a policy service. Unknown values are empty, as in the protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// `CONNECT`, `EHLO`, `HELO`, `MAIL`, `RCPT`, `END-OF-MESSAGE`.
    pub protocol_state: &'a str,
    /// `SMTP` or `ESMTP`.
    pub protocol_name: &'a str,
    /// The client's `HELO` name.
    pub helo_name: &'a str,
    /// The queue id of the message, if it has one.
    pub queue_id: &'a str,
    /// The sender without angle brackets.
    pub sender: &'a str,
    /// The recipient without angle brackets; empty at the end of a message with several.
    pub recipient: &'a str,
    /// How many recipients there are; known at the end of a message.
    pub recipient_count: usize,
    /// The client's address.
    pub client_address: &'a str,
    /// The client's forward-confirmed host name; `unknown` without one.
    pub client_name: &'a str,
    /// Its first host name, confirmed or not; `unknown` without one.
    pub reverse_client_name: &'a str,
    /// Its port.
    pub client_port: &'a str,
    /// The address it connected to.
    pub server_address: &'a str,
    /// The port of that.
    pub server_port: &'a str,
    /// The same in all requests about one message.
    pub instance: &'a str,
    /// The mechanism of its login.
    pub sasl_method: &'a str,
    /// The user name of its login.
    pub sasl_username: &'a str,
    /// Who submitted the message, as the client says in `AUTH=`.
    pub sasl_sender: &'a str,
    /// The size of the message in octets, as announced or as received; 0 if unknown.
    pub size: u64,
    /// The subject of its verified certificate.
    pub ccert_subject: &'a str,
    /// The issuer of that.
    pub ccert_issuer: &'a str,
    /// Its SHA-256, with colons.
    pub ccert_fingerprint: &'a str,
    /// The version of TLS.
    pub encryption_protocol: &'a str,
    /// The cipher.
    pub encryption_cipher: &'a str,
    /// The strength of the cipher in bits.
    pub encryption_keysize: u32,
    /// The name of the listener, which Postfix does not have; services find it in `policy_context`.
    pub policy_context: &'a str,
}

impl Request<'_> {
    /// The request as it is sent: a line for each attribute, and an empty one. Line ends in values are left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(1_024);
        let mut line = |name: &str, value: &str| {
            text.push_str(name);
            text.push('=');
            text.extend(value.chars().filter(|c| !c.is_control()));
            text.push('\n');
        };
        let (count, size, bits) = (
            self.recipient_count.to_string(),
            self.size.to_string(),
            self.encryption_keysize.to_string(),
        );
        line("request", REQUEST);
        line("protocol_state", self.protocol_state);
        line("protocol_name", self.protocol_name);
        line("client_address", self.client_address);
        line("client_name", self.client_name);
        line("client_port", self.client_port);
        line("reverse_client_name", self.reverse_client_name);
        line("server_address", self.server_address);
        line("server_port", self.server_port);
        line("helo_name", self.helo_name);
        line("sender", self.sender);
        line("recipient", self.recipient);
        line("recipient_count", &count);
        line("queue_id", self.queue_id);
        line("instance", self.instance);
        line("size", &size);
        line("etrn_domain", "");
        line("stress", "");
        line("sasl_method", self.sasl_method);
        line("sasl_username", self.sasl_username);
        line("sasl_sender", self.sasl_sender);
        line("ccert_subject", self.ccert_subject);
        line("ccert_issuer", self.ccert_issuer);
        line("ccert_fingerprint", self.ccert_fingerprint);
        line("ccert_pubkey_fingerprint", "");
        line("encryption_protocol", self.encryption_protocol);
        line("encryption_cipher", self.encryption_cipher);
        line("encryption_keysize", &bits);
        line("policy_context", self.policy_context);
        text.push('\n');
        text
    }
}

/// An invalid answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadAnswer {
    /// It is longer than any action.
    #[error("its answer has more than {ANSWER_MAX} octets")]
    TooLong,
    /// It is not text.
    #[error("its answer is not text in UTF-8")]
    NotText,
    /// No line of it begins with `action=`.
    #[error("its answer has no line that begins with action=")]
    NoAction,
}

/// Looks for the end of an answer, which is an empty line; returns the number of octets up to and including it. `None` if more
/// must come.
///
/// # Errors
///
/// [`BadAnswer::TooLong`].
pub fn end_of_answer(octets: &[u8]) -> Result<Option<usize>, BadAnswer> {
    let unix = octets.windows(2).position(|two| two == b"\n\n").map(|at| at + 2);
    let dos = octets
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4);
    let end = match (unix, dos) {
        (Some(unix), Some(dos)) => Some(unix.min(dos)),
        (one, other) => one.or(other),
    };
    match end {
        Some(end) if end <= ANSWER_MAX => Ok(Some(end)),
        None if octets.len() < ANSWER_MAX => Ok(None),
        _ => Err(BadAnswer::TooLong),
    }
}

/// The value of `action=` in an answer; the last one counts.
///
/// # Errors
///
/// [`BadAnswer`].
pub fn action(answer: &[u8]) -> Result<&str, BadAnswer> {
    let text = std::str::from_utf8(answer).map_err(|_| BadAnswer::NotText)?;
    let mut lines = text.lines().rev();
    lines
        .find_map(|line| line.strip_prefix("action="))
        .ok_or(BadAnswer::NoAction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests() {
        let text = Request {
            protocol_state: "RCPT",
            protocol_name: "ESMTP",
            sender: "ann@a.example\naction=OK",
            size: 12,
            ..Request::default()
        }
        .text();
        assert!(text.starts_with("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"));
        assert!(
            text.contains("\nsender=ann@a.exampleaction=OK\n") && text.contains("\nsize=12\n"),
            "{text}"
        );
        assert!(text.ends_with("\n\n") && text.matches("\n\n").count() == 1);
    }

    #[test]
    fn answers() {
        #[rustfmt::skip]
        let cases: [(&[u8], _, _); 7] = [
            (b"action=DUNNO\n\n",               Ok(Some(14)), Ok("DUNNO")),
            (b"action=DUNNO\r\n\r\n",           Ok(Some(16)), Ok("DUNNO")),
            (b"x=y\naction=450 later\n\nmore",  Ok(Some(22)), Ok("450 later")),
            (b"action=DUNNO\n",                 Ok(None),     Ok("DUNNO")),
            (b"\n\n",                           Ok(Some(2)),  Err(BadAnswer::NoAction)),
            (b"action=\xff\n\n",                Ok(Some(10)), Err(BadAnswer::NotText)),
            (b"",                               Ok(None),     Err(BadAnswer::NoAction)),
        ];
        for (octets, end, said) in cases {
            assert_eq!(end_of_answer(octets), end, "{octets:?}");
            assert_eq!(action(octets), said, "{octets:?}");
        }
        assert_eq!(end_of_answer(&[b'x'; ANSWER_MAX]), Err(BadAnswer::TooLong));
    }

    proptest! {
        #[test]
        fn no_answer_breaks_it(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (end_of_answer(&octets), action(&octets));
        }
    }
}
