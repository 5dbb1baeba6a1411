//! Trying a host once more without optional parameters that it may have refused.

use std::sync::Arc;

use postern_mail::{BodyKind, Recipient};
use postern_smtp::Reply;
use postern_smtp::client::command::{self, Declared};
use postern_smtp::client::{Capabilities, Stage, Unmet, Verdict, needs, objection};

use crate::examine::examine;
use crate::exchange::Exchanged;
use crate::offer::{Offer, deciding};
use crate::session::Session;

/// Tries once more, without optional parameters, for recipients whose refusal may have been about those; a second refusal is
/// final. Returns for each recipient whether the second reply counts.
///
/// Parameters without which the peer accepted are not sent again in this session.
pub(crate) async fn ask_without(
    session: &mut Session,
    offer: &Offer<'_>,
    declared: Declared,
    addressed: &[&Recipient],
    exchanged: &mut Exchanged,
) -> Vec<bool> {
    let mut plainly = vec![false; addressed.len()];
    let auth = session.peer.auth && offer.message.envelope.auth.is_some();
    let Some(stage) = refused_at(&exchanged.verdicts, auth).filter(|_| exchanged.reusable) else {
        return plainly;
    };
    let Some((plain, plain_declared)) = without(session, offer, stage, declared, addressed).await else {
        return plainly;
    };
    let asked = |recipient: &Recipient, declared: &Declared, peer: &Capabilities| {
        let mut line = Vec::new();
        match stage {
            Stage::Mail => command::mail(&mut line, offer.sender(), &offer.message.envelope, declared, peer),
            _ => command::rcpt(&mut line, recipient, declared, peer),
        }
        line
    };
    let worth_it = |place: usize, reply| {
        may_help(stage, reply, auth)
            && addressed.get(place).is_some_and(|recipient| {
                asked(recipient, &declared, &session.peer) != asked(recipient, &plain_declared, &plain)
            })
    };
    let places: Vec<usize> = (0..)
        .zip(&exchanged.verdicts)
        .filter(|(place, verdict)| matches!(verdict, Verdict::Refused(at, reply) if *at == stage && worth_it(*place, reply)))
        .map(|(place, _)| place)
        .collect();
    if places.is_empty() {
        return plainly;
    }
    let recipients: Vec<&Recipient> = places
        .iter()
        .filter_map(|&place| addressed.get(place).copied())
        .collect();
    tracing::debug!(
        target: "postern::attempt", queue = %offer.message.id, relay = %session.relay, recipients = recipients.len(),
        command = stage.name(), "once more without parameters"
    );
    let second = offer.make(session, &plain, plain_declared, &recipients).await;
    let mut helped = false;
    for (place, verdict) in places.into_iter().zip(second.verdicts) {
        match &verdict {
            // It closed the connection: its first reply stands.
            Verdict::Lost(at) if *at != Stage::EndOfData => {}
            Verdict::Refused(_, reply) if reply.code == 421 => {}
            _ => {
                helped |= !matches!(&verdict, Verdict::Refused(at, _) if *at == stage);
                plainly[place] = true;
                exchanged.verdicts[place] = verdict;
            }
        }
    }
    exchanged.reusable = second.reusable;
    exchanged.timed_out |= second.timed_out;
    exchanged.chunked = second.chunked;
    if exchanged.error.is_none() {
        exchanged.error = second.error;
    }
    if helped {
        let eight_bit_mime = session.peer.eight_bit_mime;
        session.peer = Arc::new(Capabilities {
            eight_bit_mime,
            ..plain
        });
    }
    plainly
}

/// The stage of a refusal that may be about parameters: `MAIL`, or a recipient.
fn refused_at(verdicts: &[Verdict], auth: bool) -> Option<Stage> {
    verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Refused(stage @ (Stage::Mail | Stage::Recipient), reply)
            if may_help(*stage, reply, auth) =>
        {
            Some(*stage)
        }
        _ => None,
    })
}

/// Whether a refusal at this stage may be about parameters, including `AUTH=` on `MAIL`.
fn may_help(stage: Stage, reply: &Reply, auth: bool) -> bool {
    objection::may_mean_parameters(reply, auth && stage == Stage::Mail)
}

/// The peer, and what is declared to it, without optional parameters: at `MAIL` without all, for recipients without those for
/// reports, since the others were accepted. `None` if the content cannot be read.
async fn without(
    session: &Session,
    offer: &Offer<'_>,
    stage: Stage,
    declared: Declared,
    addressed: &[&Recipient],
) -> Option<(Capabilities, Declared)> {
    let peer = &session.peer;
    if stage != Stage::Mail {
        let plain = Capabilities {
            dsn: false,
            ..Capabilities::clone(peer)
        };
        return Some((plain, declared));
    }
    let mut plain = peer.without_courtesies();
    if declared.body != BodyKind::EightBitMime {
        let declared = Declared {
            size: None,
            ..declared
        };
        return Some((plain, declared));
    }
    // Of a large message only the header may have been examined, and the declaration trusted.
    let examined = examine(offer.spool, offer.message, &plain).await.ok()?;
    let recipient = &deciding(addressed)?.address;
    let check = |peer: &Capabilities| {
        let envelope = &offer.message.envelope;
        needs::check(
            envelope,
            recipient,
            &examined.content,
            peer,
            offer.settings.eight_bit,
        )
    };
    let declared = match check(&plain) {
        Err(Unmet::EightBit) => {
            plain.eight_bit_mime = true;
            check(&plain)
        }
        checked => checked,
    };
    Some((plain, declared.ok()?))
}
