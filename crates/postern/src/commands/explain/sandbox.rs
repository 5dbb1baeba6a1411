//! Whether the message would be kept and never delivered.

use postern_mail::complete_login;
use postern_receive::judge::Judge;

use super::Course;
use crate::args::ExplainSessionArgs;

/// Says so, where the login or the listener is one of the sandbox.
pub(super) fn about(course: &mut Course<'_>, judge: &Judge<'_>, args: &ExplainSessionArgs) {
    let domain = judge.settings.auth.default_domain.as_deref();
    let login = args.login.as_deref().map(|login| complete_login(login, domain));
    if let Some(sandboxed) = judge.sandboxed(login.as_deref()) {
        course.add("end of data", &sandboxed);
    }
}
