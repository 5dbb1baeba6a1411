//! Output for people: tables, sizes, ages; colour on a terminal only.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::visible;

/// Prints one line or several.
///
/// # Errors
///
/// Standard output is closed or full.
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
        // Whoever reads, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
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

/// Prints an aligned table; the columns named in `right` are numbers, those in `whole` are never broken, however narrow
/// the terminal is: an id in two pieces cannot be copied. Where too little room is left for the others, each row is printed
/// as lines of its own. Nothing is wrapped for a pipe.
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
    let text = match columns {
        Some(columns) if is_cramped(&head, whole, &rows, columns) => as_records(&head, &rows),
        _ => as_table(&head, right, whole, &rows, columns),
    };
    print(&text)
}

/// Letters that a column of text needs at least to be read.
const TEXT_MIN: usize = 16;

/// Blanks between two columns.
const GAP: usize = 2;

/// Whether the table neither fits nor leaves room enough for the columns that may be broken.
fn is_cramped(head: &[String], whole: &[usize], rows: &[Vec<String>], columns: usize) -> bool {
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].chars().count());
        cells.max().unwrap_or(0).max(head[index].chars().count()) + GAP
    };
    let (kept, others): (Vec<usize>, Vec<usize>) = (0..head.len()).partition(|index| whole.contains(index));
    let kept: usize = kept.into_iter().map(width).sum();
    let wanted: usize = others.iter().map(|index| width(*index)).sum();
    kept + wanted > columns + GAP && kept + others.len() * (TEXT_MIN + GAP) > columns
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

/// Whether output to standard error may be coloured: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn colour_on_stderr() -> bool {
    io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How many columns the terminal behind standard error has; 100 where there is none.
pub(crate) fn width() -> usize {
    Table::new()
        .set_content_arrangement(ContentArrangement::Dynamic)
        .width()
        .map_or(100, usize::from)
}

/// A size in octets for people: `812 B`, `4.1 KiB`, `25 MiB`.
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

/// A length of time for people, in its two largest units: `3d 4h`, `2m 10s`, `4s`.
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
