//! What a filter has agreed to, in words.

use std::collections::BTreeMap;

use postern_milter::{Actions, Agreement, MacroStage, Steps};
use serde::Serialize;

/// Steps by the bit with which a filter opts out of them, in order.
const STEPS: [(Steps, Steps, &str); 9] = [
    (Steps::NO_CONNECT, Steps::QUIET_CONNECT, "connect"),
    (Steps::NO_HELO, Steps::QUIET_HELO, "helo"),
    (Steps::NO_MAIL, Steps::QUIET_MAIL, "mail"),
    (Steps::NO_RCPT, Steps::QUIET_RCPT, "rcpt"),
    (Steps::NO_DATA, Steps::QUIET_DATA, "data"),
    (Steps::NO_UNKNOWN, Steps::QUIET_UNKNOWN, "unknown"),
    (Steps::NO_HEADER, Steps::QUIET_HEADER, "header"),
    (
        Steps::NO_END_OF_HEADER,
        Steps::QUIET_END_OF_HEADER,
        "end of header",
    ),
    (Steps::NO_BODY, Steps::QUIET_BODY, "body"),
];

/// Other options of a filter about steps.
const OTHERS: [(Steps, &str); 3] = [
    (Steps::SKIP, "skip"),
    (Steps::REJECTED_RECIPIENTS, "rejected recipients"),
    (Steps::LEADING_BLANKS, "leading blanks"),
];

/// What a filter wants.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Wants {
    /// The version of the protocol that both speak.
    pub(super) version: u32,
    /// The actions it may request at the end of a message.
    pub(super) actions: Vec<&'static str>,
    /// The steps it is told; the end of a message is always included.
    pub(super) steps: Vec<&'static str>,
    /// The steps that it does not answer.
    pub(super) unanswered: Vec<&'static str>,
    /// What else was agreed.
    pub(super) options: Vec<&'static str>,
    /// Most data in a packet to it, in octets.
    pub(super) packet: usize,
    /// The symbols (macros) that it requests, by stage; missing stages have the default ones.
    pub(super) symbols: BTreeMap<&'static str, Vec<String>>,
}

impl Wants {
    pub(super) fn of(agreement: &Agreement) -> Self {
        let told = STEPS
            .iter()
            .filter(|(without, ..)| !agreement.steps.has(*without));
        let unanswered = told.clone().filter(|(_, quiet, _)| agreement.steps.has(*quiet));
        // Requesting macros is not an action, although it is listed among them.
        let actions = agreement.actions.without(Actions::SET_MACRO_LISTS);
        let actions = Actions::NAMES.iter().filter(|(action, _)| actions.has(*action));
        let others = OTHERS.iter().filter(|(step, _)| agreement.steps.has(*step));
        let asked = MacroStage::ALL.into_iter().filter_map(|stage| {
            let names = agreement.macros.asked(stage)?;
            Some((word(stage), names.to_vec()))
        });
        Self {
            version: agreement.version.number(),
            actions: actions.map(|(_, name)| *name).collect(),
            steps: told.map(|(_, _, name)| *name).chain(["end of message"]).collect(),
            unanswered: unanswered.map(|(_, _, name)| *name).collect(),
            options: others.map(|(_, name)| *name).collect(),
            packet: agreement.size.octets(),
            symbols: asked.collect(),
        }
    }
}

const fn word(stage: MacroStage) -> &'static str {
    match stage {
        MacroStage::Connect => "connect",
        MacroStage::Helo => "helo",
        MacroStage::Mail => "mail",
        MacroStage::Rcpt => "rcpt",
        MacroStage::Data => "data",
        MacroStage::EndOfHeader => "end of header",
        MacroStage::End => "end of message",
    }
}

#[cfg(test)]
mod tests {
    use postern_milter::Offer;
    use postern_milter::negotiation::{Options, agree};

    use super::*;

    #[test]
    fn a_signer_and_a_filter_of_everything() {
        let signer = Options {
            version: 6,
            actions: Actions::ADD_HEADER | Actions::SET_MACRO_LISTS,
            steps: Steps::NO_UNKNOWN | Steps::NO_DATA | Steps::QUIET_HEADER | Steps::NO_HELO | Steps::SKIP,
            lists: vec![(2, b"i {auth_authen}".to_vec())],
        };
        let wants = Wants::of(&agree(Offer::default(), &signer, &[]).unwrap());
        assert_eq!(wants.version, 6);
        assert_eq!(wants.actions, ["add fields"]);
        assert_eq!(
            wants.steps,
            [
                "connect",
                "mail",
                "rcpt",
                "header",
                "end of header",
                "body",
                "end of message"
            ]
        );
        assert_eq!(wants.unanswered, ["header"]);
        assert_eq!(wants.options, ["skip"]);
        assert_eq!(wants.symbols["mail"], ["i", "{auth_authen}"]);
        assert_eq!(wants.symbols.len(), 1);

        let all = Options {
            version: 2,
            actions: Actions::NONE,
            steps: Steps::NONE,
            lists: Vec::new(),
        };
        let wants = Wants::of(&agree(Offer::default(), &all, &[]).unwrap());
        assert!(wants.actions.is_empty());
        assert_eq!(
            wants.steps,
            [
                "connect",
                "helo",
                "mail",
                "rcpt",
                "header",
                "end of header",
                "body",
                "end of message"
            ],
            "version 2 knows no more of them"
        );
    }
}
