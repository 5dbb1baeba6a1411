//! Rules applied to addresses and headers, as real sites order them.

use futures_util::FutureExt as _;
use postern_mail::Header;
use postern_policy::access::names::AddressSet;
use postern_policy::rewrite::{Append, Classes, MasqueradeList, Whose};
use postern_table::{Format, parse};

use super::*;

fn table(text: &str, format: Format) -> Lookup {
    Lookup::of_table("t", parse(text.as_bytes(), format).unwrap().table, None)
}

fn classes(classes: &[Class]) -> Classes {
    classes.iter().copied().collect()
}

fn rule(name: &str, of: &[Class], way: Way) -> Rule {
    Rule {
        name: name.into(),
        when: When::In,
        classes: classes(of),
        whose: Whose::inside(),
        listeners: Vec::new(),
        domains: None,
        exceptions: AddressSet::default(),
        way,
        signed: false,
    }
}

fn rewriting(rules: Vec<Rule>, tables: Vec<Lookup>) -> Rewriting {
    Rewriting {
        rules,
        tables: tables.into_iter().map(|table| vec![table]).collect(),
        origin: "oakfield.example".parse().unwrap(),
        local: DomainSet::new(["gate.oakfield.example"]).unwrap(),
        separator: Some('+'),
        domain_tables: Vec::new(),
    }
}

const SENDERS: &[Class] = &[Class::EnvelopeSender, Class::HeaderSender];

/// A joinery: genericstable, then masquerading.
fn joinery() -> Rewriting {
    let generics = table(
        "anna\tanna.keller@oakfield.example\nbert\tbert.voss\nfax+*\tfax-%1@oakfield.example\n",
        Format::Sendmail,
    );
    let mut exposed = AddressSet::default();
    exposed.insert("root@").unwrap();
    let look_up = LookUp {
        number: 0,
        sendmail: true,
        keep_detail: true,
        repeat: false,
    };
    let own = [
        "oakfield.example",
        "gate.oakfield.example",
        "oakfield.lan",
        "*.oakfield.lan",
    ];
    rewriting(
        vec![
            Rule {
                domains: Some(
                    DomainSet::new(["oakfield.example", "gate.oakfield.example", "oakfield.lan"]).unwrap(),
                ),
                ..rule("generics", SENDERS, Way::Tables(look_up))
            },
            Rule {
                domains: Some(DomainSet::new(own).unwrap()),
                exceptions: exposed,
                ..rule(
                    "masquerade",
                    SENDERS,
                    Way::MasqueradeAs("oakfield.example".parse().unwrap()),
                )
            },
        ],
        vec![generics],
    )
}

fn sender(rewriting: &Rewriting, client: &Client, address: &str) -> String {
    let Some(chosen) = rewriting.coming_in(client, "mx") else {
        return address.to_owned();
    };
    let parsed = address.parse().unwrap();
    let made = chosen.envelope(Class::EnvelopeSender, &parsed);
    match made.now_or_never().unwrap().unwrap() {
        Some(made) => made.to.to_string(),
        None => address.to_owned(),
    }
}

fn inside() -> Client {
    Client {
        relays: true,
        ..Client::default()
    }
}

#[test]
fn generics_then_masquerading() {
    let joinery = joinery();
    #[rustfmt::skip]
    let cases = [
        ("anna@oakfield.example",          "anna.keller@oakfield.example"),
        ("Anna+x@oakfield.example",        "anna.keller@oakfield.example"),
        ("bert@oakfield.lan",              "bert.voss@oakfield.example"),
        ("fax+7@gate.oakfield.example",    "fax-7@oakfield.example"),
        ("anna@copier.oakfield.lan",       "anna@oakfield.example"),
        ("scanner@copier.oakfield.lan",    "scanner@oakfield.example"),
        ("root@gate.oakfield.example",     "root@gate.oakfield.example"),
        ("joe@elsewhere.example",          "joe@elsewhere.example"),
    ];
    for (address, expected) in cases {
        assert_eq!(sender(&joinery, &inside(), address), expected, "{address}");
    }
    let stranger = Client::default();
    assert_eq!(
        sender(&joinery, &stranger, "anna@oakfield.example"),
        "anna@oakfield.example"
    );
}

#[test]
fn canonical_addresses() {
    let canonical = table(
        "vera@havelock.example\tv.stone@havelock.example\nold@a.example new@a.example\nnew@a.example newest@a.example\n@printers.lan \
         scanner@havelock.example\n@b.example @c.example\nself@a.example self@a.example\nann nobody\n",
        Format::Postfix,
    );
    let of = |keep_detail, repeat| {
        let look_up = LookUp {
            number: 0,
            sendmail: false,
            keep_detail,
            repeat,
        };
        rewriting(
            vec![rule("canonical", SENDERS, Way::Tables(look_up))],
            vec![canonical.clone()],
        )
    };
    let postfix = of(true, true);
    #[rustfmt::skip]
    let cases = [
        ("a detail goes along",     "vera+x@havelock.example",      "v.stone+x@havelock.example"),
        ("once more",               "old@a.example",                "newest@a.example"),
        ("a whole domain",          "copier3@printers.lan",         "scanner@havelock.example"),
        ("the same user there",     "joe@b.example",                "joe@c.example"),
        ("itself",                  "self@a.example",               "self@a.example"),
        ("a bare key, local",       "ann@gate.oakfield.example",    "nobody@oakfield.example"),
        ("a bare key, elsewhere",   "ann@elsewhere.example",        "ann@elsewhere.example"),
    ];
    for (shows, address, expected) in cases {
        assert_eq!(sender(&postfix, &inside(), address), expected, "{shows}");
    }
    let generic = of(false, false);
    assert_eq!(
        sender(&generic, &inside(), "vera+x@havelock.example"),
        "v.stone@havelock.example"
    );
    assert_eq!(
        sender(&generic, &inside(), "old@a.example"),
        "new@a.example",
        "once"
    );
}

#[test]
fn what_cannot_be_done_puts_off() {
    let look_up = LookUp {
        number: 0,
        sendmail: false,
        keep_detail: true,
        repeat: true,
    };
    let bad = table(
        "a@a.example b@a.example\nb@a.example a@a.example\nc@a.example no address\n",
        Format::Postfix,
    );
    let rewriting = rewriting(vec![rule("bad", SENDERS, Way::Tables(look_up))], vec![bad]);
    let chosen = rewriting.coming_in(&inside(), "mx").unwrap();
    let made = |address: &str| {
        let parsed = address.parse().unwrap();
        let made = chosen.envelope(Class::EnvelopeSender, &parsed);
        made.now_or_never().unwrap().unwrap_err()
    };
    assert!(matches!(made("a@a.example"), Trouble::Circle { .. }));
    assert_eq!(
        made("c@a.example").to_string(),
        "rule \"bad\": what t has for c@a.example \"no address\" is not an address: a character that no address has there; write one, \
         \"@example.org\" for the same user there, or a name alone"
            .replace("a character that no address has there", &bad_character())
    );
}

fn bad_character() -> String {
    "no address".parse::<Mailbox>().unwrap_err().to_string()
}

fn header(rewriting: &Rewriting, client: &Client, text: &str) -> String {
    let mut made = Header::parse(text.into());
    if let Some(chosen) = rewriting.coming_in(client, "mx") {
        chosen.header(&mut made).now_or_never().unwrap().unwrap();
    }
    String::from_utf8(made.into_text()).unwrap()
}

#[test]
fn headers() {
    let joinery = joinery();
    let text = "Received: from a (anna@oakfield.example)\r\nFrom: \"Keller, A.\" <anna@oakfield.example>,\r\n\tB <bert@oakfield.lan> \
                (bert@oakfield.lan)\r\nTo: anna@oakfield.example\r\nReply-To: Team: anna@oakfield.example, x@y.example;\r\nSubject: \
                anna@oakfield.example\r\n";
    let expected = text
        .replace("<anna@oakfield.example>", "<anna.keller@oakfield.example>")
        .replace("<bert@oakfield.lan>", "<bert.voss@oakfield.example>")
        .replace(
            "Team: anna@oakfield.example",
            "Team: anna.keller@oakfield.example",
        );
    assert_eq!(header(&joinery, &inside(), text), expected);
    assert_eq!(header(&joinery, &inside(), &expected), expected, "once more");
    assert_eq!(header(&joinery, &Client::default(), text), text, "a stranger's");

    let signed = format!("DKIM-Signature: v=1\r\n{text}");
    let all = |signed| {
        let mut all = self::joinery();
        for rule in &mut all.rules {
            rule.whose = Whose::everybody();
            rule.signed = signed;
        }
        all
    };
    let outside = Client::default();
    assert_eq!(
        header(&all(false), &outside, &signed),
        signed,
        "others have signed it"
    );
    assert_ne!(header(&all(true), &outside, &signed), signed, "asked for");
    assert_ne!(header(&all(false), &outside, text), text, "nobody has");
    assert_ne!(header(&all(false), &inside(), &signed), signed, "one of us");
}

/// Mail from the joinery to very many recipients, one to a line.
fn crowd(count: usize, name: impl Fn(usize) -> String) -> String {
    let list: Vec<String> = (0..count)
        .map(|number| format!("{}@oakfield.lan", name(number)))
        .collect();
    format!(
        "From: anna@oakfield.example\r\nReply-To: {}\r\n",
        list.join(",\r\n ")
    )
}

#[test]
fn however_many_addresses_there_are() {
    let joinery = joinery();
    let text = crowd(9_999, |number| format!("user{number}"));
    let made = header(&joinery, &inside(), &text);
    assert_eq!(made.matches("@oakfield.example").count(), 10_000);
    assert!(!made.contains("oakfield.lan"));

    let troubled = |rewriting: &Rewriting, text: &str| {
        let chosen = rewriting.coming_in(&inside(), "mx").unwrap();
        let mut header = Header::parse(text.into());
        chosen.header(&mut header).now_or_never().unwrap().err()
    };
    let more = crowd(10_000, |number| format!("user{number}"));
    let most = header::ADDRESSES_MAX;
    assert_eq!(
        troubled(&joinery, &more),
        Some(Trouble::TooMany(most)),
        "nothing is passed by in silence"
    );
    // If a database must be asked about each, not all are looked up.
    let mut asking = self::joinery();
    let nothing = table("none.example x\n", Format::Postfix);
    asking.domain_tables = vec![Arc::new(DomainTable::new(nothing))];
    let named = |count| crowd(count, |number| format!("user{number}"));
    assert_eq!(troubled(&asking, &named(header::ASKED_MAX - 1)), None);
    let most = header::ASKED_MAX;
    assert_eq!(troubled(&asking, &named(most)), Some(Trouble::TooMany(most)));
    // The same address again costs nothing.
    let same = crowd(most * 2, |_| "user".to_owned());
    assert_eq!(troubled(&asking, &same), None);

    // A short name that stands for a long one, again and again.
    let long = format!("a\t{}@{}.example\n", "x".repeat(60), "y".repeat(60));
    let look_up = LookUp {
        number: 0,
        sendmail: true,
        keep_detail: false,
        repeat: false,
    };
    let growing = rewriting(
        vec![rule("grows", SENDERS, Way::Tables(look_up))],
        vec![table(
            &long.replacen("a\t", "a@oakfield.lan\t", 1),
            Format::Sendmail,
        )],
    );
    assert_eq!(troubled(&growing, &crowd(1_000, |_| "a".to_owned())), None);
    let trouble = troubled(&growing, &crowd(20_000, |_| "a".to_owned()));
    assert_eq!(trouble, Some(Trouble::Grown(header::GROWTH_MAX)));
}

#[test]
fn bare_names_and_hosts() {
    let append = Append {
        origin: Some("havelock.example".parse().unwrap()),
        domain: Some("havelock.example".parse().unwrap()),
    };
    let mut list = MasqueradeList::default();
    list.push("!lab.havelock.example").unwrap();
    list.push("havelock.example").unwrap();
    let both = &[Class::HeaderSender, Class::HeaderRecipient];
    let rules = vec![
        rule("append", both, Way::Append(append)),
        rule("masquerade", both, Way::Masquerade(list)),
    ];
    let rewriting = rewriting(rules, Vec::new());
    #[rustfmt::skip]
    let cases = [
        ("From: cron\r\n",                              "From: cron@havelock.example\r\n"),
        ("From: root (Cron Daemon)\r\n",                "From: root@havelock.example (Cron Daemon)\r\n"),
        ("To: vera@pc12, anna@bench.lab\r\n",           "To: vera@havelock.example, anna@bench.lab\r\n"),
        ("Cc: anna@bench.lab.havelock.example\r\n",     "Cc: anna@bench.lab.havelock.example\r\n"),
        ("To: undisclosed-recipients:;\r\n",            "To: undisclosed-recipients:;\r\n"),
        ("From: Vera Stone\r\n",                        "From: Vera Stone\r\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(header(&rewriting, &inside(), text), expected);
    }
}

#[test]
fn a_long_line_is_folded() {
    let append = Append {
        origin: Some("a-rather-long-name-of-a-domain.example".parse().unwrap()),
        domain: None,
    };
    let rewriting = rewriting(
        vec![rule("append", &[Class::HeaderRecipient], Way::Append(append))],
        Vec::new(),
    );
    let text = format!("To: {}z\r\n", "a, ".repeat(300));
    let made = header(&rewriting, &inside(), &text);
    assert_eq!(made.matches("@a-rather-long-name").count(), 301);
    assert!(made.lines().all(|line| line.len() <= 998));
}
