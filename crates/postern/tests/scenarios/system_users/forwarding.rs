//! `.forward`: where it leads, and where it must not.

use std::path::Path;

use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;

use crate::harness::private;

use super::{Town, in_town, mbox, text, user_file, wait_for};

#[test]
fn copies_here_and_elsewhere() {
    in_town("forwarding::copies_here_and_elsewhere", || {
        let sink = Sink::start();
        let srs = "[srs]\ndomain = \"town.test\"\nsecret_file = \"srs.secret\"\n";
        let mut town = Town::new(&sink, &format!("forward = true\n{srs}"));
        private(
            &town.site.path("srs.secret"),
            "a word that nobody guesses, and long enough",
        );
        town.start();
        user_file("ann", ".forward", "# mine\n\\ann, far@far.test\n");
        user_file("ann", ".forward+shop", "shop@far.test\n");
        user_file("bob", ".forward", "dora, \"/home/bob/box\"\n");
        user_file("carl", ".forward", "/home/carl/box, |/bin/false\n");

        // A large body is in a separate file, which is copied.
        let large = format!(
            "Subject: large\r\n\r\n{}end\r\n",
            "0123456789abcdef\r\n".repeat(20_000)
        );
        let reply = town.send("ann@town.test", &large);
        assert!(reply.starts_with("250"), "{reply}");
        let taken = sink.wait_for("Subject: large");
        assert!(taken.rcpt[0].contains("far@far.test"), "{taken:?}");
        // With a sender of this host, like mail forwarded by an alias.
        assert!(
            taken.mail.contains("SRS0=") && taken.mail.contains("@town.test"),
            "{taken:?}"
        );
        assert!(taken.content.contains("Delivered-To: ann@town.test\r\n"));
        assert!(
            taken.content.contains(&large[large.find("0123").unwrap()..]),
            "all of it"
        );
        assert!(wait_for(&mbox("ann"), "large").contains("end\n"));
        town.take("ann+shop@town.test", "shopping");
        let taken = sink.wait_for("Subject: shopping");
        assert!(taken.rcpt[0].contains("shop@far.test"), "{taken:?}");
        assert!(!text(&mbox("ann")).contains("shopping"));

        // To another user, and into one of the user's own files.
        town.take("bob@town.test", "for dora");
        wait_for(&mbox("dora"), "for dora");
        let kept = wait_for(Path::new("/home/bob/box"), "for dora");
        assert!(kept.starts_with("From x@far.test "), "{kept}");
        assert!(!mbox("bob").exists());

        // Without a shell neither files nor programs; then the mailbox.
        town.take("carl@town.test", "no shell");
        wait_for(&mbox("carl"), "no shell");
        town.site.wait_for_log(&["/etc/shells", "carl"]);
        assert!(!Path::new("/home/carl/box").exists());
        wait_until("an empty queue", || town.site.queue_is_empty());
    });
}

#[test]
fn circles_end() {
    in_town("forwarding::circles_end", || {
        let sink = Sink::start();
        let mut town = Town::new(&sink, "forward = true\n");
        town.start();
        user_file("ann", ".forward", "bob@town.test\n");
        user_file("bob", ".forward", "ann@town.test\n");
        town.take("ann@town.test", "round and round");
        wait_for(&mbox("ann"), "round and round");
        town.site.wait_for_log(&["leads back to ann@town.test"]);
        wait_until("an empty queue", || town.site.queue_is_empty());
        // Details are private to a user. The sender, who may be anybody, learns nothing about them.
        user_file(
            "ann",
            ".forward",
            "ann+1@town.test, ann+2@town.test, ann+3@town.test\n",
        );
        town.take("ann@town.test", "as a tree");
        wait_until("three copies", || {
            text(&mbox("ann")).matches("Subject: as a tree").count() == 3 && town.site.queue_is_empty()
        });
        // If the sender writes the loop mark into a message, it is kept, and causes no mail from
        // this server.
        user_file("ann", ".forward", "bob@far.test\n");
        let marked = "Delivered-To: ann@town.test\r\nSubject: marked before\r\n\r\nhello\r\n";
        assert!(town.send("ann@town.test", marked).starts_with("250"));
        wait_for(&mbox("ann"), "marked before");
        wait_until("an empty queue", || town.site.queue_is_empty());
        assert!(sink.taken().is_empty(), "{:?}", sink.taken());
        // Mail for a removed user bounces, naming the address that the sender used.
        user_file("dora", ".forward", "nosuch@town.test\n");
        town.take("dora@town.test", "to nobody");
        wait_until("the report", || sink.taken().len() == 1);
        assert!(sink.taken()[0].content.contains("dora@town.test"));
        town.site.wait_for_log(&["sent on by .forward", "dora@town.test"]);
    });
}
