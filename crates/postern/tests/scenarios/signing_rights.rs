//! Whose mail is signed: logins that may write any address, machines, reports; never strangers.

use std::net::Ipv4Addr;

use postern_testkit::sink::Sink;
use postern_testkit::smtp::{Client, TlsOptions};

use crate::harness::Site;
use crate::signing::{judged, make_keys, send};

/// The signing rule shown by `explain`.
fn explained(site: &Site, arguments: &[&str]) -> String {
    let mut all = vec!["explain", "--json", "--to", "someone@outside.example"];
    all.extend(arguments);
    let output = site.run(&all);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = told["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["command"] == "signature");
    step.unwrap_or_else(|| panic!("no signature in {told}"))["rule"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_login_that_may_write_any_address_is_signed_for_its_own() {
    let sink = Sink::start();
    let tables = "[relay]\nsenders = \"any\"\n[timeouts]\nreverse_lookup = \"0s\"\n\
                  [[dkim]]\ndomain = \"relay.test\"\n[[dkim]]\ndomain = \"tenant.test\"\n\
                  [[dkim]]\ndomain = \"free.test\"\nany_login = true\n\
                  [[identity.grant]]\nname = \"news\"\nlogins = [\"tester@relay.test\"]\naddresses = [\"news@tenant.test\"]\n";
    let mut site = Site::relay(sink.port(), tables);
    let records = make_keys(&site, &["relay.test", "tenant.test", "free.test"]);
    site.start();
    let mut tester = site.tester();
    #[rustfmt::skip]
    let cases = [
        // what the case shows   MAIL                   From                              signs
        ("own",                  "tester@relay.test",   Some("tester@relay.test"),        Some("relay.test")),
        ("own-other-envelope",   "any@else.example",    Some("T <tester@relay.test>"),    Some("relay.test")),
        ("tag",                  "tester@relay.test",   Some("tester+x@relay.test"),      Some("relay.test")),
        ("granted",              "tester@relay.test",   Some("news@tenant.test"),         Some("tenant.test")),
        ("tenant",               "tester@relay.test",   Some("boss@tenant.test"),         None),
        ("colleague",            "tester@relay.test",   Some("boss@relay.test"),          None),
        ("colleague-behind-own", "tester@relay.test",   Some("tester@relay.test, boss@relay.test"), None),
        ("free",                 "tester@relay.test",   Some("anybody@free.test"),        Some("free.test")),
        ("no-author",            "boss@relay.test",     None,                             None),
        ("no-author-own",        "tester@relay.test",   None,                             Some("relay.test")),
    ];
    for (shows, sender, author, signs) in cases {
        let from = author.map_or(String::new(), |author| format!("From: {author}\r\n"));
        let content = format!("{from}Subject: case {shows}.\r\n\r\nHello.\r\n");
        send(&mut tester, sender, "someone@outside.example", &content);
        let taken = sink.wait_for(&format!("Subject: case {shows}.")).content;
        let found = judged(&taken, &records);
        let mut arguments = vec![
            "--peer",
            "127.0.0.1",
            "--listener",
            "submission",
            "--login",
            "tester@relay.test",
            "--from",
            sender,
        ];
        arguments.extend(author.into_iter().flat_map(|author| ["--author", author]));
        match signs {
            Some(domain) => {
                assert_eq!(found.len(), 2, "{shows}: {taken}");
                assert!(found.iter().all(|one| one.holds), "{shows}: {found:?}\n{taken}");
                assert!(taken.contains(&format!("d={domain};")), "{shows}: {taken}");
                assert_eq!(explained(&site, &arguments), "dkim.signed", "{shows}");
            }
            None => {
                assert!(found.is_empty(), "{shows}: {taken}");
                assert_eq!(explained(&site, &arguments), "dkim.identity", "{shows}");
            }
        }
    }
    site.wait_for_log(&["not signed", "rule=dkim.identity", "does not cover the author"]);
}

#[test]
fn machines_are_signed_for_and_strangers_are_not() {
    let sink = Sink::start();
    let tables = "[relay]\nsenders = \"own\"\nnetworks = [\"127.0.0.2\"]\n[[relay.certificate]]\nname = \"application\"\n\
                  subject = \"CN=app.relay.test\"\n[timeouts]\nreverse_lookup = \"0s\"\n[[dkim]]\ndomain = \"relay.test\"\n";
    let mut site = Site::relay_as(sink.port(), "", tables, "client_ca = \"certs/ca.crt\"\n");
    site.issue("app", &["app.relay.test"]);
    let records = make_keys(&site, &["relay.test"]);
    site.start();
    let signed = |subject: &str| {
        let taken = sink.wait_for(&format!("Subject: {subject}.")).content;
        let found = judged(&taken, &records);
        assert!(found.iter().all(|one| one.holds), "{subject}: {found:?}\n{taken}");
        found.len()
    };
    let content = |subject: &str| format!("From: app@relay.test\r\nSubject: {subject}.\r\n\r\nHello.\r\n");

    let (mut machine, _) = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), site.mx).unwrap();
    machine.say("EHLO machine.relay.test").unwrap();
    send(
        &mut machine,
        "app@relay.test",
        "someone@outside.example",
        &content("by network"),
    );
    assert_eq!(signed("by network"), 2);

    let ca = site.path("certs/ca.crt");
    let (certificate, key) = (site.path("certs/app.crt"), site.path("certs/app.key"));
    let mut client = site.client();
    client.say("EHLO app.relay.test").unwrap();
    let mut client = client
        .starttls(TlsOptions {
            name: "localhost",
            ca: &ca,
            identity: Some((&certificate, &key)),
        })
        .unwrap();
    client.say("EHLO app.relay.test").unwrap();
    send(
        &mut client,
        "app@relay.test",
        "someone@outside.example",
        &content("by certificate"),
    );
    assert_eq!(signed("by certificate"), 2);
    site.wait_for_log(&["accepted", "rule=relay.certificate"]);

    // The same for somebody who is not listed.
    let mut stranger = site.client();
    stranger.say("EHLO app.relay.test").unwrap();
    send(
        &mut stranger,
        "app@relay.test",
        "someone@relay.test",
        &content("a stranger"),
    );
    assert_eq!(signed("a stranger"), 0);
}
