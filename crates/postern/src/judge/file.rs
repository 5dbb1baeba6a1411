//! A message in a file, judged as the server would judge it.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use postern_mail::{Header, Mailbox};
use postern_net::resolver::Resolver;
use postern_seal::judge::{Judgement, Moment, Watch, spf};

use super::Bounded;
use crate::config::JudgeSettings;

/// Most octets of a message read.
const MESSAGE_MAX: u64 = 256 << 20;

/// The client that would deliver it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bringer<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) helo: &'a str,
    /// The sender of the envelope.
    pub(crate) sender: Option<&'a Mailbox>,
}

/// Reads a file, or standard input for `-`, with the line ends of a message in transit.
///
/// # Errors
///
/// What the system says.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if path == Path::new("-") {
        io::stdin().take(MESSAGE_MAX).read_to_end(&mut content)?;
    } else {
        File::open(path)?.take(MESSAGE_MAX).read_to_end(&mut content)?;
    }
    Ok(lines_of_the_net(&content))
}

/// A file may have the system's line ends; what was signed had CRLF.
fn lines_of_the_net(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 32);
    let mut before = 0;
    for &octet in content {
        if octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(octet);
        before = octet;
    }
    out
}

/// Judges a message with the checks in `settings`.
pub(crate) async fn judge(
    content: &[u8],
    bringer: Bringer<'_>,
    settings: &JudgeSettings,
    resolver: &Resolver,
) -> Judgement {
    let dns = || Bounded::new(resolver.clone(), settings.lookup_timeout, settings.timeout);
    let (header, body) = Header::split(content);
    let mut watch = Watch::new(Header::parse(header.to_vec()), settings.checks);
    watch.body(&content[body..]);
    let now = Timestamp::now().as_second();
    let spf = if settings.checks.needs_spf() {
        let asked = spf::Asked {
            ip: bringer.peer,
            helo: bringer.helo,
            sender: bringer.sender,
            receiver: &settings.hostname,
            time: now,
        };
        Some(spf::check(&dns(), &asked).await)
    } else {
        None
    };
    let moment = Moment {
        now: u64::try_from(now).unwrap_or(0),
        chance: 0,
    };
    watch.finish(&dns(), spf, moment).await
}
