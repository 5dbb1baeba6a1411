//! Output for people: tables, sizes, ages; colour on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::visible;

/// Whether programs read the output: `--json`.
static JSON: AtomicBool = AtomicBool::new(false);

/// Prints everything as JSON from now on.
pub(crate) fn use_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Whether everything is printed as JSON.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Reports what was done; with `--json` as `{ "done": "…" }`. For commands without any other result.
///
/// # Errors
///
/// As [`print`].
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    match is_json() {
        true => print_json(&serde_json::json!({ "done": text })),
        false => print(text),
    }
}

/// Prints one line or several.
///
/// # Errors
///
/// Standard output is closed or full. If the reader, such as `head`, has seen enough, the command ends successfully.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut write = || {
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent(Exit::Ok)),
        Err(error) => Err(Failure::io("cannot write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}

/// Prints a value as JSON with a line feed.
pub(crate) fn print_json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot print JSON", &error))?;
    print(&visible::json(&text))
}

/// Prints one element of a JSON list, after `[` or `,`.
pub(crate) fn print_part<T: Serialize>(before: &str, value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::from_error(Exit::Software, "cannot print JSON", &error))?;
    let text = visible::json(&text);
    let mut out = io::stdout().lock();
    match write!(out, "{before}\n  {text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent(Exit::Ok)),
        Err(error) => Err(Failure::io("cannot write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}

/// Prints an aligned table; the columns in `right` are numbers, those in `whole` are never wrapped, however narrow the
/// terminal is: an id split in two cannot be copied. If too little room is left for the others, each row is printed as
/// separate lines. Nothing is wrapped for a pipe.
pub(crate) fn print_table(
    head: &[&str],
    right: &[usize],
    whole: &[usize],
    rows: Vec<Vec<String>>,
) -> Result<(), Failure> {
    let head: Vec<String> = head.iter().map(|title| title.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| visible::line(cell).into_owned()).collect())
        .collect();
    let columns = match io::stdout().is_terminal() {
        true => Table::new().width().map(usize::from),
        false => None,
    };
    print(&as_text(&head, right, whole, &rows, columns))
}

/// The table for a terminal of that many columns, or for a pipe.
fn as_text(
    head: &[String],
    right: &[usize],
    whole: &[usize],
    rows: &[Vec<String>],
    columns: Option<usize>,
) -> String {
    let Some(width) = columns else {
        return as_table(head, right, whole, rows, None);
    };
    // People do not need empty columns; programs rely on them.
    let kept: Vec<usize> = (0..head.len())
        .filter(|index| rows.iter().any(|row| !row[*index].is_empty()))
        .collect();
    let among = |places: &[usize]| -> Vec<usize> {
        let kept = kept.iter().enumerate();
        kept.filter(|(_, index)| places.contains(index))
            .map(|(place, _)| place)
            .collect()
    };
    let of = |row: &[String]| -> Vec<String> { kept.iter().map(|index| row[*index].clone()).collect() };
    let (right, whole, head) = (among(right), among(whole), of(head));
    let rows: Vec<Vec<String>> = rows.iter().map(|row| of(row)).collect();
    if is_cramped(&head, &whole, &rows, width) {
        as_records(&head, &rows)
    } else {
        as_table(&head, &right, &whole, &rows, columns)
    }
}

/// A sentence, wrapped between words if it is longer than a terminal line; unchanged for a pipe.
pub(crate) fn wrapped(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut line = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if line > 0 && line + 1 + length > columns {
            out.push('\n');
            line = 0;
        } else if line > 0 {
            out.push(' ');
            line += 1;
        }
        out.push_str(word);
        line += length;
    }
    out
}

/// Columns of the terminal behind standard output; none if it is a pipe or file.
pub(crate) fn terminal_width() -> Option<usize> {
    match io::stdout().is_terminal() {
        true => Some(Table::new().width().map_or(80, usize::from)),
        false => None,
    }
}

/// A text that may be long: truncated on a terminal, complete for a pipe.
pub(crate) fn brief_text(text: &str, most: usize) -> String {
    match terminal_width() {
        Some(_) => shorten(text, most),
        None => text.to_owned(),
    }
}

/// A table with one line per row, in the available width. All pages of a long listing have the same column widths.
pub(crate) struct Lines {
    head: Vec<String>,
    right: Vec<usize>,
    /// Columns that are truncated if there is too little room, each with its minimum width.
    cut: Vec<(usize, usize)>,
    widths: Vec<usize>,
    columns: Option<usize>,
}

impl Lines {
    /// For a terminal of that many columns, or for a pipe, where nothing is truncated. Columns in `right` are numbers.
    pub(crate) fn new(
        head: &[&str],
        right: &[usize],
        cut: &[(usize, usize)],
        columns: Option<usize>,
    ) -> Self {
        Self {
            head: head.iter().map(|title| title.to_uppercase()).collect(),
            right: right.to_vec(),
            cut: cut.to_vec(),
            widths: Vec::new(),
            columns,
        }
    }

    /// The next rows as text; above the first ones the heading.
    pub(crate) fn page(&mut self, rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| visible::line(cell).into_owned()).collect())
            .collect();
        let first = self.widths.is_empty();
        if first {
            self.widths = self.fitted(&rows);
        }
        let head = first.then_some(&self.head);
        let lines = head.into_iter().chain(&rows).map(|row| self.line(row));
        lines.collect()
    }

    /// Widths that fit: columns that may be truncated shrink, the widest first.
    fn fitted(&self, rows: &[Vec<String>]) -> Vec<usize> {
        let widest = |index: usize| {
            let cells = std::iter::once(&self.head).chain(rows);
            cells
                .map(|row| row[index].chars().count())
                .max()
                .unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(widest).collect();
        let Some(columns) = self.columns else {
            return widths;
        };
        let gaps = GAP * self.head.len().saturating_sub(1);
        loop {
            let total: usize = widths.iter().sum::<usize>() + gaps;
            let may_give = self.cut.iter().filter(|(index, least)| widths[*index] > *least);
            match may_give.max_by_key(|(index, _)| widths[*index]) {
                Some((index, _)) if total > columns => widths[*index] -= 1,
                _ => return widths,
            }
        }
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let width = self.widths[index];
            let cell = match self.columns.is_some() && self.cut.iter().any(|(cut, _)| *cut == index) {
                true => shorten(cell, width),
                false => cell.clone(),
            };
            let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
            match self.right.contains(&index) {
                true => line.push_str(&(blanks + &cell)),
                false => line.push_str(&(cell + &blanks)),
            }
            line.push_str(&" ".repeat(GAP));
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// The first letters of a text, with a mark if some are left out.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Minimum readable width of a text column.
const TEXT_MIN: usize = 16;

/// Blanks between two columns.
const GAP: usize = 2;

/// Whether the table neither fits nor leaves enough room for the columns that may be wrapped.
fn is_cramped(head: &[String], whole: &[usize], rows: &[Vec<String>], columns: usize) -> bool {
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].chars().count());
        cells.max().unwrap_or(0).max(head[index].chars().count()) + GAP
    };
    let (kept, others): (Vec<usize>, Vec<usize>) = (0..head.len()).partition(|index| whole.contains(index));
    let kept: usize = kept.into_iter().map(width).sum();
    let wanted: usize = others.iter().map(|index| width(*index)).sum();
    let least: usize = others.iter().map(|index| width(*index).min(TEXT_MIN + GAP)).sum();
    kept + wanted > columns + GAP && kept + least > columns
}

/// A line for each cell, and an empty one between rows.
fn as_records(head: &[String], rows: &[Vec<String>]) -> String {
    let names = head.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let record = |row: &Vec<String>| {
        let lines = head.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
        let lines: Vec<String> = lines
            .map(|(name, cell)| format!("{name:names$}  {cell}\n"))
            .collect();
        lines.concat()
    };
    rows.iter().map(record).collect::<Vec<_>>().join("\n")
}

fn as_table(
    head: &[String],
    right: &[usize],
    whole: &[usize],
    rows: &[Vec<String>],
    columns: Option<usize>,
) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    match columns.map(u16::try_from) {
        Some(Ok(columns)) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(columns),
        _ => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(head);
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP as u16));
        if whole.contains(&index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Whether output may be coloured: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && colour_is_wanted()
}

/// Whether output to standard error may be coloured: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && colour_is_wanted()
}

fn colour_is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How many columns the terminal behind standard error has; 100 if there is none.
pub(crate) fn width() -> usize {
    Table::new()
        .set_content_arrangement(ContentArrangement::Dynamic)
        .width()
        .map_or(100, usize::from)
}

/// A size in octets, for display: `812 B`, `4.1 KiB`, `25 MiB`.
pub(crate) fn size(octets: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if octets < 1024 {
        return format!("{octets} B");
    }
    let mut value = octets as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 9.95 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// A duration for display, in its largest unit: `3d`, `23h`, `2m`, `4s`.
pub(crate) fn brief(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        86_400.. => format!("{}d", seconds / 86_400),
        3_600.. => format!("{}h", seconds / 3_600),
        60.. => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// A duration for display, in its two largest units: `3d 4h`, `2m 10s`, `4s`.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let pair = |large: i64, l: &str, small: i64, s: &str| {
        if small == 0 {
            format!("{large}{l}")
        } else {
            format!("{large}{l} {small}{s}")
        }
    };
    match seconds {
        86_400.. => pair(days, "d", hours, "h"),
        3_600.. => pair(hours, "h", minutes, "m"),
        60.. => pair(minutes, "m", seconds % 60, "s"),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_or_become_records() {
        let head = ["ID", "FROM", "STATE"].map(str::to_owned);
        let rows = vec![vec![
            "0CN5C48CM0000".to_owned(),
            "a-long-name@sender.example".to_owned(),
            "cannot connect: Connection refused".to_owned(),
        ]];
        #[rustfmt::skip]
        let cases = [
            // what the case shows         columns  cramped
            ("all of it fits",             77,      false),
            ("a column is broken",         70,      false),
            ("too little is left",         50,      true),
        ];
        for (shows, columns, cramped) in cases {
            assert_eq!(is_cramped(&head, &[0], &rows, columns), cramped, "{shows}");
            let text = as_table(&head, &[], &[0], &rows, Some(columns));
            assert!(text.contains("0CN5C48CM0000"), "an id is never broken: {text}");
        }
        assert_eq!(
            as_records(&head, &rows),
            "ID     0CN5C48CM0000\nFROM   a-long-name@sender.example\nSTATE  cannot connect: Connection refused\n"
        );
    }

    #[test]
    fn columns_without_content_take_no_room_on_a_terminal() {
        let head = ["LOGIN", "GROUPS", "STATE"].map(str::to_owned);
        let row = |login: &str| vec![login.to_owned(), String::new(), "on".to_owned()];
        let rows = vec![row("ann@site.example"), row("bob@site.example")];
        let text = |columns| as_text(&head, &[], &[2], &rows, columns);
        assert_eq!(
            text(Some(30)),
            "LOGIN             STATE\nann@site.example  on\nbob@site.example  on"
        );
        assert!(
            text(None).starts_with("LOGIN             GROUPS  STATE\n"),
            "programs count on them"
        );
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two  three", Some(8)), "one two\nthree");
        assert_eq!(wrapped("longer-than-that x", Some(8)), "longer-than-that\nx");
        assert_eq!(wrapped("one two  three", None), "one two  three");
    }

    #[test]
    fn lines_fit_or_are_not_cut() {
        let rows = vec![
            vec![
                "0CN5C48CM0000".to_owned(),
                "9".to_owned(),
                "a-long-name@sender.example".to_owned(),
                "held".to_owned(),
            ],
            vec![
                "0CN5C48CM0001".to_owned(),
                "10".to_owned(),
                "b@c.example".to_owned(),
                "due now".to_owned(),
            ],
        ];
        let lines = |columns| Lines::new(&["id", "n", "from", "state"], &[1], &[(2, 8)], columns);
        assert_eq!(
            lines(Some(40)).page(&rows),
            "\
ID              N  FROM          STATE
0CN5C48CM0000   9  a-long-name…  held
0CN5C48CM0001  10  b@c.example   due now
"
        );
        let mut pipe = lines(None);
        assert!(pipe.page(&rows).contains("  a-long-name@sender.example  held\n"));
        assert!(
            !pipe.page(&rows).contains("ID"),
            "the head stands above the first page alone"
        );
        assert!(
            lines(Some(20)).page(&rows).contains("  a-long-…  held\n"),
            "so much is always left"
        );
    }

    #[test]
    fn sizes() {
        #[rustfmt::skip]
        let cases = [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (4200, "4.1 KiB"), (10_200, "10 KiB"),
            (1_048_575, "1.0 MiB"), (26_214_400, "25 MiB"), (u64::MAX, "16777216 TiB"),
        ];
        for (octets, want) in cases {
            assert_eq!(size(octets), want);
        }
    }

    #[test]
    fn brief_spans() {
        for (seconds, want) in [
            (-5, "0s"),
            (59, "59s"),
            (119, "1m"),
            (7_199, "1h"),
            (172_800, "2d"),
        ] {
            assert_eq!(brief(seconds), want);
        }
    }

    #[test]
    fn spans() {
        #[rustfmt::skip]
        let cases = [
            (-5, "0s"), (4, "4s"), (60, "1m"), (130, "2m 10s"), (3_600, "1h"), (86_399, "23h 59m"), (273_600, "3d 4h"),
        ];
        for (seconds, want) in cases {
            assert_eq!(span(seconds), want);
        }
    }
}
