//! Local delivery looks up the mailbox each time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Bench, CONTENT, mailbox, rule, settings, shown};
use postern_deliver::{Asked, Mailboxes, Residence};
use postern_mail::Mailbox;
use postern_policy::DomainSet;
use postern_policy::route::Target;
use postern_spool::Spool as _;
use postern_testkit::sink::Sink;

/// `ann`, also with a detail, exists; `late` is unknown until `up`; `team` is an alias of two.
#[derive(Default)]
struct Known {
    up: AtomicBool,
}

impl Mailboxes for Known {
    fn residence<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Residence> {
        let found = match &*address.unquoted_local() {
            "ann" | "ann+shop" => Residence::Mailbox(mailbox("ann@local.test")),
            "late" if self.up.load(Ordering::SeqCst) => Residence::Mailbox(address.clone()),
            "late" => Residence::Unknown("the directory is down".into()),
            _ => Residence::Nobody,
        };
        Box::pin(std::future::ready(found))
    }

    fn readers<'a>(&'a self, address: &'a Mailbox) -> Asked<'a, Vec<Mailbox>> {
        let found = match (address.domain().name(), &*address.unquoted_local()) {
            (Some("local.test"), "team") => vec![mailbox("ann@local.test"), mailbox("far@x.test")],
            (Some("local.test"), "scanner") => Vec::new(),
            _ => vec![address.clone()],
        };
        Box::pin(std::future::ready(found))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_exists_has_a_maildir() {
    let mail = tempfile::tempdir().unwrap();
    let sink = Sink::start();
    let mut settings = settings();
    settings.routes.rules = vec![rule("*", &[sink.port()])];
    settings.routes.local_domains = DomainSet::new(["local.test"]).unwrap();
    settings.routes.local = Target::Maildir(mail.path().into());
    let known = Arc::new(Known::default());
    let bench = Bench::start_among(settings, known.clone());
    let made = || {
        let mut names: Vec<_> = std::fs::read_dir(mail.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };

    let to = ["gone@local.test", "ann+shop@local.test", "late@local.test"];
    let id = bench.put("team@local.test", &to, CONTENT).await;
    let history = shown(&bench.outcomes(id, 2).await);
    assert!(
        history
            .iter()
            .any(|line| line.starts_with("gone@local.test bounced 5.1.1 No such mailbox here")),
        "{history:?}"
    );
    assert!(
        history
            .iter()
            .any(|line| line.starts_with("ann+shop@local.test delivered")),
        "{history:?}"
    );
    let deferred = bench.deferral(id).await;
    let late = &deferred.recipients[2];
    assert_eq!(late.recipient.address.to_string(), to[2]);
    let last = late.last.clone().unwrap();
    assert_eq!(last.status.unwrap().to_string(), "4.4.3", "{last:?}");
    assert!(last.reply.contains("the directory is down"), "{last:?}");

    // The report reaches all targets of the sender's alias.
    let report = sink.wait_for("Action: failed");
    assert_eq!(report.rcpt.len(), 1, "{:?}", report.rcpt);
    assert!(report.rcpt[0].starts_with("<far@x.test>"), "{:?}", report.rcpt);

    known.up.store(true, Ordering::SeqCst);
    bench.spool.flush(None, "test").await.unwrap();
    let history = shown(&bench.outcomes(id, 3).await);
    assert!(
        history
            .iter()
            .any(|line| line.starts_with("late@local.test delivered")),
        "{history:?}"
    );
    assert_eq!(made(), ["ann", "late"]);
    let new = std::fs::read_dir(mail.path().join("ann/new")).unwrap();
    let texts: Vec<String> = new
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("Delivered-To: ann+shop@local.test")),
        "the full address stays: {texts:?}"
    );

    // scanner@ does not exist: no report is delivered, and no Maildir is created for it.
    let id = bench
        .put("scanner@local.test", &["gone@local.test"], CONTENT)
        .await;
    bench.outcomes(id, 1).await;
    let id = bench.put("", &["gone@local.test"], CONTENT).await;
    bench.outcomes(id, 1).await;
    assert_eq!(made(), ["ann", "late"]);
    bench.stop().await;
}

/// A stranger can write any number of addresses of one mailbox; each costs a line and not a copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_has_one_copy_whatever_it_is_called() {
    let mail = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.routes.local_domains = DomainSet::new(["local.test"]).unwrap();
    settings.routes.local = Target::Maildir(mail.path().into());
    let bench = Bench::start_among(settings, Arc::new(Known::default()));
    let to = ["ann+shop@local.test", "ann@local.test"];
    let id = bench.put("a@x.test", &to, CONTENT).await;
    let history = shown(&bench.outcomes(id, 2).await);
    assert!(
        history.iter().all(|line| line.contains(" delivered 2.0.0 ")),
        "each address has its outcome: {history:?}"
    );
    let copies: Vec<_> = std::fs::read_dir(mail.path().join("ann/new")).unwrap().collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    bench.stop().await;
}
