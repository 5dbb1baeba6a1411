//! Which recipients in local domains exist, and where mail for them goes.

use postern_mail::Mailbox;
use postern_testkit::smtp::Client;

use crate::harness::{HOST, Options, Server};

const ALIASES: &str = "\
sales: nosuchuser
ghost: ghost
acaird: \\acaird, nobody-yet
info: info@challenger.example
mix: acaird, an, x@outside.example
far: y@outside.example
shop: acaird+shop
shops: sale+x
sale: acaird
postmaster: nosuchuser
";

fn ask(client: &mut Client, name: &str) -> String {
    client.say("RSET").unwrap();
    client.say("MAIL FROM:<x@y.example>").unwrap();
    client.say(&format!("RCPT TO:<{name}>")).unwrap()
}

/// The targets of a message for this recipient.
fn led(server: &Server, client: &mut Client, name: &str) -> Vec<String> {
    client.say("RSET").unwrap();
    let reply = client
        .mail("x@y.example", &[name], "Subject: x\r\n\r\nx\r\n")
        .unwrap();
    let (message, _) = server.message(&reply);
    let address = |to: &postern_mail::Recipient| -> Mailbox { to.address.clone() };
    message
        .envelope
        .recipients
        .iter()
        .map(|to| address(to).to_string())
        .collect()
}

#[test]
fn each_target_of_an_alias_is_somebody() {
    let mut options = Options::mx();
    options.aliases = ALIASES;
    options.settings.identity.tag_separator = Some('+');
    let server = options.start();
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    #[rustfmt::skip]
    let refused = [
        ("a user whom nobody has",          "nosuchuser",   "User unknown"),
        ("an alias of such a one",          "sales",        "Alias has no valid target"),
        ("an alias to itself",              "ghost",        "Alias has no valid target"),
        ("the same with the domain",        "info",         "Alias has no valid target"),
        ("the same with a detail",          "sales+x",      "Alias has no valid target"),
        ("a detail of nobody",              "nosuch+x",     "User unknown"),
        ("a detail alone",                  "+x",           "User unknown"),
    ];
    for (shows, name, words) in refused {
        let reply = ask(&mut client, &format!("{name}@{HOST}"));
        assert!(
            reply.starts_with("550 5.1.1") && reply.contains(words),
            "{shows}: {reply}"
        );
    }
    #[rustfmt::skip]
    let taken: [(&str, &str, &[&str]); 11] = [
        ("an alias to itself and others", "acaird@challenger.example",     &["acaird@challenger.example"]),
        ("with a detail: the alias",      "acaird+y@challenger.example",   &["acaird@challenger.example"]),
        ("those that exist",              "mix@challenger.example",        &["acaird@challenger.example", "x@outside.example"]),
        ("elsewhere",                     "far@challenger.example",        &["y@outside.example"]),
        ("elsewhere, with a detail",      "far+z@challenger.example",      &["y@outside.example"]),
        ("to a detail",                   "shop@challenger.example",       &["acaird+shop@challenger.example"]),
        ("to a detail of an alias",       "shops@challenger.example",      &["acaird@challenger.example"]),
        ("case does not matter",          "MIX+a@challenger.example",      &["acaird@challenger.example", "x@outside.example"]),
        ("postmaster in any case",        "postmaster@challenger.example", &["postmaster@challenger.example"]),
        ("postmaster without a domain",   "postmaster",                    &["postmaster@challenger.example"]),
        ("a detail of postmaster",        "postmaster+x@challenger.example", &["postmaster+x@challenger.example"]),
    ];
    for (shows, name, addresses) in taken {
        assert_eq!(led(&server, &mut client, name), addresses, "{shows}");
    }
}

#[test]
fn a_detail_counts_where_it_is_switched_on_and_the_domain_may_be_another() {
    let server = Options::mx().start();
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    assert!(ask(&mut client, "acaird+x@challenger.example").starts_with("550 5.1.1"));

    let mut options = Options::mx();
    options.settings.accept_unknown = true;
    let server = options.start();
    let mut client = server.connect();
    client.say("EHLO helo").unwrap();
    assert!(ask(&mut client, "whoever@challenger.example").starts_with("250"));

    // A host without local domains still has a postmaster.
    let mut options = Options::mx();
    options.settings.relay.local_domains = postern_policy::DomainSet::default();
    let server = options.start();
    let mut client = server.connect();
    assert_eq!(led(&server, &mut client, "Postmaster"), ["postmaster@localhost"]);
}
