//! `postern milters try`: passes a message through one filter, as the server would.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

use postern_filter::{EndError, Failure as FilterFailure, Service, Session};
use postern_mail::{Mailbox, ReversePath};
use postern_milter::{Event, Verdict};
use postern_policy::milter::{Client, Facts, Skip};
use postern_receive::MilterSettings;

use super::client::Told;
use super::common::{as_server, milliseconds, named, runtime};
use super::message::Message;
use super::report::{Came, Outcome, Step, report};
use super::shown;
use crate::args::TryArgs;
use crate::config::Config;
use crate::config::checked::ListenerConfig;
use crate::exit::{Exit, Failure, chain};
use crate::output;

/// Octets of the body passed on at once; the session decides how large the pieces for the filter are.
const CHUNK: usize = 64 << 10;

pub(super) fn run(path: &Path, args: &TryArgs) -> Result<(), Failure> {
    let message = Message::read(&args.file)?;
    // The calling user may write there; the server's user need not.
    let output = args.output.as_deref().map(create).transpose()?;
    let config = as_server(path)?;
    let milter = named(&config, &args.name)?;
    let listener = listener(&config, milter, args.listener.as_deref())?;
    let sender = args.from.clone().unwrap_or_else(|| message.sender());
    let recipients = match args.to.as_slice() {
        [] => message.recipients(),
        given => given.to_vec(),
    };
    if recipients.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "the message names no recipient in To; say for whom it is: --to ADDRESS",
        ));
    }
    let message_id = message.message_id();
    let mut attempt = Attempt {
        session: Service::new(milter.filter.clone(), |_, _| {}).session(),
        told: Told::of(args, &config, listener, &sender, message_id.as_deref()),
        steps: Vec::new(),
        refused: None,
    };
    let course = Course {
        args,
        message: &message,
        sender: &sender,
        recipients: &recipients,
    };
    let came = runtime()?.block_on(attempt.run(&course));
    let skip = skip(milter, listener, args, &config, &message);
    let taken: Vec<&Mailbox> = match &came {
        Came::End { taken, .. } => taken.clone(),
        _ => recipients.iter().collect(),
    };
    let report = report(milter, skip, attempt.steps, &came, &sender, &taken);
    if let (Some((file, name)), Came::End { end, body, .. }) = (output, &came)
        && matches!(report.outcome, Outcome::Through | Outcome::Held)
    {
        let body = end.body_replaced.then_some(body.as_slice());
        let mut file = file;
        message
            .write(&end.changes, body, &mut file)
            .map_err(|error| Failure::io(&format!("cannot write {name}"), &error))?;
    }
    match args.json.json {
        true => output::print_json(&report)?,
        false => output::print(&report.shown())?,
    }
    match report.outcome {
        Outcome::Through => Ok(()),
        Outcome::Failed => Err(Failure::silent(Exit::Unavailable)),
        _ => Err(Failure::silent(Exit::No)),
    }
}

fn create(path: &Path) -> Result<(File, String), Failure> {
    let name = path.display().to_string();
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path);
    match opened {
        Ok(file) => Ok((file, name)),
        Err(error) => Err(Failure::io(&format!("cannot write {name}"), &error)),
    }
}

/// The listener with this name or address; otherwise the first that the filter serves.
fn listener<'a>(
    config: &'a Config,
    milter: &MilterSettings,
    name: Option<&str>,
) -> Result<&'a ListenerConfig, Failure> {
    let served = milter.conditions.listeners.as_deref();
    let is_meant = |listener: &&ListenerConfig| match (name, served) {
        (Some(name), _) => name == listener.settings.name || name == listener.address.to_string(),
        (None, Some(served)) => served.contains(&listener.settings.name),
        (None, None) => true,
    };
    config.listeners.iter().find(is_meant).ok_or_else(|| {
        let name = name.unwrap_or_default();
        Failure::new(Exit::No, format!("there is no listener {name:?}"))
    })
}

/// Why the server would skip the filter.
fn skip(
    milter: &MilterSettings,
    listener: &ListenerConfig,
    args: &TryArgs,
    config: &Config,
    message: &Message,
) -> Option<Skip> {
    let relays = |network: &&ipnet::IpNet| network.contains(&args.client.to_canonical());
    let client = match &args.login {
        Some(_) => Client::Login,
        None if config
            .receive
            .relay
            .networks
            .iter()
            .any(|network| relays(&network)) =>
        {
            Client::Trusted
        }
        None => Client::Stranger,
    };
    let facts = Facts {
        listener: &listener.settings.name,
        peer: args.client,
        client: Some(client),
        size: message.size(),
    };
    milter.conditions.judge(&facts).err()
}

/// A run of the filter.
struct Course<'a> {
    args: &'a TryArgs,
    message: &'a Message,
    sender: &'a ReversePath,
    recipients: &'a [Mailbox],
}

struct Attempt<'a> {
    session: Session,
    told: Told<'a>,
    steps: Vec<Step>,
    /// The reply to the last refused recipient.
    refused: Option<Verdict>,
}

impl Attempt<'_> {
    async fn run<'a>(&mut self, course: &Course<'a>) -> Came<'a> {
        let came = match self.message(course).await {
            Ok(came) => came,
            Err(failure) => Came::Failed(chain(&failure)),
        };
        self.session.abort().await;
        came
    }

    async fn message<'a>(&mut self, course: &Course<'a>) -> Result<Came<'a>, FilterFailure> {
        /// Continues if the filter does, and otherwise returns its answer.
        macro_rules! step {
            ($event:expr, $shown:expr, $answer:expr) => {{
                let (before, start) = (self.session.wants($event), Instant::now());
                let verdict = $answer.await?;
                self.note(($event, before), $shown, &verdict, start.elapsed());
                match verdict {
                    Verdict::Continue => {}
                    verdict => return Ok(Came::Decided(verdict)),
                }
            }};
        }
        let (args, message) = (course.args, course.message);
        let client = self.told.client();
        let host = client.name();
        step!(
            Event::Connect,
            format!("connect {host} {}", args.client),
            self.session.connect(&host, client.peer(), &self.told.facts())
        );
        step!(
            Event::Helo,
            format!("HELO {}", args.helo),
            self.session.helo(&args.helo, &self.told.facts())
        );
        let sender = course.sender.to_string();
        let size = format!("SIZE={}", message.size());
        step!(
            Event::Mail,
            format!("MAIL FROM:{sender} {size}"),
            self.session.mail(&sender, &[&size], &self.told.facts())
        );
        let mut taken = Vec::new();
        for recipient in course.recipients {
            match self.recipient(recipient).await? {
                Verdict::Continue => taken.push(recipient),
                Verdict::Accept => {
                    taken.push(recipient);
                    return Ok(Came::Decided(Verdict::Accept));
                }
                verdict @ (Verdict::Reject | Verdict::Tempfail | Verdict::Reply(_)) => {
                    self.refused = Some(verdict);
                }
                verdict => return Ok(Came::Decided(verdict)),
            }
        }
        if let (true, Some(refused)) = (taken.is_empty(), self.refused.take()) {
            return Ok(Came::Decided(refused));
        }
        step!(
            Event::Data,
            "DATA".to_owned(),
            self.session.data(&self.told.facts())
        );
        for (name, value) in message.fields() {
            step!(
                Event::Header,
                format!("field {}", String::from_utf8_lossy(name)),
                self.session.header(name, value)
            );
        }
        step!(
            Event::EndOfHeader,
            "end of header".to_owned(),
            self.session.eoh(&self.told.facts())
        );
        for octets in message.body.chunks(CHUNK) {
            step!(Event::Body, "body".to_owned(), self.session.body(octets));
        }
        let (mut body, start) = (Vec::new(), Instant::now());
        match self.session.end(&self.told.facts(), &mut body).await {
            Ok(end) => {
                self.note(
                    (Event::End, true),
                    "end of message".to_owned(),
                    &end.verdict,
                    start.elapsed(),
                );
                Ok(Came::End { end, body, taken })
            }
            Err(EndError::Filter(failure)) => Err(failure),
            Err(EndError::NewBody(error)) => Ok(Came::Failed(error.to_string())),
        }
    }

    async fn recipient(&mut self, recipient: &Mailbox) -> Result<Verdict, FilterFailure> {
        self.told.turn_to(recipient);
        let (before, start) = (self.session.wants(Event::Rcpt), Instant::now());
        let path = format!("<{recipient}>");
        let known = self.told.facts();
        let verdict = self.session.rcpt(&path, &[], true, &known).await?;
        self.told
            .count(matches!(verdict, Verdict::Continue | Verdict::Accept));
        self.note(
            (Event::Rcpt, before),
            format!("RCPT TO:{path}"),
            &verdict,
            start.elapsed(),
        );
        Ok(verdict)
    }

    /// Records a step; fields and pieces of the body with the same answer together.
    fn note(&mut self, (event, wanted): (Event, bool), shown: String, verdict: &Verdict, time: Duration) {
        // Before the first step, there is no connection to tell what the filter wants.
        let told = match event {
            Event::Connect => {
                let steps = self.session.agreement().map(|agreement| agreement.steps);
                steps.is_none_or(|steps| !steps.has(postern_milter::Steps::NO_CONNECT))
            }
            _ => wanted,
        };
        let answer = match verdict {
            Verdict::Continue if !told => None,
            Verdict::Reply(reply) => Some(format!("reply {}", shown::reply(reply))),
            verdict => Some(shown::word(verdict).to_owned()),
        };
        let ms = milliseconds(time);
        if let (Event::Header | Event::Body, Some(last)) = (event, self.steps.last_mut())
            && last.answer == answer
            && verdict == &Verdict::Continue
            && last.step.split(' ').next() == shown.split(' ').next()
        {
            last.times += 1;
            last.ms += ms;
            return;
        }
        self.steps.push(Step {
            step: shown,
            answer,
            ms,
            times: 1,
        });
    }
}
