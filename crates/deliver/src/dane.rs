//! What DNS says about a host's certificate: its TLSA records, looked up where they count (RFC 7672 section 2.2).

use std::time::Duration;

use postern_mail::Proof;
use postern_net::resolver::{Proven, ResolveError, Resolver, TlsaRecord};
use postern_net::tls::TlsaSet;
use postern_policy::transport::Tlsa;
use tokio::time::timeout;

/// What is known about a host's TLSA records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// What follows from them.
    pub(crate) tlsa: Tlsa,
    /// The usable ones, with their base name, which is sent as SNI (RFC 7672 section 3.2.1).
    pub(crate) named: Option<(TlsaSet, String)>,
    /// Whether they are bogus.
    pub(crate) bogus: bool,
}

/// Looks up the records of `host`, whose addresses are proven: first at the name to which its CNAMEs lead, if there are any (RFC
/// 7672 section 2.2.2).
pub(crate) async fn look(
    resolver: &Resolver,
    host: &str,
    canonical: Option<&str>,
    port: u16,
    limit: Duration,
) -> Known {
    for base in canonical.into_iter().chain([host]) {
        let Ok(answer) = timeout(limit, resolver.tlsa(base, port)).await else {
            let why = format!("looking them up took over {} s", limit.as_secs());
            return Known::unknown(why, false);
        };
        if let Some(known) = read(base, answer) {
            return known;
        }
    }
    Known {
        tlsa: Tlsa::None,
        ..Known::default()
    }
}

/// The meaning of an answer; `None` for no proven records, so that another name is tried.
fn read(base: &str, answer: Proven<Result<Vec<TlsaRecord>, ResolveError>>) -> Option<Known> {
    match (answer.found, answer.proof) {
        (Ok(records), Proof::Secure) => Some(match TlsaSet::read(&records) {
            Some(set) => Known {
                tlsa: Tlsa::Usable,
                named: Some((set, base.to_owned())),
                bogus: false,
            },
            None => Known {
                tlsa: Tlsa::Unusable,
                ..Known::default()
            },
        }),
        (Ok(_), Proof::Insecure) => None,
        // No answer is treated like a bogus one (RFC 7672 section 2.1.1).
        (Ok(_), proof) => Some(Known::unknown(
            format!("what the DNS has of them is {proof}"),
            proof == Proof::Bogus,
        )),
        (Err(error), proof) if error.is_temporary() => {
            Some(Known::unknown(error.to_string(), proof == Proof::Bogus))
        }
        (Err(_), _) => None,
    }
}

impl Known {
    fn unknown(why: String, bogus: bool) -> Self {
        Self {
            tlsa: Tlsa::Unknown(why),
            named: None,
            bogus,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_mean() {
        let of = |usage| {
            vec![TlsaRecord {
                usage,
                selector: 1,
                matching: 1,
                data: vec![1; 32],
            }]
        };
        let (name, denied) = ("_25._tcp.mx.test".to_owned(), || {
            Err(ResolveError::NoData("x".to_owned()))
        });
        let unknown = |known: &Known| matches!(known.tlsa, Tlsa::Unknown(_));
        let read = |found, proof| {
            let known = read(
                "mx.test",
                Proven {
                    found,
                    proof,
                    canonical: None,
                },
            );
            known.map(|known| {
                assert_eq!(known.named.is_some(), known.tlsa == Tlsa::Usable);
                if unknown(&known) {
                    "unknown"
                } else if known.tlsa == Tlsa::Usable {
                    "usable"
                } else {
                    "unusable"
                }
            })
        };
        #[rustfmt::skip]
        let cases = [
            // what the case shows           found                                         proof                  meaning
            ("proven",                       Ok(of(3)),                                    Proof::Secure,         Some("usable")),
            ("proven, of another use",       Ok(of(1)),                                    Proof::Secure,         Some("unusable")),
            ("not proven",                   Ok(of(3)),                                    Proof::Insecure,       None),
            ("nobody can say",               Ok(of(3)),                                    Proof::Indeterminate,  Some("unknown")),
            ("none, proven",                 denied(),                                     Proof::Secure,         None),
            ("none, not proven",             denied(),                                     Proof::Insecure,       None),
            ("tampered with",                Err(ResolveError::Bogus(name.clone())),       Proof::Bogus,          Some("unknown")),
            ("no answer",                    Err(ResolveError::Temporary { name, reason: "x".to_owned() }), Proof::Indeterminate, Some("unknown")),
        ];
        for (shows, found, proof, meaning) in cases {
            assert_eq!(read(found, proof), meaning, "{shows}");
        }
    }
}
