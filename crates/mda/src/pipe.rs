//! Programs that take all mail of a route, as Postfix's pipe(8) runs them: each as the user that the configuration names.

use std::time::Instant;

use crate::agent::Run;
use crate::content::Content;
use crate::mbox;
use crate::rights::Account;
use crate::settings::{Field, Part, Pipe, Settings};
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
    // What is written before the message has the addresses as they came.
    let from_line = before(pipe, request, asked);
    let (request, asked) = folded(pipe, request, asked);
    Run {
        account: &account,
        request: &request,
        from_line: &from_line,
        content,
        timeout: settings.timeout,
        until: Instant::now() + settings.timeout,
    }
    .pipe(&pipe.command, &settings.hostname, &asked, size)?;
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
fn folded(pipe: &Pipe, request: &Request, asked: &PipeRequest) -> (Request, PipeRequest) {
    let (mut request, mut asked) = (request.clone(), asked.clone());
    let lower = |text: &mut String| *text = text.to_lowercase();
    for part in &pipe.lowercase {
        match part {
            Part::Local => [&mut request.user, &mut request.detail, &mut request.local]
                .into_iter()
                .for_each(lower),
            Part::Domain => [&mut request.domain, &mut asked.next_hop]
                .into_iter()
                .for_each(lower),
        }
        for address in [&mut request.recipient, &mut asked.original] {
            *address = folded_address(address, *part);
        }
    }
    (request, asked)
}

fn folded_address(address: &str, part: Part) -> String {
    match (address.rsplit_once('@'), part) {
        (Some((local, domain)), Part::Local) => format!("{}@{domain}", local.to_lowercase()),
        (Some((local, domain)), Part::Domain) => format!("{local}@{}", domain.to_lowercase()),
        (None, _) => address.to_owned(),
    }
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
            lowercase: vec![Part::Local, Part::Domain],
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
        assert_eq!(
            before(&pipe, &request, &asked),
            "From x@y.test Thu Jan  1 00:00:00 1970\nReturn-Path: <x@y.test>\nX-Original-To: old@lists.test\n\
             Delivered-To: Ann@Lists.test\n"
        );
        let (request, _) = folded(&pipe, &request, &asked);
        assert_eq!((&*request.user, &*request.domain), ("ann", "lists.test"));
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
    /// `argv` and what stands before the message as Postfix 3.7's pipe(8) gave them for these flags, with
    /// `${recipient} ${original_recipient} ${sender} ${user} ${extension} ${mailbox} ${domain} ${nexthop}`.
    #[test]
    fn as_postfix_runs_programs() {
        use Field::{DeliveredTo, From, OriginalTo, ReturnPath};
        use Part::{Domain, Local};
        let as_came = "Joe.User+List.Detail@Town.Test|Joe.User+List.Detail@Town.Test|Ann.Sender@Out.Test|Joe.User|List.Detail|Joe.User+List.Detail|Town.Test|Next.Hop.Test";
        let domain = "Joe.User+List.Detail@town.test|Joe.User+List.Detail@town.test|Ann.Sender@Out.Test|Joe.User|List.Detail|Joe.User+List.Detail|town.test|next.hop.test";
        let local = "joe.user+list.detail@Town.Test|joe.user+list.detail@Town.Test|Ann.Sender@Out.Test|joe.user|list.detail|joe.user+list.detail|Town.Test|Next.Hop.Test";
        let both = "joe.user+list.detail@town.test|joe.user+list.detail@town.test|Ann.Sender@Out.Test|joe.user|list.detail|joe.user+list.detail|town.test|next.hop.test";
        type Row<'a> = (&'a str, &'a [Part], &'a [Field], &'a str, &'a str);
        #[rustfmt::skip]
        let cases: &[Row<'_>] = &[
            // flags   here                                           argv      before the message
            ("",       &[],              &[],                         as_came,  ""),
            ("h",      &[Domain],        &[],                         domain,   ""),
            ("u",      &[Local],         &[],                         local,    ""),
            ("hu",     &[Domain, Local], &[],                         both,     ""),
            ("F",      &[],              &[From],                     as_came,  "From Ann.Sender@Out.Test Thu Jan  1 00:00:00 1970\n"),
            ("R",      &[],              &[ReturnPath],               as_came,  "Return-Path: <Ann.Sender@Out.Test>\n"),
            ("O",      &[],              &[OriginalTo],               as_came,  "X-Original-To: Joe.User+List.Detail@Town.Test\n"),
            ("D",      &[],              &[DeliveredTo],              as_came,  "Delivered-To: Joe.User+List.Detail@Town.Test\n"),
            ("DRhu",   &[Domain, Local], &[DeliveredTo, ReturnPath],  both,     "Return-Path: <Ann.Sender@Out.Test>\nDelivered-To: Joe.User+List.Detail@Town.Test\n"),
            ("DRO",    &[],              &[DeliveredTo, ReturnPath, OriginalTo], as_came, "Return-Path: <Ann.Sender@Out.Test>\nX-Original-To: Joe.User+List.Detail@Town.Test\nDelivered-To: Joe.User+List.Detail@Town.Test\n"),
        ];
        let words = [
            "{recipient}",
            "{original}",
            "{sender}",
            "{user}",
            "{detail}",
            "{local}",
            "{domain}",
            "{next_hop}",
        ];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let account = Account::from(User::from_uid(nix::unistd::Uid::from_raw(0)).unwrap().unwrap());
        for (flags, lowercase, add, argv, head) in cases {
            let pipe = Pipe {
                name: "p".into(),
                command: words.clone(),
                user: "nobody".into(),
                group: None,
                add: add.to_vec(),
                lowercase: lowercase.to_vec(),
                size_max: 0,
            };
            let request = Request {
                user: "Joe.User".into(),
                detail: "List.Detail".into(),
                sender: "Ann.Sender@Out.Test".into(),
                recipient: "Joe.User+List.Detail@Town.Test".into(),
                local: "Joe.User+List.Detail".into(),
                domain: "Town.Test".into(),
                queue: "1A".into(),
                index: 0,
                received: 0,
                forwarded_before: false,
                pipe: None,
            };
            let asked = PipeRequest {
                name: "p".into(),
                next_hop: "Next.Hop.Test".into(),
                original: request.recipient.clone(),
            };
            assert_eq!(before(&pipe, &request, &asked), *head, "{flags}");
            let (request, asked) = folded(&pipe, &request, &asked);
            let made = crate::agent::expand_pipe(&words, (&request, &asked, 1), &account, "mx.test");
            assert_eq!(made.join("|"), *argv, "{flags}");
        }
    }
}
