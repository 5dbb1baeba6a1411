//! The settings of a dialogue.

use postern_mail::{AddressLimits, Domain};

use crate::body::BodyRules;

/// Sizes and counts that a client cannot exceed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Longest command line in octets, with CRLF; a longer one gets `500 5.5.2`.
    ///
    /// Default 2,048: the 512 of RFC 5321 section 4.5.3.1.4 plus what each extension adds.
    pub command_line_max: usize,
    /// Longest line of an `AUTH` command or exchange in octets, with CRLF; a longer one gets `500 5.5.6`.
    ///
    /// Default 12,288, which RFC 4954 section 4 asks for.
    pub auth_line_max: usize,
    /// Longest line of a message in octets, with CRLF; a message with a longer one gets `554 5.6.0`. 0 for no limit.
    ///
    /// Default 0. RFC 5321 section 4.5.3.1.6 lets a server stop at 1,000, but much legitimate mail has longer lines.
    pub text_line_max: usize,
    /// Largest header section in octets; a larger one gets `552 5.3.4`. Default 256 KiB.
    pub header_max: u64,
    /// Lengths of addresses (RFC 5321 sections 4.5.3.1.1 to 4.5.3.1.3); a longer one gets a `5xx` reply.
    pub address: AddressLimits,
    /// Mistakes (unknown commands, wrong order, bad syntax) in one session before it is closed with `421 4.7.0`.
    ///
    /// Default 25, as in sendmail.
    pub mistakes_max: u32,
    /// Commands without use (`NOOP`, `RSET`, `HELP`, `VRFY`, `EXPN`, `VERB`, `ETRN`, repeated greetings) between two
    /// messages before the session is closed with `421 4.7.0`. Default 100.
    pub idle_commands_max: u32,
    /// Recipients refused for good in one session before it is closed with `421 4.7.0`: the client is guessing addresses.
    ///
    /// Default 100.
    pub refused_recipients_max: u32,
    /// Failed logins in one session before it is closed with `421 4.7.0`. Default 3.
    pub failed_logins_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line_max: 2_048,
            auth_line_max: 12_288,
            text_line_max: 0,
            header_max: 256 * 1024,
            address: AddressLimits::default(),
            mistakes_max: 25,
            idle_commands_max: 100,
            refused_recipients_max: 100,
            failed_logins_max: 3,
        }
    }
}

/// What holds for every dialogue of one listener.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The name that the server gives itself.
    pub hostname: String,
    /// The domain given to senders without one (RFC 6409 section 8.1); `None` where those are refused.
    pub qualify: Option<Domain>,
    /// The domain given to recipients without one; `None` where those are refused.
    pub qualify_recipients: Option<Domain>,
    /// Sizes and counts.
    pub limits: Limits,
    /// What bodies are accepted; the largest size is announced as `SIZE`.
    pub body: BodyRules,
    /// Extensions that can be off.
    pub extensions: Extensions,
    /// Whether `STARTTLS` is offered.
    pub starttls: bool,
    /// How clients authenticate.
    pub auth: AuthRules,
    /// Which commands need a greeting before them, and which are off.
    pub commands: CommandRules,
}

/// Extensions that can be off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extensions {
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3030; counts only with `chunking`.
    pub binarymime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
}

impl Default for Extensions {
    /// All on.
    fn default() -> Self {
        Self {
            dsn: true,
            chunking: true,
            binarymime: true,
            smtputf8: true,
        }
    }
}

/// How clients authenticate.
#[derive(Clone, Debug, Default)]
pub struct AuthRules {
    /// Mechanisms in the order in which they are offered; none where `AUTH` is off.
    pub mechanisms: Vec<OfferedMechanism>,
    /// Whether mechanisms that reveal the password are available without TLS too.
    pub plaintext_anywhere: bool,
    /// Whether `MAIL` requires authentication.
    pub required: bool,
}

/// One mechanism as the dialogue knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OfferedMechanism {
    /// Its registered name, in capitals.
    pub name: &'static str,
    /// Whether an eavesdropper learns the password.
    pub plaintext: bool,
}

/// Which commands need a greeting before them, and which are off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CommandRules {
    /// `MAIL` needs `HELO` or `EHLO` first.
    pub mail_needs_helo: bool,
    /// The greeting may have any name, in any character set: mail programs send their machine's name. It is made harmless when it
    /// is read.
    pub any_helo_name: bool,
    /// So does `VRFY`.
    pub vrfy_needs_helo: bool,
    /// So does `EXPN`.
    pub expn_needs_helo: bool,
    /// `VRFY` reveals nothing.
    pub vrfy_off: bool,
    /// `EXPN` is off.
    pub expn_off: bool,
    /// `VERB` is off.
    pub verb_off: bool,
    /// `ETRN` is off.
    pub etrn_off: bool,
}
