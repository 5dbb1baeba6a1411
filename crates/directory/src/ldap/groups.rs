//! The groups of an entry.

use std::time::Instant;

use ldap3::{LdapResult, SearchEntry};

use super::account::{Group, group, is_below, values};
use super::code::of_search;
use super::pool::{Bound, Pool, Search};
use super::settings::LdapSettings;
use super::template::Template;
use crate::error::SetUpError;
use crate::failover::Fault;

/// Most groups of one account.
const GROUPS_MAX: i32 = 1_000;

/// How groups are found: by a search, if there is a filter.
#[derive(Debug)]
pub(super) struct Grouping {
    filter: Option<Template>,
}

/// On which connection to ask.
pub(super) enum Via<'a, 'b> {
    /// As the service.
    Pool(&'a Pool),
    /// As the user.
    Bound(&'a mut Bound<'b>),
}

impl Via<'_, '_> {
    async fn search(
        self,
        search: &Search<'_>,
        deadline: Instant,
    ) -> Result<(Vec<SearchEntry>, LdapResult), Fault> {
        match self {
            Self::Pool(pool) => pool.search(search, deadline).await,
            Self::Bound(bound) => bound.search(search).await,
        }
    }
}

impl Grouping {
    pub(super) fn new(settings: &LdapSettings) -> Result<Self, SetUpError> {
        let filter = settings
            .group_filter
            .as_deref()
            .map(Template::of_groups)
            .transpose();
        let filter = filter.map_err(|error| SetUpError::setting("group_filter", error))?;
        Ok(Self { filter })
    }

    /// The groups of an entry. If they cannot be determined, that is a fault: a login must be neither granted nor
    /// refused because of it.
    pub(super) async fn find(
        &self,
        via: Via<'_, '_>,
        entry: &SearchEntry,
        login: &str,
        settings: &LdapSettings,
        deadline: Instant,
    ) -> Result<Vec<Group>, Fault> {
        let mut groups = Vec::new();
        if let Some(attribute) = &settings.member_of_attribute {
            let within = |dn: &&String| settings.group_base.as_ref().is_none_or(|base| is_below(dn, base));
            let named = values(entry, attribute).iter().filter(within);
            groups.extend(named.map(|dn| group(dn)));
        }
        if let Some(filter) = &self.filter {
            let filter = filter.fill_groups(&entry.dn, login);
            for found in search(via, &filter, settings, deadline).await? {
                let one = group(&found.dn);
                let name = values(&found, &settings.group_attribute).first().cloned();
                groups.push(Group {
                    name: name.unwrap_or(one.name),
                    dn: one.dn,
                });
            }
        }
        Ok(groups)
    }

    /// The same question for a nonexistent entry, so that an unknown login takes as long as a known one.
    pub(super) async fn search_in_vain(
        &self,
        via: Via<'_, '_>,
        settings: &LdapSettings,
        deadline: Instant,
    ) -> Result<(), Fault> {
        if let Some(filter) = &self.filter {
            let nobody = format!("{:016x}", rand::random::<u64>());
            let dn = format!("uid={nobody},{}", settings.search_base);
            search(via, &filter.fill_groups(&dn, &nobody), settings, deadline).await?;
        }
        Ok(())
    }
}

async fn search(
    via: Via<'_, '_>,
    filter: &str,
    settings: &LdapSettings,
    deadline: Instant,
) -> Result<Vec<SearchEntry>, Fault> {
    let search = Search {
        base: settings.group_base.as_deref().unwrap_or(&settings.search_base),
        scope: settings.scope.of_library(),
        filter,
        attributes: &[settings.group_attribute.as_str()],
        limit: GROUPS_MAX,
    };
    let (entries, result) = via.search(&search, deadline).await?;
    if result.rc == 4 {
        return Err(Fault::Question(format!(
            "more than {GROUPS_MAX} groups: narrow the `group_filter`"
        )));
    }
    of_search(&result)?;
    Ok(entries)
}
