//! Addresses, case by case.

use AddressError::*;
use postern_mail::address::{AddressError, AddressLimits, PathKind, split_path};
use postern_mail::{Domain, ForwardPath, Mailbox, ParseOptions, ReversePath, Status};

fn read(text: &str, utf8: bool) -> Result<String, AddressError> {
    Mailbox::parse(
        text,
        &ParseOptions {
            utf8,
            ..ParseOptions::default()
        },
    )
    .map(|mailbox| mailbox.to_string())
}

fn long(letter: &str, count: usize) -> String {
    letter.repeat(count)
}

#[test]
fn mailboxes_in_ascii() {
    let local_64 = format!("{}@b.example", long("a", 64));
    let local_65 = format!("{}@b.example", long("a", 65));
    let label_63 = format!("a@{}.example", long("b", 63));
    let label_64 = format!("a@{}.example", long("b", 64));
    let name_255 = format!(
        "a@{}.{}",
        [long("b", 63), long("c", 63), long("d", 63)].join("."),
        long("e", 63)
    );
    let name_256 = format!("{name_255}.f");
    #[rustfmt::skip]
    let cases: &[(&str, &str, Result<&str, AddressError>)] = &[
        // what the case shows                 text                        printed, or why not
        ("plain",                              "a@b.example",              Ok("a@b.example")),
        ("case of the local part is kept",     "A.Caird@FCCC.Example",     Ok("A.Caird@fccc.example")),
        ("every atext",                        "!#$%&'*+-/=?^_`{|}~@b.c",  Ok("!#$%&'*+-/=?^_`{|}~@b.c")),
        ("one trailing dot goes",              "a@b.example.",             Ok("a@b.example")),
        ("two trailing dots",                  "a@b.example..",            Err(BadDomain)),
        ("only a dot",                         "a@.",                      Err(BadDomain)),
        ("leading dot in the domain",          "a@.b",                     Err(BadDomain)),
        ("single label",                       "a@localhost",              Ok("a@localhost")),
        ("underscores are about",              "a@_b.example",             Ok("a@_b.example")),
        ("leading hyphen",                     "a@-b.example",             Err(BadDomain)),
        ("trailing hyphen",                    "a@b-.example",             Err(BadDomain)),
        ("dotted quad without brackets",       "a@192.0.2.1",              Err(BadDomain)),
        ("dotted quad with trailing dot",      "a@192.0.2.1.",             Err(BadDomain)),
        ("a number for an address",            "a@3221225985",             Err(BadDomain)),
        ("hexadecimal for an address",         "a@0x7f.0x1",               Err(BadDomain)),
        ("blank in the domain",                "a@b example",              Err(BadDomain)),
        ("second at sign",                     "a@b@c.example",            Err(BadDomain)),
        ("percent in the domain",              "a@b%c.example",            Err(BadDomain)),
        ("control in the domain",              "a@b\u{0}.example",         Err(BadDomain)),
        ("A-label",                            "a@XN--BCHER-KVA.example",  Ok("a@xn--bcher-kva.example")),
        ("IPv4 literal",                       "a@[192.0.2.1]",            Ok("a@[192.0.2.1]")),
        ("IPv6 literal in any case",           "a@[ipv6:2001:DB8::1]",     Ok("a@[IPv6:2001:db8::1]")),
        ("mapped literal is the IPv4 one",     "a@[IPv6:::ffff:192.0.2.1]", Ok("a@[192.0.2.1]")),
        ("IPv6 without its tag",               "a@[2001:db8::1]",          Err(BadDomain)),
        ("literal with a zone",                "a@[IPv6:fe80::1%eth0]",    Err(BadDomain)),
        ("literal with leading zeros",         "a@[192.000.002.001]",      Err(BadDomain)),
        ("literal of an unknown kind",         "a@[x400:b]",               Err(BadDomain)),
        ("literal without its end",            "a@[192.0.2.1",             Err(BadDomain)),
        ("something behind the literal",       "a@[192.0.2.1].example",    Err(BadDomain)),
        ("empty literal",                      "a@[]",                     Err(BadDomain)),
        ("quoted",                             "\"a b\"@c.example",        Ok("\"a b\"@c.example")),
        ("quoted at sign",                     "\"a@b\"@c.example",        Ok("\"a@b\"@c.example")),
        ("quoted pairs",                       r#""a\"\\b"@c.example"#,    Ok(r#""a\"\\b"@c.example"#)),
        ("needless quotes stay as written",    "\"a\"@c.example",          Ok("\"a\"@c.example")),
        ("quoted nothing",                     "\"\"@c.example",           Err(Empty)),
        ("quote without end",                  "\"a@c.example",            Err(UnbalancedQuote)),
        ("quote ends in a quoted pair",        "\"a\\\"@c.example",        Err(UnbalancedQuote)),
        ("quote in an atom",                   "a\"b@c.example",           Err(UnbalancedQuote)),
        ("pair of quotes in an atom",          "a\"b\"@c.example",         Err(BadCharacter)),
        ("text behind the quotes",             "\"a\"b@c.example",         Err(BadCharacter)),
        ("words of RFC 822",                   "\"a\".b@c.example",        Err(BadCharacter)),
        ("tab in quotes",                      "\"a\tb\"@c.example",       Err(BadCharacter)),
        ("line break in quotes",               "\"a\r\nb\"@c.example",     Err(BadCharacter)),
        ("escaped line break",                 "\"a\\\nb\"@c.example",     Err(BadCharacter)),
        ("escape outside quotes",              "a\\@b@c.example",          Err(BadCharacter)),
        ("blank in the local part",            "a b@c.example",            Err(BadCharacter)),
        ("comment",                            "a(b)@c.example",           Err(BadCharacter)),
        ("control in the local part",          "a\u{7f}@c.example",        Err(BadCharacter)),
        ("leading dot",                        ".a@c.example",             Err(BadCharacter)),
        ("trailing dot",                       "a.@c.example",             Err(BadCharacter)),
        ("two dots",                           "a..b@c.example",           Err(BadCharacter)),
        ("no local part",                      "@c.example",               Err(Empty)),
        ("nothing",                            "",                         Err(Empty)),
        ("no domain",                          "a",                        Err(DomainMissing)),
        ("nothing after the at sign",          "a@",                       Err(DomainMissing)),
        ("bang path without domain",           "b!a",                      Err(DomainMissing)),
        ("UTF-8 in the local part",            "ä@c.example",              Err(NeedsUtf8)),
        ("UTF-8 in quotes",                    "\"ä\"@c.example",          Err(NeedsUtf8)),
        ("UTF-8 in the domain",                "a@bücher.example",         Err(NeedsUtf8)),
        ("local part of 64 octets",            &local_64,                  Ok(&local_64)),
        ("local part of 65 octets",            &local_65,                  Err(LocalTooLong)),
        ("label of 63 octets",                 &label_63,                  Ok(&label_63)),
        ("label of 64 octets",                 &label_64,                  Err(DomainTooLong)),
        ("domain of 255 octets",               &name_255,                  Ok(&name_255)),
        ("domain of 257 octets",               &name_256,                  Err(DomainTooLong)),
    ];
    for (shows, text, expected) in cases {
        assert_eq!(read(text, false), expected.map(str::to_owned), "{shows}");
    }
}

#[test]
fn mailboxes_with_smtputf8() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, Result<&str, AddressError>)] = &[
        // what the case shows                 text                        printed, or why not
        ("local part",                         "jörg@c.example",           Ok("jörg@c.example")),
        ("quoted local part",                  "\"jörg b\"@c.example",     Ok("\"jörg b\"@c.example")),
        ("domain becomes A-labels",            "a@Bücher.example",         Ok("a@xn--bcher-kva.example")),
        ("ideographic full stop is a dot",     "a@b\u{3002}example",       Ok("a@b.example")),
        ("wide letters are the narrow ones",   "a@\u{ff42}.example",       Ok("a@b.example")),
        ("wide digits make no address",        "a@\u{ff11}92.0.2.1",       Err(BadDomain)),
        ("wide percent sign in the domain",    "a@b\u{ff05}c.example",     Err(BadDomain)),
        ("wide at sign in the domain",         "a@b\u{ff20}c.example",     Err(BadDomain)),
        ("wide bracket makes no literal",      "a@\u{ff3b}192.0.2.1]",     Err(BadDomain)),
        ("soft hyphen vanishes",               "a@b\u{ad}c.example",       Ok("a@bc.example")),
        ("escaped UTF-8",                      "\"\\ä\"@c.example",        Err(BadCharacter)),
        ("C1 control",                         "a\u{85}b@c.example",       Err(BadCharacter)),
        ("line separator",                     "a\u{2028}b@c.example",     Err(BadCharacter)),
        ("direction override",                 "a\u{202e}b@c.example",     Err(BadCharacter)),
        ("direction override in quotes",       "\"a\u{202e}b\"@c.example", Err(BadCharacter)),
    ];
    for (shows, text, expected) in cases {
        assert_eq!(read(text, true), expected.map(str::to_owned), "{shows}");
    }
}

#[test]
fn reverse_paths() {
    let limits = AddressLimits {
        path_max: 20,
        ..AddressLimits::default()
    };
    let options = ParseOptions {
        limits,
        ..ParseOptions::default()
    };
    #[rustfmt::skip]
    let cases: &[(&str, &str, Result<&str, AddressError>)] = &[
        // what the case shows                 text                        printed, or why not
        ("null sender",                        "<>",                       Ok("<>")),
        ("blanks around it",                   " <> ",                     Ok("<>")),
        ("blanks inside are no null sender",   "< >",                      Err(BadCharacter)),
        ("nothing at all",                     "",                         Err(Empty)),
        ("address",                            "<a@b.example>",            Ok("<a@b.example>")),
        ("without brackets, as some write",    "a@b.example",              Ok("<a@b.example>")),
        ("source route is dropped",            "<@c,@d:a@b>",              Ok("<a@b>")),
        ("open bracket",                       "<a@b.example",             Err(UnbalancedAngle)),
        ("closing bracket",                    "a@b.example>",             Err(UnbalancedAngle)),
        ("quote never ends",                   "<\"a@b.example>",          Err(UnbalancedQuote)),
        ("quote never ends, nor does bracket", "<\"a@b.example",           Err(UnbalancedQuote)),
        ("bracket in the address",             "<<a@b>>",                  Err(BadCharacter)),
        ("20 octets with the brackets",        "<abcdefg@b.example>",      Ok("<abcdefg@b.example>")),
        ("21 octets",                          "<abcdefghi@b.example>",    Err(PathTooLong)),
        ("the brackets count if left out",     "abcdefghi@b.example",      Err(PathTooLong)),
    ];
    for (shows, text, expected) in cases {
        let path = ReversePath::parse(text, &options).map(|path| path.to_string());
        assert_eq!(path, expected.map(str::to_owned), "{shows}");
    }
}

#[test]
fn rewritten_addresses_may_be_longer() {
    let limits = AddressLimits {
        path_max: 100,
        rewritten_max: 84,
        ..AddressLimits::default()
    };
    let options = ParseOptions {
        limits,
        ..ParseOptions::default()
    };
    let of = |tag: &str, octets: usize| format!("{tag}{}", "a".repeat(octets - tag.len()));
    #[rustfmt::skip]
    let cases = [
        // what the case shows                  local part              domain      why not
        ("as long as it may be",                of("SRS0=", 84),        "b",        None),
        ("an octet more",                       of("SRS0=", 85),        "b",        Some(LocalTooLong)),
        ("somebody else's",                     of("", 65),             "b",        Some(LocalTooLong)),
        ("one that only begins so",             of("SRS0", 65),         "b",        Some(LocalTooLong)),
        ("in quotes",                           format!("\"{}\"", of("srs1+", 82)), "b", None),
        ("with as much more of a path",         of("SRS1-", 84),        "c.example.of-33-octets.xxxxxxxx", None),
        ("an octet more",                       of("SRS1-", 84),        "c.example.of-33-octets.xxxxxxxxxxxx", Some(PathTooLong)),
    ];
    for (shows, local, domain, expected) in cases {
        let path = ReversePath::parse(&format!("<{local}@{domain}>"), &options);
        assert_eq!(path.err(), expected, "{shows}");
    }
    #[rustfmt::skip]
    let looks = [
        ("SRS0=a", true), ("srs1-a", true), ("SRS0+", true), ("SRS0", false), ("SRS2=a", false), ("SRS", false),
        ("srs€=a", false), ("ann", false),
    ];
    for (local, expected) in looks {
        assert_eq!(postern_mail::is_rewritten(local), expected, "{local}");
    }
}

#[test]
fn forward_paths() {
    let address = |text: &str, source_route| {
        Ok(ForwardPath::Mailbox {
            mailbox: text.parse().expect("an address of the table"),
            source_route,
        })
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows                 text                                 read as
        ("address",                            "<a@b.example>",                     address("a@b.example", false)),
        ("postmaster of this host",            "<postmaster>",                      Ok(ForwardPath::Postmaster)),
        ("postmaster in any case",             "<PostMaster>",                      Ok(ForwardPath::Postmaster)),
        ("postmaster elsewhere",               "<postmaster@b>",                    address("postmaster@b", false)),
        ("null path",                          "<>",                                Err(Empty)),
        ("source route",                       "<@l.example:a@b.example>",          address("a@b.example", true)),
        ("longer source route",                "<@l,@m.example:a@b>",               address("a@b", true)),
        ("literals in the source route",       "<@[IPv6:::1],@[192.0.2.1]:a@b>",    address("a@b", true)),
        ("source route to nobody",             "<@l.example:>",                     Err(Empty)),
        ("source route without colon",         "<@l.example>",                      Err(Empty)),
        ("source route with a bad host",       "<@l%m:a@b>",                        Err(BadDomain)),
        ("source route with an empty host",    "<@:a@b>",                           Err(Empty)),
        ("source route without second sign",   "<@l,m:a@b>",                        Err(BadCharacter)),
        ("two source routes",                  "<@l:@m:a@b>",                       Err(Empty)),
        ("colon of a route without sign",      "<l:a@b>",                           Err(BadCharacter)),
        ("percent hack is one local part",     "<a%c.example@b>",                   address("a%c.example@b", false)),
        ("bang path is one local part",        "<c.example!a@b>",                   address("c.example!a@b", false)),
        ("no domain",                          "<a>",                               Err(DomainMissing)),
    ];
    for (shows, text, expected) in cases {
        assert_eq!(
            ForwardPath::parse(text, &ParseOptions::default()),
            expected,
            "{shows}"
        );
    }
}

#[test]
fn a_default_domain_completes_addresses_without_one() {
    let domain = "example.org".parse().unwrap();
    let options = ParseOptions {
        default_domain: Some(&domain),
        ..ParseOptions::default()
    };
    #[rustfmt::skip]
    let cases = [
        // what the case shows             text          read as
        ("bare name",                      "a",          Ok("a@example.org")),
        ("quoted name",                    "\"a b\"",    Ok("\"a b\"@example.org")),
        ("a domain stays",                 "a@b",        Ok("a@b")),
        ("a percent sign is no at sign",   "a%b",        Ok("a%b@example.org")),
        ("a forgotten domain is no blank", "a@",         Err(DomainMissing)),
        ("nothing",                        "",           Err(Empty)),
    ];
    for (shows, text, expected) in cases {
        let mailbox = Mailbox::parse(text, &options).map(|mailbox| mailbox.to_string());
        assert_eq!(mailbox, expected.map(str::to_owned), "{shows}");
    }
    let postmaster = ForwardPath::parse("<postmaster>", &options);
    assert_eq!(
        postmaster,
        Ok(ForwardPath::Postmaster),
        "it belongs to this host, not to the default domain"
    );
}

#[test]
fn paths_are_split_from_their_parameters() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows             text                            split
        ("no parameters",                  "<a@b>",                        Ok(("<a@b>", ""))),
        ("parameters",                     "<a@b> SIZE=1 BODY=7BIT",       Ok(("<a@b>", "SIZE=1 BODY=7BIT"))),
        ("blanks before and after",        "  <a@b>  SIZE=1 ",             Ok(("<a@b>", "SIZE=1"))),
        ("null sender",                    "<> SIZE=1",                    Ok(("<>", "SIZE=1"))),
        ("bracket and blank in quotes",    "<\"a> b\"@c> SIZE=1",          Ok(("<\"a> b\"@c>", "SIZE=1"))),
        ("escaped quote",                  r#"<"a\"> b"@c> SIZE=1"#,       Ok((r#"<"a\"> b"@c>"#, "SIZE=1"))),
        ("no brackets",                    "a@b SIZE=1",                   Ok(("a@b", "SIZE=1"))),
        ("no brackets, quoted blank",      "\"a b\"@c SIZE=1",             Ok(("\"a b\"@c", "SIZE=1"))),
        ("nothing",                        "",                             Ok(("", ""))),
        ("bracket never closed",           "<a@b SIZE=1",                  Err(UnbalancedAngle)),
        ("quote never closed",             "<\"a@b> SIZE=1",               Err(UnbalancedQuote)),
        ("no blank before a parameter",    "<a@b>SIZE=1",                  Err(BadCharacter)),
    ];
    for (shows, text, expected) in cases {
        assert_eq!(split_path(text), expected, "{shows}");
    }
}

#[test]
fn quotes_do_not_make_another_person() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows       address                       meant          key
        ("plain",                    "A.B@C.example",              "A.B",         "a.b@c.example"),
        ("needless quotes",          "\"A.B\"@c.example",          "A.B",         "a.b@c.example"),
        ("quoted pairs",             r#""a\b\"c"@d"#,              "ab\"c",       "ab\"c@d"),
        ("at sign",                  "\"a@b\"@c",                  "a@b",         "a@b@c"),
        ("UTF-8 has a lower case",   "JÖRG@c",                     "JÖRG",        "jörg@c"),
        ("literal",                  "a@[IPv6:2001:DB8::1]",       "a",           "a@[IPv6:2001:db8::1]"),
    ];
    for (shows, text, meant, key) in cases {
        let mailbox: Mailbox = text.parse().unwrap();
        assert_eq!(mailbox.unquoted_local(), meant, "{shows}");
        assert_eq!(mailbox.key(), key, "{shows}");
    }
}

#[test]
fn an_address_is_quoted_where_it_has_to_be() {
    #[rustfmt::skip]
    let cases = [
        // what the case shows       local part        written
        ("atoms",                    "a.b",            Ok("a.b@c.example")),
        ("blank",                    "a b",            Ok("\"a b\"@c.example")),
        ("quote and backslash",      "a\"b\\c",        Ok(r#""a\"b\\c"@c.example"#)),
        ("at sign",                  "a@b",            Ok("\"a@b\"@c.example")),
        ("leading dot",              ".a",             Ok("\".a\"@c.example")),
        ("UTF-8",                    "jörg",           Ok("jörg@c.example")),
        ("empty",                    "",               Err(Empty)),
        ("line break",               "a\r\nb",         Err(BadCharacter)),
    ];
    let domain: Domain = "c.example".parse().unwrap();
    for (shows, local, expected) in cases {
        let mailbox = Mailbox::new(local, domain.clone());
        let written = mailbox.clone().map(|mailbox| mailbox.to_string());
        assert_eq!(written, expected.map(str::to_owned), "{shows}");
        if let Ok(mailbox) = mailbox {
            assert_eq!(mailbox.unquoted_local(), local, "{shows}");
        }
    }
}

#[test]
fn mistakes_are_answered_in_sendmails_codes() {
    let reply = |error: AddressError, kind| {
        let reply = error.reply(kind);
        (reply.code, reply.status, reply.text)
    };
    assert_eq!(
        reply(UnbalancedQuote, PathKind::Forward),
        (553, Status(5, 0, 0), "Unbalanced '\"'")
    );
    assert_eq!(
        reply(UnbalancedQuote, PathKind::Reverse),
        (553, Status(5, 0, 0), "Unbalanced '\"'")
    );
    assert_eq!(
        reply(BadDomain, PathKind::Reverse).1,
        Status(5, 1, 8),
        "bad system of the sender"
    );
    assert_eq!(
        reply(BadDomain, PathKind::Forward).1,
        Status(5, 1, 2),
        "bad system of the recipient"
    );
    assert_eq!(
        reply(NeedsUtf8, PathKind::Forward).1,
        Status(5, 6, 7),
        "RFC 6531 section 3.5"
    );
    assert_eq!(
        reply(PathTooLong, PathKind::Reverse).0,
        501,
        "RFC 5321 section 4.5.3.1.10"
    );
}
