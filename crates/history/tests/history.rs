//! The history as a server writes it, searched as an administrator would, with failures of disks and clocks.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::fs;
use std::time::Duration;

use common::{Mail, Site, at, found_ids, settings};
use postern_events::Key;
use postern_history::{Archive, Class, History, Kind, Query, Term};

fn term(term: Term) -> Query {
    Query {
        groups: vec![vec![term]],
        limit: 10,
        ..Query::default()
    }
}

#[test]
fn a_message_is_found_by_all_that_is_known_of_it() {
    let site = Site::start();
    let mail = Mail::new(1);
    mail.deliver(&site);
    Mail::new(2).deliver(&site);
    site.refuse("9-9", "198.51.100.7", "<spam@bad.example>", "<anna@here.example>");
    site.stop();
    let text = str::to_owned;
    let net = |text: &str| Term::Client(text.parse().unwrap());
    #[rustfmt::skip]
    let cases = [
        // what the case shows        asked for                                              what is found
        ("its queue id",              Term::Queue(mail.queue()),                             vec![mail.queue()]),
        ("its session",               Term::Session(text("5f-1")),                           vec![mail.queue(), text("5f-1")]),
        ("its Message-ID",            Term::MessageId(text("<1@mail.example>")),             vec![mail.queue()]),
        ("its login",                 Term::Login(text("USER1")),                            vec![mail.queue()]),
        ("its sender",                Term::Address(text("user1@here.example")),             vec![mail.queue()]),
        ("a recipient",               Term::Address(text("rcpt1@there1.example")),           vec![mail.queue()]),
        ("an alias's original",       Term::Address(text("alias1@here.example")),            vec![mail.queue()]),
        ("a domain",                  Term::Domain(text("there1.example")),                  vec![mail.queue()]),
        ("its client",                net("192.0.2.1/32"),                                   vec![mail.queue()]),
        ("a network",                 net("192.0.2.0/30"),                                   vec![Mail::new(2).queue(), mail.queue()]),
        ("an outcome",                Term::Outcome(text("delivered")),                      vec![Mail::new(2).queue(), mail.queue()]),
        ("a rule",                    Term::Rule(text("relay.login")),                       vec![Mail::new(2).queue(), mail.queue()]),
        ("a refusal",                 Term::Rule(text("relay.denied")),                      vec![text("9-9")]),
        ("who was to get it",         Term::Address(text("anna@here.example")),              vec![text("9-9")]),
        ("nobody",                    Term::Login(text("nobody")),                           vec![]),
    ];
    let mut archive = Archive::new(site.folder());
    for (shows, asked, wanted) in cases {
        let found = archive.find(&term(asked)).unwrap();
        let mut ids = found_ids(&found);
        let mut wanted = wanted;
        ids.sort();
        wanted.sort();
        assert_eq!(
            (ids, found.more, found.unreadable),
            (wanted, false, vec![]),
            "{shows}"
        );
    }
    let both = Query {
        groups: vec![
            vec![Term::Login(text("user2"))],
            vec![Term::Outcome(text("bounced")), Term::Outcome(text("delivered"))],
        ],
        limit: 10,
        ..Query::default()
    };
    assert_eq!(found_ids(&archive.find(&both).unwrap()), [Mail::new(2).queue()]);
    let neither = Query {
        groups: vec![
            vec![Term::Login(text("user2"))],
            vec![Term::Outcome(text("bounced"))],
        ],
        limit: 10,
        ..Query::default()
    };
    assert_eq!(found_ids(&archive.find(&neither).unwrap()), [""; 0]);
    // The story has everything in order: the transaction, the acceptance, the outcome.
    let found = archive.find(&term(Term::Queue(mail.queue()))).unwrap();
    let story = &found.stories[0];
    let words: Vec<&str> = story.events.iter().map(|event| event.word.as_str()).collect();
    assert_eq!(words, ["sender", "recipient", "accepted", "attempt", "delivered"]);
    assert_eq!(
        (story.kind, story.class, story.session.as_str()),
        (Kind::Message, Class::Users, "5f-1")
    );
    assert_eq!(story.text(Key::MessageId), Some("<1@mail.example>"));
    assert_eq!(story.text(Key::Reply), Some("250 2.0.0 queued as 1"));
    let session = archive.session("5f-1").unwrap();
    let words: Vec<&str> = session[0]
        .events
        .iter()
        .map(|event| event.word.as_str())
        .collect();
    assert_eq!(words, ["connect", "helo", "login", "disconnect"]);
}

#[test]
fn what_comes_later_is_added_to_the_story_also_after_a_restart() {
    let site = Site::start();
    let mail = Mail::new(1);
    mail.accept(&site);
    site.flush();
    mail.outcome(&site, "deferred");
    site.flush();
    let site = site.restart();
    mail.outcome(&site, "bounced");
    site.stop();
    let found = Archive::new(site.folder())
        .find(&term(Term::Queue(mail.queue())))
        .unwrap();
    assert_eq!(found.stories.len(), 1, "one story");
    let words: Vec<&str> = found.stories[0]
        .events
        .iter()
        .map(|event| event.word.as_str())
        .collect();
    assert_eq!(
        words,
        [
            "sender",
            "recipient",
            "accepted",
            "attempt",
            "deferred",
            "attempt",
            "bounced"
        ]
    );
    let bounced = term(Term::Outcome("bounced".into()));
    assert_eq!(
        found_ids(&Archive::new(site.folder()).find(&bounced).unwrap()),
        [mail.queue()]
    );
}

#[test]
fn the_newest_come_first_and_times_part_them() {
    let site = Site::start();
    for number in 1..=59 {
        Mail::new(number).deliver(&site);
        if number % 7 == 0 {
            site.flush();
        }
    }
    site.stop();
    let mut archive = Archive::new(site.folder());
    let mut query = term(Term::Domain("here.example".into()));
    let newest = archive.find(&query).unwrap();
    assert_eq!(
        found_ids(&newest),
        (50..=59)
            .rev()
            .map(|number| Mail::new(number).queue())
            .collect::<Vec<_>>()
    );
    assert!(newest.more);
    query.until = Some(at(20));
    assert_eq!(
        found_ids(&archive.find(&query).unwrap())[0],
        Mail::new(20).queue()
    );
    query.since = Some(at(19));
    let found = archive.find(&query).unwrap();
    assert_eq!(found_ids(&found), [Mail::new(20).queue(), Mail::new(19).queue()]);
    assert!(!found.more);
    // Only a time.
    query.groups.clear();
    assert_eq!(found_ids(&archive.find(&query).unwrap()).len(), 2);
    let mut seen = 0;
    archive
        .each(Some(at(10)), Some(at(15)), |_| {
            seen += 1;
            true
        })
        .unwrap();
    // Six messages and their sessions.
    assert_eq!(seen, 12);
}

#[test]
fn a_flood_of_strangers_has_a_share() {
    let site = Site::start_with(|settings| settings.strangers_per_second = 1);
    for number in 0..500 {
        site.refuse(
            &format!("7-{number:x}"),
            "198.51.100.7",
            "<a@b.example>",
            "<c@here.example>",
        );
    }
    Mail::new(1).deliver(&site);
    site.flush();
    let counts = site.history().counts();
    assert!(counts.dropped_strangers >= 400, "{counts:?}");
    site.stop();
    let mut archive = Archive::new(site.folder());
    let found = archive.find(&term(Term::Login("user1".into()))).unwrap();
    assert_eq!(found_ids(&found), [Mail::new(1).queue()]);
    let refused = Query {
        limit: 1000,
        ..term(Term::Rule("relay.denied".into()))
    };
    let found = archive.find(&refused).unwrap().stories.len() as u64;
    assert!((50..100).contains(&found), "{found}");
}

#[test]
fn a_clock_that_is_set_back_hides_nothing() {
    let site = Site::start();
    Mail::new(50).deliver(&site);
    site.flush();
    // Half an hour back.
    Mail::new(20).deliver(&site);
    site.stop();
    let mut archive = Archive::new(site.folder());
    let mut query = term(Term::Domain("here.example".into()));
    (query.since, query.until) = (Some(at(19)), Some(at(21)));
    assert_eq!(found_ids(&archive.find(&query).unwrap()), [Mail::new(20).queue()]);
    (query.since, query.until) = (Some(at(49)), None);
    assert_eq!(found_ids(&archive.find(&query).unwrap()), [Mail::new(50).queue()]);
}

#[test]
fn days_that_are_over_are_removed_and_room_is_kept() {
    let site = Site::start();
    Mail::new(1).deliver(&site);
    site.stop();
    // An old file, and others that do not belong to the history.
    for name in [
        "2020-02-01-users-1.sqlite",
        "2020-02-01-users-1.sqlite-wal",
        "acts.sqlite",
    ] {
        fs::write(site.folder().join(name), "").unwrap();
    }
    let site = site.restart();
    site.flush();
    site.stop();
    let left = |name: &str| site.folder().join(name).exists();
    assert!(!left("2020-02-01-users-1.sqlite") && !left("2020-02-01-users-1.sqlite-wal"));
    assert!(left("acts.sqlite"));
    let found = Archive::new(site.folder())
        .find(&term(Term::Login("user1".into())))
        .unwrap();
    assert_eq!(found.stories.len(), 1);
}

#[test]
fn a_damaged_file_is_put_aside_and_what_can_be_read_is_found_again() {
    let site = Site::start();
    for number in 1..=300 {
        Mail::new(number).deliver(&site);
        if number % 20 == 0 {
            site.flush();
        }
    }
    site.stop();
    let name = fs::read_dir(site.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension().is_some_and(|end| end == "sqlite") && path.to_string_lossy().contains("users")
        })
        .unwrap();
    let mut octets = fs::read(&name).unwrap();
    // A page in the middle, and all of the index's pages at the end.
    let pages = octets.len() / 4096;
    for page in [pages / 2, pages - 1, pages - 2] {
        octets[page * 4096..(page + 1) * 4096].fill(0x5a);
    }
    fs::write(&name, &octets).unwrap();
    let site = site.restart();
    for number in 301..=600 {
        Mail::new(number).deliver(&site);
        site.flush();
    }
    site.stop();
    let mut archive = Archive::new(site.folder());
    let query = Query {
        limit: 1000,
        ..term(Term::Domain("here.example".into()))
    };
    let found = archive.find(&query).unwrap();
    assert_eq!(found.unreadable, [""; 0]);
    let aside = fs::read_dir(site.folder()).unwrap();
    let aside = aside.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .to_string_lossy()
            .ends_with(".damaged")
    });
    assert_eq!(aside.count(), 1);
    assert!(found.stories.len() > 400, "{}", found.stories.len());
    let last = archive.find(&term(Term::Queue(Mail::new(600).queue()))).unwrap();
    assert_eq!(found_ids(&last), [Mail::new(600).queue()]);
}

#[test]
fn what_cannot_be_written_is_counted_and_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    // A file is in the folder's place.
    let place = folder.path().join("history");
    fs::write(&place, "").unwrap();
    let site = Site::at(settings(&place), folder);
    for number in 1..=50 {
        Mail::new(number).deliver(&site);
    }
    site.flush();
    let counts = site.history().counts();
    assert_eq!(counts.stories, 0);
    assert!(counts.dropped_failed >= 100, "{counts:?}");
    site.stop();
}

#[test]
fn a_session_that_logs_in_late_is_a_users() {
    let site = Site::start();
    site.connect("5-1", "192.0.2.1");
    site.flush();
    site.log_in("5-1", "anna", 1);
    site.flush();
    site.disconnect("5-1", "192.0.2.1");
    site.stop();
    let mut archive = Archive::new(site.folder());
    let found = archive.session("5-1").unwrap();
    let mut classes: Vec<Class> = found.iter().map(|story| story.class).collect();
    classes.sort();
    assert_eq!(classes, [Class::Users, Class::Strangers]);
    let query = Query {
        all_sessions: true,
        ..term(Term::Login("anna".into()))
    };
    assert_eq!(found_ids(&archive.find(&query).unwrap()), ["5-1"]);
}

#[test]
fn a_stopped_history_drops_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::start(settings(folder.path())).unwrap();
    history.stop();
    let site = Site::with(history, folder);
    Mail::new(1).deliver(&site);
    assert!(site.history().counts().dropped > 5);
    // Does not wait for flush requests that were given up.
    site.history().flush(Duration::from_millis(1));
}
