//! Programs that take all mail of a route, as Postfix's pipe(8) runs them: each as the user that the configuration names.

use std::time::Instant;

use crate::agent::Run;
use crate::content::Content;
use crate::mbox;
use crate::rights::Account;
use crate::settings::{Field, Pipe, Settings};
use crate::trouble::{Kind, Trouble};
use crate::wire::{Done, PipeRequest, Request};
use nix::unistd::{Group, User};

/// Runs the program that the request names. Afterwards the process has the permissions of the program's user.
///
/// # Errors
///
/// There is none with that name, or it refuses the message.
pub fn deliver(
    settings: &Settings,
    request: &Request,
    asked: &PipeRequest,
    content: &Content,
) -> Result<Done, Trouble> {
    let Some(pipe) = settings.pipes.iter().find(|pipe| pipe.name == asked.name) else {
        let text = format!(
            "there is no [[pipe]] with the name {:?} in the configuration that the helper has read",
            asked.name
        );
        return Err(Trouble::new(Kind::Helper, text));
    };
    let size = content
        .size()
        .map_err(|error| Trouble::new(Kind::Helper, format_args!("the message cannot be read: {error}")))?;
    if pipe.size_max > 0 && size > pipe.size_max {
        let text = format!(
            "{} takes no message larger than {} octets",
            pipe.name, pipe.size_max
        );
        return Err(Trouble::new(Kind::Refused, text));
    }
    let account = account(pipe)?;
    match pipe.group {
        Some(_) => account.become_alone()?,
        None => {
            account.become_for_good(None)?;
        }
    }
    let request = folded(pipe, request);
    Run {
        account: &account,
        request: &request,
        from_line: &before(pipe, &request, asked),
        content,
        timeout: settings.timeout,
        until: Instant::now() + settings.timeout,
    }
    .pipe(&pipe.command, &settings.hostname, asked, size)?;
    Ok(Done {
        places: vec![format!("pipe {}", pipe.name)],
        ..Done::default()
    })
}

/// The account that a program runs as.
fn account(pipe: &Pipe) -> Result<Account, Trouble> {
    let failed = |text: String| Trouble::new(Kind::Helper, format_args!("[[pipe]] {}: {text}", pipe.name));
    let user = User::from_name(&pipe.user)
        .map_err(|error| {
            failed(format!(
                "the name service cannot be asked for {}: {error}",
                pipe.user
            ))
        })?
        .ok_or_else(|| failed(format!("there is no user {} on this machine", pipe.user)))?;
    if user.uid.is_root() {
        return Err(failed("no program is run as root".into()));
    }
    let mut account = Account::from(user);
    if let Some(name) = &pipe.group {
        let group = Group::from_name(name)
            .map_err(|error| failed(format!("the name service cannot be asked for {name}: {error}")))?
            .ok_or_else(|| failed(format!("there is no group {name} on this machine")))?;
        if group.gid.as_raw() == 0 {
            return Err(failed("no program is run in root's group".into()));
        }
        account.gid = group.gid;
    }
    Ok(account)
}

/// The request with the parts of the recipient as the program wants them.
fn folded(pipe: &Pipe, request: &Request) -> Request {
    let mut request = request.clone();
    if pipe.lowercase {
        for text in [
            &mut request.user,
            &mut request.detail,
            &mut request.recipient,
            &mut request.local,
            &mut request.domain,
        ] {
            *text = text.to_lowercase();
        }
    }
    request
}

/// What is added before the message.
fn before(pipe: &Pipe, request: &Request, asked: &PipeRequest) -> String {
    let mut text = String::new();
    if pipe.add.contains(&Field::From) {
        text.push_str(&mbox::from_line(&request.sender, request.received));
    }
    if pipe.add.contains(&Field::ReturnPath) {
        text.push_str(&format!("Return-Path: <{}>\n", request.sender));
    }
    if pipe.add.contains(&Field::OriginalTo) {
        text.push_str(&format!("X-Original-To: {}\n", asked.original));
    }
    if pipe.add.contains(&Field::DeliveredTo) {
        text.push_str(&format!("Delivered-To: {}\n", request.recipient));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before() {
        let pipe = Pipe {
            name: "list".into(),
            command: vec!["/bin/cat".into()],
            user: "nobody".into(),
            group: None,
            add: vec![
                Field::DeliveredTo,
                Field::From,
                Field::OriginalTo,
                Field::ReturnPath,
            ],
            lowercase: true,
            size_max: 0,
        };
        let request = Request {
            user: "Ann".into(),
            detail: String::new(),
            sender: "x@y.test".into(),
            recipient: "Ann@Lists.test".into(),
            local: "Ann".into(),
            domain: "Lists.test".into(),
            queue: "1A".into(),
            index: 0,
            received: 0,
            forwarded_before: false,
            pipe: None,
        };
        let asked = PipeRequest {
            name: "list".into(),
            next_hop: String::new(),
            original: "old@lists.test".into(),
        };
        let request = folded(&pipe, &request);
        assert_eq!((&*request.user, &*request.domain), ("ann", "lists.test"));
        assert_eq!(
            before(&pipe, &request, &asked),
            "From x@y.test Thu Jan  1 00:00:00 1970\nReturn-Path: <x@y.test>\nX-Original-To: old@lists.test\n\
             Delivered-To: ann@lists.test\n"
        );
        let root = Pipe {
            user: "root".into(),
            ..pipe.clone()
        };
        assert!(account(&root).unwrap_err().text.contains("as root"));
        let group = Pipe {
            group: Some("root".into()),
            ..pipe
        };
        assert!(account(&group).unwrap_err().text.contains("root's group"));
    }
}
