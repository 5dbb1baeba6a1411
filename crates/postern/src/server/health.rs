//! What directories get from the program, and the task that checks their health.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_directory::{Directories, Environment, FindServers, FoundServers, ServiceRecord};
use postern_events::Observers;
use postern_net::resolver::Resolver;
use postern_sasl::DecoySecret;
use tokio_util::sync::CancellationToken;

/// How often to check which directories are due.
const STEP: Duration = Duration::from_secs(1);

/// The program's resolver, for directories whose servers are named in DNS.
pub(crate) struct Services(pub(crate) Resolver);

impl FindServers for Services {
    fn services<'a>(&'a self, name: &'a str) -> FoundServers<'a> {
        Box::pin(async move {
            let records = self.0.srv(name).await.map_err(|error| error.to_string())?;
            let of = |record: postern_net::resolver::SrvRecord| ServiceRecord {
                priority: record.priority,
                weight: record.weight,
                port: record.port,
                host: record.target,
            };
            Ok(records.into_iter().map(of).collect())
        })
    }
}

/// What directories need from the program.
pub(super) fn environment(
    resolver: &Resolver,
    decoy: &DecoySecret,
    check_after: Option<Duration>,
    observers: &Observers,
) -> Environment {
    Environment {
        observers: observers.clone(),
        find_servers: Some(Arc::new(Services(resolver.clone()))),
        decoy: Some(decoy.clone()),
        check_after,
    }
}

/// What tables need from the program.
pub(super) fn around(observers: &Observers) -> Environment {
    Environment {
        observers: observers.clone(),
        ..Environment::default()
    }
}

/// Probes directories that are down, and unused ones, until `shutdown`.
pub(super) async fn keep(directories: Arc<ArcSwap<Directories>>, shutdown: CancellationToken) {
    loop {
        let round = async {
            tokio::time::sleep(STEP).await;
            directories.load_full().check_health().await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round => {}
        }
    }
}
