//! The client in an explained session, and the listener.

use std::path::Path;

use nix::unistd::User;
use postern_mail::{Mailbox, ReversePath};
use postern_net::ca::CertificateInfo;
use postern_net::resolver::Resolver;
use postern_net::tls::Verify;
use postern_policy::local::LocalUser;
use postern_policy::relay::CertificateFacts;
use postern_receive::{BareAddresses, ListenerSettings};

use crate::args::{ExplainSessionArgs, NO_DOMAIN};
use crate::config::Config;
use crate::config::checked::ListenerConfig;
use crate::exit::{Exit, Failure, chain};

/// What the client's certificate says, and whether it would be verified.
pub(super) fn shown(file: &Path, config: &Config) -> Result<(CertificateFacts, Verify), Failure> {
    let chain = postern_trust::read_certificates(file)
        .map_err(|error| Failure::new(Exit::InputOutput, chain(&error)))?;
    let told = chain.first().map(|leaf| CertificateInfo::from_der(leaf));
    let Some(Ok(info)) = told else {
        return Err(Failure::new(
            Exit::InputOutput,
            format!("{} holds no certificate that can be read", file.display()),
        ));
    };
    let verify = config
        .tls
        .as_ref()
        .map_or(Verify::No, |tls| tls.judge_client(&chain));
    let facts = CertificateFacts {
        subject: info.subject,
        issuer: info.issuer,
        fingerprint: info.fingerprint_sha256,
    };
    Ok((facts, verify))
}

/// Addresses given without a domain get the one that they would get there.
pub(super) fn qualified(
    args: &ExplainSessionArgs,
    config: &Config,
    listener: &ListenerSettings,
) -> Result<ExplainSessionArgs, Failure> {
    let mut args = args.clone();
    let completes = args.local.is_some() || listener.bare_addresses == BareAddresses::Complete;
    let complete = |mailbox: &mut Mailbox| {
        if mailbox.domain().name() != Some(NO_DOMAIN) {
            return Ok(());
        }
        let name = mailbox.unquoted_local();
        let whole = Mailbox::new(&name, config.receive.origin.clone()).ok();
        let Some(whole) = whole.filter(|_| completes) else {
            let message = format!(
                "{name} has no domain, and the listener {} takes no such address: write {name}@DOMAIN, or see \
                 `bare_addresses` in [[listener]]",
                listener.name
            );
            return Err(Failure::new(Exit::Usage, message));
        };
        *mailbox = whole;
        Ok(())
    };
    if let ReversePath::Mailbox(sender) = &mut args.from {
        complete(sender)?;
    }
    args.to.iter_mut().try_for_each(complete)?;
    Ok(args)
}

/// The local user, if the session is one's.
pub(super) fn local_user(config: &Config, args: &ExplainSessionArgs) -> Result<Option<LocalUser>, Failure> {
    let Some(name) = &args.local else {
        return Ok(None);
    };
    if config.local.is_none() {
        let message = "this server takes no mail from programs of this machine: `[local]` is missing";
        return Err(Failure::new(Exit::No, message));
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Some(postern_receive::local_user(
            user.uid.as_raw(),
            Some(name),
            &config.receive,
        ))),
        Ok(None) => Err(Failure::new(
            Exit::No,
            format!("there is no account {name:?} on this machine"),
        )),
        Err(error) => Err(Failure::from_error(
            Exit::System,
            "cannot look up the account",
            &error,
        )),
    }
}

/// The name of the client's address, waiting as long as a session would.
pub(super) async fn name_of(
    resolver: &Resolver,
    config: &Config,
    args: &ExplainSessionArgs,
) -> Option<String> {
    let limit = config.receive.timeouts.reverse_lookup;
    if limit.is_zero() {
        return None;
    }
    let asked = tokio::time::timeout(limit, resolver.reverse(args.peer())).await;
    asked.ok()?.ok()?
}

/// The listener of this name or address, or the first.
pub(super) fn the_listener<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> Result<&'a ListenerConfig, Failure> {
    let is_meant = |listener: &&ListenerConfig| {
        name.is_none_or(|name| name == listener.settings.name || name == listener.address.to_string())
    };
    config.listeners.iter().find(is_meant).ok_or_else(|| {
        let names: Vec<&str> = config
            .listeners
            .iter()
            .map(|listener| listener.settings.name.as_str())
            .collect();
        let name = name.unwrap_or_default();
        Failure::new(
            Exit::No,
            format!("there is no listener {name}; there are {}", names.join(", ")),
        )
    })
}
