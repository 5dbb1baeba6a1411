//! What is wrong with the settings of a SQL directory, without looking at files or servers.

use super::query::{Query, dialect};
use super::settings::{SqlPlace, SqlServers, SqlSettings};
use crate::mistake::{Mistake, of_all};

/// Most servers of one directory.
const SERVERS_MAX: usize = 16;

impl SqlSettings {
    /// All that is wrong with them. Files and servers are not looked at.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let engine = match &self.place {
            SqlPlace::File(_) => None,
            SqlPlace::Servers(servers) => Some(servers.engine),
        };
        let mut found = Vec::new();
        if let SqlPlace::Servers(servers) = &self.place {
            found.extend(of_servers(servers));
        }
        let queries = [
            ("password_query", Some(&self.password_query)),
            ("recipient_query", self.recipient_query.as_ref()),
            ("account_query", self.account_query.as_ref()),
            ("group_query", self.group_query.as_ref()),
            ("key_query", self.key_query.as_ref()),
        ];
        for (key, text) in queries {
            let parsed = text.map(|text| match key {
                "key_query" => Query::of_keys(text, dialect(engine)),
                _ => Query::parse(text, dialect(engine)),
            });
            if let Some(Err(what)) = parsed {
                let remedy = "write for example `… WHERE name = :login`; the parameters are :login, :local, :domain and :address";
                found.push(Mistake::new(key, what, remedy));
            }
        }
        if self.group_query.is_none()
            && !self.allowed_groups.is_empty()
            && !self.password_query.to_lowercase().contains("group")
        {
            let remedy = "add a `group_query`, or a column `group` to `password_query`";
            found.push(Mistake::new(
                "allowed_groups",
                "is set without a way to find groups",
                remedy,
            ));
        }
        found.extend(of_all(self.pool_size, self.workers, self.timeout, &self.schemes));
        found
    }
}

/// What is wrong with the number of servers.
pub(super) fn of_servers(servers: &SqlServers) -> Option<Mistake> {
    let count = servers.servers.len();
    (!(1..=SERVERS_MAX).contains(&count)).then(|| {
        Mistake::new(
            "servers",
            format!("names {count} servers"),
            format!("name at least one, such as \"127.0.0.1\", and at most {SERVERS_MAX}"),
        )
    })
}
