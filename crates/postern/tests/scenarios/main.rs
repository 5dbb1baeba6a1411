//! The program as its users meet it: the real binary, real clients, real servers around it.
//!
//! `POSTERN_BIN` names a binary other than this build's, such as the release one. Tests marked
//! `#[ignore]` run long; `cargo test -- --include-ignored` runs them too.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
#![allow(
    clippy::print_stdout,
    reason = "what was measured is of interest when it passes, too"
)]

mod harness;

mod access;
mod accounts;
mod addresses;
mod api;
mod attacks;
mod budgets;
mod clients;
mod clock;
mod crash;
mod detours;
mod devices;
mod disk;
mod dmarc_reports;
mod dnssec;
mod explaining;
mod fault;
mod floods;
mod guessing;
mod holds;
mod identity;
mod json;
mod judging;
mod kerberos;
mod local;
mod login_attacks;
mod mechanisms;
mod milters;
mod monitoring;
mod neighbours;
mod next_hop;
mod operations;
mod pam;
mod probing;
mod recipients;
mod relay_example;
mod revocation;
mod rewriting;
mod rights;
mod rotation;
mod route_tables;
mod sandbox;
mod scopes;
mod sealed;
mod seed_procedure;
mod signing;
mod signing_rights;
mod smarthosts;
mod strangers;
mod system_users;
mod tables;
mod tokens;
mod tracing;
mod web_page;
mod webhooks;
mod weight;
