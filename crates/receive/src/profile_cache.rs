//! The profile of a listener, rebuilt when a reload has changed what it is made of.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::ListenerSettings;
use crate::profile::{Profile, rules};
use crate::shared::Shared;

/// The profile of one listener, rebuilt when anything it is made of was swapped.
pub(crate) struct ProfileCache {
    listener: Arc<ArcSwap<ListenerSettings>>,
    last: Mutex<Option<Arc<Profile>>>,
}

impl ProfileCache {
    pub(crate) fn new(listener: Arc<ArcSwap<ListenerSettings>>) -> Self {
        Self {
            listener,
            last: Mutex::new(None),
        }
    }

    /// The profile for a session that begins now.
    pub(crate) fn get(&self, shared: &Shared) -> Arc<Profile> {
        let deps = &shared.deps;
        let general = deps.settings.load_full();
        let listener = self.listener.load_full();
        let tls = deps.tls.load_full();
        let mut last = self.last.lock();
        if let Some(profile) = &*last
            && Arc::ptr_eq(&profile.general, &general)
            && Arc::ptr_eq(&profile.listener, &listener)
            && Arc::ptr_eq(&profile.tls, &tls)
        {
            return Arc::clone(profile);
        }
        shared.throttle.lock().configure(general.throttle);
        shared.tally.lock().keep(&general.limits_of_clients);
        deps.budgets.configure(&general.budgets);
        let settings = general.at(&listener);
        let rules = Arc::new(rules(&settings, &listener, tls.is_some()));
        let milters = match listener.filtered {
            // It was filtered when it first came in.
            true => Vec::new(),
            false => shared
                .milters
                .of_listener(&settings, &listener.name, &deps.observers),
        };
        let access = match listener.filtered {
            true => Arc::default(),
            false => Arc::clone(&settings.access),
        };
        let services = shared.services.of(&access.services, &deps.observers);
        let profile = Arc::new(Profile {
            settings,
            general,
            listener,
            listener_now: Arc::clone(&self.listener),
            tls,
            rules,
            milters,
            access,
            services,
        });
        *last = Some(Arc::clone(&profile));
        profile
    }
}
