use proptest::prelude::*;

use super::*;
use crate::DomainSet;
use crate::rule::Verdict;

fn mailbox(text: &str) -> Mailbox {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn grant(name: &str, logins: &[&str], groups: &[&str], addresses: &[&str], act_as: &[&str]) -> Grant {
    let login = |text: &&str| LoginPattern::parse(text).expect("a login of the test");
    Grant {
        name: name.into(),
        logins: logins.iter().map(login).collect(),
        groups: groups.iter().map(|&group| group.into()).collect(),
        addresses: addresses
            .iter()
            .map(|text| AddressPattern::parse(text).expect("an address of the test"))
            .collect(),
        act_as: act_as.iter().map(login).collect(),
    }
}

fn rules() -> IdentityRules {
    IdentityRules {
        senders: SenderRule::Own,
        aliases: AliasRule::Sole,
        tag_separator: Some('+'),
        grants: vec![
            grant("sales desk", &[], &["Sales"], &["sales@fccc.example"], &[]),
            grant(
                "newsletter",
                &["news", "*@lists.example"],
                &[],
                &["*@news.example", "*@*.news.example"],
                &[],
            ),
            grant("webmail", &["webmail"], &["proxies"], &[], &["*"]),
            grant("deputy", &["acaird"], &[], &[], &["chief", "*@branch.example"]),
        ],
        machines: MachineRule::Domains,
        signs: true,
        owners: None,
        strangers: StrangerRule::Any,
    }
}

/// A table in which one user owns one address.
#[derive(Debug)]
struct OneOwner;

impl AskedOwners for OneOwner {
    fn owns(&self, login: &str, address: &Mailbox) -> bool {
        login == "acaird" && self.is_owned(address)
    }

    fn is_owned(&self, address: &Mailbox) -> bool {
        address.key() == "board@elsewhere.example"
    }
}

#[test]
fn owners_from_a_table() {
    let rules = IdentityRules {
        owners: Some(Owners(Arc::new(OneOwner))),
        ..rules()
    };
    let mailbox = |text: &str| Mailbox::parse(text, &ParseOptions::default()).unwrap();
    let nowhere = |_: &Mailbox| Vec::new();
    #[rustfmt::skip]
    let cases = [
        ("acaird", "board@elsewhere.example", Some(Basis::Table)),
        ("bob",    "board@elsewhere.example", None),
        ("acaird", "other@elsewhere.example", None),
    ];
    for (login, address, want) in cases {
        let identity = Identity::new(login, [] as [&str; 0]);
        assert_eq!(
            covers(&identity, &mailbox(address), &rules, &nowhere),
            want,
            "{login} {address}"
        );
    }
}

#[test]
fn senders_that_strangers_may_not_use() {
    let relay = RelayRules {
        local_domains: DomainSet::new(["fccc.example"]).unwrap(),
        ..RelayRules::default()
    };
    use StrangerRule::{Any, Domains, Owned};
    #[rustfmt::skip]
    let cases = [
        (Any,     "acaird@fccc.example",     true,  "no such rule"),
        (Owned,   "board@elsewhere.example", false, "an address with an owner"),
        (Owned,   "acaird@fccc.example",     true,  "an own domain alone"),
        (Domains, "acaird@fccc.example",     false, "an own domain"),
        (Domains, "board@elsewhere.example", false, "an owner counts too"),
        (Domains, "joe@outside.example",     true,  "somebody outside"),
        (Domains, "a@sub.fccc.example",      true,  "a domain below"),
    ];
    for (strangers, sender, taken, shows) in cases {
        let rules = IdentityRules {
            owners: Some(Owners(Arc::new(OneOwner))),
            strangers,
            ..rules()
        };
        let sender = ReversePath::Mailbox(Mailbox::parse(sender, &ParseOptions::default()).unwrap());
        let verdict = bring_as(&sender, &rules, &relay);
        assert_eq!(
            verdict,
            if taken { Ok(()) } else { Err(SenderRefusal::Login) },
            "{shows}"
        );
        assert_eq!(bring_as(&ReversePath::Null, &rules, &relay), Ok(()), "reports");
    }
}

#[test]
fn addresses_whose_owners_may_have_to_be_known() {
    let claims = Claims {
        from: vec!["Ann <ann@x.example>, \"bob@y.example\" <c@z.example>"],
        sender: vec!["d@w.example"],
        ..Claims::default()
    };
    let claimed: Vec<String> = claimed(&claims).iter().map(Mailbox::to_string).collect();
    for want in ["ann@x.example", "bob@y.example", "c@z.example", "d@w.example"] {
        assert!(
            claimed.iter().any(|address| address == want),
            "{want}: {claimed:?}"
        );
    }
}

/// `postmaster` is only acaird, `team` has two members, `far` is remote.
fn targets(alias: &Mailbox) -> Vec<Mailbox> {
    let ends: &[&str] = match alias.key().as_str() {
        "postmaster@fccc.example" => &["acaird@fccc.example"],
        "both@fccc.example" => &["acaird@fccc.example", "caird@fccc.example"],
        "team@fccc.example" => &["acaird@fccc.example", "bob@fccc.example"],
        "far@fccc.example" => &["acaird@elsewhere.example"],
        _ => &[],
    };
    ends.iter().map(|end| mailbox(end)).collect()
}

fn acaird() -> Identity {
    let own = [
        "acaird@fccc.example",
        "caird@fccc.example",
        "\"A Caird\"@fccc.example",
        "no address",
        "jürgen@bücher.example",
    ];
    Identity::new("acaird", own)
        .in_groups(vec!["staff".into(), "sales".into()])
        .acts_for("boss", ["boss@fccc.example"])
        .acts_for("head@other.example", &[] as &[&str])
}

#[test]
fn senders() {
    let by_address = Identity::new("acaird@fccc.example", &[] as &[&str]);
    let news = Identity::new("News", &[] as &[&str]);
    let lists = Identity::new("bot@lists.example", &[] as &[&str]);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  login         sender                                 rule
        ("an own address",                      &acaird(),    "<acaird@fccc.example>",               "identity.own"),
        ("in another case",                     &acaird(),    "<ACaird@FCCC.example>",               "identity.own"),
        ("in needless quotes",                  &acaird(),    "<\"acaird\"@fccc.example>",           "identity.own"),
        ("one that needs quotes",               &acaird(),    "<\"a caird\"@fccc.example>",          "identity.own"),
        ("a further one",                       &acaird(),    "<caird@fccc.example>",                "identity.own"),
        ("one beyond ASCII, as A-label",        &acaird(),    "<jürgen@xn--bcher-kva.example>",      "identity.own"),
        ("the login is the address",            &by_address,  "<acaird@fccc.example>",               "identity.own"),
        ("reports and receipts",                &acaird(),    "<>",                                  "sender.null"),
        ("a tag",                               &acaird(),    "<acaird+shop@fccc.example>",          "identity.tag"),
        ("an empty tag",                        &acaird(),    "<acaird+@fccc.example>",              "identity.tag"),
        ("two tags",                            &acaird(),    "<acaird+a+b@fccc.example>",           "identity.tag"),
        ("a tag alone",                         &acaird(),    "<+acaird@fccc.example>",              "sender.own"),
        ("somebody else's tag",                 &acaird(),    "<bob+acaird@fccc.example>",           "sender.own"),
        ("a tag in the boss's name",            &acaird(),    "<boss+acaird@fccc.example>",          "sender.own"),
        ("an alias of nobody else",             &acaird(),    "<postmaster@fccc.example>",           "identity.alias"),
        ("an alias of two own addresses",       &acaird(),    "<both@fccc.example>",                 "identity.alias"),
        ("a list of several people",            &acaird(),    "<team@fccc.example>",                 "sender.own"),
        ("an alias that leads elsewhere",       &acaird(),    "<far@fccc.example>",                  "sender.own"),
        ("the alias in another domain",         &acaird(),    "<postmaster@other.example>",          "sender.own"),
        ("the address of who made it delegate", &acaird(),    "<boss@fccc.example>",                 "identity.delegate"),
        ("such one whose login is an address",  &acaird(),    "<head@other.example>",                "identity.delegate"),
        ("granted to a group",                  &acaird(),    "<sales@fccc.example>",                "identity.group"),
        ("to a group that it is not in",        &by_address,  "<sales@fccc.example>",                "sender.own"),
        ("granted to the login, a domain",      &news,        "<any@news.example>",                  "identity.grant"),
        ("a domain below",                      &news,        "<any@a.b.news.example>",              "identity.grant"),
        ("to logins of a domain",               &lists,       "<any@news.example>",                  "identity.grant"),
        ("a domain that ends alike",            &news,        "<any@badnews.example>",               "sender.own"),
        ("somebody else's grant",               &acaird(),    "<any@news.example>",                  "sender.own"),
        ("to act is not to send",               &acaird(),    "<chief@branch.example>",              "sender.own"),
        ("somebody else's",                     &acaird(),    "<bob@fccc.example>",                  "sender.own"),
        ("the login in another domain",         &by_address,  "<acaird@other.example>",              "sender.own"),
        ("an own address as a local part",      &acaird(),    "<\"acaird@fccc.example\"@x.example>", "sender.own"),
        ("a percent hack",                      &acaird(),    "<acaird%fccc.example@x.example>",     "sender.own"),
        ("an address literal",                  &acaird(),    "<acaird@[192.0.2.1]>",                "sender.own"),
    ];
    let options = ParseOptions {
        utf8: true,
        ..ParseOptions::default()
    };
    for (shows, identity, path, rule) in cases {
        let path = ReversePath::parse(path, &options).unwrap();
        let rules = rules();
        let found = send_as(identity, &path, &rules, &targets);
        let found = found.map_or_else(|refusal| refusal.rule().name(), |basis| basis.rule().name());
        assert_eq!(found, rule, "{shows}");
        let any = IdentityRules {
            senders: SenderRule::Any,
            ..rules
        };
        let found = send_as(identity, &path, &any, &targets);
        assert_eq!(found, Ok(Basis::Any), "{shows}, where any is allowed");
    }
    assert_eq!(SenderRefusal::Envelope.told().0, 553);
}

#[test]
fn who_answers_for_an_author() {
    let own = "<acaird@fccc.example>";
    #[rustfmt::skip]
    let cases: [(&str, &[&str], &str, Option<Basis<'_>>); 9] = [
        // what the case shows              From                                                     MAIL    by which rule
        ("an own address",                  &["A <acaird@fccc.example>"],                            own,    Some(Basis::Own)),
        ("a tag, whatever the envelope",    &["acaird+x@fccc.example"],                              "<>",   Some(Basis::Tag)),
        ("the first of two own ones",       &["postmaster@fccc.example, acaird@fccc.example"],       own,    Some(Basis::Alias)),
        ("without From: the sender",        &[],                                                     own,    Some(Basis::Own)),
        ("neither of both",                 &[],                                                     "<>",   None),
        ("somebody else",                   &["bob@fccc.example"],                                   own,    None),
        ("somebody else behind an own one", &["acaird@fccc.example, bob@fccc.example"],              own,    None),
        ("in a second field",               &["acaird@fccc.example", "bob@fccc.example"],            own,    None),
        ("what cannot be read",             &["acaird@fccc.example <"],                              own,    None),
    ];
    let rules = IdentityRules {
        senders: SenderRule::Any,
        ..rules()
    };
    for (shows, from, sender, want) in cases {
        let sender = ReversePath::parse(sender, &ParseOptions::default()).unwrap();
        let identity = acaird();
        let found = answers_for(&identity, from, &sender, &rules, &targets);
        assert_eq!(found, want, "{shows}");
    }
}

#[test]
fn aliases_and_tags_are_settings() {
    #[rustfmt::skip]
    let cases = [
        ("an own alias",        AliasRule::Off,    None,      "postmaster@fccc.example",  None),
        ("the same",            AliasRule::Member, None,      "postmaster@fccc.example",  Some(Basis::Alias)),
        ("a member of a list",  AliasRule::Member, None,      "team@fccc.example",        Some(Basis::Alias)),
        ("no member",           AliasRule::Member, None,      "far@fccc.example",         None),
        ("no tags",             AliasRule::Sole,   None,      "acaird+a@fccc.example",    None),
        ("another separator",   AliasRule::Sole,   Some('-'), "acaird-a@fccc.example",    Some(Basis::Tag)),
        ("the usual one then",  AliasRule::Sole,   Some('-'), "acaird+a@fccc.example",    None),
    ];
    for (shows, aliases, tag_separator, address, want) in cases {
        let rules = IdentityRules {
            aliases,
            tag_separator,
            ..rules()
        };
        assert_eq!(
            covers(&acaird(), &mailbox(address), &rules, &targets),
            want,
            "{shows}"
        );
    }
}

#[test]
fn acting() {
    let proxy = Identity::new("webmail", &[] as &[&str]);
    let member = Identity::new("imap", &[] as &[&str]).in_groups(vec!["Proxies".into()]);
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  login       as whom                     whom, by which rule
        ("itself",                              &acaird(),  "acaird",                   Ok(("", "identity.own"))),
        ("in another case",                     &acaird(),  "ACaird",                   Ok(("", "identity.own"))),
        ("by an own address",                   &acaird(),  "Caird@fccc.example",       Ok(("", "identity.own"))),
        ("the boss, as a delegate",             &acaird(),  "Boss",                     Ok(("boss", "identity.delegate"))),
        ("by the boss's address",               &acaird(),  "boss@fccc.example",        Ok(("boss", "identity.delegate"))),
        ("one whose login is an address",       &acaird(),  "head@other.example",       Ok(("head@other.example", "identity.delegate"))),
        ("granted",                             &acaird(),  "chief",                    Ok(("chief", "identity.grant"))),
        ("granted, a domain",                   &acaird(),  "any@branch.example",       Ok(("any@branch.example", "identity.grant"))),
        ("a proxy for all",                     &proxy,     "acaird",                   Ok(("acaird", "identity.grant"))),
        ("a proxy by its group",                &member,    "acaird",                   Ok(("acaird", "identity.group"))),
        ("somebody else",                       &acaird(),  "bob",                      Err(NotActAs)),
        ("a longer name",                       &acaird(),  "acaird2",                  Err(NotActAs)),
        ("a name that the grant's begins",      &acaird(),  "chief2",                   Err(NotActAs)),
        ("an alias is no login",                &acaird(),  "postmaster@fccc.example",  Err(NotActAs)),
        ("nor is a tagged address",             &acaird(),  "acaird+a@fccc.example",    Err(NotActAs)),
        ("an address that may be sent with",    &acaird(),  "sales@fccc.example",       Err(NotActAs)),
        ("the pattern itself",                  &acaird(),  "*@fccc.example",           Err(NotActAs)),
        ("nobody",                              &acaird(),  "",                         Err(NotActAs)),
    ];
    for (shows, identity, authzid, want) in cases {
        let rules = rules();
        let found = act_as(identity, authzid, &rules).map(|verdict| match verdict {
            ActAs::Itself => ("", verdict.rule().name()),
            ActAs::Other { login, .. } => (login, verdict.rule().name()),
        });
        assert_eq!(found, want, "{shows}");
    }
}

#[test]
fn authors() {
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str], &'a str);
    let many = vec!["acaird@fccc.example"; AUTHORS_MAX + 1].join(", ");
    let own = "acaird@fccc.example";
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        // what the case shows           From                                              Sender                   Resent-From                rule
        ("an own address",               &["A <acaird@fccc.example>"],                     &[],                     &[],                       "identity.own"),
        ("two own ones",                 &["acaird@fccc.example, CAIRD@fccc.example"],     &[],                     &[],                       "identity.own"),
        ("an alias",                     &["postmaster@fccc.example"],                     &[],                     &[],                       "identity.alias"),
        ("the boss's, and who wrote it", &["boss@fccc.example"],                           &[own],                  &[],                       "identity.delegate"),
        ("none, one is added",           &[],                                              &[],                     &[],                       "sender.null"),
        ("somebody else's",              &["bob@fccc.example"],                            &[],                     &[],                       "sender.own-header"),
        ("an own sender excuses not",    &["bob@fccc.example"],                            &[own],                  &[],                       "sender.own-header"),
        ("one of two",                   &["acaird@fccc.example, bob@fccc.example"],       &[],                     &[],                       "sender.own-header"),
        ("a second field",               &[own, own],                                      &[],                     &[],                       "sender.own-header"),
        ("one that is no list",          &["<acaird@fccc.example> bob@fccc.example"],      &[],                     &[],                       "sender.own-header"),
        ("an own name before it",        &["\"acaird@fccc.example\" <bob@fccc.example>"],  &[],                     &[],                       "sender.own-header"),
        ("an own address as a name",     &["'Acaird@fccc.example' <acaird@fccc.example>"],  &[],                     &[],                       "identity.own"),
        ("a name with an at",            &["A. Caird @ Work <acaird@fccc.example>"],       &[],                     &[],                       "identity.own"),
        ("an address as a name",         &["boss@x.example <acaird@fccc.example>"],        &[],                     &[],                       "sender.own-header"),
        ("in quotes",                    &["\"boss@x.example\" <acaird@fccc.example>"],    &[],                     &[],                       "sender.own-header"),
        ("in an encoded word",           &["=?utf-8?q?boss=40x.example?= <acaird@fccc.example>"], &[],              &[],                       "sender.own-header"),
        ("in base64",                    &["=?utf-8?b?Ym9zc0B4LmV4YW1wbGU=?= <acaird@fccc.example>"], &[],          &[],                       "sender.own-header"),
        ("in a charset of secrets",      &["=?utf-7?q?boss+AEA-x.example?= <acaird@fccc.example>"], &[],            &[],                       "sender.own-header"),
        ("behind the bracket",           &["<acaird@fccc.example> \"boss@x.example\""],    &[],                     &[],                       "sender.own-header"),
        ("in a comment",                 &["acaird@fccc.example (boss@x.example)"],        &[],                     &[],                       "sender.own-header"),
        ("a group",                      &["boss@x.example: acaird@fccc.example;"],        &[],                     &[],                       "sender.own-header"),
        ("so for who resends",           &[own],                                           &[],                     &["boss@x.example <acaird@fccc.example>"], "sender.own-header"),
        ("and who sends",                &[own],                                           &["(boss@x.example) acaird@fccc.example"], &[],      "sender.own-header"),
        ("a quoted own one",             &["\"A Caird\"@fccc.example"],                    &[],                     &[],                       "identity.own"),
        ("an own one beyond ASCII",      &["jürgen@bücher.example"],                       &[],                     &[],                       "identity.own"),
        ("somebody else's sender",       &[own],                                           &["bob@fccc.example"],   &[],                       "sender.own-header"),
        ("two senders",                  &[own],                                           &[own, own],             &[],                       "sender.own-header"),
        ("resent by oneself, twice",     &[own],                                           &[],                     &[own, own],               "identity.own"),
        ("resent by somebody else",      &[own],                                           &[],                     &["bob@fccc.example"],     "sender.own-header"),
        ("more than anybody needs",      &[&many],                                         &[],                     &[],                       "sender.own-header"),
    ];
    for &(shows, from, sender, resent, rule) in cases {
        let claims = Claims {
            from: from.to_vec(),
            sender: sender.to_vec(),
            resent: resent.to_vec(),
            in_doubt: false,
        };
        let (rules, identity) = (rules(), acaird());
        let found = write_as(&identity, &claims, &rules, &targets);
        assert_eq!(
            found.map_or_else(|refusal| refusal.rule().name(), |basis| basis.rule().name()),
            rule,
            "{shows}"
        );
        let doubt = Claims {
            in_doubt: true,
            ..claims
        };
        let refused = write_as(&identity, &doubt, &rules, &targets).unwrap_err();
        assert_eq!(refused.told().0, 550, "{shows}, and more that was not read");
    }
}

#[test]
fn machines() {
    let relay = RelayRules {
        local_domains: DomainSet::new(["fccc.example"]).expect("a domain of the test"),
        ..RelayRules::default()
    };
    let machine = Claimant::Machine(&relay);
    let path = |text: &str| ReversePath::parse(text, &ParseOptions::default()).expect("a path of the test");
    let header = |value: &'static str| Claims {
        from: vec![value],
        ..Claims::default()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows        sender                       From                                      envelope          header
        ("a domain of this server",   "<scanner@fccc.example>",    "scanner@fccc.example",                   "sender.domain",  "sender.domain"),
        ("one below it",              "<x@lab.fccc.example>",      "X <x@lab.fccc.example>",                 "sender.domain",  "sender.domain"),
        ("one that ends alike",       "<x@notfccc.example>",       "x@notfccc.example",                      "sender.machine", "sender.machine"),
        ("another domain",            "<boss@x.example>",          "boss@x.example",                         "sender.machine", "sender.machine"),
        ("another as a name",         "<x@fccc.example>",          "boss@x.example <x@fccc.example>",        "sender.domain",  "sender.machine"),
        ("a report",                  "<>",                        "MAILER-DAEMON@fccc.example",             "sender.null",    "sender.domain"),
    ];
    for (shows, sender, from, envelope, written) in cases {
        let name = |found: Result<Basis<'_>, SenderRefusal>| {
            found.map_or_else(|no| no.rule().name(), |basis| basis.rule().name())
        };
        let mut rules = rules();
        let claims = header(from);
        assert_eq!(
            name(send_as(machine, &path(sender), &rules, &targets)),
            envelope,
            "{shows}"
        );
        assert_eq!(
            name(write_as(machine, &claims, &rules, &targets)),
            written,
            "{shows}"
        );
        rules.machines = MachineRule::Any;
        assert_eq!(
            name(send_as(machine, &path(sender), &rules, &targets)),
            "sender.any",
            "{shows}"
        );
        assert_eq!(
            name(write_as(machine, &claims, &rules, &targets)),
            "sender.any",
            "{shows}"
        );
    }
}

#[test]
fn patterns() {
    for bad in [
        "", "* ", "**", "a*", "*@", "*@*", "*@a..b", "a b", "a\0b", "*@x@y",
    ] {
        assert!(LoginPattern::parse(bad).is_err(), "{bad:?} as login");
        assert!(AddressPattern::parse(bad).is_err(), "{bad:?} as address");
    }
    assert!(
        AddressPattern::parse("acaird").is_err(),
        "a login is not an address"
    );
    assert!(LoginPattern::parse("acaird").is_ok());
}

proptest! {
    /// Whatever the address looks like: without alias, delegation, group and grant, only an own address is covered.
    #[test]
    fn nobody_but_the_owner(local in "[a-z\"+.%@\\\\ ]{1,12}", domain in "(fccc|x)\\.example") {
        let path = format!("<{local}@{domain}>");
        if let Ok(path) = ReversePath::parse(&path, &ParseOptions::default()) {
            let identity = Identity::new("a", ["a@fccc.example"]);
            let rules = IdentityRules { tag_separator: None, ..rules() };
            let nowhere = |_: &Mailbox| Vec::new();
            let allowed = send_as(&identity, &path, &rules, &nowhere).is_ok();
            let is_own = path.mailbox().is_some_and(|mailbox| mailbox.key() == "a@fccc.example");
            prop_assert_eq!(allowed, is_own);
        }
    }

    /// Whatever is in `From`: the owner of one address sends in no other name, as seen by strict and lax readers.
    #[test]
    fn nobody_but_the_owner_writes(value in "(\"|<|>|,|\\(|\\)| |a@fccc.example|boss@x.example|=\\?utf-8\\?q\\?boss=40x.example\\?=|A|:|;){0,8}") {
        let identity = Identity::new("a", ["a@fccc.example"]);
        let rules = IdentityRules { tag_separator: None, grants: Vec::new(), ..rules() };
        let nowhere = |_: &Mailbox| Vec::new();
        let claims = Claims { from: vec![&value], ..Claims::default() };
        if write_as(&identity, &claims, &rules, &nowhere).is_ok() {
            prop_assert!(value.contains("a@fccc.example") && !value.contains("boss"), "{}", value);
        }
    }

    /// A user without any grants can use no authorization identity but its own.
    #[test]
    fn nobody_else_to_act_as(authzid in "\\PC{0,20}") {
        let identity = Identity::new("a", ["a@fccc.example"]);
        let rules = IdentityRules { grants: Vec::new(), ..rules() };
        let found = act_as(&identity, &authzid, &rules);
        let is_own = authzid.eq_ignore_ascii_case("a") || key_of(&authzid).as_deref() == Some("a@fccc.example");
        prop_assert_eq!(found.is_ok(), is_own);
        prop_assert!(matches!(found, Ok(ActAs::Itself) | Err(NotActAs)));
    }

    /// A pattern matches no address outside of what it names.
    #[test]
    fn patterns_hold_what_they_name(pattern in "(\\*@)?[a-z*.@]{1,12}", local in "[a-z]{1,4}", domain in "[a-z]{1,4}\\.[a-z]{1,4}") {
        if let Ok(parsed) = AddressPattern::parse(&pattern) {
            let address = mailbox(&format!("{local}@{domain}"));
            if parsed.holds(&address) {
                let by_domain = pattern.strip_prefix("*@").or_else(|| pattern.strip_prefix('@')).is_some_and(|named| {
                    named == domain || named.strip_prefix("*.").is_some_and(|below| domain.ends_with(&format!(".{below}")))
                });
                prop_assert!(pattern == "*" || by_domain || pattern == address.to_string());
            }
        }
    }
}
