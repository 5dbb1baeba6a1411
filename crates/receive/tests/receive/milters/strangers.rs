//! Strangers have a limited number of connections to a filter; known clients have as many as they need.

use std::net::Ipv4Addr;
use std::time::Duration;

use postern_receive::AuthRule;
use postern_testkit::milter::{ScriptedMilter, content};
use postern_testkit::process::wait_until;
use postern_testkit::smtp::Client;

use super::support::{CONTENT, greeted, milter, send, start};
use crate::harness::Options;

#[test]
fn strangers_who_find_no_place_are_told_to_try_again_and_nothing_goes_by_the_filter() {
    let filter = ScriptedMilter::start(|_, letter, _| content(letter));
    let mut settings = milter("scan", &filter.address());
    settings.strangers_max = 1;
    // Kept connections would belong to nobody.
    settings.filter.idle_max = 0;
    let mut options = Options::mx();
    options.listener.auth = AuthRule::Offer;
    let (server, notes) = start(options, vec![settings]);

    let mut first = greeted(&server);
    let mut second = greeted(&server);
    let reply = second.say("MAIL FROM:<a@a.example>").unwrap();
    assert!(reply.starts_with("451 4.3.2 "), "{reply}");
    let told = notes.last("refused ");
    let whole = told.contains("rule=milter.busy")
        && told.contains("all 1 connections that strangers may have to scan are in use");
    assert!(whole && told.contains("milter=\"scan\""), "{told}");

    // An authenticated client needs no place, and neither does the first, which has one.
    let mut known = server.logged_in();
    assert!(send(&mut known, CONTENT).starts_with("250 2.0.0 "));
    assert!(send(&mut first, CONTENT).starts_with("250 2.0.0 "));

    // Once there is a place, the filter is told everything about the session that it missed.
    first.say("QUIT").unwrap();
    wait_until("a place", || {
        let reply = second.say("MAIL FROM:<a@a.example>").unwrap();
        let taken = reply.starts_with("250 ");
        assert!(taken || reply.starts_with("451 4.3.2 "), "{reply}");
        taken
    });
    second.say("RSET").unwrap();
    assert!(send(&mut second, CONTENT).starts_with("250 2.0.0 "));
    let heard = filter.heard(3);
    assert!(heard.replace('D', "").starts_with("OCHM"), "{heard}");
    assert!(heard.ends_with('E'), "{heard}");
}

#[test]
fn one_network_does_not_take_the_filter_from_others() {
    let filter = ScriptedMilter::start(|_, letter, _| content(letter));
    let mut settings = milter("scan", &filter.address());
    settings.strangers_max = 3;
    let (server, notes) = start(Options::mx(), vec![settings]);

    let connect = |source: [u8; 4]| {
        let (mut client, greeting) = Client::connect_from(Ipv4Addr::from(source), server.port).unwrap();
        assert!(greeting.starts_with("220 "), "{greeting}");
        client.say("EHLO client.example").unwrap();
        client
    };
    let mut silent: Vec<Client> = (1..=4).map(|last| connect([127, 0, 0, last])).collect();
    let mut other = connect([127, 0, 1, 1]);
    assert!(send(&mut other, CONTENT).starts_with("250 2.0.0 "));
    let reply = silent[3].say("MAIL FROM:<a@a.example>").unwrap();
    assert!(reply.starts_with("451 4.3.2 "), "{reply}");
    let told = notes.last("refused ");
    assert!(told.contains("rule=milter.busy"), "{told}");
    assert!(
        told.contains("all 1 connections that strangers of 127.0.0.0/24 may have to scan are in use"),
        "{told}"
    );
}

#[test]
fn strangers_wait_for_a_place_while_there_is_hope() {
    let filter = ScriptedMilter::start(|_, letter, _| content(letter));
    let mut settings = milter("scan", &filter.address());
    settings.strangers_max = 1;
    // Longer than any machine is busy: what ends the wait is the place.
    settings.strangers_wait = Duration::from_secs(600);
    settings.filter.idle_max = 0;
    let (server, _) = start(Options::mx(), vec![settings]);
    let mut first = greeted(&server);
    let mut second = greeted(&server);
    let waiting = std::thread::spawn(move || {
        let reply = second.say("MAIL FROM:<a@a.example>").unwrap();
        (second, reply)
    });
    assert!(send(&mut first, CONTENT).starts_with("250 2.0.0 "));
    assert!(
        !waiting.is_finished(),
        "the place is taken as long as the session lasts"
    );
    first.say("QUIT").unwrap();
    let (mut second, reply) = waiting.join().unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
    second.say("RSET").unwrap();
    assert!(send(&mut second, CONTENT).starts_with("250 2.0.0 "));
}
