//! Mail for rewritten senders is returned to the original ones, and other mail is not.

use std::sync::Arc;

use jiff::{Span, Timestamp};
use postern_mail::Mailbox;
use postern_policy::DomainSet;
use postern_policy::srs::{LOCAL_MAX, Srs};

use crate::harness::{HOST, Options};

fn srs(secrets: &[&str]) -> Srs {
    Srs {
        domain: HOST.parse().unwrap(),
        secrets: secrets.iter().map(|secret| (*secret).into()).collect(),
        hash_length: 4,
        max_age_days: 21,
        own: DomainSet::new([HOST]).unwrap(),
    }
}

/// The rewritten sender that a server with this secret made this many days ago.
fn made(secret: &str, days: i64, original: &str) -> String {
    let (local, domain) = original.split_once('@').unwrap();
    let original = Mailbox::new(local, domain.parse().unwrap()).unwrap();
    let day = Timestamp::now() - Span::new().hours(24 * days);
    srs(&[secret]).rewrite(&original, day).unwrap().to_string()
}

#[test]
fn reports_find_the_original_sender() {
    let mut options = Options::mx();
    options.settings.srs = Some(Arc::new(srs(&["a new secret", "an old secret"])));
    options.settings.limits.address.rewritten_max = LOCAL_MAX;
    let server = options.start();
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    let long = format!("{}@away.example", "a".repeat(100));
    let ann = "ann@away.example";
    #[rustfmt::skip]
    let cases = [
        // what the case shows            recipient                                            reply         goes to
        ("as we make them",               made("a new secret", 0, ann),                         "250 ",       Some(ann)),
        ("with the secret of before",     made("an old secret", 20, ann),                       "250 ",       Some(ann)),
        ("in small letters",              made("a new secret", 0, ann).to_ascii_lowercase(),    "250 ",       Some(ann)),
        ("a long one",                    made("a new secret", 0, &long),                       "250 ",       Some(&*long)),
        ("with somebody else's secret",   made("another secret", 0, ann),                       "550 5.1.1 ", None),
        ("for somebody else",             made("a new secret", 0, ann).replace("ann", "bob"),   "550 5.1.1 ", None),
        ("an old one",                    made("a new secret", 23, ann),                        "550 5.1.1 ", None),
        ("half of one",                   format!("SRS0=abcd@{HOST}"),                          "550 5.1.1 ", None),
        ("at another domain of ours",     made("a new secret", 0, ann).replace(HOST, "relay.example"), "250 ", None),
    ];
    for (shows, recipient, expected, leads_to) in cases {
        client.say("RSET").unwrap();
        let reply = client.mail("", &[&recipient], "Subject: x\r\n\r\nx\r\n").unwrap();
        assert!(reply.starts_with(expected), "{shows}: {reply}");
        if let Some(leads_to) = leads_to {
            let (message, _) = server.message(&reply);
            let [to] = message.envelope.recipients.as_slice() else {
                panic!("{shows}: {:?}", message.envelope.recipients);
            };
            assert_eq!(to.address.to_string(), leads_to, "{shows}");
            assert_eq!(
                to.orcpt.as_deref(),
                Some(&*format!("rfc822;{recipient}")),
                "{shows}"
            );
        }
    }
}

/// A rewritten address holds another whole address. Other local parts may not be longer because of that.
#[test]
fn long_local_parts_are_for_rewritten_addresses_alone() {
    let mut options = Options::mx();
    options.settings.srs = Some(Arc::new(srs(&["a secret"])));
    options.settings.limits.address.rewritten_max = LOCAL_MAX;
    let server = options.start();
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    let of = |tag: &str, octets: usize| format!("{tag}{}", "a".repeat(octets - tag.len()));
    #[rustfmt::skip]
    let cases = [
        // what the case shows              local part                          reply to MAIL
        ("somebody",                        of("", 64),                         "250 "),
        ("with a longer name",              of("", 65),                         "501 5.1.7 "),
        ("another forwarder's",             of("SRS0=abcd=AA=x.example=", 200), "250 "),
        ("as long as it may be",            of("srs1-", LOCAL_MAX),             "250 "),
        ("an octet more",                   of("SRS0+", LOCAL_MAX + 1),         "501 5.1.7 "),
        ("one that only begins so",         of("SRS0.x", 65),                   "501 5.1.7 "),
    ];
    for (shows, local, expected) in cases {
        let reply = client.say(&format!("MAIL FROM:<{local}@away.example>")).unwrap();
        assert!(reply.starts_with(expected), "{shows}: {reply}");
        client.say("RSET").unwrap();
    }
    let reply = client
        .say(&format!("MAIL FROM:<{}@away.example>", of("", 300)))
        .unwrap();
    assert!(reply.starts_with("501 5.1.7 "), "{reply}");
}

#[test]
fn without_a_secret_they_are_names_like_others() {
    let server = Options::mx().start();
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    client.say("MAIL FROM:<>").unwrap();
    let reply = client
        .say(&format!("RCPT TO:<SRS0=abcd=AA=a.example=b@{HOST}>"))
        .unwrap();
    assert!(
        reply.starts_with("550 5.1.1") && reply.contains("User unknown"),
        "{reply}"
    );
}
