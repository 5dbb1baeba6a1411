//! What both sides can do: the server offers, the filter chooses.

use bytes::{BufMut as _, BytesMut};

use crate::bits::{Actions, DataSize, Steps, Version};
use crate::macros::{MacroLists, MacroStage};
use crate::strings;

/// What Postern offers to a filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Offer {
    /// The newest version that is spoken.
    pub version: Version,
    /// What the filter may ask for.
    pub actions: Actions,
    /// What it may do without, and what else both can do.
    pub steps: Steps,
}

impl Offer {
    /// Everything that a version knows, and packets with data up to `size`. Before version 6 nothing is offered for sizes.
    #[must_use]
    pub const fn new(version: Version, size: DataSize) -> Self {
        let size = match version {
            Version::NEWEST => size.step(),
            _ => Steps::NONE,
        };
        Self {
            version,
            actions: version.actions(),
            steps: version.steps().with(size),
        }
    }
}

/// Everything in version 6, with data of the usual size.
impl Default for Offer {
    fn default() -> Self {
        Self::new(Version::NEWEST, DataSize::Usual)
    }
}

/// The numbers that both sides send when they negotiate, and the macros that a filter may add.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// The version.
    pub version: u32,
    /// The actions.
    pub actions: Actions,
    /// The steps.
    pub steps: Steps,
    /// The macros that the filter asks for, in its order: the number of a stage, and names.
    pub lists: Vec<(u32, Vec<u8>)>,
}

impl From<Offer> for Options {
    fn from(offer: Offer) -> Self {
        Self {
            version: offer.version.number(),
            actions: offer.actions,
            steps: offer.steps,
            lists: Vec::new(),
        }
    }
}

impl Options {
    /// Reads the data of a packet; `None` if it is cut short.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (version, data) = strings::number(data)?;
        let (actions, data) = strings::number(data)?;
        let (steps, mut data) = strings::number(data)?;
        let mut lists = Vec::new();
        while !data.is_empty() {
            let (stage, rest) = strings::number(data)?;
            let end = rest.iter().position(|&octet| octet == 0)?;
            lists.push((stage, rest[..end].to_vec()));
            data = &rest[end + 1..];
        }
        let (actions, steps) = (Actions::from_bits(actions), Steps::from_bits(steps));
        Some(Self {
            version,
            actions,
            steps,
            lists,
        })
    }

    /// Appends the data of a packet.
    pub fn put(&self, out: &mut BytesMut) {
        out.put_u32(self.version);
        out.put_u32(self.actions.bits());
        out.put_u32(self.steps.bits());
        for (stage, names) in &self.lists {
            out.put_u32(*stage);
            strings::put(out, names);
        }
    }
}

/// What was agreed with a filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agreement {
    /// The version that both speak.
    pub version: Version,
    /// What the filter may ask for.
    pub actions: Actions,
    /// What it does without, including steps that its version does not know.
    pub steps: Steps,
    /// Most data in a packet to the filter.
    pub size: DataSize,
    /// Which macros it gets at which stage.
    pub macros: MacroLists,
}

impl Agreement {
    /// Whether the filter sees something of the content (header or body), or changes it.
    ///
    /// Filters after one that may change it must wait for its end before they can see it.
    #[must_use]
    pub fn changes_content(&self) -> bool {
        self.actions.any(Actions::CONTENT)
    }

    /// Whether header fields or the body go to the filter.
    #[must_use]
    pub fn sees_content(&self) -> bool {
        !self.steps.has(Steps::NO_HEADER | Steps::NO_BODY)
    }
}

/// Why nothing was agreed. The fault is the filter's, or in the setting of the version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NegotiationError {
    /// A version that Postern does not speak, or newer than the one offered.
    #[error("it speaks version {got} of the protocol, offered were 2 to {offered}")]
    WrongVersion {
        /// The filter's version.
        got: u32,
        /// The newest that was offered.
        offered: Version,
    },
    /// Actions that were not offered.
    #[error("it wants actions that were not offered: {0}")]
    Actions(Actions),
    /// Steps that were not offered.
    #[error("it wants steps that were not offered: {0}")]
    Steps(Steps),
    /// Macros for an unknown stage.
    #[error("it asks for macros at stage {0}, which does not exist")]
    MacroStage(u32),
    /// Macros asked for without the action that allows it.
    #[error("it asks for macros without having agreed to")]
    MacrosNotAgreed,
}

/// Takes a filter's choice. `asked` are lists of macros that came in packets of their own before it.
///
/// # Errors
///
/// [`NegotiationError`]: the filter cannot be used as it is.
pub fn agree(
    offer: Offer,
    chosen: &Options,
    asked: &[(u32, Vec<u8>)],
) -> Result<Agreement, NegotiationError> {
    let version = Version::new(chosen.version)
        .filter(|version| *version <= offer.version)
        .ok_or(NegotiationError::WrongVersion {
            got: chosen.version,
            offered: offer.version,
        })?;
    let surplus = chosen.actions.without(offer.actions);
    if surplus != Actions::NONE {
        return Err(NegotiationError::Actions(surplus));
    }
    let surplus = chosen.steps.without(offer.steps);
    if surplus != Steps::NONE {
        return Err(NegotiationError::Steps(surplus));
    }
    let mut macros = MacroLists::default();
    for (stage, names) in asked.iter().chain(&chosen.lists) {
        if !chosen.actions.has(Actions::SET_MACRO_LISTS) {
            return Err(NegotiationError::MacrosNotAgreed);
        }
        let stage = MacroStage::of_number(*stage).ok_or(NegotiationError::MacroStage(*stage))?;
        macros.ask(stage, names);
    }
    // An older filter cannot say that it does without steps that it does not know.
    let unknown = match version.number() {
        2 => Steps::NO_UNKNOWN | Steps::NO_DATA,
        3 => Steps::NO_DATA,
        _ => Steps::NONE,
    };
    Ok(Agreement {
        version,
        actions: chosen.actions,
        steps: chosen.steps.without(Steps::SIZES) | unknown,
        size: DataSize::of(chosen.steps),
        macros,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(version: u32, actions: u32, steps: u32) -> Options {
        Options {
            version,
            actions: Actions::from_bits(actions),
            steps: Steps::from_bits(steps),
            lists: Vec::new(),
        }
    }

    #[test]
    fn choices() {
        let all = Offer::new(Version::NEWEST, DataSize::Huge);
        let old = Offer::new(Version::new(2).unwrap(), DataSize::Huge);
        let wrong = |got, offered| Err(NegotiationError::WrongVersion { got, offered });
        #[rustfmt::skip]
        let cases = [
            // what the case shows                   offer               version actions steps        agreed: version, steps
            ("nothing special",                      all,                (6,     0,      0),          Ok((6, 0))),
            ("everything",                           all,                (6,     0x1ff,  0x3f_ffff & 0x1f_ffff), Ok((6, 0x1f_ffff))),
            ("a filter of version 2 knows no DATA",  all,                (2,     0x3f,   0x7f),       Ok((2, 0x37f))),
            ("version 3",                            all,                (3,     0,      0),          Ok((3, 0x200))),
            ("version 4",                            all,                (4,     0,      0),          Ok((4, 0))),
            ("too old",                              all,                (1,     0,      0),          wrong(1, all.version)),
            ("newer than Postern",                   all,                (7,     0,      0),          wrong(7, all.version)),
            ("newer than offered",                   old,                (6,     0,      0),          wrong(6, old.version)),
            ("no version at all",                    all,                (0,     0,      0),          wrong(0, all.version)),
            ("an action nobody knows",               all,                (6,     0x200,  0),          Err(NegotiationError::Actions(Actions::from_bits(0x200)))),
            ("an action that was not offered",       old,                (2,     0x41,   0),          Err(NegotiationError::Actions(Actions::CHANGE_SENDER))),
            ("a step that was not offered",          old,                (2,     0,      0x400),      Err(NegotiationError::Steps(Steps::SKIP))),
            ("sizes are no steps",                   all,                (6,     0,      0x2000_0400), Ok((6, 0x400))),
            ("a size that was not offered",          Offer::default(),   (6,     0,      0x2000_0000), Err(NegotiationError::Steps(Steps::DATA_1_MIB))),
        ];
        for (shows, offer, (version, actions, steps), expected) in cases {
            let got = agree(offer, &options(version, actions, steps), &[])
                .map(|agreed| (agreed.version.number(), agreed.steps.bits()));
            assert_eq!(got, expected, "{shows}");
        }
        assert_eq!(old.steps, Steps::from_bits(0x7f), "no size before version 6");
    }

    #[test]
    fn sizes() {
        let offer = Offer::new(Version::NEWEST, DataSize::Huge);
        let agreed = |steps| agree(offer, &options(6, 0, steps), &[]).unwrap().size;
        assert_eq!(agreed(0), DataSize::Usual, "the filter says nothing");
        assert_eq!(agreed(0x2000_0000), DataSize::Huge);
    }

    #[test]
    fn lists_of_macros() {
        let lists = vec![(2, b"i {auth_type}".to_vec()), (5, Vec::new())];
        let chosen = Options {
            lists,
            ..options(6, 0x100, 0)
        };
        let agreed = agree(Offer::default(), &chosen, &[(0, b"j".to_vec())]).unwrap();
        let names = |stage| agreed.macros.names(stage).collect::<Vec<_>>();
        assert_eq!(names(MacroStage::Connect), ["j"], "from a packet of its own");
        assert_eq!(names(MacroStage::Mail), ["i", "{auth_type}"]);
        assert!(names(MacroStage::End).is_empty());
        assert_eq!(names(MacroStage::Rcpt).len(), 3, "not asked for");

        let none = Options {
            actions: Actions::NONE,
            ..chosen.clone()
        };
        assert_eq!(
            agree(Offer::default(), &none, &[]),
            Err(NegotiationError::MacrosNotAgreed)
        );
        let strange = Options {
            lists: vec![(7, b"i".to_vec())],
            ..chosen
        };
        assert_eq!(
            agree(Offer::default(), &strange, &[]),
            Err(NegotiationError::MacroStage(7))
        );
    }

    #[test]
    fn cut_short() {
        let mut wire = BytesMut::new();
        let whole = Options {
            lists: vec![(3, b"x".to_vec())],
            ..options(6, 1, 2)
        };
        whole.put(&mut wire);
        assert_eq!(Options::parse(&wire), Some(whole));
        for len in (0..wire.len()).filter(|len| *len != 12) {
            assert_eq!(Options::parse(&wire[..len]), None, "{len} octets are not all");
        }
    }
}
