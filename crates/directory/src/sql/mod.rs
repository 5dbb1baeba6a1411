//! SQL databases as a directory: PostgreSQL, MySQL and MariaDB, SQLite, with the administrator's own queries.
//!
//! A query refers to the key with `:login`, `:local`, `:domain` and `:address`. These become parameters of a prepared
//! statement and are bound to it: nothing that a client sends ever becomes part of the SQL.
//!
//! # The password query
//!
//! Its columns are recognised by name: `password` (the stored password, see [`crate::schemes`]), and, if present, `login`
//! (the canonical login), `address` or `addresses` (its mail addresses: one per row, several separated by blanks or commas,
//! or an array), `enabled` (false or 0 disables the account), `group` or `groups` (likewise, separated by commas only),
//! `key` or `keys` and `nt_hash` (for mechanisms that never show the password). Without a column `password`, the first
//! column is used. Several rows are one account with several addresses, groups and keys as long as they agree in everything
//! else; otherwise the login is ambiguous. No row: unknown. NULL as password: nobody can log in with one.
//!
//! If no column gives the login, it is what the client typed, without its domain if the query uses `:local` only.
//!
//! # The queries for keys, accounts and groups
//!
//! Used where the password query is not enough; they have the same columns. In the key query, `:mechanism` is the name of
//! the mechanism without `-PLUS`, and the first column is the key if no column has that name. The group query returns one
//! group per row in its first column.
//!
//! # The recipient query
//!
//! The address exists if there is a row whose first column is not NULL, false or 0.

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
