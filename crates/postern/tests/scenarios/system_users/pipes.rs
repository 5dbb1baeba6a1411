//! Programs that take all mail of a route (`[[pipe]]`, Postfix's pipe(8)): arguments, rights, exit codes.

use std::fs;
use std::path::Path;

use postern_testkit::process::wait_until;
use postern_testkit::sink::Sink;

use super::{Town, in_town, text, uid_of, user_file};

/// Writes its input and its identity, and does what its first argument says.
const PROGRAM: &str = "case $1 in\n refuse*) echo not for the list; exit 77;;\n later*) exit 75;;\nesac\n\
                       { printf '%s\\n' \"$@\"; id -u; id -g; cat; } > $HOME/got.new && mv $HOME/got.new $HOME/got\n";

fn town(sink: &Sink) -> Town {
    user_file("daemonic", "program", PROGRAM);
    let pipe = "command = [\"/bin/sh\", \"/home/daemonic/program\", \"{recipient}\", \"{user}\", \"{detail}\", \"{sender}\", \"{next_hop}\", \"{original}\"]\n\
                user = \"daemonic\"\n";
    let hop = sink.port();
    Town::new(
        sink,
        &format!(
            "[[pipe]]\nname = \"list\"\n{pipe}add = [\"from\", \"return-path\", \"delivered-to\"]\nlowercase = [\"local\", \"domain\"]\n\
             [[pipe]]\nname = \"group\"\n{pipe}group = \"bob\"\nsize_limit = \"1 KiB\"\n\
             [[route]]\ndomains = [\"relay.test\"]\nto = \"pipe\"\npipe = \"list\"\n\
             [[route]]\nrecipients = [\"grouped@relay.test\"]\nto = \"pipe\"\npipe = \"group\"\n\
             [[route]]\ntable = \"inline:{{ lost@relay.test=pipe:gone }}\"\n\
             [[route]]\ndomains = [\"*\"]\nvia = [\"127.0.0.1:{hop}\"]\ntls = \"none\"\n"
        ),
    )
}

#[test]
fn mail_of_a_route_goes_to_a_program() {
    in_town("pipes::mail_of_a_route_goes_to_a_program", || {
        let sink = Sink::start();
        let mut town = town(&sink);
        town.start();
        let got = Path::new("/home/daemonic/got");
        let uid = uid_of("daemonic");
        town.take("Staff+`id`@Relay.test", "to the list");
        wait_until("the program", || got.exists());
        let said = text(got);
        let expected = format!(
            "staff+`id`@relay.test\nstaff\n`id`\nx@far.test\nrelay.test\nstaff+`id`@relay.test\n{uid}\n{uid}\nFrom x@far.test "
        );
        assert!(said.starts_with(&expected), "{said}");
        assert!(
            said.contains("\nReturn-Path: <x@far.test>\nDelivered-To: Staff+`id`@relay.test\nReceived: "),
            "{said}"
        );
        assert!(
            said.contains("\nSubject: to the list\n\nhello\nFrom here\n"),
            "{said}"
        );
        town.site.wait_for_log(&["delivered", "pipe list"]);

        // Another group, and nothing before the message.
        fs::remove_file(got).unwrap();
        town.take("grouped@relay.test", "in a group");
        wait_until("the program", || got.exists());
        let said = text(got);
        assert!(
            said.contains(&format!("\n{uid}\n{}\nReceived: ", uid_of("bob"))),
            "{said}"
        );
        let long = format!("Subject: long\r\n\r\n{}", "0123456789\r\n".repeat(200));
        assert!(town.send("grouped@relay.test", &long).starts_with("250"));
        let report = sink.wait_for("grouped@relay.test");
        assert!(report.content.contains("Action: failed"), "{}", report.content);

        town.take("refuse@relay.test", "refused");
        let report = sink.wait_for("refuse@relay.test");
        assert!(report.content.contains("5.7.1"), "{}", report.content);
        town.take("later@relay.test", "for later");
        town.waits(&["later@relay.test", "75"]);
        town.take("lost@relay.test", "lost");
        town.waits(&["lost@relay.test", "there is no [[pipe]]"]);
    });
}
