//! From an address to its names, and back.

use super::cache::Datum;
use super::name::checked_name;
use super::{ResolveError, Resolver, addresses_in, too_late};
use hickory_resolver::proto::rr::{Name, RecordType};
use std::net::IpAddr;

/// Most names of an address that are tried in search of one that resolves back to it.
const REVERSE_NAMES_MAX: usize = 8;

/// The result of a reverse look-up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReverseName {
    /// It has a name that in turn has this address.
    Confirmed(String),
    /// It has names, and none of them has this address.
    Unconfirmed {
        /// The first of them.
        name: String,
        /// Why one of them, which might have it, could not be looked up.
        doubt: Option<ResolveError>,
    },
    /// It has no name.
    Nameless,
}

impl Resolver {
    /// The name of `address`, if that name in turn has this address; lower-case and without a trailing dot.
    ///
    /// Only names of letters, digits, hyphens and underscores count, so the answer may be logged and put into
    /// a header.
    ///
    /// # Errors
    ///
    /// Temporary errors only. A name that does not exist or does not resolve back is `None`.
    pub async fn reverse(&self, address: IpAddr) -> Result<Option<String>, ResolveError> {
        match self.reverse_name(address).await? {
            ReverseName::Confirmed(name) => Ok(Some(name)),
            ReverseName::Unconfirmed {
                doubt: Some(error), ..
            } => Err(error),
            ReverseName::Unconfirmed { doubt: None, .. } | ReverseName::Nameless => Ok(None),
        }
    }

    /// The same, with the reason if there is none.
    ///
    /// # Errors
    ///
    /// Temporary errors only, when the names of the address could not be looked up.
    pub async fn reverse_name(&self, address: IpAddr) -> Result<ReverseName, ResolveError> {
        let address = address.to_canonical();
        let timeout = self.current.load().timeout;
        match tokio::time::timeout(timeout, self.confirmed_name(address)).await {
            Ok(answer) => answer,
            Err(_) => Err(too_late(&address.to_string(), timeout)),
        }
    }

    async fn confirmed_name(&self, address: IpAddr) -> Result<ReverseName, ResolveError> {
        let pointers = self
            .lookup(&address.to_string(), Name::from(address), RecordType::PTR)
            .await
            .answer;
        let pointers = match pointers {
            Ok(pointers) => pointers,
            Err(error) if error.is_temporary() => return Err(error),
            Err(_) => return Ok(ReverseName::Nameless),
        };
        let kind = if address.is_ipv4() {
            RecordType::A
        } else {
            RecordType::AAAA
        };
        let (mut first, mut doubt) = (None, None);
        for pointer in pointers.iter().take(REVERSE_NAMES_MAX) {
            let Datum::Name(host) = pointer else { continue };
            let Ok(name) = checked_name(host) else { continue };
            first.get_or_insert_with(|| host.clone());
            match self.lookup(host, name, kind).await.answer {
                Ok(forward) if addresses_in(&forward).any(|found| found == address) => {
                    return Ok(ReverseName::Confirmed(host.clone()));
                }
                Err(error) if error.is_temporary() => doubt = Some(error),
                _ => {}
            }
        }
        // Names that cannot be looked up in DNS do not count.
        Ok(match first {
            Some(name) => ReverseName::Unconfirmed { name, doubt },
            None => ReverseName::Nameless,
        })
    }

    /// The names of `address` from its PTR records, at least one; whether they resolve back is not checked.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn pointers(&self, address: IpAddr) -> Result<Vec<String>, ResolveError> {
        let address = address.to_canonical();
        let answer = self
            .lookup(&address.to_string(), Name::from(address), RecordType::PTR)
            .await
            .answer?;
        let name = |datum: &Datum| match datum {
            Datum::Name(name) => Some(name.clone()),
            _ => None,
        };
        Ok(answer.iter().filter_map(name).collect())
    }
}
