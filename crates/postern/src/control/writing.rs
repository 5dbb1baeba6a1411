//! Sending answers on the control socket.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::protocol::{LINE_MAX, Reply};

/// Longest silence of a client, and longest wait until it reads an answer.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(60);

/// Where answers go.
pub(crate) type Writer = tokio::net::unix::OwnedWriteHalf;

/// Most elements of a list on one line.
const ITEMS_MAX: usize = 1_000;

/// Sends an answer, a long list in pieces, so that no line is longer than [`LINE_MAX`].
pub(crate) async fn send_all(to: &mut Writer, reply: Reply) -> io::Result<()> {
    let Reply::Done(serde_json::Value::Array(mut list)) = reply else {
        return send(to, &reply).await;
    };
    while list.len() > ITEMS_MAX {
        let rest = list.split_off(ITEMS_MAX);
        send(to, &Reply::Items(list)).await?;
        list = rest;
    }
    send(to, &Reply::Done(serde_json::Value::Array(list))).await
}

/// Sends one line.
pub(crate) async fn send(to: &mut Writer, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply).map_err(io::Error::other)?;
    line.push(b'\n');
    debug_assert!(line.len() <= LINE_MAX, "listings come in pages");
    tokio::time::timeout(IDLE_MAX, to.write_all(&line))
        .await
        .map_err(io::Error::other)?
}
