//! A fault in the server itself: one of its tasks panics. Nothing that a peer, a file or the machine does is known to cause that,
//! so a debugger does: it makes a function of the task jump to where the standard library panics.

use std::process::Command;

use postern_testkit::process::{free_port, program, wait_until};
use postern_testkit::sink::Sink;

use super::harness::{Site, binary};

/// The linker symbol of the function that matches this pattern.
fn symbol(pattern: &str) -> String {
    let output = Command::new(program("/usr/bin/nm", "binutils"))
        .arg(binary())
        .output()
        .unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let found = names
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .find(|name| name.contains(pattern));
    found
        .unwrap_or_else(|| panic!("{pattern} is not in {}", binary().display()))
        .to_owned()
}

#[test]
fn a_server_whose_delivery_panics_ends_with_70_and_loses_nothing() {
    let port = free_port();
    let mut site = Site::relay_with(port, "", "[retry]\nintervals = [\"1h\"]\n");
    // Only delivery calls it, when an administrator flushes the queue.
    let (called, panics) = (
        symbol("deliver6intake5flush17"),
        symbol("7raw_vec17capacity_overflow"),
    );
    let mut debugger = Command::new(program("/usr/bin/gdb", "gdb"));
    debugger.args(["-nx", "-q", "-batch"]);
    for line in [
        "set debuginfod enabled off",
        "set startup-with-shell off",
        "set disable-randomization off",
        "set language c",
        "handle all nostop noprint pass",
        "handle SIGTRAP stop",
        &format!("break *&{called}"),
        "run",
        &format!("set var $pc = &{panics}"),
        "continue",
        "quit $_exitcode",
    ] {
        debugger.args(["-ex", line]);
    }
    debugger.arg("--args").arg(binary());
    site.start_by(debugger);
    let taken = site.tester().mail(
        "tester@relay.test",
        &["x@outside.example"],
        "Subject: kept\r\n\r\nx",
    );
    assert!(taken.unwrap().starts_with("250 "));
    site.wait_for_log(&["deferred", "x@outside.example"]);

    // Its answer may be lost with the server.
    site.run(&["queue", "flush"]);
    let ended = site.take_server().wait().unwrap();
    let log = site.log();
    assert_eq!(ended.code(), Some(70), "{log}");
    for word in ["stopping", "stopped"] {
        let line =
            format!("{word} level=error reason=\"the task \\\"delivery\\\" panicked: capacity overflow\"");
        assert!(log.contains(&line), "{line} is not in {log}");
    }
    let last = "the server has stopped, since it cannot work without it (a fault of Postern)";
    assert!(log.contains(last), "{log}");

    // What systemd does then (`server::watch` tests the unit for it).
    let sink = Sink::start_on(port);
    site.start();
    site.ok(&["queue", "retry", "--all"]);
    wait_until("the mail", || !sink.taken().is_empty());
    assert!(sink.taken()[0].content.contains("Subject: kept"));
    wait_until("an empty queue", || site.queue_is_empty());
}
