//! Records, clients, and results.

use std::sync::atomic::Ordering;

use postern_mail::Mailbox;
use postern_policy::authenticity::SpfResult;

use super::expand::{MacroString, Place, Values};
use super::*;
use crate::judge::zone::{Zone, now};

fn ask(zone: &Zone, ip: &str, sender: &str) -> Outcome {
    let sender: Option<Mailbox> = (!sender.is_empty()).then(|| sender.parse().unwrap());
    now(check(
        zone,
        &Asked {
            ip: ip.parse().unwrap(),
            helo: "helo.site.example",
            sender: sender.as_ref(),
            receiver: "mx.here.example",
            time: 1_700_000_000,
        },
    ))
}

#[test]
fn records_and_clients() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows                     record                                              client             result
        ("a network",                              "v=spf1 ip4:192.0.2.0/24 -all",                     "192.0.2.9",       "pass"),
        ("not in it",                              "v=spf1 ip4:192.0.2.0/24 -all",                     "198.51.100.1",    "fail"),
        ("the same, mapped into IPv6",             "v=spf1 ip4:192.0.2.0/24 -all",                     "::ffff:192.0.2.9","pass"),
        ("softfail",                               "v=spf1 ~all",                                      "192.0.2.9",       "softfail"),
        ("neutral",                                "v=spf1 ?all",                                      "192.0.2.9",       "neutral"),
        ("nothing matches",                        "v=spf1 ip4:192.0.2.1",                             "192.0.2.9",       "neutral"),
        ("an empty record",                        "v=spf1",                                           "192.0.2.9",       "neutral"),
        ("every address",                          "v=spf1 ip4:0.0.0.0/0 -all",                        "192.0.2.9",       "pass"),
        ("IPv6",                                   "v=spf1 ip6:2001:db8::/32 -all",                    "2001:db8::1",     "pass"),
        ("IPv6 is not IPv4",                       "v=spf1 ip6:::/0 -all",                             "192.0.2.9",       "fail"),
        ("the domain's address",                   "v=spf1 a -all",                                    "192.0.2.10",      "pass"),
        ("near it",                                "v=spf1 a/24 -all",                                 "192.0.2.99",      "pass"),
        ("near it, IPv6",                          "v=spf1 a//64 -all",                                "2001:db8::99",    "pass"),
        ("both lengths",                           "v=spf1 a/8//64 -all",                              "192.9.9.9",       "pass"),
        ("another host's address",                 "v=spf1 a:other.example -all",                      "198.51.100.7",    "pass"),
        ("its mail hosts",                         "v=spf1 mx -all",                                   "192.0.2.20",      "pass"),
        ("case does not matter",                   "V=SPF1 A:OTHER.example -ALL",                      "198.51.100.7",    "pass"),
        ("its name leads back",                    "v=spf1 ptr:other.example -all",                    "198.51.100.7",    "pass"),
        ("a name that does not lead back",         "v=spf1 ptr:other.example -all",                    "198.51.100.8",    "fail"),
        ("exists",                                 "v=spf1 exists:%{ir}.list.example -all",            "192.0.2.9",       "pass"),
        ("does not exist",                         "v=spf1 exists:%{ir}.list.example -all",            "192.0.2.8",       "fail"),
        ("include that passes",                    "v=spf1 include:pass.example -all",                 "192.0.2.9",       "pass"),
        ("include that fails is no match",         "v=spf1 include:fail.example ?all",                 "192.0.2.9",       "neutral"),
        ("include without a record",               "v=spf1 include:nothing.example -all",              "192.0.2.9",       "permerror"),
        ("redirect",                               "v=spf1 redirect=fail.example",                     "192.0.2.9",       "fail"),
        ("redirect without a record",              "v=spf1 redirect=nothing.example",                  "192.0.2.9",       "permerror"),
        ("redirect beside all",                    "v=spf1 ?all redirect=fail.example",                "192.0.2.9",       "neutral"),
        ("redirect before all",                    "v=spf1 redirect=fail.example ?all",                "192.0.2.9",       "neutral"),
        ("an unknown modifier",                    "v=spf1 moo=x:%{d} -all",                           "192.0.2.9",       "fail"),
        ("an unknown mechanism",                   "v=spf1 moo:x -all",                                "192.0.2.9",       "permerror"),
        ("a mistake behind a match",               "v=spf1 ip4:192.0.2.0/24 ip4:moo -all",             "192.0.2.9",       "permerror"),
        ("a mistake behind all",                   "v=spf1 -all ip4:192.0.2.0/33",                     "192.0.2.9",       "permerror"),
        ("a leading zero",                         "v=spf1 a/08 -all",                                 "192.0.2.9",       "permerror"),
        ("no length behind the slash",             "v=spf1 a/ -all",                                   "192.0.2.9",       "permerror"),
        ("all with an argument",                   "v=spf1 all:x.example",                             "192.0.2.9",       "permerror"),
        ("a macro without end",                    "v=spf1 exists:%{i.list.example -all",              "192.0.2.9",       "permerror"),
        ("a macro of explanations",                "v=spf1 exists:%{c}.list.example -all",             "192.0.2.9",       "permerror"),
        ("zero parts of a macro",                  "v=spf1 exists:%{d0}.list.example -all",            "192.0.2.9",       "permerror"),
        ("redirect twice",                         "v=spf1 redirect=a.example redirect=b.example",     "192.0.2.9",       "permerror"),
        ("a top label of digits",                  "v=spf1 a:192.0.2.1 -all",                          "192.0.2.9",       "permerror"),
        ("a name of one label",                    "v=spf1 include:localhost -all",                    "192.0.2.9",       "permerror"),
        ("a version that is longer",               "v=spf10 -all",                                     "192.0.2.9",       "none"),
        ("DNS fails for an address",               "v=spf1 a:broken.example -all",                     "192.0.2.9",       "temperror"),
        ("DNS fails behind a match",               "v=spf1 ip4:192.0.2.9 a:broken.example -all",       "192.0.2.9",       "pass"),
        ("DNS fails for an include",               "v=spf1 include:broken.example -all",               "192.0.2.9",       "temperror"),
        ("DNS fails for a name: no match",         "v=spf1 ptr -all",                                  "203.0.113.5",     "fail"),
        ("two look-ups find nothing",              "v=spf1 a:n1.example a:n2.example -all",            "192.0.2.9",       "fail"),
        ("three do",                               "v=spf1 a:n1.example a:n2.example a:n3.example -all", "192.0.2.9",     "permerror"),
        ("ten look-ups",                           "v=spf1 include:eight.example a:other.example -all", "192.0.2.9",      "fail"),
        ("eleven look-ups",                        "v=spf1 include:eight.example a:other.example a:other.example -all", "192.0.2.9", "permerror"),
        ("endless includes",                       "v=spf1 include:site.example -all",                 "192.0.2.9",       "permerror"),
        ("too many mail hosts",                    "v=spf1 mx:many.example -all",                      "192.0.2.9",       "permerror"),
    ];
    for (shows, record, client, result) in cases {
        let mut zone = Zone::new(
            "site.example A 192.0.2.10
             site.example AAAA 2001:db8::10
             site.example MX mx.site.example
             mx.site.example A 192.0.2.20
             other.example A 198.51.100.7
             198.51.100.7 PTR host.other.example
             host.other.example A 198.51.100.7
             198.51.100.8 PTR host.other.example
             203.0.113.5 PTR SERVFAIL
             9.2.0.192.list.example A 127.0.0.2
             pass.example TXT v=spf1 ip4:192.0.2.0/24 -all
             fail.example TXT v=spf1 -all
             broken.example TXT SERVFAIL
             broken.example A SERVFAIL
             eight.example TXT v=spf1 a:other.example a:other.example a:other.example a:other.example a:other.example a:other.example a:other.example a:other.example ?all",
        );
        for n in 0..11 {
            zone.add("many.example", "MX", &format!("mx{n}.many.example"));
        }
        zone.add("site.example", "TXT", record);
        zone.add("site.example", "TXT", "another=text");
        let outcome = ask(&zone, client, "a@site.example");
        assert_eq!(outcome.result.word(), result, "{shows}: {outcome:?}");
        assert_eq!(outcome.domain, "site.example", "{shows}");
        let error = matches!(outcome.result, SpfResult::TempError | SpfResult::PermError);
        assert!(
            !error || outcome.reason.is_some(),
            "{shows}: an error has a reason"
        );
    }
}

#[test]
fn what_there_is_to_ask() {
    let zone = Zone::new(
        "two.example TXT v=spf1 -all
         two.example TXT v=spf1 +all
         broken.example TXT SERVFAIL
         helo.site.example TXT v=spf1 ip4:192.0.2.1 -all",
    );
    #[rustfmt::skip]
    let cases = [
        // what the case shows         sender               result       identity             domain
        ("no record",                  "a@none.example",    "none",      Identity::MailFrom,  "none.example"),
        ("two records",                "a@two.example",     "permerror", Identity::MailFrom,  "two.example"),
        ("DNS fails",                  "a@broken.example",  "temperror", Identity::MailFrom,  "broken.example"),
        ("an address literal",         "a@[192.0.2.1]",     "none",      Identity::MailFrom,  ""),
        ("one label",                  "a@localhost",       "none",      Identity::MailFrom,  "localhost"),
        ("no sender: the name",        "",                  "pass",      Identity::Helo,      "helo.site.example"),
    ];
    for (shows, sender, result, identity, domain) in cases {
        let outcome = ask(&zone, "192.0.2.1", sender);
        assert_eq!(
            (outcome.result.word(), outcome.identity),
            (result, identity),
            "{shows}"
        );
        assert_eq!(outcome.domain, domain, "{shows}");
    }
}

#[test]
fn limits_bound_what_a_record_can_ask_for() {
    // Each includes two others, endlessly.
    let mut zone = Zone::default();
    for n in 0..64 {
        let record = format!(
            "v=spf1 include:d{}.example include:d{}.example -all",
            n * 2 + 1,
            n * 2 + 2
        );
        zone.add(&format!("d{n}.example"), "TXT", &record);
    }
    let outcome = ask(&zone, "192.0.2.1", "a@d0.example");
    assert_eq!(outcome.result, SpfResult::PermError);
    assert!(zone.asked.load(Ordering::Relaxed) <= 11);
}

#[test]
fn a_domain_explains_its_fail() {
    let zone = Zone::new(
        "site.example TXT v=spf1 -all exp=why.%{d}
         why.site.example TXT %{i} may not send for %{d} at %{r}, 100%% sure
         silent.example TXT v=spf1 -all exp=nothing.example
         bad.example TXT v=spf1 -all exp=why.bad.example
         why.bad.example TXT %{x}",
    );
    let explained = ask(&zone, "192.0.2.1", "a@site.example").reason;
    assert_eq!(
        explained.as_deref(),
        Some("192.0.2.1 may not send for site.example at mx.here.example, 100% sure")
    );
    assert_eq!(ask(&zone, "192.0.2.1", "a@silent.example").reason, None);
    assert_eq!(ask(&zone, "192.0.2.1", "a@bad.example").reason, None);
}

#[test]
fn macros() {
    // RFC 7208 section 7.4.
    let v4 = Values {
        sender: "strong-bad@email.example.com",
        local: "strong-bad",
        sender_domain: "email.example.com",
        domain: "email.example.com",
        ip: "192.0.2.3".parse().unwrap(),
        helo: "mx.example.org",
        name: "mx.example.org",
        receiver: "here.example",
        time: 1_700_000_000,
    };
    let v6 = Values {
        ip: "2001:db8::cb01".parse().unwrap(),
        ..v4
    };
    #[rustfmt::skip]
    let cases = [
        (&v4, "%{s}",                                   "strong-bad@email.example.com"),
        (&v4, "%{o}",                                   "email.example.com"),
        (&v4, "%{d4}",                                  "email.example.com"),
        (&v4, "%{d2}",                                  "example.com"),
        (&v4, "%{d1}",                                  "com"),
        (&v4, "%{dr}",                                  "com.example.email"),
        (&v4, "%{d2r}",                                 "example.email"),
        (&v4, "%{l}",                                   "strong-bad"),
        (&v4, "%{l-}",                                  "strong.bad"),
        (&v4, "%{lr}",                                  "strong-bad"),
        (&v4, "%{lr-}",                                 "bad.strong"),
        (&v4, "%{l1r-}",                                "strong"),
        (&v4, "%{ir}.%{v}._spf.%{d2}",                  "3.2.0.192.in-addr._spf.example.com"),
        (&v4, "%{lr-}.lp._spf.%{d2}",                   "bad.strong.lp._spf.example.com"),
        (&v4, "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",       "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        (&v4, "%{d2}.trusted-domains.example.net",      "example.com.trusted-domains.example.net"),
        (&v6, "%{ir}.%{v}._spf.%{d2}",                  "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"),
        (&v4, "%{h}.%{p}.example",                      "mx.example.org.mx.example.org.example"),
        (&v4, "%{S}.example",                           "strong-bad%40email.example.com.example"),
        (&v4, "a%-b%%c.example",                        "a%20b%c.example"),
    ];
    for (values, text, want) in cases {
        let text = MacroString::parse(text, Place::Domain).unwrap_or_else(|()| panic!("{text}"));
        assert_eq!(text.domain(values), want);
    }
}

#[test]
fn a_name_that_is_too_long_loses_labels_on_the_left() {
    let local = "a".repeat(50);
    let sender = format!("{local}.{local}.{local}.{local}.{local}@site.example");
    let values = Values {
        sender: &sender,
        local: sender.split_once('@').unwrap().0,
        sender_domain: "site.example",
        domain: "site.example",
        ip: "192.0.2.3".parse().unwrap(),
        helo: "",
        name: "",
        receiver: "",
        time: 0,
    };
    let text = MacroString::parse("%{l}.%{d}", Place::Domain).unwrap();
    let name = text.domain(&values);
    assert!(
        name.len() <= 253 && name.ends_with(".site.example") && name.starts_with(&local),
        "{name}"
    );
}

proptest::proptest! {
    #[test]
    fn no_record_breaks_the_reader(text in "v=spf1 [-+~?]?(a|mx|all|ip4|ip6|ptr|exists|include|redirect|exp)[:=/]?[%{}a-z0-9:./ \u{e4}]{0,40}") {
        let _ = Record::parse(text.as_bytes());
        let zone = Zone::new(&format!("site.example TXT {text}"));
        let _ = ask(&zone, "192.0.2.1", "a@site.example");
    }
}
