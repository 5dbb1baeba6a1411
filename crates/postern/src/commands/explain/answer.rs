//! The outcome of an explained session, for people and for programs.

use serde::Serialize;

use super::course::Step;
use crate::exit::Failure;
use crate::{output, visible};

#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    /// Whether the message would be accepted for all recipients.
    pub(super) allowed: bool,
    /// The first rule that refuses, or the one by which the message is accepted.
    pub(super) decided: &'static str,
    pub(super) client: Client,
    pub(super) steps: Vec<Step>,
    /// The rule that discards it, for all recipients.
    #[serde(skip)]
    pub(super) discarded: Option<&'static str>,
}

/// What was found out about the client.
#[derive(Debug, Serialize)]
pub(super) struct Client {
    pub(super) peer: String,
    /// The name of its address, if that resolves back.
    pub(super) name: Option<String>,
    pub(super) listener: String,
    pub(super) bits: u32,
    /// The verdict on its certificate: `OK`, `NO` or `FAIL`.
    pub(super) certificate: &'static str,
    pub(super) login: Option<String>,
    pub(super) acts_as: Option<String>,
}

pub(super) fn show(explanation: &Explanation) -> Result<(), Failure> {
    let client = &explanation.client;
    let mut text = format!(
        "{} at {}, {} bits of TLS, certificate {}",
        match &client.name {
            Some(name) => format!("{name} [{}]", client.peer),
            None => client.peer.clone(),
        },
        client.listener,
        client.bits,
        client.certificate
    );
    if let Some(login) = &client.login {
        text.push_str(&format!(", login {login}"));
    }
    output::print(&visible::line(&text))?;
    let rows = explanation.steps.iter().map(|step| {
        vec![
            step.command.clone(),
            if step.allowed { "yes" } else { "no" }.to_owned(),
            step.rule.to_owned(),
            step.reason.clone(),
            step.setting
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        ]
    });
    output::print_table(
        &["command", "allowed", "rule", "why", "setting"],
        &[],
        &[],
        rows.collect(),
    )?;
    let sentence = conclusion(explanation);
    output::print(&output::wrapped(&sentence, output::terminal_width()))
}

/// The overall result, in a sentence.
fn conclusion(explanation: &Explanation) -> String {
    if let Some(step) = explanation.steps.iter().find(|step| !step.allowed) {
        let comes = if step.is_for_now() { "put off" } else { "refused" };
        // In the log the column has this name.
        let remedy = step.remedy.replace("`reason`", "WHY");
        return format!(
            "The session would be {comes} by {}. What would change that: {remedy}.",
            step.rule
        );
    }
    match explanation.discarded {
        Some(rule) => format!("The message would be taken, and thrown away, by {rule}."),
        None => format!("The message would be taken, by {}.", explanation.decided),
    }
}
