//! Long computations, at lower priority than everything else that the server does.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

use postern_events::{Observers, notice, shown};
use rustix::process::{getpriority_process, setpriority_process};

/// The niceness of such work: when processors are busy it gets about a tenth of what a relaying thread gets.
const NICENESS: i32 = 10;

/// Runs it on a thread of its own at low priority and waits for it, which an asynchronous thread must not do. The work
/// must not take a lock: others waiting for it would wait for a thread that hardly ever runs.
///
/// # Errors
///
/// The system cannot start a thread.
pub(crate) fn compute<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    scope(|scope| {
        let thread = Builder::new().name("hashing".into()).spawn_scoped(scope, || {
            // `look` has already reported it if the system does not allow this.
            drop(step_back());
            work()
        })?;
        thread.join().or_else(|panic| resume_unwind(panic))
    })
}

/// Checks whether the priority can be lowered, and reports it if the system does not allow that.
pub(crate) fn look(observers: &Observers) {
    let tried = scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, step_back)?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    if let Err(error) = tried {
        notice!(
            observers,
            Directory Warning "passwords are hashed at the priority of all other work, and guessing slows that down: let the \
                server call setpriority (SystemCallFilter=setpriority in its unit)",
            Error = shown(&error),
        );
    }
}

/// Lowers the priority of the calling thread.
fn step_back() -> std::io::Result<()> {
    let Err(error) = setpriority_process(None, NICENESS) else {
        return Ok(());
    };
    // A server that already runs at this priority or a lower one may not raise it again, and need not.
    if getpriority_process(None).is_ok_and(|niceness| niceness >= NICENESS) {
        return Ok(());
    }
    Err(error.into())
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
