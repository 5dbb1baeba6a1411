//! Gives places to the next hops in line, and tells an administrator when they are short.

use std::sync::Arc;
use std::time::Duration;

use postern_events::{Observers, notice};
use postern_policy::concurrency::PressureNews;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::core::Core;
use crate::places::Next;
use crate::post::Post;
use crate::status::PlacesStatus;

/// How often it checks whether there is something to report.
const LOOK: Duration = Duration::from_secs(1);

/// Until the server stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = Instant::now();
    loop {
        let wake = serve(&core);
        let paced = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = core.places.changed.notified() => {}
            () = paced => {}
            _ = look.tick() => {
                for (news, places) in core.places.news(looked.elapsed()) {
                    tell(news, &places, &core.deps.observers);
                }
                looked = Instant::now();
            }
        }
    }
}

/// Starts workers for next hops in line, as far as there are places. Returns the time when there
/// may be more.
fn serve(core: &Arc<Core>) -> Option<Instant> {
    let settings = core.deps.settings.load();
    loop {
        match core.places.next() {
            Next::Place(seat, in_line) => {
                let destination = in_line.leave();
                let room = core.places.room(seat.class(), &destination);
                if let Some(post) = Post::take_up(&destination, seat, &settings.limits, room) {
                    core.start_worker(post, destination);
                }
            }
            Next::Wait(wake) => return wake,
        }
    }
}

fn tell(news: PressureNews, places: &PlacesStatus, observers: &Observers) {
    let class = &*places.class;
    match news {
        PressureNews::Begins => notice!(
            observers,
            Attempt Warning "connections are short, hosts wait in line",
            Class = class,
            Connections = places.connections,
            Silent = places.unproven,
            Waiting = places.in_line + places.in_line_for_address,
        ),
        PressureNews::Ends => notice!(
            observers,
            Attempt Info "connections are enough again",
            Class = class,
            Connections = places.connections,
        ),
    }
}
