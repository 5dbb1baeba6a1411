//! Expansion: macros are called, and their results are read again.

use std::collections::HashMap;
use std::sync::Arc;

use super::input::Input;
use super::text::{Marks, Token, line, substituted, text, token};
use super::{DEPTH_MAX, Event, Events, Vocabulary, WORK_MAX};
use crate::{Files, Located, Origin};

/// Expands a text as m4 does, and reports what happens.
pub fn expand(file: &str, text: &str, files: &dyn Files, vocabulary: &Vocabulary<'_>) -> Events {
    let mut engine = Engine {
        files,
        vocabulary,
        definitions: HashMap::new(),
        marks: Marks::default(),
        diversion: 0,
        input: Input::default(),
        line: Vec::new(),
        line_at: None,
        events: Events::new(),
        work: 0,
        depth: 0,
    };
    for (name, body) in vocabulary.defined {
        engine.definitions.insert((*name).to_owned(), (*body).to_owned());
    }
    engine.input.file(file, text);
    engine.run();
    engine.settle();
    if engine.events.is_empty() && engine.work > WORK_MAX {
        let at = Origin::line(&Arc::from(file), 1);
        let what = Event::CannotFollow(TOO_MUCH.to_owned());
        engine.events.push(Located { at, what });
    }
    engine.events
}

const TOO_MUCH: &str = "the file expands without end; the rest of it was not read";

/// m4's own macros that are only recognised with arguments, as in GNU m4.
const WITH_ARGUMENTS: &[&str] = &[
    "define", "undefine", "pushdef", "popdef", "defn", "ifdef", "ifelse", "include", "sinclude", "incr",
    "decr", "len", "index", "substr", "translit", "eval", "format", "esyscmd", "syscmd", "maketemp",
    "errprint", "shift",
];

/// m4's own macros that work without arguments.
const WITHOUT_ARGUMENTS: &[&str] = &["dnl", "divert", "undivert", "divnum", "changequote", "changecom"];

struct Engine<'a> {
    files: &'a dyn Files,
    vocabulary: &'a Vocabulary<'a>,
    definitions: HashMap<String, String>,
    marks: Marks,
    diversion: i32,
    input: Input,
    /// The current line of text, and where it began.
    line: Vec<u8>,
    line_at: Option<Origin>,
    events: Events,
    /// Octets examined in finished inputs.
    work: usize,
    depth: usize,
}

impl Engine<'_> {
    fn run(&mut self) {
        while let Some(token) = token(&mut self.input, &self.marks) {
            if self.work + self.input.read() > WORK_MAX {
                self.cannot_follow(TOO_MUCH.to_owned());
                self.work = WORK_MAX + 1;
                self.input.end();
                break;
            }
            match token {
                Token::Word(word) => {
                    if let Some(said) = self.word(word) {
                        self.write(said.as_bytes());
                    }
                }
                Token::Quoted(said) => self.write(said.as_bytes()),
                // sendmail's templates switch comments off; if they are on, nothing in them is configuration.
                Token::Comment(_) => self.write(b"\n"),
                Token::Octet(octet) => self.write(&[octet]),
                Token::Unclosed => self.cannot_follow(format!("a quote {} without its end", self.marks.open)),
            }
        }
        self.write(b"\n");
    }

    /// Values are what the names expand to at the end, and only the last definition of each counts.
    fn settle(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        for event in &mut events {
            if let Event::Define { name, value } = &mut event.what {
                // A value that contains its own name would never end.
                let itself = self.definitions.remove(name);
                *value = self.expanded(value);
                if let Some(body) = itself {
                    self.definitions.insert(name.clone(), body);
                }
            }
        }
        events.append(&mut self.events);
        self.events = events;
    }

    /// What a text expands to now. Recorded macros and `include` expand to nothing here.
    fn expanded(&mut self, body: &str) -> String {
        if self.depth >= DEPTH_MAX {
            return body.to_owned();
        }
        let mut inner = Engine {
            files: &NoFiles,
            vocabulary: &Vocabulary {
                recorded: &[],
                defined: &[],
                known_files: &[],
            },
            definitions: std::mem::take(&mut self.definitions),
            marks: Marks {
                comment: String::new(),
                ..self.marks.clone()
            },
            diversion: 0,
            input: Input::default(),
            line: Vec::new(),
            line_at: None,
            events: Events::new(),
            work: self.work,
            depth: self.depth + 1,
        };
        inner.input.put_back(body);
        let mut said = Vec::new();
        while let Some(token) = token(&mut inner.input, &inner.marks) {
            if inner.work + inner.input.read() > WORK_MAX {
                break;
            }
            match token {
                Token::Word(word) => said.extend_from_slice(inner.word(word).unwrap_or_default().as_bytes()),
                Token::Quoted(text) | Token::Comment(text) => said.extend_from_slice(text.as_bytes()),
                Token::Octet(octet) => said.push(octet),
                Token::Unclosed => {}
            }
        }
        self.work = inner.work + inner.input.read();
        self.definitions = inner.definitions;
        if self.work > WORK_MAX {
            return body.to_owned();
        }
        text(said)
    }

    /// Calls a word if it is a macro; otherwise it stands for itself.
    fn word(&mut self, word: String) -> Option<String> {
        let name = word.as_str();
        let has_arguments = self.input.peek() == Some(b'(');
        let is_recorded = self.vocabulary.recorded.contains(&name);
        let is_builtin = WITHOUT_ARGUMENTS.contains(&name) || has_arguments && WITH_ARGUMENTS.contains(&name);
        if !is_recorded && !is_builtin && !self.definitions.contains_key(name) {
            return Some(word);
        }
        let first = self.input.last().cloned();
        let arguments = if has_arguments {
            self.arguments()
        } else {
            Vec::new()
        };
        let at = self.origin(first);
        if is_recorded {
            let arguments = arguments.iter().map(|one| self.expanded(one)).collect();
            self.tell(
                at,
                Event::Call {
                    name: word,
                    arguments,
                },
            );
        } else if let Some(body) = self.definitions.get(name) {
            let room = WORK_MAX.saturating_sub(self.work + self.input.read());
            let said = substituted(body, name, &arguments, &self.marks, room);
            // It counts even if it is never read, since it must be kept until then.
            self.work += said.len();
            self.input.put_back(&said);
        } else {
            self.builtin(name, &arguments, at);
        }
        None
    }

    /// The arguments, starting at the parenthesis that comes next.
    fn arguments(&mut self) -> Vec<String> {
        self.input.take();
        self.depth += 1;
        let mut arguments = Vec::new();
        let mut said = Vec::new();
        let mut parentheses = 0;
        self.skip_blanks();
        while let Some(token) = token(&mut self.input, &self.marks) {
            if self.depth > DEPTH_MAX || self.work + self.input.read() > WORK_MAX {
                self.input.end();
                self.work = WORK_MAX + 1;
                break;
            }
            match token {
                Token::Octet(b')') if parentheses == 0 => break,
                Token::Octet(b',') if parentheses == 0 => {
                    arguments.push(text(std::mem::take(&mut said)));
                    self.skip_blanks();
                }
                Token::Octet(octet) => {
                    parentheses += i32::from(octet == b'(') - i32::from(octet == b')');
                    said.push(octet);
                }
                Token::Word(word) => said.extend_from_slice(self.word(word).unwrap_or_default().as_bytes()),
                Token::Quoted(text) | Token::Comment(text) => said.extend_from_slice(text.as_bytes()),
                Token::Unclosed => self.cannot_follow(format!("a quote {} without its end", self.marks.open)),
            }
        }
        arguments.push(text(said));
        self.depth -= 1;
        arguments
    }

    fn skip_blanks(&mut self) {
        while self.input.peek().is_some_and(|octet| octet.is_ascii_whitespace()) {
            self.input.take();
        }
    }

    fn builtin(&mut self, name: &str, arguments: &[String], at: Origin) {
        let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
        match name {
            "define" | "pushdef" => {
                let (name, value) = (argument(0).to_owned(), argument(1).to_owned());
                self.definitions.insert(name.clone(), value.clone());
                self.tell(at, Event::Define { name, value });
            }
            "undefine" | "popdef" => {
                for name in arguments {
                    self.definitions.remove(name);
                    self.tell(at.clone(), Event::Undefine(name.clone()));
                }
            }
            "defn" => {
                let body = self.definitions.get(argument(0)).cloned().unwrap_or_default();
                let quoted = format!("{}{body}{}", self.marks.open, self.marks.close);
                self.work += quoted.len();
                self.input.put_back(&quoted);
            }
            "ifdef" => {
                let is_defined = self.definitions.contains_key(argument(0));
                self.input.put_back(argument(if is_defined { 1 } else { 2 }));
            }
            "ifelse" => self.input.put_back(chosen(arguments)),
            "include" | "sinclude" => self.include(argument(0), name == "sinclude", at),
            "dnl" => {
                line(&mut self.input);
            }
            "divert" => self.diversion = argument(0).trim().parse().unwrap_or(0),
            "changequote" => {
                let marks = Marks::default();
                self.marks.open = arguments.first().cloned().unwrap_or(marks.open);
                self.marks.close = arguments.get(1).cloned().unwrap_or(marks.close);
            }
            "changecom" => self.marks.comment = argument(0).to_owned(),
            "len" => self.input.put_back(&argument(0).len().to_string()),
            "incr" | "decr" => {
                let number: i64 = argument(0).trim().parse().unwrap_or(0);
                let step = if name == "incr" { 1 } else { -1 };
                self.input.put_back(&number.saturating_add(step).to_string());
            }
            "divnum" | "undivert" | "errprint" => {}
            _ => self.tell(
                at,
                Event::CannotFollow(format!("the m4 macro {name}({})", arguments.join(", "))),
            ),
        }
    }

    fn include(&mut self, path: &str, silently: bool, at: Origin) {
        let path = path.to_owned();
        if self
            .vocabulary
            .known_files
            .iter()
            .any(|known| path.ends_with(known))
        {
            // The visible effect of sendmail's first template: comments are off from there on.
            self.marks.comment = "\u{1}".to_owned();
            self.diversion = 0;
            self.tell(at, Event::Include { path, problem: None });
            return;
        }
        if self.input.files() >= DEPTH_MAX {
            self.tell(
                at,
                Event::CannotFollow(format!("{path}: files that include each other without end")),
            );
            return;
        }
        let problem = match self.files.read(&path) {
            Ok(text) => {
                self.input.file(&path, &text);
                None
            }
            Err(_) if silently => return,
            Err(problem) => Some(problem.to_string()),
        };
        self.tell(at, Event::Include { path, problem });
    }

    /// Writes text outside calls; each line is reported when complete.
    fn write(&mut self, octets: &[u8]) {
        if self.diversion < 0 {
            self.line.clear();
            return;
        }
        for octet in octets {
            if *octet == b'\n' {
                let said = text(std::mem::take(&mut self.line));
                let at = self.line_at.take();
                if !said.trim().is_empty() {
                    let at = self.origin(at);
                    self.tell(at, Event::Text(said.trim_end().to_owned()));
                }
                continue;
            }
            if self.line.is_empty() {
                self.line_at = self.input.last().cloned();
            }
            self.line.push(*octet);
        }
    }

    fn cannot_follow(&mut self, what: String) {
        let at = self.origin(self.input.last().cloned());
        self.tell(at, Event::CannotFollow(what));
    }

    fn tell(&mut self, at: Origin, what: Event) {
        self.events.push(Located { at, what });
    }

    /// From the line where something began to the last line read.
    fn origin(&self, first: Option<Origin>) -> Origin {
        let last = self.input.last();
        let mut origin = first
            .or_else(|| self.input.place())
            .unwrap_or_else(|| Origin::line(&Arc::from(""), 0));
        if let Some(last) = last.filter(|last| last.file == origin.file) {
            origin.last = origin.last.max(last.last);
        }
        origin
    }
}

/// The result of `ifelse`: the text after the first two equal arguments, or the last one.
fn chosen(arguments: &[String]) -> &str {
    let mut rest = arguments;
    loop {
        match rest {
            [one, other, then, ..] if one == other => return then,
            [_, _, _, otherwise] => return otherwise,
            [_, _, _, more @ ..] if more.len() > 1 => rest = more,
            _ => return "",
        }
    }
}

/// No files at all.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, crate::FileError> {
        Err(crate::FileError::Missing)
    }
}
