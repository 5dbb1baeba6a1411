//! The tables of the document: what each judge says, and why they differ.

/// What comes before the tables.
pub(crate) const OPENING: &str = "\
# Judges compared

Postern's judge beside those of others, on the same messages and the same records, which a real unbound answers. A test makes this file
(`crates/seal/tests/judges`); the programs are those of Debian 12: dkimpy 1.1, opendkim 2.11, rspamd 3.4, pyspf 2.0. Where one of them lets
pass what Postern does not, or the other way round, the last column says why.
";

/// One case.
pub(crate) struct Row<'a> {
    /// What it shows.
    pub(crate) shows: &'a str,
    /// The expected result.
    pub(crate) want: &'a str,
    /// Our result.
    pub(crate) ours: String,
    /// The results of others.
    pub(crate) theirs: Vec<String>,
    /// Why they differ.
    pub(crate) why: &'a str,
}

/// Writes a table with these columns after ours, and records unexpected results in `faults`.
pub(crate) fn write(columns: &[&str], rows: &[Row<'_>], faults: &mut Vec<String>) -> String {
    let mut out = format!("| case | Postern | {} | why they differ |\n", columns.join(" | "));
    out.push_str(&"| --- ".repeat(columns.len() + 3));
    out.push_str("|\n");
    for Row {
        shows,
        want,
        ours,
        theirs,
        why,
    } in rows
    {
        if ours != want {
            faults.push(format!("{shows}: {ours} in place of {want}"));
        }
        let passes = |word: &String| word == "pass";
        let differs = theirs.iter().any(|word| passes(word) != passes(ours));
        if differs == why.is_empty() {
            faults.push(format!(
                "{shows}: a reason where they differ, and there alone: {ours}, {theirs:?}"
            ));
        }
        let theirs = theirs.join(" | ");
        out.push_str(&format!("| {shows} | {ours} | {theirs} | {why} |\n"));
    }
    out
}
