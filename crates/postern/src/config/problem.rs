//! What is wrong with a configuration file, and how it is shown.

use std::path::Path;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::sources::Sources;
pub(crate) use super::span::Span;
use crate::visible;

/// Whether Postern refuses to run with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The configuration is refused.
    Error,
    /// Postern runs; somebody should look at it.
    Warning,
}

/// One mistake: what, where, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// One line, lower case, without a full stop.
    pub(crate) title: String,
    /// The text that should change; if missing, the whole file is meant.
    pub(crate) span: Option<Span>,
    /// A few words for the pointer under the text.
    pub(crate) label: String,
    /// What the operator should do.
    pub(crate) remedy: String,
}

/// Collects mistakes, so that one does not hide the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    /// The headers of tables in which a value could not be read.
    unread: Vec<Span>,
}

impl Problems {
    /// Adds a mistake that makes the configuration unusable.
    pub(crate) fn error(
        &mut self,
        span: Option<Span>,
        title: impl Into<String>,
        label: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Error, span, title.into(), label.into(), remedy.into());
    }

    /// Adds something that works, but probably not as intended.
    pub(crate) fn warning(
        &mut self,
        span: Option<Span>,
        title: impl Into<String>,
        label: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Warning, span, title.into(), label.into(), remedy.into());
    }

    /// Whether any of them prevents running.
    pub(crate) fn have_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many of them prevent running.
    pub(crate) fn errors(&self) -> usize {
        let errors = self
            .list
            .iter()
            .filter(|problem| problem.severity == Severity::Error);
        errors.count()
    }

    /// Whether there is one about this key.
    pub(crate) fn are_about(&self, key: &str) -> bool {
        let named = format!("`{key}`");
        self.list.iter().any(|problem| problem.title.starts_with(&named))
    }

    /// Whether there is an error inside this piece of the text, which explains why something is missing there.
    pub(crate) fn are_within(&self, place: Option<&Span>) -> bool {
        let inside = |problem: &Problem| match (&problem.span, place) {
            (Some(span), Some(place)) if problem.severity == Severity::Error => {
                place.start <= span.start && span.end <= place.end
            }
            _ => false,
        };
        self.list.iter().any(inside)
    }

    /// Adds the problems found by another step.
    pub(crate) fn append(&mut self, mut more: Self) {
        self.list.append(&mut more.list);
        self.unread.append(&mut more.unread);
    }

    /// A value of the table with this header could not be read, so what seems to be missing may be there: further errors about
    /// the table as a whole are suppressed until that one is fixed.
    pub(crate) fn not_read_in(&mut self, header: &Span) {
        self.unread.push(header.clone());
    }

    fn add(&mut self, severity: Severity, span: Option<Span>, title: String, label: String, remedy: String) {
        let follows = |span: &Span| severity == Severity::Error && self.unread.contains(span);
        if span.as_ref().is_some_and(follows) {
            return;
        }
        self.list.push(Problem {
            severity,
            title,
            span,
            label,
            remedy,
        });
    }

    /// Suppresses the consequences of invalid TOML: a mistake in one line makes the parser fail on those below it, and what was
    /// lost there is not really missing. `broken` are the positions where it failed, in order.
    pub(crate) fn without_consequences(&mut self, text: &str, broken: &[Span]) {
        if broken.is_empty() {
            return;
        }
        let line_of = |at: usize| {
            text.as_bytes()[..at.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
        };
        let stumbled: Vec<usize> = broken.iter().map(|span| line_of(span.start)).collect();
        self.list.retain(|problem| match &problem.span {
            None => false,
            Some(span) => !(line_of(span.start)..=line_of(span.end)).any(|line| stumbled.contains(&line)),
        });
    }

    /// Leaves out what is missing in the file as a whole.
    pub(crate) fn only_within_the_text(&mut self) {
        self.list.retain(|problem| problem.span.is_some());
    }

    /// How many there are so far, to tell whether a step added one.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them in the order of the file, those about the whole file last.
    pub(crate) fn into_report(mut self, sources: &Sources) -> Report {
        self.list.sort_by_key(|problem| {
            problem
                .span
                .as_ref()
                .map_or((usize::MAX, 0), |span| (span.start, span.end))
        });
        Report {
            sources: sources.clone(),
            problems: self.list,
        }
    }
}

/// The mistakes of a configuration together with its texts.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    sources: Sources,
    problems: Vec<Problem>,
}

/// One mistake as `check --json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct JsonProblem<'a> {
    severity: Severity,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    text: Option<&'a str>,
    problem: &'a str,
    /// What is wrong with the text, or why that matters; empty if `problem` says it all.
    why: &'a str,
    remedy: &'a str,
}

impl Report {
    /// A report on a file that could not even be read.
    pub(crate) fn unreadable(path: &Path, title: String, remedy: &str) -> Self {
        let mut problems = Problems::default();
        problems.error(None, title, "", remedy);
        problems.into_report(&Sources::of(path, ""))
    }

    /// Whether anything prevents running.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many of the mistakes are errors.
    pub(crate) fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many of the mistakes are warnings.
    pub(crate) fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    }

    /// Turns a warning with this title into an error.
    pub(crate) fn insist(&mut self, title: &str) {
        for problem in self.problems.iter_mut().filter(|problem| problem.title == title) {
            problem.severity = Severity::Error;
        }
    }

    /// Adds what was found later, by checking the system instead of the file.
    pub(crate) fn extend(&mut self, more: Problems) {
        self.problems.extend(more.list);
    }

    /// Adds what only another user finds in the same file, as something that will be a mistake when that user reads it.
    pub(crate) fn foresee(&mut self, of_other: Self, when: &str) {
        let (errors, others): (Vec<Problem>, Vec<Problem>) = of_other
            .problems
            .into_iter()
            .partition(|problem| problem.severity == Severity::Error);
        drop(others);
        for mut problem in errors {
            let is_told = |told: &Problem| told.span.is_some() && told.span == problem.span;
            if self.problems.iter().any(is_told) {
                continue;
            }
            problem.severity = Severity::Warning;
            problem.title = format!("{} ({when})", problem.title);
            self.problems.push(problem);
        }
    }

    /// The mistakes, each with the text concerned, for a terminal `width` columns wide.
    pub(crate) fn render(&self, colour: bool, width: usize) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(width);
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(visible::lines(&problem.title));
        let help = Level::HELP.message(visible::lines(&problem.remedy));
        match &problem.span {
            Some(span) => {
                let at = self.sources.locate(span);
                let pointer = AnnotationKind::Primary
                    .span(at.span)
                    .label(visible::lines(&problem.label));
                let path = at.path.display().to_string();
                title
                    .element(Snippet::source(at.text).path(path).annotation(pointer))
                    .element(help)
            }
            None => {
                let path = self.sources.main().display().to_string();
                title.element(annotate_snippets::Origin::path(path)).element(help)
            }
        }
    }

    /// One line per mistake, for the log: `postern.toml:12: unknown key … (did you mean …?)`.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Severity, String)> + '_ {
        self.problems.iter().map(|problem| {
            let place = match &problem.span {
                Some(span) => {
                    let at = self.sources.locate(span);
                    format!("{}:{}", at.path.display(), at.line)
                }
                None => self.sources.main().display().to_string(),
            };
            (
                problem.severity,
                format!(
                    "{place}: {} ({})",
                    problem.title,
                    problem.remedy.replace('\n', "; ")
                ),
            )
        })
    }

    /// The mistakes as values for `--json`.
    pub(crate) fn json(&self) -> Vec<JsonProblem<'_>> {
        self.problems
            .iter()
            .map(|problem| {
                let at = problem.span.as_ref().map(|span| self.sources.locate(span));
                JsonProblem {
                    severity: problem.severity,
                    file: at
                        .as_ref()
                        .map_or_else(|| self.sources.main(), |at| at.path)
                        .display()
                        .to_string(),
                    line: at.as_ref().map(|at| at.line),
                    column: at.as_ref().map(|at| at.column),
                    text: at.as_ref().map(|at| &at.text[at.span.clone()]),
                    problem: &problem.title,
                    why: &problem.label,
                    remedy: &problem.remedy,
                }
            })
            .collect()
    }
}
