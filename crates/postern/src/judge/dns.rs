//! The name servers of `net`, for the checks of `seal`: with a time limit for each query, and one for all of them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use postern_net::resolver::{ResolveError, Resolver};
use postern_seal::dns::{Dns, Family, Lookup, NoAnswer};

/// Most SPF queries for one message, and as many for everything else. RFC 7208 section 4.6.4 allows 121 at most; signatures and
/// chains with as many domains as possible would cause more, and each can be a victim's.
const QUESTIONS_MAX: usize = 150;

/// A resolver that answers until a deadline, or up to a number of queries, and then no more.
#[derive(Debug)]
pub(crate) struct Bounded {
    resolver: Resolver,
    until: Instant,
    each: Duration,
    allowance: Allowance,
}

/// Remaining queries.
#[derive(Debug)]
struct Allowance(AtomicUsize);

impl Allowance {
    /// Takes one of them, if there is one.
    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

impl Bounded {
    /// Each query may take `each`, and all together `all` from now on.
    pub(crate) fn new(resolver: Resolver, each: Duration, all: Duration) -> Self {
        Self {
            resolver,
            until: Instant::now() + all,
            each,
            allowance: Allowance(AtomicUsize::new(QUESTIONS_MAX)),
        }
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T, ResolveError>>) -> Result<T, NoAnswer> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NoAnswer::Temporary(
                "no time is left to ask name servers".to_owned(),
            ));
        }
        if !self.allowance.take() {
            return Err(NoAnswer::Temporary(format!(
                "more than {QUESTIONS_MAX} questions to name servers about one message"
            )));
        }
        match tokio::time::timeout(left.min(self.each), asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_temporary() => Err(NoAnswer::Temporary(error.to_string())),
            Ok(Err(_)) => Err(NoAnswer::Nothing),
            Err(_) => Err(NoAnswer::Temporary(
                "name servers do not answer in time".to_owned(),
            )),
        }
    }
}

impl Dns for Bounded {
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        self.within(self.resolver.txt(name)).boxed()
    }

    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, Vec<IpAddr>> {
        self.within(self.resolver.address_records(host, family == Family::V6))
            .boxed()
    }

    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Vec<String>> {
        async move {
            let records = self.within(self.resolver.mx(domain)).await?;
            Ok(records.into_iter().map(|record| record.exchange).collect())
        }
        .boxed()
    }

    fn names(&self, address: IpAddr) -> Lookup<'_, Vec<String>> {
        self.within(self.resolver.pointers(address)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_come_to_an_end() {
        let allowance = Allowance(AtomicUsize::new(2));
        assert_eq!([(); 4].map(|()| allowance.take()), [true, true, false, false]);
    }
}
