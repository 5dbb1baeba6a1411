//! Our judge compared with others, on the same messages and records: every difference is intended, with a reason.
//!
//! The results are in `docs/judges.md`. With `POSTERN_UPDATE=1` the test writes that file, otherwise it compares.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod forge;
mod messages;
mod ours;
mod senders;
mod table;
mod zone;

use std::path::Path;

use postern_testkit::judges::RspamdJudge;
use postern_testkit::unbound::Unbound;

use self::zone::Zone;

/// The name server and the judge that the tables share.
struct Bench {
    zone: Zone,
    unbound: Unbound,
    rspamd: RspamdJudge,
}

impl Bench {
    fn start(zone: String) -> Self {
        let unbound = Unbound::start(&zone);
        let rspamd = RspamdJudge::start(unbound.port());
        Self {
            zone: Zone(zone),
            unbound,
            rspamd,
        }
    }
}

#[test]
fn judges_differ_where_they_are_known_to() {
    let keys = messages::Keys::make();
    let bench = Bench::start(format!("{}{}", messages::zone(&keys), senders::zone()));
    let mut faults = Vec::new();
    let signatures = messages::signatures(&bench, &keys, &mut faults);
    let chains = messages::chains(&bench, &keys, &mut faults);
    let clients = senders::clients(&bench, &mut faults);
    let authors = senders::authors(&bench, &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let text = format!(
        "{}\n## DKIM\n\n{signatures}\n## ARC\n\n{chains}\n## SPF\n\n{clients}\n## DMARC\n\n{authors}",
        table::OPENING
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/judges.md");
    if std::env::var_os("POSTERN_UPDATE").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    for (here, there) in text.lines().zip(there.lines()) {
        assert_eq!(here, there, "POSTERN_UPDATE=1 writes docs/judges.md");
    }
    assert_eq!(text.len(), there.len(), "POSTERN_UPDATE=1 writes docs/judges.md");
}
