//! Work that keeps a processor busy for long, behind all else that the server does.

use std::panic::resume_unwind;
use std::sync::Once;
use std::thread::{Builder, scope};

use rustix::process::{getpriority_process, setpriority_process};
use tracing::warn;

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
            step_back();
            work()
        })?;
        thread.join().or_else(|panic| resume_unwind(panic))
    })
}

/// Lowers the priority of the calling thread, or says once that the system does not let it.
fn step_back() {
    static SAID: Once = Once::new();
    let Err(error) = setpriority_process(None, NICENESS) else {
        return;
    };
    // A server that runs at such a priority or a lower one already may not raise it again, and need not.
    if getpriority_process(None).is_ok_and(|niceness| niceness >= NICENESS) {
        return;
    }
    SAID.call_once(|| {
        warn!(
            target: "postern::directory",
            %error,
            "passwords are hashed at the priority of all other work, and guessing slows that down: let the server call \
             setpriority (SystemCallFilter=setpriority in its unit)"
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_priority_is_that_threads_alone() {
        let own = || getpriority_process(None).unwrap();
        let before = own();
        assert_eq!(compute(own).unwrap(), before.max(NICENESS));
        assert_eq!(own(), before);
    }
}
