//! Work that keeps a processor busy for long, behind all else that the server does.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// The niceness of such work: where processors are scarce it gets about a tenth of what a relaying thread gets.
const NICENESS: i32 = 10;

/// Runs it on a thread of its own at low priority and waits for it, which an asynchronous thread must not do. It must not
/// take a lock: whoever waited for that would wait for a thread that is hardly ever let run.
///
/// # Errors
///
/// The system gives no thread.
pub(crate) fn compute<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    scope(|scope| {
        let thread = Builder::new().name("hashing".into()).spawn_scoped(scope, || {
            // It fails only for a server that runs at a lower priority already.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            work()
        })?;
        thread.join().or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_priority_is_that_threads_alone() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        assert_eq!(compute(own).unwrap(), before.max(NICENESS));
        assert_eq!(own(), before);
    }
}
