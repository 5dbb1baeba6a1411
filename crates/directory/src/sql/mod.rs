//! SQL databases as a directory: PostgreSQL, MySQL and MariaDB, SQLite, with the administrator's own queries.
//!
//! A query names what it wants to know about with `:login`, `:local`, `:domain` and `:address`. These become parameters
//! of a prepared statement and are bound to it: nothing that a client sends ever becomes part of the SQL.
//!
//! # The password query
//!
//! Its columns are known by name: `password` (the stored password, see [`crate::schemes`]), and where they are there
//! `login` (the canonical login), `address` or `addresses` (its mail addresses: one a row, several with blanks or commas
//! between, or an array), `enabled` (false or 0 locks out), `group` or `groups` (likewise, with commas alone), `key` or
//! `keys` and `nt_hash` (for mechanisms that never show the password). Without a column `password` the first one is it.
//! Several rows are one account with several addresses, groups and keys as long as they agree in everything else; otherwise
//! the login is ambiguous. No row: unknown. NULL as password: nobody can log in with one.
//!
//! Where no column is the login, it is what the client typed, without its domain if the query looks at `:local` alone.
//!
//! # The queries for keys, accounts and groups
//!
//! Where the password query is not enough, these have the same columns. In that for keys `:mechanism` is the name of the
//! mechanism without `-PLUS`, and the first column is the key where none is named so. That for groups gives one a row in
//! its first column.
//!
//! # The recipient query
//!
//! The address exists when there is a row whose first column is not NULL, false or 0.

mod account;
mod ask;
mod expanded;
mod mistakes;
mod mysql;
mod place;
mod postgres;
mod query;
mod rows;
mod servers;
mod settings;
mod sqlite;
mod text;

pub(crate) use ask::Sql;
pub use place::{check as check_server, is_local as is_local_server};
pub(crate) use query::{Dialect, Query, dialect};
pub use query::{check as check_query, check_keys as check_key_query, takes_any_domain};
pub(crate) use rows::{Cell, Rows};
pub(crate) use servers::{Connecting, Server, connectable};
pub use settings::{SqlEngine, SqlPlace, SqlServers, SqlSettings, SqlTls};
