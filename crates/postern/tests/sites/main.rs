//! Migrates whole sites: the files of sendmail and Postfix servers are imported, and Postern answers each message as they did.
//!
//! Each site has a network of its own, in network namespaces: name servers, next hops, filters and directories around a machine
//! that runs Postern. `crates/migrate/tests/sites` has the sites' files and the old servers' answers; `labs` next to this file
//! has what must be around them, and where Postern may answer otherwise, each with the words of the import's report that say so.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
#![allow(clippy::format_push_string, reason = "texts are short here")]

mod around;
mod arrived;
mod before;
mod database;
mod dialogue;
mod machine;
mod moved;
mod network;
mod site;

#[test]
fn sendmail_clinic_seed() {
    moved::answers_as_before("sendmail-clinic-seed");
}

#[test]
fn sendmail_exchange_gateway() {
    moved::answers_as_before("sendmail-exchange-gateway");
}

#[test]
fn sendmail_isp_submission() {
    moved::answers_as_before("sendmail-isp-submission");
}

#[test]
fn sendmail_office_smarthost() {
    moved::answers_as_before("sendmail-office-smarthost");
}

#[test]
fn postfix_office_satellite() {
    moved::answers_as_before("postfix-office-satellite");
}

#[test]
fn postfix_exchange_gateway() {
    moved::answers_as_before("postfix-exchange-gateway");
}

#[test]
fn postfix_club_lists() {
    moved::answers_as_before("postfix-club-lists");
}

#[test]
fn postfix_hosting_mysql() {
    moved::answers_as_before("postfix-hosting-mysql");
}

#[test]
fn postfix_backup_mx() {
    moved::answers_as_before("postfix-backup-mx");
}

#[test]
fn postfix_lists_virtual() {
    moved::answers_as_before("postfix-lists-virtual");
}

#[test]
fn sendmail_university() {
    moved::answers_as_before("sendmail-university");
}

#[test]
fn postfix_submission_provider() {
    moved::answers_as_before("postfix-submission-provider");
}

#[test]
fn postfix_web_sender() {
    moved::answers_as_before("postfix-web-sender");
}

#[test]
fn sendmail_nullclient() {
    moved::answers_as_before("sendmail-nullclient");
}

/// Sends the probes to the real old server of the site in `POSTERN_RECORD`, and records what it does.
#[test]
#[ignore = "it changes the recorded outcomes"]
fn record() {
    moved::record(&std::env::var("POSTERN_RECORD").expect("POSTERN_RECORD names a site"));
}

/// Migrates the site in `POSTERN_SITE`.
#[test]
#[ignore = "it is for sites that are being written"]
fn site() {
    moved::answers_as_before(&std::env::var("POSTERN_SITE").expect("POSTERN_SITE names a site"));
}
