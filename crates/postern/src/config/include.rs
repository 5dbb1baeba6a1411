//! Reading a configuration with the fragments that it includes.
//!
//! A fragment is as powerful as the file that includes it. So the same rules apply to each fragment: a [`Gate`] is asked before
//! it is read.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::problem::{Problems, Report, Span};
use super::sources::Sources;

/// The key that lists fragments.
pub(super) const KEY: &str = "include";

/// Largest file.
const FILE_MAX: u64 = 4 << 20;

/// Most files of one configuration.
const FILES_MAX: usize = 1_000;

/// Largest configuration, over all files.
const WHOLE_MAX: usize = 16 << 20;

/// The extension of fragments in a folder.
const EXTENSION: &str = "toml";

/// Why a file or folder must not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) title: String,
    pub(crate) remedy: String,
}

/// Says whether a file or folder may be read.
pub(crate) type Gate<'g> = &'g dyn Fn(&Path) -> Result<(), Refusal>;

/// Everything that was read.
pub(super) struct Gathered {
    pub(super) sources: Sources,
    /// Fragments that could not be read.
    pub(super) problems: Problems,
    /// The folders of fragments, in which new ones may appear.
    pub(super) folders: Vec<PathBuf>,
}

/// Reads the file at `path` and, if `gate` permits, what it includes. Paths start at the folder `base`.
///
/// # Errors
///
/// The file itself cannot be read. Errors in fragments are among the problems.
pub(super) fn gather(path: &Path, base: &Path, gate: Gate<'_>) -> Result<Gathered, Report> {
    let text = read_text(path).map_err(|refusal| Report::unreadable(path, refusal.title, &refusal.remedy))?;
    let mut gathering = Gathering {
        base,
        gate,
        gathered: Gathered {
            sources: Sources::default(),
            problems: Problems::default(),
            folders: Vec::new(),
        },
        open: Vec::new(),
        seen: Vec::new(),
    };
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    gathering.take(path, real, &text);
    Ok(gathering.gathered)
}

struct Gathering<'g> {
    base: &'g Path,
    gate: Gate<'g>,
    gathered: Gathered,
    /// The chain of files up to the one being read, by name and by real path.
    open: Vec<(PathBuf, PathBuf)>,
    /// Every file that was read, by real path.
    seen: Vec<PathBuf>,
}

impl Gathering<'_> {
    fn take(&mut self, path: &Path, real: PathBuf, text: &str) {
        let start = self.gathered.sources.whole().len();
        self.gathered.sources.add(path, text);
        self.seen.push(real.clone());
        self.open.push((path.to_owned(), real));
        for (written, span) in included(text) {
            let span = start + span.start..start + span.end;
            self.follow(&self.base.join(&written), &span);
        }
        self.open.pop();
    }

    /// Reads what is at a path: a fragment, or a folder of them.
    fn follow(&mut self, place: &Path, span: &Span) {
        if let Err(refusal) = (self.gate)(place) {
            return self.refuse(span, refusal, "not read");
        }
        if !place.is_dir() {
            return self.fragment(place, span);
        }
        self.gathered.folders.push(place.to_owned());
        match fragments(place) {
            Ok(files) => files.iter().for_each(|file| match (self.gate)(file) {
                Ok(()) => self.fragment(file, span),
                Err(refusal) => self.refuse(span, refusal, "not read"),
            }),
            Err(error) => self.refuse(span, unreadable(place, &error), "cannot be read"),
        }
    }

    fn fragment(&mut self, path: &Path, span: &Span) {
        let refusal = |title: String, remedy: &str| Refusal {
            title,
            remedy: remedy.to_owned(),
        };
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) => return self.refuse(span, unreadable(path, &error), "cannot be read"),
        };
        if let Some(at) = self.open.iter().position(|(_, open)| *open == real) {
            let way = self.open[at..]
                .iter()
                .map(|(name, _)| name.as_path())
                .chain([path]);
            let way: Vec<String> = way.map(|name| name.display().to_string()).collect();
            let title = format!(
                "`include` loop: {} includes {}",
                way[0],
                way[1..].join(", which includes ")
            );
            return self.refuse(span, refusal(title, "remove this `include`"), "read already");
        }
        if self.seen.contains(&real) {
            let title = format!("{} is included twice", path.display());
            return self.refuse(span, refusal(title, "include it once"), "read already");
        }
        if self.gathered.sources.count() >= FILES_MAX {
            let title = format!("the configuration has more than {FILES_MAX} files");
            return self.refuse(span, refusal(title, "join some of them"), "too many");
        }
        match read_text(path) {
            Ok(text) if self.gathered.sources.whole().len() + text.len() > WHOLE_MAX => {
                let title = "the configuration is larger than 16 MiB".to_owned();
                self.refuse(span, refusal(title, "include fewer files"), "too large");
            }
            Ok(text) => self.take(path, real, &text),
            Err(refusal) => self.refuse(span, refusal, "cannot be read"),
        }
    }

    fn refuse(&mut self, span: &Span, refusal: Refusal, label: &str) {
        let Refusal { title, remedy } = refusal;
        self.gathered
            .problems
            .error(Some(span.clone()), title, label, remedy);
    }
}

/// The paths that a text includes; invalid paths are reported when the key is read.
fn included(text: &str) -> Vec<(String, Span)> {
    let (document, _) = DeTable::parse_recoverable(text);
    let Some(value) = document.get_ref().get(KEY) else {
        return Vec::new();
    };
    let elements = match value.get_ref().as_array() {
        Some(elements) => elements.iter().collect(),
        None => vec![value],
    };
    let path = |element: &toml::Spanned<toml::de::DeValue<'_>>| {
        let written = element.get_ref().as_str().filter(|path| !path.is_empty())?;
        Some((written.to_owned(), element.span()))
    };
    elements.into_iter().filter_map(path).collect()
}

/// The fragments of a folder by name. Hidden files do not count: editors leave some behind.
fn fragments(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if path.extension() == Some(OsStr::new(EXTENSION)) && !hidden {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_text(path: &Path) -> Result<String, Refusal> {
    let refusal = |title: String, remedy: &str| Refusal {
        title,
        remedy: remedy.to_owned(),
    };
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.len() > FILE_MAX {
        let title = format!("{} is larger than 4 MiB", path.display());
        return Err(refusal(title, "this is not a configuration file"));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|b| **b == b'\n').count() + 1;
        let title = format!("line {line} of {} is not UTF-8", path.display());
        refusal(title, "save the file as UTF-8")
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    let (what, remedy) = match error.kind() {
        io::ErrorKind::NotFound => (
            "not found".to_owned(),
            "correct the path: `postern init` makes a first configuration, --config FILE names another; \
             what `include` names starts at the folder of the main file",
        ),
        io::ErrorKind::PermissionDenied => (
            "permission denied".to_owned(),
            "run this as root or as the user of the server, or let this user read the file and enter its folders",
        ),
        _ => (
            error.to_string(),
            "name a configuration file with --config FILE or `include`",
        ),
    };
    Refusal {
        title: format!("cannot read the configuration {}: {what}", path.display()),
        remedy: remedy.to_owned(),
    }
}
