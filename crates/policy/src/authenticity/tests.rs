//! The table of decisions.

use super::*;
use crate::DomainSet;
use crate::rule::{Rule, Says};
use postern_mail::Domain;

fn settings() -> Settings {
    Settings {
        spf_fail: Action::Mark,
        spf_softfail: Action::Nothing,
        spf_neutral: Action::Nothing,
        spf_none: Action::Nothing,
        spf_permerror: Action::Reject,
        spf_temperror: Action::Reject,
        dkim_none: Action::Nothing,
        dkim_fail: Action::Mark,
        dkim_temperror: Action::Reject,
        dmarc_reject: Action::Reject,
        dmarc_quarantine: Action::Hold,
        dmarc_fail: Action::Nothing,
        dmarc_none: Action::Nothing,
        dmarc_permerror: Action::Reject,
        dmarc_temperror: Action::Reject,
        arc_fail: Action::Reject,
        except_domains: DomainSet::new(["friend.example"]).unwrap(),
        except_networks: vec!["192.0.2.128/25".parse().unwrap()],
    }
}

fn row(spf: &str, dkim: &str, dmarc: &str, arc: &str) -> Results {
    let (result, asked) = dmarc.split_once(' ').unwrap_or((dmarc, "none"));
    Results {
        spf: SpfResult::from_word(spf),
        dkim: DkimResult::from_word(dkim),
        dmarc: DmarcResult::from_word(result).zip(Requested::from_word(asked)),
        arc: ArcResult::from_word(arc.trim_end_matches('!')),
        vouched: arc.ends_with('!'),
    }
}

#[test]
fn decisions() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows                     spf          dkim         dmarc              arc      rule                action            reply
        ("all is well",                            "pass",      "pass",      "pass",            "none",  "",                 Action::Nothing,  0),
        ("nothing is checked",                     "-",         "-",         "-",               "-",     "",                 Action::Nothing,  0),
        ("nothing is known",                       "none",      "none",      "none",            "none",  "dmarc.none",       Action::Nothing,  0),
        ("SPF fails, no DMARC",                    "fail",      "none",      "none",            "none",  "spf.fail",         Action::Mark,     0),
        ("forwarded: SPF fails, DMARC passes",     "fail",      "pass",      "pass reject",     "none",  "",                 Action::Nothing,  0),
        ("a list has changed it, SPF aligned",     "pass",      "fail",      "pass",            "none",  "",                 Action::Nothing,  0),
        ("forged, the domain says reject",         "fail",      "none",      "fail reject",     "none",  "dmarc.reject",     Action::Reject,   550),
        ("forged, the domain says quarantine",     "fail",      "none",      "fail quarantine", "none",  "dmarc.quarantine", Action::Hold,     0),
        ("forged, the domain says nothing",        "softfail",  "none",      "fail none",       "none",  "dmarc.fail",       Action::Nothing,  0),
        ("the most severe wins",                   "permerror", "none",      "fail quarantine", "none",  "spf.permerror",    Action::Reject,   550),
        ("DMARC's first of equals",                "permerror", "none",      "fail reject",     "fail",  "dmarc.reject",     Action::Reject,   550),
        ("SPF: DNS fails",                         "temperror", "none",      "none",            "none",  "spf.temperror",    Action::Reject,   451),
        ("DKIM: DNS fails",                        "none",      "temperror", "none",            "none",  "dkim.temperror",   Action::Reject,   451),
        ("DMARC: DNS fails",                       "pass",      "pass",      "temperror",       "none",  "dmarc.temperror",  Action::Reject,   451),
        ("DMARC: two authors",                     "pass",      "pass",      "permerror",       "none",  "dmarc.permerror",  Action::Reject,   550),
        ("a weak signature is none that holds",    "none",      "policy",    "none",            "none",  "dkim.fail",        Action::Mark,     0),
        ("a broken chain",                         "pass",      "pass",      "pass",            "fail",  "arc.fail",         Action::Reject,   550),
        ("a chain whose key cannot be had",        "pass",      "pass",      "pass",            "temperror", "",             Action::Nothing,  0),
        ("a chain that is trusted",                "softfail",  "none",      "fail reject",     "pass!", "arc.vouched",      Action::Nothing,  0),
        ("a chain of somebody else",               "softfail",  "none",      "fail reject",     "pass",  "dmarc.reject",     Action::Reject,   550),
    ];
    let domain: Domain = "stranger.example".parse().unwrap();
    let subject = Subject {
        peer: "192.0.2.1".parse().unwrap(),
        sender: Some(&domain),
        author: Some(&domain),
    };
    for (shows, spf, dkim, dmarc, arc, rule, action, code) in cases {
        let decision = decide(&row(spf, dkim, dmarc, arc), &subject, &settings());
        assert_eq!(
            decision.decided.map_or("", |decided| decided.rule.name()),
            rule,
            "{shows}"
        );
        assert_eq!(decision.action, action, "{shows}");
        if let (Action::Reject, Some(decided)) = (decision.action, decision.decided) {
            let (told, status, _) = decided.told();
            assert_eq!((told, u16::from(status.0)), (code, code / 100), "{shows}");
        }
    }
}

#[test]
fn exceptions() {
    let friend: Domain = "friend.example".parse().unwrap();
    let stranger: Domain = "stranger.example".parse().unwrap();
    #[rustfmt::skip]
    let cases = [
        ("nobody's",           "192.0.2.1",            &stranger, &stranger, false),
        ("the sender's",       "192.0.2.1",            &friend,   &stranger, true),
        ("the author's",       "192.0.2.1",            &stranger, &friend,   true),
        ("the network's",      "192.0.2.129",          &stranger, &stranger, true),
        ("the same, mapped",   "::ffff:192.0.2.129",   &stranger, &stranger, true),
    ];
    for (shows, peer, sender, author, excepted) in cases {
        let subject = Subject {
            peer: peer.parse().unwrap(),
            sender: Some(sender),
            author: Some(author),
        };
        let decision = decide(&row("fail", "none", "fail reject", "none"), &subject, &settings());
        assert_eq!(decision.action == Action::Nothing, excepted, "{shows}");
        assert_eq!(
            decision.decided.map(|decided| decided.rule),
            Some(Rule::DmarcReject),
            "{shows}: still told"
        );
        assert_eq!(
            decision.decided.map(|decided| decided.excepted),
            Some(excepted),
            "{shows}"
        );
    }
}

#[test]
fn every_rule_of_an_outcome_has_a_reply_of_its_kind() {
    for rule in Rule::ALL.iter().filter(|rule| rule.says() == Says::No) {
        if ["spf.", "dkim.", "dmarc.", "arc."]
            .iter()
            .any(|kind| rule.name().starts_with(kind))
        {
            let (code, status, text) = Decided {
                rule: *rule,
                excepted: false,
            }
            .told();
            let temporary = rule.name().ends_with(".temperror");
            assert_eq!(code, if temporary { 451 } else { 550 }, "{rule}");
            assert_eq!(u16::from(status.0), code / 100, "{rule}");
            assert!(!text.is_empty(), "{rule}");
        }
    }
}
