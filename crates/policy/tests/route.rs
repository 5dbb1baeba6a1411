//! Where mail goes next, case by case.

use std::sync::Arc;

use postern_mail::{Mailbox, ParseOptions, ReversePath};
use postern_policy::DomainSet;
use postern_policy::alias::RefusalText;
use postern_policy::origin::{LoginSet, Origin, SenderSet};
use postern_policy::route::{
    EntryForm, Hop, HopHost, Lane, MX_HOSTS_MAX, MxRecord, MxVerdict, Protocol, RouteMap, RouteRule,
    RouteTable, Target, TlsLevel, mx_hosts, route,
};

/// Mail without authentication, from the null sender.
const ANYBODY: Origin<'_> = Origin {
    sender: &ReversePath::Null,
    login: None,
    filtered: false,
    detour: None,
};

/// An address in a domain.
fn at(domain: &str) -> Mailbox {
    format!("somebody@{domain}")
        .parse()
        .expect("a domain of the table")
}

fn set(patterns: &[&str]) -> DomainSet {
    DomainSet::new(patterns).expect("patterns of the test")
}

fn to(host: &str) -> Target {
    Target::Hosts {
        via: vec![Hop::parse(host, 25).expect("a hop of the test")],
        protocol: Protocol::Smtp,
    }
}

fn rule(patterns: &[&str], host: &str) -> RouteRule {
    RouteRule {
        tls: TlsLevel::Required,
        verify: true,
        ..RouteRule::new(set(patterns), to(host))
    }
}

#[test]
fn the_closest_rule_wins() {
    let mut table = RouteTable {
        rules: vec![
            rule(&["*"], "smarthost.example"),
            rule(&["*.partner.example"], "wide.example"),
            rule(&["*.lab.partner.example"], "narrow.example"),
            rule(&["partner.example", "own.example"], "exact.example"),
            rule(&["partner.example"], "late.example"),
        ],
        local_domains: set(&["home.example", "own.example", "in.partner.example"]),
        local: Target::Maildir("/var/mail".into()),
        ..RouteTable::default()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                           domain                   goes to                      rule
        ("exact name, the first of two rules",           "partner.example",       to("exact.example"),         "route.rule"),
        ("wildcard",                                     "a.partner.example",     to("wide.example"),          "route.rule"),
        ("longer wildcard",                              "a.lab.partner.example", to("narrow.example"),        "route.rule"),
        ("all others",                                   "a.example",             to("smarthost.example"),     "route.rule"),
        ("an address literal",                           "[192.0.2.1]",           to("smarthost.example"),     "route.rule"),
        ("local mail does not go to the smarthost",      "home.example",          table.local.clone(),         "route.local"),
        ("unless a rule names the domain",               "own.example",           to("exact.example"),         "route.rule"),
        ("or a wildcard does",                           "in.partner.example",    to("wide.example"),          "route.rule"),
    ];
    for (shows, domain, target, rule) in cases {
        let found = route(&at(domain), &ANYBODY, &table);
        assert_eq!(
            (found.target.as_ref(), found.rule.name()),
            (&target, rule),
            "{shows}"
        );
        assert_eq!(found.verify, rule == "route.rule", "{shows}");
    }
    table.rules.clear();
    for (domain, rule) in [
        ("a.example", "route.mx"),
        ("[192.0.2.1]", "route.mx"),
        ("home.example", "route.local"),
    ] {
        assert_eq!(route(&at(domain), &ANYBODY, &table).rule.name(), rule, "{domain}");
    }
}

#[test]
fn an_address_goes_before_its_domain_and_a_filter_before_all() {
    let to_address = |addresses: &[&str], host: &str| RouteRule {
        recipients: SenderSet::new(addresses).expect("recipients of the test"),
        ..RouteRule::new(DomainSet::default(), to(host))
    };
    let refuse = Target::Refuse(RefusalText::parse("550 5.1.2 closed").expect("a refusal"));
    let mut map = RouteMap::default();
    for (key, target) in [
        ("table.example", to("table.example")),
        ("vip@partner.example", to("late.example")),
        ("closed.example", refuse.clone()),
        ("here.example", Target::Local),
    ] {
        let added = map.insert(key, EntryForm::Transport, target, &Lane::default(), "transport:1");
        assert_eq!(added, Ok(None), "{key}");
    }
    let mut table = RouteTable {
        rules: vec![
            rule(&["partner.example"], "partner.example"),
            to_address(&["vip@partner.example", "@*.wide.example"], "vip.example"),
            to_address(&["ann+shop@home.example"], "shop.example"),
        ],
        maps: vec![map],
        separator: Some('+'),
        local_domains: set(&["home.example"]),
        local: Target::Maildir("/var/mail".into()),
        ..RouteTable::default()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                     recipient                 goes to
        ("the domain",                             "x@partner.example",      to("partner.example")),
        ("the address goes before it",             "VIP@partner.example",    to("vip.example")),
        ("with a detail, too",                     "vip+x@partner.example",  to("vip.example")),
        ("all of a domain, as a recipient",        "x@a.wide.example",       to("vip.example")),
        ("an address with its detail",             "ann+shop@home.example",  to("shop.example")),
        ("and not without",                        "ann@home.example",       table.local.clone()),
        ("a table",                                "x@table.example",        to("table.example")),
        ("a refusal",                              "x@closed.example",       refuse),
        ("what a table keeps here",                "x@here.example",         table.local.clone()),
        ("nobody's",                               "x@else.example",         Target::Mx),
        ("what an alias throws away",              "x@discarded.invalid",    Target::Discard),
    ];
    for (shows, recipient, target) in &cases {
        let recipient: Mailbox = recipient.parse().expect("an address of the table");
        assert_eq!(
            route(&recipient, &ANYBODY, &table).target.as_ref(),
            target,
            "{shows}"
        );
    }
    let mut domains: Vec<_> = table.domains_of_addresses().into_iter().collect();
    domains.sort();
    assert_eq!(domains, ["home.example".into(), "partner.example".into()]);
    assert!(table.refuses() && !table.asks_origin());
    let closed = at("closed.example");
    let told = |table: &RouteTable| table.refusal(&closed, &ANYBODY).map(|text| text.to_string());
    assert_eq!(told(&table).as_deref(), Some("550 5.1.2 closed"));

    table.filter = Some(Arc::new(RouteRule::new(
        DomainSet::default(),
        to("127.0.0.1:10024"),
    )));
    assert!(table.asks_origin());
    assert_eq!(
        told(&table).as_deref(),
        Some("550 5.1.2 closed"),
        "before any filter"
    );
    let seen = Origin {
        filtered: true,
        ..ANYBODY
    };
    for (shows, recipient, target) in &cases {
        let recipient: Mailbox = recipient.parse().expect("an address of the table");
        let found = route(&recipient, &ANYBODY, &table);
        let discarded = *target == Target::Discard;
        assert_eq!(
            found.rule.name(),
            if discarded {
                "route.discard"
            } else {
                "route.filter"
            },
            "{shows}"
        );
        assert_eq!(
            route(&recipient, &seen, &table).target.as_ref(),
            target,
            "{shows}, seen by the filter"
        );
    }
}

#[test]
fn sender_and_login_choose_among_rules_for_a_domain() {
    let conditional = |patterns: &[&str], senders: &[&str], logins: &[&str], host: &str| RouteRule {
        senders: SenderSet::new(senders).expect("senders of the test"),
        logins: LoginSet::new(logins).expect("logins of the test"),
        ..rule(patterns, host)
    };
    let table = RouteTable {
        rules: vec![
            conditional(&["*"], &["@one.example"], &[], "domain.example"),
            conditional(&["*"], &["a@one.example"], &[], "address.example"),
            conditional(&["*"], &[], &["anna", "@staff.example"], "login.example"),
            conditional(&["*"], &["a@one.example"], &["berta"], "both.example"),
            conditional(&["*"], &[], &["*"], "anybody.example"),
            conditional(&["*"], &["<>"], &[], "bounces.example"),
            rule(&["partner.example"], "partner.example"),
            conditional(&["partner.example"], &["b@one.example"], &[], "special.example"),
            conditional(&["home.example"], &["h@one.example"], &[], "from-h.example"),
        ],
        local_domains: set(&["home.example"]),
        local: Target::Maildir("/var/mail".into()),
        ..RouteTable::default()
    };
    assert!(table.asks_origin());
    #[rustfmt::skip]
    let cases = [
        // what the case shows                         recipient's        sender               login                     goes to
        ("by the sender's domain",                     "a.example",       "<x@one.example>",   None,                     Some("domain.example")),
        ("the address goes before its domain",         "a.example",       "<A@one.example>",   None,                     Some("address.example")),
        ("any login goes before the address",          "a.example",       "<a@one.example>",   Some("zoe"),              Some("anybody.example")),
        ("a named login goes before any",              "a.example",       "<a@one.example>",   Some("anna"),             Some("login.example")),
        ("by the login's domain",                      "a.example",       "<x@two.example>",   Some("z@staff.example"),  Some("login.example")),
        ("login and address",                          "a.example",       "<a@one.example>",   Some("berta"),            Some("both.example")),
        ("the login alone does not do",                "a.example",       "<x@two.example>",   Some("berta"),            Some("anybody.example")),
        ("bounces, where they are named",              "a.example",       "<>",                None,                     Some("bounces.example")),
        ("nobody's rule: MX records",                  "a.example",       "<x@two.example>",   None,                     None),
        ("the domain goes before login and sender",    "partner.example", "<a@one.example>",   Some("anna"),             Some("partner.example")),
        ("a condition goes before none",               "partner.example", "<b@one.example>",   Some("anna"),             Some("special.example")),
        ("local mail stays, whoever sends it",         "home.example",    "<a@one.example>",   Some("anna"),             Some("local")),
        ("unless a rule names the domain",             "home.example",    "<h@one.example>",   None,                     Some("from-h.example")),
    ];
    for (shows, domain, sender, login, expected) in cases {
        let sender = ReversePath::parse(sender, &ParseOptions::default()).expect("a sender of the table");
        let origin = Origin {
            sender: &sender,
            login,
            filtered: false,
            detour: None,
        };
        let target = match expected {
            Some("local") => table.local.clone(),
            Some(host) => to(host),
            None => Target::Mx,
        };
        assert_eq!(
            route(&at(domain), &origin, &table).target.as_ref(),
            &target,
            "{shows}"
        );
    }
}

#[test]
fn hops_are_read() {
    let name = |name: &str, port| {
        Some(Hop {
            host: HopHost::Name(name.into()),
            port,
        })
    };
    let ip = |ip: &str, port| {
        Some(Hop {
            host: HopHost::Ip(ip.parse().expect("an address of the table")),
            port,
        })
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows        text                        hop
        ("address and port",          "127.0.0.1:2626",           ip("127.0.0.1", 2626)),
        ("address",                   "192.0.2.1",                ip("192.0.2.1", 25)),
        ("IPv6 and port",             "[2001:db8::1]:26",         ip("2001:db8::1", 26)),
        ("IPv6 in brackets",          "[2001:db8::1]",            ip("2001:db8::1", 25)),
        ("IPv6",                      "2001:db8::1",              ip("2001:db8::1", 25)),
        ("sendmail's brackets",       "[192.0.2.1]:26",           ip("192.0.2.1", 26)),
        ("name and port",             "Relay.Example:587",        name("relay.example", 587)),
        ("name",                      "localhost",                name("localhost", 25)),
        ("internationalised name",    "bücher.example",           name("xn--bcher-kva.example", 25)),
        ("a name whose MX is asked",  "mx:Relay.example:587",     Some(Hop { host: HopHost::Mx("relay.example".into()), port: 587 })),
        ("an address has no MX",      "mx:192.0.2.1",             None),
        ("socket",                    "unix:/run/lmtp",           Some(Hop { host: HopHost::Unix("/run/lmtp".into()), port: 0 })),
        ("relative socket",           "unix:run/lmtp",            None),
        ("port nought",               "relay.example:0",          None),
        ("port too large",            "relay.example:65536",      None),
        ("signed port",               "relay.example:+25",        None),
        ("no port after the colon",   "relay.example:",           None),
        ("no host",                   ":25",                      None),
        ("nothing",                   "",                         None),
        ("no name",                   "re lay.example",           None),
        ("a number for a name",       "127.1",                    None),
        ("name in brackets",          "[relay.example]",          None),
    ];
    for (shows, text, hop) in cases {
        assert_eq!(Hop::parse(text, 25).ok(), hop, "{shows}");
    }
}

fn records(list: &[(u16, &str)]) -> Vec<MxRecord> {
    list.iter()
        .map(|(preference, exchange)| MxRecord {
            preference: *preference,
            exchange: (*exchange).to_owned(),
        })
        .collect()
}

#[test]
fn mail_exchangers() {
    let hosts = |names: &[&str]| MxVerdict::Hosts(names.iter().map(|name| (*name).into()).collect());
    type Case = (&'static str, &'static [(u16, &'static str)], MxVerdict);
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        // what the case shows                  records                                             verdict
        ("none: the domain itself",             &[],                                                MxVerdict::Implicit),
        ("by preference",                       &[(20, "b.example."), (10, "A.Example.")],          hosts(&["a.example", "b.example"])),
        ("named twice",                         &[(20, "a.example"), (10, "a.example")],            hosts(&["a.example"])),
        ("takes no mail",                       &[(0, ".")],                                        MxVerdict::NullMx),
        ("takes no mail, root without its dot", &[(0, "")],                                         MxVerdict::NullMx),
        ("null among others is ignored",        &[(0, "."), (10, "a.example")],                     hosts(&["a.example"])),
        ("addresses are no names",              &[(5, "192.0.2.1"), (10, "a.example")],             hosts(&["a.example"])),
        ("nothing but nonsense",                &[(5, "192.0.2.1"), (10, "a b")],                   MxVerdict::Unusable),
        ("we are the second: the first only",   &[(10, "a.example"), (20, "US.example."), (20, "b.example"), (30, "c.example")], hosts(&["a.example"])),
        ("we are the first",                    &[(10, "us.example"), (20, "a.example")],           MxVerdict::Loop),
        ("we are among the first",              &[(10, "us.example"), (10, "a.example")],           MxVerdict::Loop),
        ("we by another name",                  &[(10, "alias.example")],                           MxVerdict::Loop),
        ("we are there twice",                  &[(10, "us.example"), (5, "a.example"), (5, "alias.example")], MxVerdict::Loop),
    ];
    for (shows, list, verdict) in cases {
        assert_eq!(
            mx_hosts(&records(list), &["us.example", "Alias.Example."], 7),
            verdict,
            "{shows}"
        );
    }
}

#[test]
fn equals_share_the_load_and_less_preferred_ones_stay_behind() {
    let list = records(&[
        (10, "a.example"),
        (10, "b.example"),
        (10, "c.example"),
        (20, "d.example"),
    ]);
    let mut firsts = std::collections::BTreeMap::new();
    for seed in 0..3_000 {
        let MxVerdict::Hosts(hosts) = mx_hosts(&list, &["us.example"; 0], seed) else {
            panic!("hosts are there");
        };
        assert_eq!((hosts.len(), &*hosts[3]), (4, "d.example"));
        *firsts.entry(hosts[0].clone()).or_insert(0) += 1;
    }
    assert!(
        firsts.len() == 3 && firsts.values().all(|count| (800..1_200).contains(count)),
        "{firsts:?}"
    );
}

#[test]
fn hosts_are_bounded() {
    let list: Vec<_> = (0..500)
        .map(|number| MxRecord {
            preference: number,
            exchange: format!("mx{number}.example"),
        })
        .collect();
    assert!(
        matches!(mx_hosts(&list, &["us.example"], 1), MxVerdict::Hosts(hosts) if hosts.len() == MX_HOSTS_MAX)
    );
}
