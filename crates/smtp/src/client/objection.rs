//! Whether a refusal may be about something that the message can do without: a parameter, or `BDAT`.
//!
//! Some hosts announce an extension and then refuse its parameters, or announce `CHUNKING` and do not know `BDAT`. That cannot be
//! told for certain from a refusal. Where it is possible, the driver tries once more without, and the second reply counts.

use postern_mail::Status;

use super::capabilities::Capabilities;
use crate::reply::{Class, Reply};

impl Capabilities {
    /// The same peer without what is optional on `MAIL` and `RCPT`: `SIZE`, `AUTH=`, the parameters of `DSN`, and
    /// `BODY=8BITMIME`, which [`needs::check`](super::needs::check) restores for content that needs it.
    #[must_use]
    pub fn without_courtesies(&self) -> Self {
        Self {
            size: None,
            auth: false,
            dsn: false,
            eight_bit_mime: false,
            ..self.clone()
        }
    }
}

/// Whether a refusal of `MAIL` or `RCPT` may be about the parameters. `auth` says whether `AUTH=` was among them: some hosts
/// refuse it as a matter of policy.
///
/// A status about the address, mailbox, size or policy is believed; without a status, the code decides.
#[must_use]
pub fn may_mean_parameters(reply: &Reply, auth: bool) -> bool {
    match (reply.class(), reply.status) {
        (Class::Permanent, None | Some(Status(_, 0, _))) => {
            matches!(reply.code, 500..=504 | 550 | 554 | 555)
        }
        // Subject 5 is the protocol; x.3.3 a feature that the host lacks, x.6.1 and x.6.3 a kind of content.
        (Class::Permanent, Some(Status(_, subject, detail))) => match (subject, detail) {
            (5, 3) => false,
            (5, _) | (3, 3) | (6, 1 | 3) => true,
            (7, _) => auth,
            _ => false,
        },
        (Class::Transient, Some(Status(_, 5, detail))) => detail == 4,
        _ => false,
    }
}

/// Whether a reply to `BDAT` says that the host does not know the command, or does not accept it here.
#[must_use]
pub fn means_no_bdat(reply: &Reply) -> bool {
    matches!(reply.code, 500..=504) && matches!(reply.status, None | Some(Status(_, 0 | 5, _)))
}

/// Whether a refusal of `RCPT` is about the number of recipients (RFC 5321 section 4.5.3.1.10, which has 452, and 552 for old
/// servers).
#[must_use]
pub fn means_too_many(reply: &Reply) -> bool {
    match reply.status {
        Some(Status(_, 5, 3)) => true,
        None if matches!(reply.code, 452 | 552) => true,
        None | Some(Status(_, 0 | 3 | 5, _)) => {
            let text = reply.text.to_ascii_lowercase();
            text.contains("too many") && (text.contains("recipient") || text.contains("rcpt"))
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, status: Option<Status>, text: &'static str) -> Reply {
        Reply::new(code, status, text)
    }

    #[test]
    fn parameters() {
        let s = |subject, detail| Some(Status(5, subject, detail));
        #[rustfmt::skip]
        let cases = [
            // what the case shows                 reply                                           without AUTH=, with
            ("syntax",                             reply(501, None, "syntax"),                     true,  true),
            ("not implemented",                    reply(504, None, "parameter"),                  true,  true),
            ("out of order",                       reply(503, s(5, 1), "order"),                   true,  true),
            ("RFC 5321's own code for it",         reply(555, s(5, 4), "parameters"),              true,  true),
            ("refused, nobody knows why",          reply(550, None, "no"),                         true,  true),
            ("refused, with a status of no word",  reply(554, s(0, 0), "no"),                      true,  true),
            ("a feature that is lacking",          reply(550, s(3, 3), "not here"),                true,  true),
            ("a kind of content",                  reply(554, s(6, 3), "no 8 bit"),                true,  true),
            ("policy",                             reply(550, s(7, 1), "not you"),                 false, true),
            ("the sender",                         reply(550, s(1, 8), "no such domain"),          false, false),
            ("no such mailbox",                    reply(550, s(1, 1), "unknown"),                 false, false),
            ("too large",                          reply(552, s(3, 4), "too large"),               false, false),
            ("too large, no status",               reply(552, None, "too large"),                  false, false),
            ("too many recipients",                reply(550, s(5, 3), "too many"),                false, false),
            ("a login is wanted",                  reply(530, None, "login"),                      false, false),
            ("for now",                            reply(450, None, "later"),                      false, false),
            ("for now, and by name",               reply(451, Some(Status(4, 5, 4)), "arguments"), true,  true),
        ];
        for (shows, reply, plain, auth) in cases {
            let got = (
                may_mean_parameters(&reply, false),
                may_mean_parameters(&reply, true),
            );
            assert_eq!(got, (plain, auth), "{shows}");
        }
    }

    #[test]
    fn bdat() {
        #[rustfmt::skip]
        let cases = [
            ("not recognised",      reply(500, None, "what"),                         true),
            ("not implemented",     reply(502, Some(Status(5, 5, 1)), "no"),          true),
            ("out of order",        reply(503, Some(Status(5, 5, 1)), "DATA first"),  true),
            ("spam",                reply(554, Some(Status(5, 7, 1)), "spam"),        false),
            ("no reason given",     reply(554, None, "failed"),                       false),
            ("a broken scanner",    reply(502, Some(Status(5, 3, 0)), "scanner"),     false),
            ("for now",             reply(451, None, "later"),                        false),
        ];
        for (shows, reply, expected) in cases {
            assert_eq!(means_no_bdat(&reply), expected, "{shows}");
        }
    }

    #[test]
    fn too_many() {
        #[rustfmt::skip]
        let cases = [
            ("as the RFC has it",         reply(452, None, "Too many recipients"),                      true),
            ("with a status",             reply(452, Some(Status(4, 5, 3)), "Too many recipients"),     true),
            ("an old server",             reply(552, None, "Too many recipients"),                      true),
            ("an old one, few words",     reply(552, None, "no more"),                                  true),
            ("with its status",           reply(552, Some(Status(5, 5, 3)), "Too many recipients"),     true),
            ("another code",              reply(451, Some(Status(4, 5, 3)), "enough"),                  true),
            ("another code, in words",    reply(550, None, "5.7.1 Too many rcpts"),                     true),
            ("a general status",          reply(451, Some(Status(4, 3, 0)), "too many recipients"),     true),
            ("a full mailbox",            reply(552, Some(Status(5, 2, 2)), "mailbox full"),            false),
            ("a full disk",               reply(452, Some(Status(4, 3, 1)), "no space"),                false),
            ("policy",                    reply(550, Some(Status(5, 7, 1)), "too many recipients"),     false),
            ("too many of other things",  reply(451, None, "too many connections"),                     false),
            ("unknown",                   reply(550, Some(Status(5, 1, 1)), "unknown recipient"),       false),
        ];
        for (shows, reply, expected) in cases {
            assert_eq!(means_too_many(&reply), expected, "{shows}");
        }
    }
}
