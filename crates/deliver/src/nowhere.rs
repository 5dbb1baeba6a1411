//! Mail that goes nowhere: an alias or a route discards it, or it was accepted before a route began to refuse it.

use std::sync::Arc;

use postern_mail::Status;
use postern_policy::alias::RefusalText;
use postern_spool::Attempt;
use tokio::sync::Semaphore;

use crate::core::{Conclusion, Core, Held, look_again};
use crate::destination::{Destination, Taken};
use crate::failure::{Cause, Failure};
use crate::hop::HopKind;
use crate::outcome::{Fate, SuccessReport};
use crate::post::Post;
use crate::relay::Relay;
use crate::work::Work;

/// Most messages whose outcomes may be unsettled.
const UNSETTLED: usize = 64;

/// Takes messages and concludes them, until there are none.
pub(crate) async fn serve(core: &Arc<Core>, destination: &Arc<Destination>, mut post: Post) {
    let unsettled = Arc::new(Semaphore::new(UNSETTLED));
    while !core.stop.is_cancelled() {
        core.replenish(destination);
        match post.take(false) {
            Taken::Work(work) => end(core, destination, *work, &unsettled).await,
            Taken::Idle | Taken::Leave => return,
        }
    }
}

async fn end(core: &Arc<Core>, destination: &Destination, work: Work, unsettled: &Arc<Semaphore>) {
    let settings = core.deps.settings.load_full();
    let Some(message) = core.message_of(&settings, &work).await else {
        return;
    };
    let fate = match &destination.hop.kind {
        HopKind::Refuse(text) => refused(text),
        HopKind::Unknown(why) => unknown(why),
        _ => discarded(),
    };
    let fates = work.recipients.iter().map(|due| (*due, fate.clone())).collect();
    let look_again = match work.is_fresh() {
        true => Vec::new(),
        false => look_again(&message, &work.recipients),
    };
    let held = Held {
        claims: Arc::new(work.claims),
        unsettled: unsettled.clone().acquire_owned().await.ok(),
        look_again,
    };
    let conclusion = Conclusion {
        message,
        fates,
        not_before: None,
        public: false,
        held,
        sent_on: Vec::new(),
    };
    core.conclude(&settings, conclusion);
    destination.succeeded(&settings.limits);
}

/// With the text of the route; a temporary refusal defers it.
fn refused(text: &RefusalText) -> Fate {
    let cause = Cause::Settings(text.text.to_string().into());
    Fate::Failed(match text.status.0 {
        4 => Failure::temporary(text.status, &Relay::Nowhere, cause),
        _ => Failure::permanent(text.status, &Relay::Nowhere, cause),
    })
}

/// It is retried on the usual schedule.
fn unknown(why: &Arc<str>) -> Fate {
    let cause = Cause::Settings(why.to_string().into());
    Fate::Failed(Failure::temporary(Status(4, 3, 0), &Relay::Nowhere, cause))
}

/// It has an outcome, which log and history show.
fn discarded() -> Fate {
    Fate::Delivered {
        relay: Relay::Nowhere,
        attempt: Attempt {
            relay: "discard".into(),
            status: Some(Status(2, 0, 0)),
            reply: "thrown away, as the configuration says".into(),
            failure: None,
        },
        success: SuccessReport::Delivered,
    }
}
