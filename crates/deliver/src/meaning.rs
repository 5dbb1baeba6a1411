//! Which enhanced status (RFC 3463) to assign to a refusal without one, from what the host said. No I/O.
//!
//! Senders, their mail programs and list managers act on a status: `5.1.1` removes an address from a list. So nothing is claimed
//! that the host did not say: the text comes first, then the code if it has a single meaning, and `x.0.0` if neither says
//! anything.

use postern_mail::Status;
use postern_smtp::Reply;
use postern_smtp::client::Stage;

/// Subject and detail of a status; the class comes from the code.
type Meaning = (u16, u16);

/// The status of a refusal: the host's own if it agrees with the class of the code, or else what code, text and stage say.
///
/// Whatever is not `5xx` counts as temporary.
pub(crate) fn status_of(stage: Stage, reply: &Reply) -> Status {
    let class = if reply.is_permanent() { 5 } else { 4 };
    if let Some(own) = reply.status.or_else(|| status_in(&reply.text))
        && own.0 == class
    {
        return own;
    }
    let text = reply.text.to_ascii_lowercase();
    let (subject, detail) = by_certain_code(reply.code)
        .or_else(|| by_words(stage, &text))
        .or_else(|| by_code(stage, reply.code))
        .unwrap_or_else(|| by_stage(stage, reply));
    Status(class, subject, detail)
}

/// A status in the text, as in `#5.1.0 Address rejected` or `rejected (5.7.1)`.
fn status_in(text: &str) -> Option<Status> {
    text.split_whitespace().find_map(|word| {
        let marked = word.starts_with(['#', '(', '[']);
        let digits = word
            .trim_start_matches(['#', '(', '['])
            .trim_end_matches([')', ']', ',', ';', ':', '.']);
        let mut parts = digits.split('.').map(|part| {
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        });
        let status = (parts.next()??, parts.next()??, parts.next()??);
        let class = u8::try_from(status.0)
            .ok()
            .filter(|class| matches!(class, 4 | 5))?;
        (marked && parts.next().is_none()).then_some(Status(class, status.1, status.2))
    })
}

/// Codes with a single meaning, whatever their text.
fn by_certain_code(code: u16) -> Option<Meaning> {
    Some(match code {
        530 => (7, 0),  // authentication is required (RFC 4954 section 6)
        534 => (7, 9),  // the mechanism is too weak
        535 => (7, 8),  // the credentials are not valid
        538 => (7, 11), // the mechanism needs encryption
        454 => (7, 0),  // TLS or authentication not available now (RFC 3207 section 4)
        551 => (1, 6),  // the user has moved away (RFC 5321 section 3.4)
        556 => (1, 10), // the domain accepts no mail (RFC 7504)
        521 => (3, 2),  // the host accepts no mail (RFC 7504)
        571 => (7, 1),  // in no RFC, but in use for this
        _ => return None,
    })
}

/// A group of phrases with one meaning; a phrase of several parts needs all of them.
struct Phrases {
    means: Meaning,
    any: &'static [&'static [&'static str]],
}

/// Phrases with the same meaning at every stage, in order of precedence: the more precise come first.
const ANYWHERE: &[Phrases] = &[
    Phrases {
        means: (5, 3),
        any: &[&["too many recipients"], &["too many rcpt"]],
    },
    Phrases {
        means: (4, 6),
        any: &[
            &["too many hops"],
            &["mail loop"],
            &["routing loop"],
            &["loops back"],
            &["mail is looping"],
        ],
    },
    Phrases {
        means: (7, 0),
        any: &[
            &["authentication", "required"],
            &["authentication", "needed"],
            &["must authenticate"],
            &["be authenticated"],
            &["not authenticated"],
            &["unauthenticated"],
            &["authenticate first"],
            &["login required"],
            &["log in first"],
            &["must issue a starttls"],
            &["encryption required"],
            &["tls", "required"],
        ],
    },
    Phrases {
        means: (7, 1),
        any: &[
            &["relaying"],
            &["relay access"],
            &["relay denied"],
            &["relay prohibited"],
            &["relay not"],
            &["relay is not"],
            &["to relay"],
            &["not relay"],
            &["no relay"],
            &["relay for"],
            &["rcpthosts"],
            &["greylist"],
            &["graylist"],
            &["grey listed"],
            &["grey-list"],
            &["not a local domain"],
        ],
    },
    Phrases {
        means: (2, 2),
        any: &[
            &["mailbox", "full"],
            &["over quota"],
            &["overquota"],
            &["quota", "exceed"],
            &["quota", "full"],
            &["exceed", "storage"],
            &["mailbox", "size limit"],
            &["out of", "quota"],
            &["inbox", "full"],
        ],
    },
    Phrases {
        means: (2, 1),
        any: &[
            &["mailbox", "disabled"],
            &["account", "disabled"],
            &["user", "disabled"],
            &["account", "inactive"],
            &["mailbox", "inactive"],
            &["account", "suspended"],
            &["mailbox", "suspended"],
            &["account", "closed"],
            &["account", "deactivated"],
        ],
    },
    Phrases {
        means: (3, 4),
        any: &[
            &["message", "too large"],
            &["message", "too big"],
            &["message", "too long"],
            &["message size"],
            &["size limit"],
            &["maximum size"],
            &["exceeds", "size"],
        ],
    },
    Phrases {
        means: (3, 1),
        any: &[
            &["insufficient", "storage"],
            &["insufficient", "disk"],
            &["disk", "full"],
            &["no space left"],
        ],
    },
];

/// Phrases about the recipient, if one was named.
const OF_RECIPIENT: &[Phrases] = &[
    Phrases {
        means: (1, 8),
        any: &[
            &["sender", "domain", "not found"],
            &["sender", "domain", "not exist"],
            &["sender", "domain", "unresolv"],
        ],
    },
    Phrases {
        means: (1, 0),
        any: &[
            &["sender", "reject"],
            &["sender", "verif"],
            &["sender", "invalid"],
        ],
    },
    Phrases {
        means: (1, 2),
        any: &[
            &["domain not found"],
            &["domain", "not exist"],
            &["unknown domain"],
            &["no such domain"],
            &["unrouteable"],
            &["unroutable"],
        ],
    },
    Phrases {
        means: (1, 1),
        any: &[
            &["user", "unknown"],
            &["unknown", "user"],
            &["unknown", "recipient"],
            &["recipient", "unknown"],
            &["unknown mailbox"],
            &["mailbox unknown"],
            &["unknown", "address"],
            &["address", "unknown"],
            &["unknown local"],
            &["no such user"],
            &["no such recipient"],
            &["no such mailbox"],
            &["no such address"],
            &["no such account"],
            &["no such person"],
            &["no mailbox"],
            &["not exist"],
            &["doesn't exist"],
            &["doesn't have", "account"],
            &["user", "not found"],
            &["recipient", "not found"],
            &["mailbox", "not found"],
            &["account", "not found"],
            &["invalid recipient"],
            &["invalid mailbox"],
            &["not a valid mailbox"],
            &["not a valid user"],
            &["not a known user"],
        ],
    },
    Phrases {
        means: (1, 3),
        any: &[
            &["bad", "address", "syntax"],
            &["malformed address"],
            &["invalid address"],
        ],
    },
];

/// Phrases about the sender, if one was named.
const OF_SENDER: &[Phrases] = &[
    Phrases {
        means: (1, 8),
        any: &[
            &["domain", "not found"],
            &["domain", "not exist"],
            &["doesn't exist"],
            &["unknown domain"],
            &["no such domain"],
            &["unresolv"],
        ],
    },
    Phrases {
        means: (1, 7),
        any: &[
            &["bad", "sender", "syntax"],
            &["malformed", "sender"],
            &["invalid", "sender", "address"],
        ],
    },
];

/// Phrases about policy, which count last: "access denied: no such user" is about a user.
const OF_POLICY: &[Phrases] = &[Phrases {
    means: (7, 1),
    any: &[
        &["blocked"],
        &["blacklist"],
        &["black list"],
        &["blocklist"],
        &["block list"],
        &["denylist"],
        &["dnsbl"],
        &["spamhaus"],
        &["spamcop"],
        &["listed"],
        &["banned"],
        &["reputation"],
        &["denied"],
        &["not authorized"],
        &["not authorised"],
        &["unauthorized"],
        &["not permitted"],
        &["not allowed"],
        &["prohibited"],
        &["policy"],
        &["spam"],
        &["virus"],
        &["malware"],
        &["phishing"],
        &["dmarc"],
        &["dkim"],
        &["spf"],
        &["unsolicited"],
    ],
}];

fn by_words(stage: Stage, text: &str) -> Option<Meaning> {
    let of_stage = match stage {
        Stage::Recipient | Stage::EndOfData => OF_RECIPIENT,
        Stage::Mail => OF_SENDER,
        _ => &[],
    };
    let mut groups = ANYWHERE.iter().chain(of_stage).chain(OF_POLICY);
    groups.find(|group| group.is_in(text)).map(|group| group.means)
}

impl Phrases {
    fn is_in(&self, text: &str) -> bool {
        self.any
            .iter()
            .any(|parts| parts.iter().all(|part| text.contains(part)))
    }
}

/// The meaning of a code by RFC 5321 section 4.2.3, if the text says no more.
fn by_code(stage: Stage, code: u16) -> Option<Meaning> {
    Some(match code {
        421 => (3, 2),
        450 if stage == Stage::Recipient => (2, 0),
        451 => (3, 0),
        452 => (3, 1),
        500 => (5, 2),
        501 | 504 | 555 => (5, 4),
        502 | 503 => (5, 1),
        552 if stage == Stage::Recipient => (2, 2),
        552 => (3, 4),
        553 => (1, 0),
        _ => return None,
    })
}

fn by_stage(stage: Stage, reply: &Reply) -> Meaning {
    match stage {
        // Neither 4xx nor 5xx: the host is out of sync.
        _ if reply.code < 400 => (5, 0),
        Stage::Auth => (7, 0),
        Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Reset | Stage::Quit => (3, 0),
        Stage::Mail | Stage::Recipient | Stage::Data | Stage::EndOfData => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said() {
        use Stage::{Auth, Data, EndOfData, Greeting, Hello, Mail, Recipient};
        #[rustfmt::skip]
        let cases = [
            // the stage, the reply                                             the status
            // Its own status, if it agrees with the code.
            (Recipient, Reply::fixed(550, Status(5, 1, 6), "moved"),            Status(5, 1, 6)),
            (Data,      Reply::fixed(421, Status(4, 4, 2), "bye"),              Status(4, 4, 2)),
            (Recipient, Reply::fixed(550, Status(5, 2, 1), "no such user"),     Status(5, 2, 1)),
            (EndOfData, Reply::fixed(451, Status(5, 7, 1), "odd"),              Status(4, 3, 0)),
            (Recipient, Reply::bare(550, "#5.7.1 access denied"),               Status(5, 7, 1)),
            (Recipient, Reply::bare(550, "rejected (5.7.26)"),                  Status(5, 7, 26)),
            (Recipient, Reply::bare(450, "#5.1.0 rejected"),                    Status(4, 2, 0)),
            (Recipient, Reply::bare(550, "host 5.1.1 says no"),                 Status(5, 0, 0)),
            (Recipient, Reply::bare(550, "[5.1.2.3] says no"),                  Status(5, 0, 0)),
            // The reply says nothing.
            (Recipient, Reply::bare(550, "no"),                                 Status(5, 0, 0)),
            (Recipient, Reply::bare(550, "mailbox unavailable"),                Status(5, 0, 0)),
            (Recipient, Reply::bare(554, "transaction failed"),                 Status(5, 0, 0)),
            (Mail,      Reply::bare(550, "no"),                                 Status(5, 0, 0)),
            (EndOfData, Reply::bare(554, "rejected"),                           Status(5, 0, 0)),
            (Mail,      Reply::bare(354, "odd"),                                Status(4, 5, 0)),
            // The code says it.
            (Recipient, Reply::bare(530, "Authentication required"),            Status(5, 7, 0)),
            (Mail,      Reply::bare(530, "no such user, maybe"),                Status(5, 7, 0)),
            (Recipient, Reply::bare(535, "bad credentials"),                    Status(5, 7, 8)),
            (Auth,      Reply::bare(534, "too weak"),                           Status(5, 7, 9)),
            (Recipient, Reply::bare(571, "Delivery not authorized"),            Status(5, 7, 1)),
            (Recipient, Reply::bare(521, "no mail here"),                       Status(5, 3, 2)),
            (Greeting,  Reply::bare(556, "no mail here"),                       Status(5, 1, 10)),
            (Recipient, Reply::bare(551, "user not local"),                     Status(5, 1, 6)),
            (Recipient, Reply::bare(503, "Bad sequence of commands"),           Status(5, 5, 1)),
            (Mail,      Reply::bare(501, "what"),                               Status(5, 5, 4)),
            (Mail,      Reply::bare(555, "what"),                               Status(5, 5, 4)),
            (Data,      Reply::bare(500, "what"),                               Status(5, 5, 2)),
            (Recipient, Reply::bare(552, "no"),                                 Status(5, 2, 2)),
            (Mail,      Reply::bare(552, "no"),                                 Status(5, 3, 4)),
            (EndOfData, Reply::bare(552, "no"),                                 Status(5, 3, 4)),
            (Recipient, Reply::bare(553, "no"),                                 Status(5, 1, 0)),
            (Mail,      Reply::bare(553, "bad sender"),                         Status(5, 1, 0)),
            (Mail,      Reply::bare(452, "no"),                                 Status(4, 3, 1)),
            (Greeting,  Reply::bare(421, "busy"),                               Status(4, 3, 2)),
            (Recipient, Reply::bare(450, "later"),                              Status(4, 2, 0)),
            (EndOfData, Reply::bare(451, "local error"),                        Status(4, 3, 0)),
            // The text says it.
            (Recipient, Reply::bare(550, "User unknown"),                       Status(5, 1, 1)),
            (Recipient, Reply::bare(550, "unknown or illegal user"),            Status(5, 1, 1)),
            (Recipient, Reply::bare(550, "no mailbox here by that name"),       Status(5, 1, 1)),
            (Recipient, Reply::bare(550, "access denied: no such user"),        Status(5, 1, 1)),
            (EndOfData, Reply::bare(550, "user does not exist"),                Status(5, 1, 1)),
            (Mail,      Reply::bare(550, "user unknown"),                       Status(5, 0, 0)),
            (Recipient, Reply::bare(550, "domain does not exist"),              Status(5, 1, 2)),
            (Recipient, Reply::bare(450, "Sender address rejected: Domain not found"), Status(4, 1, 8)),
            (Mail,      Reply::bare(553, "domain does not exist"),              Status(5, 1, 8)),
            (Recipient, Reply::bare(554, "Relay access denied"),                Status(5, 7, 1)),
            (Recipient, Reply::bare(553, "relaying denied from your location"), Status(5, 7, 1)),
            (Recipient, Reply::bare(553, "sorry, that domain isn't in my list of allowed rcpthosts"), Status(5, 7, 1)),
            (Recipient, Reply::bare(550, "relay.example.org: user unknown"),    Status(5, 1, 1)),
            (Recipient, Reply::bare(550, "unable to relay for unknown user"),   Status(5, 7, 1)),
            (Recipient, Reply::bare(554, "Service unavailable; client [192.0.2.1] blocked"), Status(5, 7, 1)),
            (Greeting,  Reply::bare(554, "your address is on a blocklist"),     Status(5, 7, 1)),
            (Hello,     Reply::bare(550, "denied"),                             Status(5, 7, 1)),
            (Recipient, Reply::bare(450, "Greylisted, try again later"),        Status(4, 7, 1)),
            (Recipient, Reply::bare(550, "authentication is required"),         Status(5, 7, 0)),
            (Recipient, Reply::bare(552, "Mailbox full"),                       Status(5, 2, 2)),
            (Recipient, Reply::bare(550, "the mailbox is full"),                Status(5, 2, 2)),
            (Recipient, Reply::bare(452, "over quota"),                         Status(4, 2, 2)),
            (EndOfData, Reply::bare(552, "Quota exceeded"),                     Status(5, 2, 2)),
            (Recipient, Reply::bare(550, "account disabled"),                   Status(5, 2, 1)),
            (EndOfData, Reply::bare(552, "message size exceeds fixed limit"),   Status(5, 3, 4)),
            (EndOfData, Reply::bare(554, "message too big"),                    Status(5, 3, 4)),
            (EndOfData, Reply::bare(554, "too many hops"),                      Status(5, 4, 6)),
            (Recipient, Reply::bare(452, "Too many recipients"),                Status(4, 5, 3)),
            (Mail,      Reply::bare(452, "insufficient system storage"),        Status(4, 3, 1)),
            (EndOfData, Reply::bare(554, "spam"),                               Status(5, 7, 1)),
        ];
        for (stage, reply, status) in cases {
            assert_eq!(status_of(stage, &reply), status, "{} at {}", reply, stage.name());
        }
    }
}
