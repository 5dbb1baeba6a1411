//! Logins granted to another server's login process, until its mail process asks which user it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postern_authwire::dovecot::Cookie;
use tokio::time::Instant;

/// How long a mail process may take to ask.
const KEPT: Duration = Duration::from_secs(60);

/// Most logins kept for one connection. The oldest is dropped first.
const TICKETS_MAX: usize = 1_000;

/// All logins that have not been asked for yet, by the cookie of the connection on which they were granted.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    connections: Mutex<HashMap<Cookie, Connection>>,
}

/// The logins of one connection.
#[derive(Debug)]
struct Connection {
    pid: u32,
    granted: HashMap<u32, (String, Instant)>,
}

/// A connection's entry among the tickets, which are dropped with it.
pub(super) struct Counter {
    tickets: Arc<Tickets>,
    cookie: Cookie,
}

impl Tickets {
    /// Adds an entry for a connection, whose process has this id.
    pub(super) fn open(self: &Arc<Self>, cookie: Cookie, pid: u32) -> Counter {
        let connection = Connection {
            pid,
            granted: HashMap::new(),
        };
        self.connections.lock().insert(cookie, connection);
        Counter {
            tickets: Arc::clone(self),
            cookie,
        }
    }

    /// The user of a login, told once, to a process that knows the cookie.
    ///
    /// The look-up time depends on the cookie, but only through its hash under a random key, so that the cookie cannot be guessed
    /// octet by octet.
    pub(super) fn take(&self, cookie: &Cookie, pid: u32, id: u32, now: Instant) -> Option<String> {
        let mut connections = self.connections.lock();
        let connection = connections
            .get_mut(cookie)
            .filter(|connection| connection.pid == pid)?;
        let (login, since) = connection.granted.remove(&id)?;
        (now.saturating_duration_since(since) < KEPT).then_some(login)
    }
}

impl Counter {
    /// Keeps a login for the mail process.
    pub(super) fn keep(&self, id: u32, login: String, now: Instant) {
        let mut connections = self.tickets.connections.lock();
        let Some(connection) = connections.get_mut(&self.cookie) else {
            return;
        };
        let granted = &mut connection.granted;
        if granted.len() >= TICKETS_MAX {
            granted.retain(|_, (_, since)| now.saturating_duration_since(*since) < KEPT);
        }
        if granted.len() >= TICKETS_MAX
            && let Some(oldest) = granted
                .iter()
                .min_by_key(|(_, (_, since))| *since)
                .map(|(id, _)| *id)
        {
            granted.remove(&oldest);
        }
        granted.insert(id, (login, now));
    }

    /// Forgets a login that nobody will ask for.
    pub(super) fn forget(&self, id: u32) {
        if let Some(connection) = self.tickets.connections.lock().get_mut(&self.cookie) {
            connection.granted.remove(&id);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.tickets.connections.lock().remove(&self.cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_once_and_to_who_knows() {
        let now = Instant::now();
        let tickets = Arc::new(Tickets::default());
        let counter = tickets.open([1; 16], 70);
        let other = tickets.open([2; 16], 70);
        counter.keep(5, "acaird".into(), now);
        assert_eq!(tickets.take(&[2; 16], 70, 5, now), None, "another cookie");
        assert_eq!(tickets.take(&[1; 16], 71, 5, now), None, "another process");
        assert_eq!(tickets.take(&[1; 16], 70, 6, now), None, "another exchange");
        assert_eq!(tickets.take(&[1; 16], 70, 5, now).as_deref(), Some("acaird"));
        assert_eq!(tickets.take(&[1; 16], 70, 5, now), None, "once");
        counter.keep(7, "boss".into(), now);
        assert_eq!(tickets.take(&[1; 16], 70, 7, now + KEPT), None, "too late");
        counter.keep(8, "boss".into(), now);
        counter.forget(8);
        assert_eq!(tickets.take(&[1; 16], 70, 8, now), None, "given up");
        counter.keep(9, "boss".into(), now);
        drop(counter);
        assert_eq!(tickets.take(&[1; 16], 70, 9, now), None, "the process is gone");
        drop(other);
        assert!(tickets.connections.lock().is_empty());
    }

    #[test]
    fn bounded() {
        let now = Instant::now();
        let tickets = Arc::new(Tickets::default());
        let counter = tickets.open([1; 16], 70);
        for id in 0..1_010 {
            counter.keep(id, "a".into(), now + Duration::from_millis(u64::from(id)));
        }
        assert_eq!(tickets.connections.lock()[&[1; 16]].granted.len(), TICKETS_MAX);
        assert_eq!(tickets.take(&[1; 16], 70, 0, now), None, "the oldest went");
        assert!(tickets.take(&[1; 16], 70, 1_009, now).is_some());
    }
}
