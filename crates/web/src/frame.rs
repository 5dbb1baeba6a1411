//! What stands around the content of every page.

/// How something is meant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tone {
    /// Neither good nor bad.
    #[default]
    Plain,
    /// It is well.
    Good,
    /// Somebody should look at it.
    Warn,
    /// It is bad.
    Bad,
}

impl Tone {
    /// The class of the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// Who looks at the page.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// The login.
    pub name: String,
    /// What the login may do, in a word.
    pub role: String,
    /// The token that each form sends back.
    pub csrf: String,
}

/// A page in the list of pages.
#[derive(Clone, Debug)]
pub struct Area {
    /// Its address.
    pub href: String,
    /// Its name.
    pub label: String,
    /// Whether it is the one that is shown.
    pub current: bool,
}

/// What came of the last act.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// In words.
    pub text: String,
}

/// What stands around the content of a page.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The title, which is the first heading too.
    pub title: String,
    /// The name of the server.
    pub host: String,
    /// Who looks at it; none before the login.
    pub viewer: Option<Viewer>,
    /// The pages that this viewer may see.
    pub areas: Vec<Area>,
    /// What came of the last act.
    pub notice: Option<Notice>,
    /// Whether a script asks for the page again from time to time.
    pub live: bool,
}
