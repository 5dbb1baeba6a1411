//! What tests share: real servers on loopback ports, a client, a sink.
//!
//! Everything here panics rather than returns an error: a test whose peer does not start has failed, and the panic says
//! which Debian package is missing.

mod account;
pub mod dkim;
pub mod dns;
pub mod dovecot;
pub mod exim;
pub mod hops;
pub mod http;
pub mod judges;
pub mod kdc;
pub mod mariadb;
pub mod milter;
pub mod oauth;
pub mod pgbouncer;
pub mod policy;
pub mod postfix;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod saslauthd;
pub mod sendmail;
pub mod signed;
pub mod sink;
pub mod slapd;
pub mod smtp;
pub mod unbound;
