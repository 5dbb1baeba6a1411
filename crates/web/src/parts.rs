//! What a page is made of.

use crate::frame::Tone;
use crate::qr::Qr;

/// A part of a page.
#[derive(Clone, Debug)]
pub enum Section {
    /// A heading with a few words below it.
    Heading {
        /// The heading.
        title: String,
        /// The words; may be empty.
        about: String,
    },
    /// A paragraph.
    Note(String),
    /// Whether all is well, in one line.
    Verdict {
        /// How it is meant.
        tone: Tone,
        /// In words.
        text: String,
    },
    /// What is not well, each with its remedy.
    Findings(Vec<Found>),
    /// A few numbers, large.
    Tiles(Vec<Tile>),
    /// Bars over time, which stand as a table beside it.
    Chart(Chart),
    /// Names with their values.
    Facts {
        /// The heading.
        title: String,
        /// Each name with its value.
        rows: Vec<(String, Cell)>,
    },
    /// Rows and columns.
    Table(Table),
    /// Something to fill in.
    Form(Form),
    /// Text with its line ends.
    Text {
        /// The heading.
        title: String,
        /// Each line.
        lines: Vec<String>,
    },
    /// What happened, one after the other.
    Timeline {
        /// The heading.
        title: String,
        /// Each thing that happened.
        steps: Vec<Step>,
    },
    /// A secret that is shown once.
    Secret {
        /// What it is.
        title: String,
        /// The secret, or one on each line.
        lines: Vec<String>,
        /// What to do with it.
        about: String,
    },
    /// A code that a telephone reads.
    Code(Qr),
    /// Links, one beside the other.
    Links(Vec<Link>),
}

/// Something that is not well.
#[derive(Clone, Debug)]
pub struct Found {
    /// How grave it is.
    pub tone: Tone,
    /// What.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// A number, large.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Of what.
    pub label: String,
    /// The number with its unit.
    pub value: String,
    /// How it is meant.
    pub tone: Tone,
    /// Where there is more.
    pub href: Option<String>,
}

/// Bars over time.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The caption.
    pub caption: String,
    /// What the lower part of a bar counts, and what the upper one.
    pub series: [String; 2],
    /// One after the other.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// When.
    pub label: String,
    /// Both counts.
    pub counts: [u64; 2],
}

/// What stands in a place of a table.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A number, which stands at the right.
    Number(String),
    /// A moment: as RFC 3339 has it, and as it is shown.
    Time(String, String),
    /// A word with a colour.
    Badge(Tone, String),
    /// A link.
    Link(Link),
    /// A button that does something to the row: the form's address, its fields, and the words on it.
    Button {
        /// Where the form is sent.
        action: String,
        /// What it says.
        fields: Vec<(String, String)>,
        /// The words on it.
        label: String,
        /// What they are about, for whoever does not see the row.
        about: String,
    },
    /// Several, one below the other.
    Many(Vec<Self>),
    /// Nothing.
    None,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        match text.is_empty() {
            true => Self::None,
            false => Self::Text(text),
        }
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::None, Into::into)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Link> for Cell {
    fn from(link: Link) -> Self {
        Self::Link(link)
    }
}

/// A link to another page of ours.
#[derive(Clone, Debug)]
pub struct Link {
    /// The address; see [`crate::path`].
    pub href: String,
    /// Its words.
    pub text: String,
}

impl Link {
    /// A link.
    #[must_use]
    pub fn new(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            href: href.into(),
            text: text.into(),
        }
    }
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its title.
    pub title: String,
    /// Whether numbers stand in it.
    pub number: bool,
}

/// Rows and columns.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its name within the page.
    pub id: String,
    /// What it shows.
    pub caption: String,
    /// What is to be known besides; may be empty.
    pub about: String,
    /// How many there are, in words; read out when it changes.
    pub status: String,
    /// The columns. The first one names the row.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What is said where there are no rows.
    pub empty: String,
    /// The first and the next page.
    pub pages: Vec<Link>,
    /// What can be done with rows that are chosen.
    pub select: Option<Select>,
}

impl Table {
    /// A table without rows; a title that begins with `#` is one of numbers.
    #[must_use]
    pub fn new(id: &str, caption: &str, columns: &[&str]) -> Self {
        let column = |title: &&str| Column {
            title: title.trim_start_matches('#').to_owned(),
            number: title.starts_with('#'),
        };
        Self {
            id: id.to_owned(),
            caption: caption.to_owned(),
            columns: columns.iter().map(column).collect(),
            ..Self::default()
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row { key: None, cells });
    }
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// By what it is chosen; none where it cannot be.
    pub key: Option<String>,
    /// A cell for each column.
    pub cells: Vec<Cell>,
}

/// What can be done with chosen rows.
#[derive(Clone, Debug)]
pub struct Select {
    /// Where the form is sent.
    pub action: String,
    /// What it says besides.
    pub fields: Vec<(String, String)>,
    /// What can be done.
    pub acts: Vec<Act>,
    /// The words for all that match, with those that are not on this page; none where that cannot be chosen.
    pub all: Option<String>,
}

/// Something that can be done.
#[derive(Clone, Debug)]
pub struct Act {
    /// What the form says.
    pub value: String,
    /// The words on the button.
    pub label: String,
    /// Whether it cannot be undone.
    pub danger: bool,
}

/// How a form is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// It asks for something.
    Get,
    /// It changes something.
    Post,
}

/// Something to fill in.
#[derive(Clone, Debug)]
pub struct Form {
    /// The heading; may be empty.
    pub title: String,
    /// What is to be known before; may be empty.
    pub about: String,
    /// How it is sent.
    pub method: Method,
    /// Where it is sent.
    pub action: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The words on its button.
    pub button: String,
    /// Whether it does something that cannot be undone.
    pub danger: bool,
    /// The table that is exchanged, where a script can do that, instead of the whole page.
    pub target: Option<String>,
}

impl Form {
    /// A form that changes something.
    #[must_use]
    pub fn post(action: impl Into<String>, title: &str, button: &str, fields: Vec<Field>) -> Self {
        Self {
            title: title.to_owned(),
            about: String::new(),
            method: Method::Post,
            action: action.into(),
            fields,
            button: button.to_owned(),
            danger: false,
            target: None,
        }
    }

    /// A form that asks for something.
    #[must_use]
    pub fn get(action: impl Into<String>, title: &str, button: &str, fields: Vec<Field>) -> Self {
        Self {
            method: Method::Get,
            ..Self::post(action, title, button, fields)
        }
    }
}

/// What is filled in.
#[derive(Clone, Debug)]
pub enum Input {
    /// A line of text.
    Text,
    /// A line that is not shown.
    Password,
    /// The six digits of a second factor.
    Code,
    /// A number.
    Number,
    /// Several lines.
    Lines,
    /// One of some: what is sent, and the words for it.
    OneOf(Vec<(String, String)>),
    /// Yes or no.
    Tick,
    /// What is sent without being shown.
    Hidden,
}

/// A field of a form.
#[derive(Clone, Debug)]
pub struct Field {
    /// What it is called when it is sent.
    pub name: String,
    /// Its label.
    pub label: String,
    /// What is filled in.
    pub input: Input,
    /// What stands in it.
    pub value: String,
    /// What may stand in it; may be empty.
    pub help: String,
    /// Whether it cannot be left out.
    pub required: bool,
    /// What browsers may fill in (`autocomplete`).
    pub autocomplete: &'static str,
}

impl Field {
    /// A field of this kind.
    #[must_use]
    pub fn new(input: Input, name: &str, label: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            input,
            value: String::new(),
            help: String::new(),
            required: false,
            autocomplete: "off",
        }
    }

    /// A line of text.
    #[must_use]
    pub fn text(name: &str, label: &str) -> Self {
        Self::new(Input::Text, name, label)
    }

    /// What is sent without being shown.
    #[must_use]
    pub fn hidden(name: &str, value: impl Into<String>) -> Self {
        Self::new(Input::Hidden, name, "").with(value)
    }

    /// The same with something in it.
    #[must_use]
    pub fn with(self, value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            ..self
        }
    }

    /// The same with a few words of help.
    #[must_use]
    pub fn help(self, help: &str) -> Self {
        Self {
            help: help.to_owned(),
            ..self
        }
    }

    /// The same, and it cannot be left out.
    #[must_use]
    pub fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// The same, and browsers may fill it in.
    #[must_use]
    pub fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Step {
    /// When: as RFC 3339 has it, and as it is shown.
    pub at: (String, String),
    /// What, in words.
    pub event: String,
    /// How it is meant.
    pub tone: Tone,
    /// What is known of it: names and values.
    pub fields: Vec<(String, Cell)>,
}
