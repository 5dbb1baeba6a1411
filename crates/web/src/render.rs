//! A page as HTML.

use askama::Template;

use crate::assets::{self, Assets};
use crate::frame::{Frame, Tone};
use crate::parts::{Bar, Cell, Chart, Field, Form, Input, Method, Section};

/// A whole page.
#[derive(Debug, Template)]
#[template(path = "page.html")]
pub struct Page<'a> {
    frame: &'a Frame,
    sections: &'a [Section],
    assets: &'static Assets,
}

impl<'a> Page<'a> {
    /// A page of these parts.
    #[must_use]
    pub fn new(frame: &'a Frame, sections: &'a [Section]) -> Self {
        Self {
            frame,
            sections,
            assets: assets::all(),
        }
    }

    /// The page as HTML.
    ///
    /// # Errors
    ///
    /// None that depend on the page.
    pub fn html(&self) -> Result<String, std::fmt::Error> {
        self.render().map_err(|_| std::fmt::Error)
    }

    /// The token that each form sends back; empty before the login.
    fn csrf(&self) -> &str {
        self.frame.viewer.as_ref().map_or("", |viewer| &viewer.csrf)
    }
}

/// What is in a place of a table, or beside a name.
#[derive(Template)]
#[template(path = "cell.html")]
struct CellPart<'a> {
    cell: &'a Cell,
    csrf: &'a str,
}

/// A field of a form.
#[derive(Template)]
#[template(path = "field.html")]
struct FieldPart<'a> {
    field: &'a Field,
    /// Its name within the page.
    id: String,
}

/// Bars over time.
#[derive(Template)]
#[template(path = "chart.html")]
struct ChartPart<'a> {
    chart: &'a Chart,
    bars: Vec<Drawn>,
}

/// A bar as it is drawn, in units of the picture: where, how wide, and both parts from top to bottom.
#[derive(Debug, Eq, PartialEq)]
struct Drawn {
    x: usize,
    lower: (u64, u64),
    upper: (u64, u64),
}

/// Height of the picture, width of a bar with the gap behind it.
const HEIGHT: u64 = 100;
const STEP: usize = 12;

/// The highest bar fills the picture; one that counts anything can be seen.
fn draw(chart: &Chart) -> Vec<Drawn> {
    let sum = |bar: &Bar| bar.counts.iter().map(|count| u128::from(*count)).sum::<u128>();
    let most = chart.bars.iter().map(sum).max().unwrap_or(0).max(1);
    let height = |count: u64| {
        let share = u128::from(count) * u128::from(HEIGHT - 2) / most;
        u64::try_from(share).unwrap_or(0) + u64::from(count > 0)
    };
    let bar = |(index, bar): (usize, &Bar)| {
        let [lower, upper] = bar.counts.map(height);
        Drawn {
            x: index * STEP,
            lower: (HEIGHT - lower, lower),
            upper: (HEIGHT - lower - upper, upper),
        }
    };
    chart.bars.iter().enumerate().map(bar).collect()
}

/// The parts of a page that others are made of; templates call them. What cannot be made is left out, and there is nothing of the kind.
fn cell(cell: &Cell, csrf: &str) -> String {
    CellPart { cell, csrf }.render().unwrap_or_default()
}

fn field(field: &Field, form: &Form) -> String {
    // Two forms of a page may be sent to one address.
    let id = format!(
        "f-{}-{}-{}",
        slug(&form.action),
        slug(&form.title),
        slug(&field.name)
    );
    FieldPart { field, id }.render().unwrap_or_default()
}

fn chart(chart: &Chart) -> String {
    let bars = draw(chart);
    ChartPart { chart, bars }.render().unwrap_or_default()
}

const fn is_post(form: &Form) -> bool {
    matches!(form.method, Method::Post)
}

const fn is_number(cell: &Cell) -> bool {
    matches!(cell, Cell::Number(_))
}

const fn is_hidden(field: &Field) -> bool {
    matches!(field.input, Input::Hidden)
}

/// A name within a page, made of any text.
fn slug(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
