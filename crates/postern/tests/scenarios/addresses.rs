//! Aliases by address and domain, lists and their owners, routes by address, and an after-queue filter.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use postern_testkit::process::{free_port, wait_until};
use postern_testkit::sink::{Sink, Taken};
use postern_testkit::smtp::Client;

use crate::harness::Site;

/// The virtusertable of a sendmail gateway, as written by hand for Postern.
const GATEWAY: &str = r#"
[[alias]]
from = ["info@holding.example"]
to = ["office@bramwell.example"]
[[alias]]
from = ["help+*@holding.example"]
to = ["helpdesk%3@bramwell.example"]
[[alias]]
from = ["jobs@holding.example"]
refuse = "550 5.7.1 we do not take applications by mail"
[[alias]]
from = ["@holding.example"]
refuse = "550 No such user here"
[[alias]]
from = ["@bramwell-trust.example"]
to = ["trust@bramwell.example"]
[[alias]]
from = ["@shop-24.example"]
to = ["%1@bramwell-shop.example"]
[[alias]]
from = ["press@bramwell.example"]
to = ["vera@bramwell.example", "agency@elsewhere.example"]
[[alias]]
from = ["old.boss@bramwell.example"]
moved_to = "old.boss@elsewhere.example"
[[alias]]
from = ["nowhere@bramwell.example"]
to = ["/dev/null"]
[[alias]]
from = ["@lab.bramwell-lab.example"]
to = ["root"]
"#;

fn gateway(sink: &Sink, shop: &Sink) -> Site {
    let top = "local_domains = [\"gw1.bramwell.example\"]\n\
        alias_domains = [\"holding.example\", \"bramwell-trust.example\", \"shop-24.example\"]\n\
        aliases = \"aliases\"\n";
    let extra = format!(
        "[relay]\nnetworks = [\"127.0.0.9/32\"]\n\
         [[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{}\"]\ntls = \"none\"\n\
         [[route]]\ndomains = [\"bramwell-shop.example\"]\nvia = [\"127.0.0.1:{}\"]\ntls = \"none\"\n\
         [[route]]\nrecipients = [\"vip@bramwell.example\"]\nvia = [\"127.0.0.1:{}\"]\ntls = \"none\"\nconnections_per_destination = 1\n\
         rate_per_destination = 50.0\nsource_address = [\"127.0.0.3\"]\n\
         [[route]]\ndomains = [\"dead.example\"]\nto = \"refuse\"\nrefuse = \"550 5.1.2 this company does not exist any more\"\n\
         {GATEWAY}",
        sink.port(),
        shop.port(),
        shop.port(),
    );
    let site = Site::relay_with(sink.port(), top, &extra);
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let domains = "relay_domains = [\"bramwell.example\", \"bramwell-shop.example\"]";
    let config = config.replace("relay_domains = [\"relay.test\"]", domains);
    fs::write(site.path("postern.toml"), config).unwrap();
    fs::write(
        site.path("aliases"),
        "MAILER-DAEMON: postmaster\npostmaster: admins@bramwell.example\nroot: postmaster\nnobody: /dev/null\n",
    )
    .unwrap();
    site
}

fn send(site: &Site, host: u8, from: &str, to: &str, subject: &str) -> String {
    let source = std::net::Ipv4Addr::new(127, 0, 0, host);
    let (mut client, _) = Client::connect_from(source, site.mx).unwrap();
    client.say("EHLO mail.elsewhere.example").unwrap();
    let text = format!("From: <{from}>\r\nSubject: {subject}\r\n\r\nhi\r\n");
    client.mail(from, &[to], &text).unwrap()
}

fn recipients(taken: &Taken) -> Vec<String> {
    let mut all: Vec<String> = taken
        .rcpt
        .iter()
        .map(|rcpt| rcpt.split(['<', '>']).nth(1).unwrap_or_default().to_owned())
        .collect();
    all.sort();
    all
}

#[test]
fn a_gateway_with_virtual_users_does_as_sendmail_did() {
    let (sink, shop) = (Sink::start(), Sink::start());
    let mut site = gateway(&sink, &shop);
    site.start();
    let stranger = 8;
    #[rustfmt::skip]
    let taken: &[(&str, u8, &str, &Sink, &[&str])] = &[
        // what the case shows                         from      recipient                      taken by  as
        ("an address",                                 stranger, "info@holding.example",        &sink, &["office@bramwell.example"]),
        ("any detail, kept",                           stranger, "help+printer@holding.example", &sink, &["helpdesk+printer@bramwell.example"]),
        ("a catch-all",                                stranger, "any.thing@bramwell-trust.example", &sink, &["trust@bramwell.example"]),
        ("a domain to a domain",                       stranger, "lily@shop-24.example",        &shop, &["lily@bramwell-shop.example"]),
        ("several targets, in a relayed domain",       stranger, "press@bramwell.example",      &sink, &["agency@elsewhere.example", "vera@bramwell.example"]),
        ("no alias there",                             stranger, "vera@bramwell.example",       &sink, &["vera@bramwell.example"]),
        ("the postmaster of an alias domain",          stranger, "postmaster@shop-24.example",  &shop, &["postmaster@bramwell-shop.example"]),
        ("a local alias to a relayed domain",          stranger, "postmaster@gw1.bramwell.example", &sink, &["admins@bramwell.example"]),
        ("an address goes another way",                stranger, "vip@bramwell.example",        &shop, &["vip@bramwell.example"]),
        ("with a detail, too",                         stranger, "vip+x@bramwell.example",      &shop, &["vip+x@bramwell.example"]),
        ("one user for a domain, for who may relay",   9,        "who@lab.bramwell-lab.example", &sink, &["admins@bramwell.example"]),
        ("elsewhere, for who may relay",               9,        "joe@elsewhere.example",       &sink, &["joe@elsewhere.example"]),
    ];
    for (number, (shows, host, to, by, wanted)) in taken.iter().enumerate() {
        let subject = format!("case {number} of them");
        let reply = send(&site, *host, "joe@elsewhere.example", to, &subject);
        assert!(reply.starts_with("250 "), "{shows}: {reply}");
        let mut got = HashSet::new();
        wait_until(shows, || {
            let all = by.taken();
            let ours = all.iter().filter(|taken| taken.content.contains(&subject));
            got.extend(ours.flat_map(recipients));
            got.len() == wanted.len()
        });
        let mut got: Vec<String> = got.into_iter().collect();
        got.sort();
        assert_eq!(got, *wanted, "{shows}");
    }
    #[rustfmt::skip]
    let refused = [
        ("a refusal with both codes",        stranger, "jobs@holding.example",       "550 5.7.1 <jobs@holding.example>... we do not take applications by mail"),
        ("a refusal with a code",            stranger, "whoever@holding.example",    "550 5.0.0 <whoever@holding.example>... No such user here"),
        ("who has moved",                    stranger, "old.boss@bramwell.example",  "551 5.1.6 <old.boss@bramwell.example>... User has moved; please try <old.boss@elsewhere.example>"),
        ("a route that refuses",             9,        "who@dead.example",           "550 5.1.2 <who@dead.example>... this company does not exist any more"),
        ("an alias opens no domain",         stranger, "who@lab.bramwell-lab.example", "550 5.7.1"),
        ("nor does a route",                 stranger, "who@dead.example",           "550 5.7.1"),
        ("nobody here",                      stranger, "nosuch@gw1.bramwell.example", "550 5.1.1"),
    ];
    for (shows, host, to, wanted) in refused {
        let reply = send(&site, host, "joe@elsewhere.example", to, "never");
        assert!(reply.starts_with(wanted), "{shows}: {reply}");
    }
    for thrown_away in ["nowhere@bramwell.example", "nobody@gw1.bramwell.example"] {
        let reply = send(
            &site,
            stranger,
            "joe@elsewhere.example",
            thrown_away,
            "for nobody",
        );
        assert!(reply.starts_with("250 "), "{reply}");
        let local = thrown_away.split('@').next().unwrap();
        site.wait_for_log(&["delivered", &format!("{local}@discarded.invalid"), "discard"]);
    }
    let all = sink.taken();
    assert!(
        !all.iter().any(|taken| taken.content.contains("for nobody")),
        "{all:?}"
    );
    wait_until("an empty queue", || site.queue_is_empty());

    let listed = site.ok(&["aliases"]);
    for entry in ["help+*@holding.example", "postern.toml:", "aliases:2"] {
        assert!(listed.contains(entry), "{entry}: {listed}");
    }
    let followed = site.ok(&["aliases", "x@lab.bramwell-lab.example"]);
    assert!(followed.contains("reaches admins@bramwell.example"), "{followed}");
    let output = site.run(&["explain", "--peer", "192.0.2.7", "--to", "info@holding.example"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in [
        "info@holding.example leads to office@bramwell.example",
        "postern.toml:",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let output = site.run(&[
        "explain",
        "--peer",
        "127.0.0.9",
        "--to",
        "who@dead.example",
        "--json",
    ]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["decided"], "recipient.refused", "{said}");
}

#[test]
fn lists_go_out_under_their_owners_and_programs_are_left_out() {
    let sink = Sink::start();
    let top =
        "local_domains = [\"oakfield.example\"]\naliases = \"aliases\"\nunknown_users = \"@hub.example\"\n";
    let mut site = Site::relay_with(sink.port(), top, "");
    let aliases = "anna: anna\nbert: bert\n\
        fax: :include:fax\nowner-fax: anna\n\
        all: fax, bert, boss@elsewhere.example\n\
        tickets: \"|/usr/local/bin/ticket --queue joinery\"\n\
        both: \"|/usr/bin/vacation bert\", bert\n\
        lost: lisa.moved@elsewhere.example.REDIRECT\n";
    fs::write(site.path("aliases"), aliases).unwrap();
    fs::write(site.path("fax"), "anna\n# workshop\nguest@elsewhere.example\n").unwrap();
    for user in ["anna", "bert"] {
        site.add_user(&format!("{user}@oakfield.example"), "test word");
    }
    let checked = site.run(&["check"]);
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(checked.status.success(), "{said}");
    assert!(
        said.contains("/usr/local/bin/ticket --queue joinery") && said.contains("aliases:6"),
        "{said}"
    );
    site.start();
    site.wait_for_log(&["/usr/local/bin/ticket --queue joinery", "is not run"]);

    let reply = send(&site, 8, "joe@far.example", "tickets@oakfield.example", "x");
    assert!(reply.starts_with("550 5.3.3 "), "{reply}");
    let reply = send(&site, 8, "joe@far.example", "lost@oakfield.example", "x");
    assert!(
        reply.starts_with(
            "551 5.1.6 <lost@oakfield.example>... User has moved; please try <lisa.moved@elsewhere.example>"
        ),
        "{reply}"
    );
    let reply = send(&site, 8, "joe@far.example", "both@oakfield.example", "for bert");
    assert!(reply.starts_with("250 "), "{reply}");

    // A large body is in a file, of which each part of the message gets its own copy.
    let large = format!(
        "for all\r\nX-Filler: x\r\n\r\n{}",
        "0123456789abcdef\r\n".repeat(20_000)
    );
    let reply = send(&site, 8, "joe@far.example", "all@oakfield.example", &large);
    assert!(reply.starts_with("250 "), "{reply}");
    let of = |recipient: &str| -> Vec<Taken> {
        let all = sink.taken().into_iter();
        all.filter(|taken| {
            taken.content.contains("for all") && recipients(taken).contains(&recipient.to_owned())
        })
        .collect()
    };
    wait_until("both members elsewhere", || {
        !of("guest@elsewhere.example").is_empty() && !of("boss@elsewhere.example").is_empty()
    });
    let (guest, boss) = (
        &of("guest@elsewhere.example")[0],
        &of("boss@elsewhere.example")[0],
    );
    assert!(
        guest.mail.starts_with("<owner-fax@oakfield.example>"),
        "{}",
        guest.mail
    );
    assert!(boss.mail.starts_with("<joe@far.example>"), "{}", boss.mail);
    // A search for the message by sender also finds it under the owner's.
    let told = "sender <joe@far.example> becomes <owner-fax@oakfield.example>, the owner of the list";
    site.wait_for_log(&["reworked", "rule=recipient.entry", told]);
    assert!(guest.content.len() > 300_000 && guest.content.len().abs_diff(boss.content.len()) < 200);
    let reports = send(&site, 8, "", "all@oakfield.example", "for all again");
    assert!(reports.starts_with("250 "), "{reports}");
    wait_until("a report for the list", || {
        let all = sink.taken().into_iter();
        let mut reports = all.filter(|taken| taken.content.contains("for all again"));
        reports.any(|taken| {
            recipients(&taken).contains(&"guest@elsewhere.example".to_owned()) && taken.mail.starts_with("<>")
        })
    });

    let reply = send(
        &site,
        8,
        "joe@far.example",
        "Unknown+x@oakfield.example",
        "for the hub",
    );
    assert!(reply.starts_with("250 "), "{reply}");
    assert_eq!(
        recipients(&sink.wait_for("for the hub")),
        ["Unknown+x@hub.example"]
    );
    wait_until("an empty queue", || site.queue_is_empty());
}

/// Returns what a sink receives to a port, with an additional field, as an after-queue filter does.
fn filter(sink: Arc<Sink>, back: u16, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            let taken = sink.taken();
            for one in &taken[done..] {
                let (mut client, _) = Client::connect(back).unwrap();
                client.say("EHLO filter.localhost").unwrap();
                let from = one.mail.split(['<', '>']).nth(1).unwrap();
                let to = recipients(one);
                let to: Vec<&str> = to.iter().map(String::as_str).collect();
                let content = format!("X-Virus-Scanned: lab\r\n{}", one.content);
                let reply = client.mail(from, &to, &content).unwrap();
                assert!(reply.starts_with("250 "), "{reply}");
            }
            done = taken.len();
            thread::sleep(Duration::from_millis(20));
        }
    })
}

#[test]
fn a_filter_behind_the_queue_sees_all_mail_once() {
    let (sink, scanner) = (Sink::start(), Arc::new(Sink::start()));
    let back = free_port();
    let top = "local_domains = [\"home.example\"]\naliases = \"aliases\"\n\
        alias_domains = [\"old.example\"]\n";
    let extra = format!(
        "[relay]\nnetworks = [\"127.0.0.1/32\"]\n\
         [delivery]\nfilter = \"127.0.0.1:{}\"\nhelo_name = \"out.relay.test\"\n\
         [[listener]]\nname = \"back\"\naddress = \"127.0.0.1:{back}\"\nfiltered = true\n\
         [[alias]]\nfrom = [\"@old.example\"]\nto = [\"@home.example\"]\n",
        scanner.port()
    );
    let mut site = Site::relay_with(sink.port(), top, &extra);
    fs::write(site.path("aliases"), "ann: ann\nteam: ann, friend@far.example\n").unwrap();
    site.add_user("ann@home.example", "test word");
    site.start();
    let stop = Arc::new(AtomicBool::new(false));
    let filtering = filter(Arc::clone(&scanner), back, Arc::clone(&stop));

    let reply = send(
        &site,
        8,
        "joe@elsewhere.example",
        "team@old.example",
        "for the team",
    );
    assert!(reply.starts_with("250 "), "{reply}");
    let out = sink.wait_for("for the team");
    assert_eq!(recipients(&out), ["friend@far.example"]);
    assert!(out.content.contains("X-Virus-Scanned: lab"), "{}", out.content);
    wait_until("ann's copy", || {
        let Ok(found) = fs::read_dir(site.path("state/mail/ann/new")) else {
            return false;
        };
        found
            .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
            .any(|text| text.contains("for the team") && text.contains("X-Virus-Scanned: lab"))
    });
    wait_until("an empty queue", || site.queue_is_empty());
    let seen = scanner
        .taken()
        .iter()
        .filter(|taken| taken.content.contains("for the team"))
        .count();
    assert!(seen >= 1, "it went through the filter");
    // Nobody else may return mail.
    let (mut client, _) = Client::connect_from(std::net::Ipv4Addr::new(127, 0, 0, 8), back).unwrap();
    client.say("EHLO x.example").unwrap();
    let reply = client
        .mail(
            "joe@elsewhere.example",
            &["ann@home.example"],
            "Subject: x\r\n\r\nx\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("530 ") || reply.starts_with("550 "), "{reply}");
    stop.store(true, Ordering::Relaxed);
    filtering.join().unwrap();
}

#[test]
fn recipients_of_one_domain_go_different_ways_after_a_wait_too() {
    let (labs, exchange) = (free_port(), free_port());
    let extra = format!(
        "[[route]]\ndomains = [\"calderon-labs.example\"]\nvia = [\"127.0.0.1:{labs}\"]\ntls = \"none\"\n\
         [[route]]\nrecipients = [\"vip@calderon-labs.example\"]\nvia = [\"127.0.0.1:{exchange}\"]\ntls = \"none\"\n"
    );
    let mut site = Site::relay_with(free_port(), "", &extra);
    let config = fs::read_to_string(site.path("postern.toml")).unwrap();
    let config = config.replace("\"relay.test\"", "\"calderon-labs.example\"");
    fs::write(site.path("postern.toml"), config).unwrap();
    site.start();
    let mut client = site.client();
    client.say("EHLO mail.elsewhere.example").unwrap();
    let to = [
        "lab@calderon-labs.example",
        "vip@calderon-labs.example",
        "two@calderon-labs.example",
    ];
    let reply = client
        .mail("joe@elsewhere.example", &to, "Subject: for three\r\n\r\nhi\r\n")
        .unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
    for recipient in to {
        site.wait_for_log(&["deferred", recipient]);
    }
    let (labs, exchange) = (Sink::start_on(labs), Sink::start_on(exchange));
    assert_eq!(
        recipients(&exchange.wait_for("for three")),
        ["vip@calderon-labs.example"]
    );
    wait_until("the others", || {
        let got: HashSet<String> = labs.taken().iter().flat_map(recipients).collect();
        got.len() == 2 && !got.contains("vip@calderon-labs.example")
    });
    wait_until("an empty queue", || site.queue_is_empty());
}

#[test]
fn tables_of_sendmail_and_postfix_are_taken_as_they_are() {
    let (sink, other) = (Sink::start(), Sink::start());
    let top = "local_domains = [\"gw.test\"]\nalias_domains = [\"holding.example\", \"members.example\"]\n";
    let extra = format!(
        "[relay]\nnetworks = [\"127.0.0.9/32\"]\n\
         [[route]]\ntable = \"sendmail:mailertable\"\nport = {}\ntls = \"none\"\n\
         [[route]]\ntable = \"hash:transport\"\nport = {}\ntls = \"none\"\n\
         [[alias]]\ntable = \"sendmail:virtusertable\"\n\
         [[alias]]\ntable = [\"hash:virtual\", \"regexp:virtual_regexp\"]\n\
         [[alias]]\ntable = \"hash:relocated\"\nform = \"relocated\"\n",
        sink.port(),
        other.port()
    );
    let mut site = Site::relay_with(sink.port(), top, &extra);
    for (name, text) in [
        (
            "mailertable",
            "bramwell.example\tesmtp:[127.0.0.1]\n.bramwell.example\tesmtp:[127.0.0.1]\ndead.example\terror:5.1.2:550 this company does not exist any more\n",
        ),
        (
            "transport",
            "calderon.example\tsmtp:[127.0.0.1]\nvip@bramwell.example\tsmtp:[127.0.0.1]\nsilent.example\tdiscard:\n",
        ),
        (
            "virtusertable",
            "info@holding.example\toffice@bramwell.example\nhelp+*@holding.example\thelpdesk%3@bramwell.example\njobs@holding.example\terror:5.7.1:550 not by mail\n@holding.example\terror:nouser 550 No such user here\n",
        ),
        (
            "virtual",
            "# members\nboard@members.example\tvera@calderon.example,\n\tvip@bramwell.example\n",
        ),
        (
            "virtual_regexp",
            "/^member-([0-9]+)@members\\.example$/\tmembership+$1@calderon.example\n",
        ),
        ("relocated", "old@members.example\tnew@elsewhere.example\n"),
    ] {
        fs::write(site.path(name), text).unwrap();
    }
    site.start();
    #[rustfmt::skip]
    let taken: &[(&str, &str, &Sink, &str)] = &[
        // what the case shows                recipient                       taken by  as
        ("a virtual user",                    "info+x@holding.example",       &sink,    "office@bramwell.example"),
        ("with its detail",                   "help+prn@holding.example",     &sink,    "helpdesk+prn@bramwell.example"),
        ("a detail goes along, with Postfix", "board+x@members.example",      &other,   "vera+x@calderon.example"),
        ("and to a route by address",         "board+y@members.example",      &other,   "vip+y@bramwell.example"),
        ("by a pattern",                      "member-417@members.example",   &other,   "membership+417@calderon.example"),
        ("below a domain, for who may relay", "v@plant.bramwell.example",     &sink,    "v@plant.bramwell.example"),
    ];
    for (number, (shows, to, by, wanted)) in taken.iter().enumerate() {
        let subject = format!("table case {number} of them");
        let reply = send(&site, 9, "joe@elsewhere.example", to, &subject);
        assert!(reply.starts_with("250 "), "{shows}: {reply}");
        wait_until(shows, || {
            let all = by.taken();
            let mut ours = all.iter().filter(|taken| taken.content.contains(&subject));
            ours.any(|taken| recipients(taken).contains(&(*wanted).to_owned()))
        });
    }
    for (shows, to, wanted) in [
        (
            "a refusal of the virtusertable",
            "jobs@holding.example",
            "550 5.7.1 <jobs@holding.example>... not by mail",
        ),
        (
            "its catch-all",
            "who@holding.example",
            "550 5.0.0 <who@holding.example>... No such user here",
        ),
        (
            "a refusal of the mailertable",
            "who@dead.example",
            "550 5.1.2 <who@dead.example>... this company",
        ),
        (
            "who has moved",
            "old@members.example",
            "551 5.1.6 <old@members.example>... User has moved; please try <new@elsewhere.example>",
        ),
        ("nobody in an alias domain", "nobody@members.example", "550 5.1.1"),
    ] {
        let reply = send(&site, 9, "joe@elsewhere.example", to, "never");
        assert!(reply.starts_with(wanted), "{shows}: {reply}");
    }
    let reply = send(
        &site,
        9,
        "joe@elsewhere.example",
        "x@silent.example",
        "for nobody",
    );
    assert!(reply.starts_with("250 "), "{reply}");
    site.wait_for_log(&["delivered", "x@silent.example", "discard"]);
    let listed = site.ok(&["aliases"]);
    assert!(
        listed.contains("virtusertable:2") && listed.contains("virtual:2"),
        "{listed}"
    );
    let output = site.run(&["explain", "--peer", "127.0.0.9", "--to", "board@members.example"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("virtual:2") && said.contains("transport:2"),
        "{said}"
    );
    wait_until("an empty queue", || site.queue_is_empty());
}
