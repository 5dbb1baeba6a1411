//! Who may send where: every known trick, for every kind of client.

use std::net::IpAddr;

use postern_mail::{Domain, ForwardPath, ParseOptions};
use postern_policy::DomainSet;
use postern_policy::Verdict;
use postern_policy::relay::{
    CertificateFacts, CertificateRule, RelayFacts, RelayReason, RelayRefusal, RelayRules, RelayVerdict, relay,
};
use proptest::prelude::*;

const STRANGER: [u8; 4] = [203, 0, 113, 9];
const NEIGHBOUR: [u8; 4] = [192, 0, 2, 9];

fn set(patterns: &[&str]) -> DomainSet {
    DomainSet::new(patterns).expect("patterns of the test")
}

fn rules() -> RelayRules {
    RelayRules {
        local_domains: set(&["local.example", "*.sub.example", "bücher.example"]),
        relay_domains: set(&["relay.example"]),
        alias_domains: set(&["alias.example"]),
        networks: ["192.0.2.0/24", "2001:db8::/32"]
            .map(|net| net.parse().expect("a network of the test"))
            .to_vec(),
        certificates: vec![
            CertificateRule {
                name: "nothing".into(),
                ..CertificateRule::default()
            },
            CertificateRule {
                name: "branch office".into(),
                issuer: Some("CN=Our CA".into()),
                ..CertificateRule::default()
            },
        ],
        login_relays: true,
        address_literals: true,
        literal_domain: None,
    }
}

fn certificate() -> CertificateFacts {
    CertificateFacts {
        subject: "CN=mail.branch.example".into(),
        issuer: "CN=Our CA".into(),
        fingerprint: "ab".repeat(32),
    }
}

fn recipient(text: &str) -> ForwardPath {
    ForwardPath::parse(
        text,
        &ParseOptions {
            utf8: true,
            ..ParseOptions::default()
        },
    )
    .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn stranger(recipient: &ForwardPath) -> RelayFacts<'_> {
    RelayFacts {
        peer: STRANGER.into(),
        login: None,
        login_trusted: true,
        local_user: None,
        certificate: None,
        recipient,
        own_literal: false,
        listener_allows_strangers: true,
        listener_offers_login: true,
    }
}

/// The rule that decides, and the resulting mailbox.
fn decide(facts: &RelayFacts<'_>, rules: &RelayRules) -> (&'static str, String) {
    let verdict = relay(facts, rules);
    let mailbox = match &verdict {
        RelayVerdict::Local { recipient } => recipient.to_string(),
        RelayVerdict::RelayDomain { recipient } | RelayVerdict::Relay { recipient, .. } => {
            format!("<{recipient}>")
        }
        RelayVerdict::Refuse(refusal) => {
            let (code, status, words) = refusal.told();
            format!("{code} {status} {words}")
        }
    };
    (verdict.rule().name(), mailbox)
}

#[test]
fn strangers_and_users() {
    const DENIED: &str = "550 5.7.1 Relaying denied";
    const LOCAL: &str = "local.recipient";
    const RELAY: &str = "relay.domain";
    const LOGIN: &str = "relay.login";
    #[rustfmt::skip]
    let cases = [
        // what the case shows                   recipient                                a stranger: rule            and mailbox or reply             a login: rule, and mailbox
        ("own domain",                           "<user@local.example>",                  LOCAL,                      "<user@local.example>",          LOCAL, "<user@local.example>"),
        ("own domain in capitals",               "<User@LOCAL.Example>",                  LOCAL,                      "<User@local.example>",          LOCAL, "<User@local.example>"),
        ("own domain with a trailing dot",       "<user@local.example.>",                 LOCAL,                      "<user@local.example>",          LOCAL, "<user@local.example>"),
        ("below an own wildcard",                "<user@a.sub.example>",                  LOCAL,                      "<user@a.sub.example>",          LOCAL, "<user@a.sub.example>"),
        ("own domain, internationalised",        "<user@BÜCHER.example>",                 LOCAL,                      "<user@xn--bcher-kva.example>",  LOCAL, "<user@xn--bcher-kva.example>"),
        ("postmaster of this host",              "<Postmaster>",                          LOCAL,                      "<postmaster>",                  LOCAL, "<postmaster>"),
        ("relay domain",                         "<user@relay.example>",                  RELAY,                      "<user@relay.example>",          RELAY, "<user@relay.example>"),
        ("route that ends here",                 "<@outside.example:user@local.example>", LOCAL,                      "<user@local.example>",          LOCAL, "<user@local.example>"),
        ("outside",                              "<user@outside.example>",                "relay.denied",             DENIED,                          LOGIN, "<user@outside.example>"),
        ("outside in capitals",                  "<USER@OUTSIDE.EXAMPLE>",                "relay.denied",             DENIED,                          LOGIN, "<USER@outside.example>"),
        ("outside with a trailing dot",          "<user@outside.example.>",               "relay.denied",             DENIED,                          LOGIN, "<user@outside.example>"),
        ("the wildcard's own name is not in it", "<user@sub.example>",                    "relay.denied",             DENIED,                          LOGIN, "<user@sub.example>"),
        ("own domain as the end of a name",      "<user@notlocal.example>",               "relay.denied",             DENIED,                          LOGIN, "<user@notlocal.example>"),
        ("own domain as the start of a name",    "<user@local.example.outside.example>",  "relay.denied",             DENIED,                          LOGIN, "<user@local.example.outside.example>"),
        ("host in an own domain",                "<user@www.local.example>",              "relay.denied",             DENIED,                          LOGIN, "<user@www.local.example>"),
        ("percent hack",                         "<user%outside.example@local.example>",  "relay.percent-hack",       DENIED,                          LOCAL, "<user%outside.example@local.example>"),
        ("percent hack twice",                   "<u%a.example%b.example@local.example>", "relay.percent-hack",       DENIED,                          LOCAL, "<u%a.example%b.example@local.example>"),
        ("percent hack in quotes",               "<\"u%outside.example\"@local.example>", "relay.percent-hack",       DENIED,                          LOCAL, "<\"u%outside.example\"@local.example>"),
        ("percent hack escaped in quotes",       "<\"u\\%outside.example\"@local.example>", "relay.percent-hack",     DENIED,                          LOCAL, "<\"u\\%outside.example\"@local.example>"),
        ("percent hack in wide letters",         "<u\u{ff05}outside.example@local.example>", "relay.percent-hack",    DENIED,                          LOCAL, "<u\u{ff05}outside.example@local.example>"),
        ("percent hack by a relay domain",       "<u%outside.example@relay.example>",     "relay.percent-hack",       DENIED,                          RELAY, "<u%outside.example@relay.example>"),
        ("percent hack by an outside host",      "<u%local.example@outside.example>",     "relay.denied",             DENIED,                          LOGIN, "<u%local.example@outside.example>"),
        ("bang path",                            "<outside.example!user@local.example>",  "relay.bang-path",          DENIED,                          LOCAL, "<outside.example!user@local.example>"),
        ("bang path of several hosts",           "<a!b!user@local.example>",              "relay.bang-path",          DENIED,                          LOCAL, "<a!b!user@local.example>"),
        ("bang path in quotes",                  "<\"outside!user\"@local.example>",      "relay.bang-path",          DENIED,                          LOCAL, "<\"outside!user\"@local.example>"),
        ("bang path by a relay domain",          "<outside!user@relay.example>",          "relay.bang-path",          DENIED,                          RELAY, "<outside!user@relay.example>"),
        ("two bangs in one letter",              "<outside\u{203c}user@local.example>",   "relay.bang-path",          DENIED,                          LOCAL, "<outside\u{203c}user@local.example>"),
        ("quoted address",                       "<\"user@outside.example\"@local.example>", "relay.quoted-address",  DENIED,                          LOCAL, "<\"user@outside.example\"@local.example>"),
        ("quoted and escaped at sign",           "<\"user\\@outside.example\"@local.example>", "relay.quoted-address", DENIED,                         LOCAL, "<\"user\\@outside.example\"@local.example>"),
        ("quoted address by a relay domain",     "<\"user@outside.example\"@relay.example>", "relay.quoted-address",  DENIED,                          RELAY, "<\"user@outside.example\"@relay.example>"),
        ("quoted source route",                  "<\"@a.example:u@b.example\"@local.example>", "relay.quoted-address", DENIED,                         LOCAL, "<\"@a.example:u@b.example\"@local.example>"),
        ("at sign in wide letters",              "<user\u{ff20}outside.example@local.example>", "relay.quoted-address", DENIED,                        LOCAL, "<user\u{ff20}outside.example@local.example>"),
        ("source route",                         "<@local.example:user@outside.example>", "relay.source-route",       DENIED,                          LOGIN, "<user@outside.example>"),
        ("source route of several hosts",        "<@local.example,@relay.example:u@o.example>", "relay.source-route", DENIED,                          LOGIN, "<u@o.example>"),
        ("source route and percent hack",        "<@local.example:u%o.example@local.example>", "relay.percent-hack",  DENIED,                          LOCAL, "<u%o.example@local.example>"),
        ("source route by our own address",      "<@[192.0.2.1]:user@outside.example>",   "relay.source-route",       DENIED,                          LOGIN, "<user@outside.example>"),
        ("address literal",                      "<user@[198.51.100.1]>",                 "relay.address-literal",    DENIED,                          LOGIN, "<user@[198.51.100.1]>"),
        ("address literal of loopback",          "<user@[127.0.0.1]>",                    "relay.address-literal",    DENIED,                          LOGIN, "<user@[127.0.0.1]>"),
        ("address literal of a listed network",  "<user@[192.0.2.1]>",                    "relay.address-literal",    DENIED,                          LOGIN, "<user@[192.0.2.1]>"),
        ("IPv6 literal",                         "<user@[IPv6:2001:db8::1]>",             "relay.address-literal",    DENIED,                          LOGIN, "<user@[IPv6:2001:db8::1]>"),
        ("percent hack by a literal",            "<u%outside.example@[127.0.0.1]>",       "relay.address-literal",    DENIED,                          LOGIN, "<u%outside.example@[127.0.0.1]>"),
        ("source route to a literal",            "<@local.example:u@[127.0.0.1]>",        "relay.address-literal",    DENIED,                          LOGIN, "<u@[127.0.0.1]>"),
        ("internationalised, outside",           "<user@straße.example>",                 "relay.denied",             DENIED,                          LOGIN, "<user@xn--strae-oqa.example>"),
        ("wide dots, outside",                   "<user@local.example\u{3002}outside>",   "relay.denied",             DENIED,                          LOGIN, "<user@local.example.outside>"),
        ("single label",                         "<user@localhost>",                      "relay.denied",             DENIED,                          LOGIN, "<user@localhost>"),
        ("postmaster elsewhere",                 "<postmaster@outside.example>",          "relay.denied",             DENIED,                          LOGIN, "<postmaster@outside.example>"),
    ];
    for (shows, text, rule, outcome, login_rule, login_mailbox) in cases {
        let recipient = recipient(text);
        let facts = stranger(&recipient);
        assert_eq!(
            decide(&facts, &rules()),
            (rule, outcome.to_owned()),
            "{shows}, stranger"
        );
        let user = RelayFacts {
            login: Some("acaird"),
            ..facts
        };
        assert_eq!(
            decide(&user, &rules()),
            (login_rule, login_mailbox.to_owned()),
            "{shows}, login"
        );
    }
}

#[test]
fn address_literals_for_who_may_relay() {
    let local = Domain::Name("local.example".into());
    let off = ("relay.literals-off", "550 5.1.2");
    #[rustfmt::skip]
    let cases = [
        // what the case shows              ours   literals  stands for             the rule, and the mailbox or the reply
        ("of another host, off",            false, false, Some(local.clone()),      off),
        ("of another host, on",             false, true,  Some(local.clone()),      ("relay.login", "<user@[192.0.2.1]>")),
        ("ours",                            true,  false, Some(local.clone()),      ("local.recipient", "<user@local.example>")),
        ("ours, and the others are on",     true,  true,  Some(local),              ("local.recipient", "<user@local.example>")),
        ("ours, and there is no domain",    true,  false, None,                     off),
    ];
    let recipient = recipient("<user@[192.0.2.1]>");
    for (shows, own_literal, address_literals, literal_domain, (rule, outcome)) in cases {
        let rules = RelayRules {
            address_literals,
            literal_domain,
            ..rules()
        };
        let stranger = RelayFacts {
            own_literal,
            ..stranger(&recipient)
        };
        let user = RelayFacts {
            login: Some("acaird"),
            ..stranger
        };
        let (decided, came_out) = decide(&user, &rules);
        assert!(
            decided == rule && came_out.starts_with(outcome),
            "{shows}: {decided} {came_out}"
        );
        assert_eq!(decide(&stranger, &rules).0, "relay.address-literal", "{shows}");
    }
}

#[test]
fn tricks_that_are_no_address_do_not_get_as_far_as_relaying() {
    for text in [
        "<user@outside.example@local.example>",
        "<user@local.example@outside.example>",
        "<user@local.example%outside.example>",
        "<user@local.example,user@outside.example>",
        "<user@local.example> <user@outside.example>",
        "<user@local.example:25>",
        "<user@127.0.0.1>",
        "<user@[outside.example]>",
        "<outside.example!user>",
        "<user%outside.example>",
        "<outside::user>",
        "<@local.example>",
        "<user@>",
        "<user@local.example\0.outside.example>",
        "<user@local.example\r\nRCPT TO:<user@outside.example>>",
        "<user@outside.example#local.example>",
        "<user@outside.example/local.example>",
    ] {
        let read = ForwardPath::parse(
            text,
            &ParseOptions {
                utf8: true,
                ..ParseOptions::default()
            },
        );
        assert!(read.is_err(), "{text} was read as {read:?}");
    }
}

#[test]
fn every_reason_to_relay() {
    let outside = recipient("<user@outside.example>");
    let certificate = certificate();
    let other = CertificateFacts {
        issuer: "CN=Their CA".into(),
        ..certificate.clone()
    };
    let facts = stranger(&outside);
    let network = |text: &str| Some(RelayReason::Network(text.parse().unwrap()));
    let branch = Some(RelayReason::Certificate("branch office".into()));
    let from = |peer: &str| RelayFacts {
        peer: peer.parse::<IpAddr>().unwrap(),
        ..facts
    };
    let neighbour = RelayFacts {
        peer: NEIGHBOUR.into(),
        ..facts
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows               facts                                                         reason
        ("none",                             facts,                                                        None),
        ("login",                            RelayFacts { login: Some("acaird"), ..facts },                Some(RelayReason::Login)),
        ("listed network",                   neighbour,                                                    network("192.0.2.0/24")),
        ("just outside it",                  from("192.0.3.0"),                                            None),
        ("listed network of IPv6",           from("2001:db8:5::1"),                                        network("2001:db8::/32")),
        ("IPv4 mapped into IPv6",            from("::ffff:192.0.2.9"),                                     network("192.0.2.0/24")),
        ("loopback is nobody special",       from("127.0.0.1"),                                            None),
        ("certificate",                      RelayFacts { certificate: Some(&certificate), ..facts },      branch),
        ("certificate of another CA",        RelayFacts { certificate: Some(&other), ..facts },            None),
        ("a user of this machine",           RelayFacts { local_user: Some("anna"), ..neighbour },         Some(RelayReason::Local("anna".into()))),
        ("login comes first",                RelayFacts { login: Some("acaird"), ..neighbour },            Some(RelayReason::Login)),
    ];
    for (shows, facts, reason) in cases {
        let expected = reason
            .clone()
            .map_or(RelayVerdict::Refuse(RelayRefusal::Denied), |reason| {
                RelayVerdict::Relay {
                    recipient: "user@outside.example".parse().unwrap(),
                    reason,
                }
            });
        let verdict = relay(&facts, &rules());
        assert_eq!(verdict, expected, "{shows}");
        if let Some(reason) = reason {
            assert_eq!(verdict.rule(), reason.rule(), "{shows}");
        }
    }
}

#[test]
fn a_submission_listener_takes_nothing_from_strangers() {
    for text in [
        "<user@local.example>",
        "<user@relay.example>",
        "<user@outside.example>",
        "<postmaster>",
        "<u%o@local.example>",
    ] {
        let recipient = recipient(text);
        let facts = RelayFacts {
            listener_allows_strangers: false,
            ..stranger(&recipient)
        };
        let expected = (
            "relay.login-required",
            "530 5.7.0 Authentication required".to_owned(),
        );
        assert_eq!(decide(&facts, &rules()), expected, "{text}");
        let without_auth = RelayFacts {
            listener_offers_login: false,
            ..facts
        };
        let expected = ("relay.unlisted", "550 5.7.1 Relaying denied".to_owned());
        assert_eq!(decide(&without_auth, &rules()), expected, "{text}");
        for trusted in [
            RelayFacts {
                login: Some("acaird"),
                ..facts
            },
            RelayFacts {
                peer: NEIGHBOUR.into(),
                ..facts
            },
        ] {
            assert!(
                !matches!(relay(&trusted, &rules()), RelayVerdict::Refuse(_)),
                "{text}"
            );
        }
    }
}

#[test]
fn a_login_that_is_not_trusted_reaches_own_domains_alone() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows     recipient                        rule
        ("own domain",             "<user@local.example>",          "local.recipient"),
        ("outside",                "<user@outside.example>",        "relay.login-untrusted"),
        ("percent hack",           "<u%o.example@local.example>",   "relay.percent-hack"),
    ];
    for (shows, text, rule) in cases {
        let recipient = recipient(text);
        let facts = RelayFacts {
            login: Some("acaird"),
            login_trusted: false,
            listener_allows_strangers: false,
            ..stranger(&recipient)
        };
        assert_eq!(relay(&facts, &rules()).rule().name(), rule, "{shows}");
        let neighbour = RelayFacts {
            peer: NEIGHBOUR.into(),
            ..facts
        };
        assert!(
            !matches!(relay(&neighbour, &rules()), RelayVerdict::Refuse(_)),
            "{shows}: another reason holds"
        );
    }
}

#[test]
fn where_logins_may_not_relay_they_are_strangers_who_may_submit() {
    let rules = RelayRules {
        login_relays: false,
        ..rules()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows     recipient                        rule
        ("own domain",             "<user@local.example>",          "local.recipient"),
        ("outside",                "<user@outside.example>",        "relay.denied"),
        ("percent hack",           "<u%o.example@local.example>",   "relay.percent-hack"),
    ];
    for (shows, text, rule) in cases {
        let recipient = recipient(text);
        let facts = RelayFacts {
            login: Some("acaird"),
            listener_allows_strangers: false,
            ..stranger(&recipient)
        };
        assert_eq!(relay(&facts, &rules).rule().name(), rule, "{shows}");
    }
}

#[test]
fn no_rule_makes_an_open_relay() {
    let open = RelayRules {
        local_domains: set(&["*"]),
        relay_domains: set(&["*"]),
        networks: ["0.0.0.0/0", "::/0", "128.0.0.0/1", "2000::/3"]
            .map(|network| network.parse().unwrap())
            .to_vec(),
        certificates: vec![CertificateRule::default()],
        login_relays: true,
        ..RelayRules::default()
    };
    let certificate = certificate();
    let outside = recipient("<user@outside.example>");
    for peer in [IpAddr::from(STRANGER), "2001:db8::1".parse().unwrap()] {
        let facts = RelayFacts {
            peer,
            certificate: Some(&certificate),
            ..stranger(&outside)
        };
        assert_eq!(relay(&facts, &open), RelayVerdict::Refuse(RelayRefusal::Denied));
        let nothing = relay(&facts, &RelayRules::default());
        assert_eq!(
            nothing,
            RelayVerdict::Refuse(RelayRefusal::Denied),
            "no rules, no relaying"
        );
    }
}

#[test]
fn certificates_match_by_all_that_a_rule_names() {
    let facts = CertificateFacts {
        subject: "CN=mail.branch.example,O=Branch\\, Inc.,C=US".into(),
        issuer: "CN=Our CA,O=Head,C=US".into(),
        fingerprint: "0a1b".repeat(16),
    };
    let colons = ["0A:1B"; 16].join(":");
    let some = |text: &str| Some(text.to_owned());
    #[rustfmt::skip]
    let cases = [
        // what the case shows             issuer                             subject                                             fingerprint                    matches
        ("issuer",                         some("CN=Our CA,O=Head,C=US"),     None,                                               None,                          true),
        ("blanks and case of types",       some("cn=Our CA, o = Head , C=US"), None,                                              None,                          true),
        ("case of values",                 some("CN=our ca,O=Head,C=US"),     None,                                               None,                          false),
        ("part of the issuer",             some("CN=Our CA"),                 None,                                               None,                          false),
        ("more than the issuer",           some("CN=Our CA,O=Head,C=US,L=X"), None,                                               None,                          false),
        ("subject with a quoted comma",    None,                              some("CN=mail.branch.example,O=Branch\\, Inc.,C=US"), None,                        true),
        ("that comma splits nothing",      None,                              some("CN=mail.branch.example,O=Branch\\,Inc.,C=US"), None,                         false),
        ("fingerprint",                    None,                              None,                                               some(&"0a1b".repeat(16)),      true),
        ("with colons and capitals",       None,                              None,                                               some(&colons),                 true),
        ("half a fingerprint",             None,                              None,                                               some(&"0a1b".repeat(8)),       false),
        ("empty fingerprint",              None,                              None,                                               some(""),                      false),
        ("all that is named must match",   some("CN=Our CA,O=Head,C=US"),     some("CN=other"),                                   None,                          false),
        ("nothing named",                  None,                              None,                                               None,                          false),
    ];
    for (shows, issuer, subject, fingerprint, matches) in cases {
        let rule = CertificateRule {
            name: "rule".into(),
            issuer,
            subject,
            fingerprint,
        };
        assert_eq!(rule.matches(&facts), matches, "{shows}");
    }
    let broken = CertificateFacts {
        fingerprint: String::new(),
        ..facts
    };
    let rule = CertificateRule {
        fingerprint: some(""),
        ..CertificateRule::default()
    };
    assert!(!rule.matches(&broken), "nothing does not equal nothing");
}

proptest! {
    /// Whatever a stranger writes, accepted mail goes to an own or relay domain, and no local part could be read as an address.
    #[test]
    fn strangers_reach_own_domains_only(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "user", "outside.example", "local.example", "relay.example", "a.sub.example", "@", "%", "!", "\"", "\\", ":", ",",
                ".", "[192.0.2.1]", "[IPv6:::1]", "\u{ff05}", "\u{ff20}", "\u{3002}", "\u{ff0e}", "\u{ad}", "LOCAL.EXAMPLE", " ",
            ]),
            1..9,
        ),
        utf8: bool,
    ) {
        let text = format!("<{}>", parts.concat());
        let Ok(path) = ForwardPath::parse(&text, &ParseOptions { utf8, ..ParseOptions::default() }) else {
            return Ok(());
        };
        let rules = rules();
        let mailbox = match relay(&stranger(&path), &rules) {
            RelayVerdict::Refuse(refusal) => {
                prop_assert_eq!(refusal.told().0, 550);
                return Ok(());
            }
            RelayVerdict::Relay { .. } => return Err(TestCaseError::fail(format!("{text} was relayed"))),
            RelayVerdict::Local { recipient: ForwardPath::Postmaster } => return Ok(()),
            RelayVerdict::Local { recipient: ForwardPath::Mailbox { mailbox, .. } } => mailbox,
            RelayVerdict::RelayDomain { recipient } => recipient,
        };
        let domain = mailbox.domain().name().expect("no literal is ours");
        let own = domain == "local.example" || domain == "relay.example" || domain.ends_with(".sub.example");
        prop_assert!(own, "{} reached {}", text, mailbox);
        prop_assert!(!mailbox.unquoted_local().contains(['@', '%', '!']), "{} reached {}", text, mailbox);
    }
}
