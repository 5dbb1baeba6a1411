//! Access rules of a configuration, with tables of Postfix and sendmail, real policy services and swaks; and what `explain` and
//! `check` say about them.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use postern_testkit::policy::PolicyService;
use postern_testkit::process::{program, wait_until};
use postern_testkit::sink::Sink;
use postern_testkit::smtp::Client;

use crate::harness::Site;

const TOP: &str = "local_domains = [\"home.example\"]\naliases = \"aliases\"\n";

fn site(sink: &Sink, rules: &str) -> Site {
    let site = Site::relay_with(sink.port(), TOP, rules);
    fs::write(
        site.path("aliases"),
        "far: friend@outside.example\nstaff: friend@outside.example\npostmaster: friend@outside.example\n",
    )
    .unwrap();
    site
}

fn ask(site: &Site, last: u8, from: &str, to: &str) -> String {
    let (mut client, greeting) = Client::connect_from(Ipv4Addr::new(127, 0, 0, last), site.mx).unwrap();
    if !greeting.starts_with("220") {
        return greeting;
    }
    client.say("EHLO mx.away.example").unwrap();
    let reply = client.say(&format!("MAIL FROM:<{from}>")).unwrap();
    if !reply.starts_with("250") {
        return reply;
    }
    client.say(&format!("RCPT TO:<{to}>")).unwrap()
}

const RULES: &str = r#"
[[access]]
name = "partners"
client = "127.0.0.9"
verdict = "accept"

[[access]]
name = "clients"
table = "cidr:clients.cidr"
look_up = "client"
verdict = "table"

[[access]]
name = "senders"
table = "hash:senders"
look_up = "sender"
verdict = "table"

[[access]]
name = "old table"
table = "sendmail:access"
look_up = "recipient"
form = "sendmail"
verdict = "table"

[[access]]
name = "names"
helo = "pcre:helo.pcre"
verdict = "refuse"
text = "that is me"

[[access]]
name = "staff"
recipient = "staff@home.example"
client = { not = ["10.0.0.0/8", "127.0.0.10"] }
verdict = "refuse"
code = 554
text = "internal list"

[[access]]
name = "hold"
sender = "odd@away.example"
verdict = "hold"
reason = "odd"

[[access]]
name = "only a class"
class = "shut"
verdict = "refuse"
text = "shut"
"#;

fn with_tables(site: &Site) {
    for (name, text) in [
        (
            "clients.cidr",
            "127.0.0.11 REJECT bad neighbourhood\n127.0.0.12 450 4.7.1 come back later\n",
        ),
        (
            "senders",
            "# senders\nbad.example\tREJECT not from there\nfriend@bad.example\tOK\nshut@away.example\tshut\ngone@away.example\tDISCARD\n",
        ),
        (
            "access",
            "To:karl@home.example\tERROR:\"550 5.1.1 Karl has retired\"\nClientRate:\t60\nConnect:127\tRELAY\n",
        ),
        ("helo.pcre", "/^mx\\.relay\\.test$/ x\n"),
    ] {
        fs::write(site.path(name), text).unwrap();
    }
}

#[test]
fn rules_of_a_configuration() {
    let sink = Sink::start();
    let mut site = site(&sink, RULES);
    with_tables(&site);
    site.start();
    #[rustfmt::skip]
    let cases = [
        // what the case shows        client  sender                to                    reply
        ("nothing against it",        8,      "ann@away.example",   "far@home.example",   "250 "),
        ("a network of a table",      11,     "ann@away.example",   "far@home.example",   "554 5.7.1 <far@home.example>... bad neighbourhood (session "),
        ("for now",                   12,     "ann@away.example",   "far@home.example",   "450 4.7.1 <far@home.example>... come back later (session "),
        ("a sender of a table",       8,      "x@bad.example",      "far@home.example",   "554 5.7.1 <far@home.example>... not from there "),
        ("its exception",             8,      "friend@bad.example", "far@home.example",   "250 "),
        ("who is accepted before",    9,      "x@bad.example",      "staff@home.example", "250 "),
        ("a class of a table",        8,      "shut@away.example",  "far@home.example",   "550 5.7.1 <far@home.example>... shut "),
        ("sendmail's table",          8,      "ann@away.example",   "karl@home.example",  "550 5.1.1 <karl@home.example>... Karl has retired "),
        ("a recipient",               8,      "ann@away.example",   "staff@home.example", "554 5.7.1 <staff@home.example>... internal list "),
        ("from where it may",         10,     "ann@away.example",   "staff@home.example", "250 "),
        ("who can always be reached", 11,     "x@bad.example",      "postmaster@home.example", "250 "),
    ];
    for (shows, client, from, to, reply) in cases {
        let said = ask(&site, client, from, to);
        assert!(said.starts_with(reply), "{shows}: {said}");
    }
    site.wait_for_log(&["refused", "rule=access.refused", "senders", "postern.toml:"]);

    let swaks = program("/usr/bin/swaks", "swaks");
    let send = |from: &str| {
        let output = Command::new(&swaks)
            .args([
                "--server",
                &format!("127.0.0.1:{}", site.mx),
                "--from",
                from,
                "--to",
                "far@home.example",
            ])
            .args([
                "--helo",
                "mx.away.example",
                "--header",
                &format!("Subject: from {from}"),
            ])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = send("odd@away.example");
    assert!(said.contains("Message accepted for delivery"), "{said}");
    let held = site.ok(&["queue", "list", "--json"]);
    assert!(
        held.contains("access.held: \\\"hold\\\" (") && held.contains("): odd"),
        "{held}"
    );
    let said = send("gone@away.example");
    assert!(said.contains("Message accepted for delivery"), "{said}");
    site.wait_for_log(&["ruled", "rule=access.discarded", "senders"]);
    site.wait_for_log(&["discarded", "rule=access.discarded"]);
    send("ann@away.example");
    let taken = sink.wait_for("from ann@away.example");
    assert!(
        taken.rcpt[0].starts_with("<friend@outside.example>"),
        "{:?}",
        taken.rcpt
    );

    #[rustfmt::skip]
    let cases: [(&str, &[&str], &str, &[&str]); 4] = [
        // what the case shows     arguments                                                                                       decided by         among the steps
        ("refused by a table",     &["--peer", "127.0.0.8", "--from", "x@bad.example", "--to", "far@home.example"],               "access.refused",  &["access.skipped: \"partners\" (", "`client` does not hold", "access.refused: \"senders\" ("]),
        ("refused by a rule",      &["--peer", "127.0.0.8", "--from", "a@away.example", "--to", "staff@home.example"],            "access.refused",  &["access.skipped: \"names\" (", "access.refused: \"staff\" (", "554 5.7.1 internal list"]),
        ("accepted",               &["--peer", "127.0.0.9", "--from", "x@bad.example", "--to", "staff@home.example"],             "local.recipient", &["access.accepted: \"partners\" ("]),
        ("held",                   &["--peer", "127.0.0.8", "--from", "odd@away.example", "--to", "far@home.example"],            "local.recipient", &["access.held: \"hold\" (", "access.passed: no access rule decides"]),
    ];
    for (shows, arguments, decided, among) in cases {
        let (said, steps) = site.explained(arguments);
        assert_eq!(said["decided"], decided, "{shows}: {said:#}");
        for step in among {
            assert!(steps.contains(step), "{shows}: {step}: {steps}");
        }
    }
    let (said, _) = site.explained(&[
        "--peer",
        "127.0.0.8",
        "--from",
        "a@away.example",
        "--to",
        "staff@home.example",
    ]);
    let steps = said["steps"].as_array().unwrap();
    let refused = steps
        .iter()
        .find(|step| step["rule"] == "access.refused")
        .unwrap();
    assert_eq!(refused["setting"]["key"], "access");
    assert!(refused["setting"]["line"].as_u64().is_some(), "{refused}");
}

#[test]
fn postgrey_and_postfwd_are_asked() {
    let (postgrey, postfwd) = (
        PolicyService::postgrey(),
        PolicyService::postfwd(
            "id=R1; sender=bad@away.example; action=REJECT not this one\nid=R2; client_address=127.0.0.9; action=OK\n",
        ),
    );
    let sink = Sink::start();
    let rules = format!(
        "[[access]]\nname = \"fwd\"\nverdict = \"policy\"\nservice = \"postfwd\"\n\
         [[access]]\nname = \"grey\"\nstranger = true\nverdict = \"policy\"\nservice = \"postgrey\"\n\
         [[policy_service]]\nname = \"postfwd\"\naddress = \"inet:127.0.0.1:{}\"\n\
         [[policy_service]]\nname = \"postgrey\"\naddress = \"inet:127.0.0.1:{}\"\n",
        postfwd.port(),
        postgrey.port()
    );
    let mut site = site(&sink, &rules);
    site.start();
    let said = ask(&site, 8, "bad@away.example", "far@home.example");
    assert!(
        said.starts_with("554 5.7.1 <far@home.example>... not this one "),
        "{said}"
    );
    let said = ask(&site, 9, "ann@away.example", "far@home.example");
    assert!(
        said.starts_with("250 "),
        "postfwd accepts, so that postgrey is not asked: {said}"
    );
    let said = ask(&site, 8, "ann@away.example", "far@home.example");
    assert!(said.starts_with("450 "), "{said}");
    assert!(said.contains("Greylisted"), "{said}");
    wait_until("postgrey lets it through", || {
        ask(&site, 8, "ann@away.example", "far@home.example").starts_with("250 ")
    });
    let (mut client, _) = Client::connect_from(Ipv4Addr::new(127, 0, 0, 8), site.mx).unwrap();
    client.say("EHLO mx.away.example").unwrap();
    let reply = client
        .mail(
            "ann@away.example",
            &["far@home.example"],
            "Subject: at the second try\r\n\r\nhi\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
    let _ = sink.wait_for("at the second try");
    drop(postgrey);
    let said = ask(&site, 8, "eve@away.example", "far@home.example");
    assert!(said.starts_with("451 4.3.5 "), "{said}");
    site.wait_for_log(&["policy service fails", "service=postgrey"]);
}

#[test]
fn mistakes_are_found_before_mail_comes() {
    let sink = Sink::start();
    #[rustfmt::skip]
    let cases = [
        // what the case shows        rule                                                                                     what check says
        ("an open relay",             "verdict = \"accept\"\nrelay = true",                                                    "an open relay"),
        ("one by negation",           "client = { not = \"10.0.0.0/8\" }\nverdict = \"accept\"\nrelay = true",                 "an open relay"),
        ("everybody",                 "client = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\nverdict = \"accept\"\nrelay = true",         "an open relay"),
        ("no class",                  "verdict = \"class\"\njudge = \"nowhere\"",                                              "there is no class"),
        ("no service",                "verdict = \"policy\"\nservice = \"grey\"",                                              "there is no policy service"),
        ("no limit",                  "verdict = \"limit\"\nlimit = \"bulk\"",                                                 "there is no limit"),
        ("no list",                   "dns_list = [\"bl.example\"]\nverdict = \"refuse\"",                                     "there is no DNS list"),
        ("no listener",               "listener = \"mxx\"\nverdict = \"refuse\"",                                              "did you mean \"mx\"?"),
        ("nowhere to",                "verdict = \"redirect\"",                                                                "`to` is missing"),
        ("a wrong code",              "verdict = \"refuse\"\ncode = 450",                                                      "refuses for now"),
        ("a wrong status",            "verdict = \"defer\"\nstatus = \"5.7.1\"",                                               "not an enhanced status code"),
        ("a wrong network",           "client = \"10.0.0.1/8\"\nverdict = \"refuse\"",                                         "not a network"),
        ("a wrong address",           "sender = \"a b@c\"\nverdict = \"refuse\"",                                              "is not an address"),
        ("a wrong fault",             "fault = \"sender_unkown\"\nverdict = \"refuse\"",                                       "did you mean \"sender_unknown\"?"),
        ("a wrong time",              "time = \"25:00\"\nverdict = \"refuse\"",                                                "write \"Mon-Fri 08:00-18:00\""),
        ("a table that is not there", "verdict = \"table\"\nlook_up = \"sender\"\ntable = \"hash:nowhere\"",                   "correct the path"),
        ("a row nobody can judge",    "verdict = \"table\"\nlook_up = \"sender\"\ntable = \"inline:{ a.example=NONSENSE }\"", "is not a valid result in an access table"),
    ];
    for (shows, rule, says) in cases {
        let site = site(&sink, &format!("[[access]]\nname = \"x\"\n{rule}\n"));
        let output = site.run(&["check"]);
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains(says), "{shows}: {said}");
    }
}
