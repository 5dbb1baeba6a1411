//! The login of an explained session.

use postern_directory::{Account, Directories};
use postern_mail::complete_login;
use postern_policy::identity::{self, ActAs};
use postern_policy::login::Denial;
use postern_policy::rule::{Rule, Ruling};
use postern_receive::identity_of;
use postern_receive::judge::is_trusted;

use super::course::Course;
use super::scope;
use crate::args::ExplainSessionArgs;
use crate::commands::auth_explain::{Found, OfferClient, asks_for_passwords, find, nameless, offer, opened};
use crate::exit::Failure;

/// The login, as far as it can be determined without a password: its account, and whether it is trusted.
pub(super) async fn log_in(
    course: &mut Course<'_>,
    directories: &Directories,
    bits: u32,
    certificate: bool,
    args: &ExplainSessionArgs,
) -> Result<(Option<Account>, bool), Failure> {
    let domain = course.config.receive.auth.default_domain.as_deref();
    let Some(login) = args.login.as_deref().map(|login| complete_login(login, domain)) else {
        return Ok((None, false));
    };
    let client = OfferClient {
        peer: args.peer(),
        bits,
        certificate: Some(certificate),
    };
    let offer = offer(course.config, course.listener, directories, &client);
    let is_open = |mechanism: &_| opened(&offer, course.listener, *mechanism).is_ok();
    let mechanism = args
        .mechanism
        .or_else(|| offer.mechanisms.iter().copied().find(is_open));
    let command = mechanism.map_or_else(|| "AUTH".to_owned(), |mechanism| format!("AUTH {mechanism}"));
    let verdict = match mechanism {
        Some(mechanism) => opened(&offer, course.listener, mechanism),
        None => Err("no mechanism is open there".to_owned()),
    };
    course.add(
        &command,
        &Ruling {
            rule: match verdict {
                Ok(()) => Rule::LoginOffered,
                Err(_) => Rule::LoginNotOffered,
            },
            reason: &verdict
                .as_ref()
                .err()
                .map_or("all conditions are met", String::as_str),
        },
    );
    let Some(mechanism) = mechanism.filter(|_| verdict.is_ok()) else {
        return Ok((None, false));
    };
    let account = match find(directories, &login).await? {
        Found::Known(account) => account,
        Found::Denied(postern_directory::DenyReason::UnknownUser) if asks_for_passwords(course.config) => {
            nameless(&login)
        }
        Found::Denied(reason) => {
            let ruling = Ruling {
                rule: Denial::Denied.rule(),
                reason: &reason,
            };
            course.add(command, &ruling);
            return Ok((None, false));
        }
    };
    let trusted = is_trusted(&course.config.receive, mechanism, bits);
    let Some(authzid) = args
        .acts_as
        .as_deref()
        .map(|authzid| complete_login(authzid, domain))
    else {
        let within = scope::place(course, &[&account], mechanism, args).await;
        return Ok((within.then_some(account), trusted));
    };
    let own = identity_of(&account);
    match identity::act_as(&own, &authzid, &course.config.receive.identity) {
        Ok(verdict @ ActAs::Itself) => {
            course.add(format!("acts as {authzid}"), &verdict);
            let within = scope::place(course, &[&account], mechanism, args).await;
            Ok((within.then_some(account), trusted))
        }
        Ok(verdict @ ActAs::Other { login: other, .. }) => match find(directories, other).await? {
            Found::Known(mut other) => {
                course.add(format!("acts as {authzid}"), &verdict);
                other.acts_for.clear();
                let within = scope::place(course, &[&account, &other], mechanism, args).await;
                Ok((within.then_some(other), trusted))
            }
            Found::Denied(reason) => {
                let ruling = Ruling {
                    rule: Denial::Denied.rule(),
                    reason: &reason,
                };
                course.add(format!("acts as {authzid}"), &ruling);
                Ok((None, false))
            }
        },
        Err(refusal) => {
            course.add(format!("acts as {authzid}"), &refusal);
            Ok((None, false))
        }
    }
}
