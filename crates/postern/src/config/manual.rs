//! The manual page `postern.toml(5)`, made from the text of `docs/configuration.md`.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::reference;

/// The page; `source` appears in its footer.
pub(crate) fn page(source: &str) -> String {
    let mut page = Roff::new();
    page.control("TH", ["postern.toml", "5", "", source, "Postern"]);
    page.control("SH", ["NAME"]);
    page.text([roman("postern.toml - configuration of the mail relay postern")]);
    page.control("SH", ["DESCRIPTION"]);
    let document = reference::markdown();
    let mut blocks = document.split("\n\n").map(str::trim);
    while let Some(block) = blocks.next() {
        if let Some(first) = block.strip_prefix("```toml\n") {
            example(first, &mut blocks, &mut page);
        } else if let Some(title) = block.strip_prefix("### ") {
            page.control("SS", [plain(title).as_str()]);
        } else if let Some(title) = block.strip_prefix("## ") {
            page.control("SH", [plain(title).as_str()]);
        } else if block.starts_with("- ") {
            for item in block.split("\n- ") {
                page.control("IP", ["\\(bu", "2"]);
                page.text(inlines(item.trim_start_matches("- ")));
            }
        } else if !block.starts_with("<!--") && !block.starts_with("# ") {
            page.control("PP", []);
            page.text(inlines(block));
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("postern"),
        roman("(1), "),
        bold("postern-check"),
        roman("(1)"),
    ]);
    page.render()
}

/// An example, which continues over blank lines until the closing fence.
fn example<'a>(first: &'a str, blocks: &mut impl Iterator<Item = &'a str>, page: &mut Roff) {
    page.control("PP", []);
    page.control("RS", ["4"]);
    page.control("nf", []);
    let mut part = first;
    loop {
        let ended = part.strip_suffix("```");
        for line in ended.unwrap_or(part).lines() {
            page.text([roman(line)]);
        }
        if ended.is_some() {
            break;
        }
        page.control("sp", []);
        part = blocks.next().unwrap_or("```");
    }
    page.control("fi", []);
    page.control("RE", []);
}

/// A title without its markup.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// Running text: code and `**strong**` become bold, `*emphasis*` italic, links their text.
fn inlines(text: &str) -> Vec<Inline> {
    let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            found.push(bold(part));
        } else {
            emphasis(&without_links(part), &mut found);
        }
    }
    found
}

fn emphasis(text: &str, found: &mut Vec<Inline>) {
    for (strong, part) in text.split("**").enumerate() {
        if strong % 2 == 1 {
            found.push(bold(part));
            continue;
        }
        for (number, piece) in part.split('*').enumerate().filter(|(_, piece)| !piece.is_empty()) {
            found.push(if number % 2 == 1 {
                italic(piece)
            } else {
                roman(piece)
            });
        }
    }
}

fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, label, after)) = link(rest) {
        out.push_str(before);
        out.push_str(label);
        rest = after;
    }
    out + rest
}

/// The text before a link, its label, and the text after it.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (head, tail) = text.split_once("](")?;
    let (before, label) = head.rsplit_once('[')?;
    let (_, after) = tail.split_once(')')?;
    Some((before, label, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_fonts() {
        for (text, want) in [
            ("one\ntwo", "one two\n"),
            ("the `-key` of *it*", "the \\fB\\-key\\fR of \\fIit\\fR\n"),
            ("a **word**", "a \\fBword\\fR\n"),
            ("[TOML](https://toml.io).", "TOML.\n"),
            (".start", "\\&.start\n"),
        ] {
            let mut page = Roff::new();
            page.text(inlines(text));
            assert_eq!(page.to_roff(), want, "{text}");
        }
    }

    #[test]
    fn every_key_has_its_heading_and_no_mark_is_left() {
        let page = page("Postern");
        for line in ["## ", "### ", "```", "](", "<!--"] {
            assert!(!page.contains(line), "{line}");
        }
        for heading in [".SS hostname", ".SH [limits]", ".SS message_size_limit"] {
            assert!(page.contains(heading), "{heading}");
        }
        assert!(page.contains("hostname = "), "the example");
    }
}
