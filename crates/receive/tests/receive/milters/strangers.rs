//! Strangers have so many connections to a filter and no more; who is known has as many as he needs.

use postern_receive::AuthRule;
use postern_testkit::milter::{ScriptedMilter, content};
use postern_testkit::process::wait_until;

use super::support::{CONTENT, greeted, milter, send, start};
use crate::harness::Options;

#[test]
fn strangers_who_find_no_place_are_told_to_try_again_and_nothing_goes_by_the_filter() {
    let filter = ScriptedMilter::start(|_, letter, _| content(letter));
    let mut settings = milter("scan", &filter.address());
    settings.strangers_max = 1;
    // Connections that are kept would count for nobody.
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

    // Who logs in needs no place, and neither does the first, which has one.
    let mut known = server.logged_in();
    assert!(send(&mut known, CONTENT).starts_with("250 2.0.0 "));
    assert!(send(&mut first, CONTENT).starts_with("250 2.0.0 "));

    // Once there is a place, the filter is told all of the session that it was not told of.
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
