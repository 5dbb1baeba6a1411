//! How servers ask each other about logins: Dovecot's auth protocols ([`dovecot`]) and saslauthd's ([`saslauthd`]).
//!
//! Both sides of each, as text and types, without I/O. Postern asks others as client (`postern-directory`), and answers a
//! Postfix, a Dovecot or a Cyrus next door as server (`postern-receive`).

pub mod dovecot;
pub mod saslauthd;
