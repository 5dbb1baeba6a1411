//! How servers ask each other to check credentials: Dovecot's auth protocols ([`dovecot`]) and saslauthd's
//! ([`saslauthd`]).
//!
//! Both sides of each, as text and types, without I/O. Postern asks others as client (`postern-directory`), and answers
//! Postfix, Dovecot or Cyrus on the same machine as server (`postern-receive`).

pub mod dovecot;
pub mod saslauthd;
