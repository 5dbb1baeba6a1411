//! Whether a server relays for strangers, with the tricks that they try.

use std::time::Instant;

use super::named::bracketed;
use super::probing::Probe;
use super::report::{Mark, Report};
use super::wire::WireError;

/// Remote recipients, plain and disguised; `{host}` stands for the server. Nobody has an address below
/// `invalid`.
const TRIES: [&str; 9] = [
    "postern-probe@relay-test.invalid",
    "postern-probe%relay-test.invalid@{host}",
    "relay-test.invalid!postern-probe@{host}",
    "\"postern-probe@relay-test.invalid\"@{host}",
    "@{host}:postern-probe@relay-test.invalid",
    "postern-probe@relay-test.invalid@{host}",
    "postern-probe%relay-test.invalid",
    "\"postern-probe%relay-test.invalid\"",
    "postern-probe@[192.0.2.1]",
];

/// Tries all of them without authentication. No message is sent.
pub(super) async fn test(probe: &Probe<'_>, report: &mut Report) -> Result<(), WireError> {
    let begun = Instant::now();
    let mut open: Vec<String> = Vec::new();
    let mut later = 0;
    for sender in [
        "postern-probe@relay-test.invalid",
        "",
        &format!("postmaster@{}", probe.host),
    ] {
        let Some(mut ready) = probe.again().await? else {
            report.add("open relay", Mark::Bad, "the server has ended the session", None);
            return Ok(());
        };
        for recipient in TRIES {
            let recipient = recipient.replace("{host}", &probe.host);
            let (reply, _) = ready
                .wire
                .ask(&format!("MAIL FROM:{}", bracketed(sender)))
                .await?;
            if !reply.is_success() {
                break;
            }
            let (reply, _) = ready.wire.ask(&format!("RCPT TO:<{recipient}>")).await?;
            if reply.is_success() {
                open.push(recipient);
            } else if reply.is_transient() {
                later += 1;
            }
            if reply.code == 421 {
                break;
            }
            ready.wire.ask("RSET").await?;
        }
        ready.wire.quit().await;
    }
    let time = Some(begun.elapsed());
    match open.is_empty() {
        false => report.add(
            "open relay",
            Mark::Bad,
            format!("it takes mail for {}", open.join(", ")),
            time,
        ),
        true if later > 0 => {
            report.add(
                "open relay",
                Mark::Note,
                format!("no, but {later} recipients may be taken later"),
                time,
            );
        }
        true => report.add("open relay", Mark::Good, "no", time),
    }
    Ok(())
}
