//! The first login at the page: a link for whoever has started a server that nobody can administer from outside yet.

use std::io::{IsTerminal as _, stderr};
use std::path::Path;

use postern_events::{Observers, notice, shown};
use postern_net::file::{Existing, write_private};

use crate::admin::Admin;

/// The file in the state directory that has the link where nobody sits at a terminal.
const FILE: &str = "first-login";

/// Makes the link and shows it: at the terminal, or in a file that the server's user alone can read. The log, which many read, has no
/// more than the name of the file.
pub(super) fn offer(admin: &Admin, state_dir: &Path, observers: &Observers) {
    let file = state_dir.join(FILE);
    let settings = admin.settings.load();
    let page = settings.pages.first();
    let Some(page) = page.filter(|_| !admin.can_be_administered()) else {
        // The link of the previous start no longer works.
        let _ = std::fs::remove_file(&file);
        return;
    };
    let (secret, _) = admin.make_link("the start");
    let link = format!("{page}/login/link/{secret}");
    if stderr().is_terminal() {
        eprintln!(
            "postern: {link}\n  opens the page once, within a quarter of an hour, to whoever administers this server"
        );
        return;
    }
    match write_private(&file, format!("{link}\n").as_bytes(), Existing::Replace) {
        Ok(()) => notice!(
            observers,
            Run Warning "nobody can log in to the administration page yet: the link in this file opens it once, within 15 minutes",
            File = shown(&file.display()),
        ),
        Err(error) => notice!(
            observers,
            Run Warning "the link that opens the page cannot be written; `postern api link` makes another one",
            File = shown(&file.display()),
            Error = shown(&error),
        ),
    }
}
