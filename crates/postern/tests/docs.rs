//! The documents are accurate: files they link to exist, crates they name exist, RFCs and dependencies are complete.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder with this extension, except hidden ones and build results.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// The names of the crates, without `postern-`.
fn crates() -> BTreeSet<String> {
    let folders = fs::read_dir(root().join("crates")).unwrap().flatten();
    folders
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The cells of the table rows that follow the first head cell `head`.
fn rows(document: &str, head: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_matches('|');
        inner.split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    document
        .lines()
        .skip_while(|line| !(line.starts_with('|') && cells(line)[0].eq_ignore_ascii_case(head)))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut documents: Vec<PathBuf> = files(&root().join("docs"), "md");
    let top = fs::read_dir(root()).unwrap().flatten().map(|entry| entry.path());
    documents.extend(top.filter(|path| path.extension().is_some_and(|found| found == "md")));
    assert!(documents.len() > 5, "{documents:?}");
    let mut broken = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            if target.contains("://") || file.is_empty() {
                continue;
            }
            if !document.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_map_names_the_crates_that_exist() {
    let map: BTreeSet<String> = rows(&read("ARCHITECTURE.md"), "crate")
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let mut known = crates();
    // Nothing depends on it: it is only in the drawing.
    known.remove("testkit");
    assert_eq!(map, known, "the table of crates in ARCHITECTURE.md");
}

#[test]
fn the_map_names_files_that_exist() {
    let text = read("ARCHITECTURE.md");
    let mut missing = Vec::new();
    for word in text.split('`').skip(1).step_by(2) {
        let is_path =
            word.contains('/') && (word.ends_with(".rs") || word.ends_with(".sql") || word.ends_with('/'));
        if !is_path || word.contains('*') {
            continue;
        }
        let places = ["", "crates", "crates/postern/src", "crates/postern/src/config"];
        if !places.iter().any(|place| root().join(place).join(word).exists())
            && !crates().iter().any(|name| {
                word.strip_prefix(&format!("{name}/"))
                    .is_some_and(|rest| root().join("crates").join(name).join("src").join(rest).exists())
            })
        {
            missing.push(word);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// The numbers after `RFC` or `RFCs` in a text, lists included: `RFC 5321, 2033 (LMTP) and 2920`.
fn rfcs(text: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for part in text.split("RFC").skip(1) {
        let plural = part.strip_prefix('s').unwrap_or(part);
        // `RFC822Name` and the like are other terms.
        if !plural.starts_with(char::is_whitespace) {
            continue;
        }
        let mut rest = plural.trim_start();
        loop {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(3..=5).contains(&digits) {
                break;
            }
            found.insert(rest[..digits].parse().unwrap());
            rest = rest[digits..].trim_start();
            if rest.starts_with('(') {
                rest = rest.split_once(')').map_or("", |(_, rest)| rest).trim_start();
            }
            let next = rest.strip_prefix(',').or_else(|| rest.strip_prefix("and "));
            let Some(next) = next else { break };
            let next = next.trim_start();
            rest = next.strip_prefix("and ").unwrap_or(next);
        }
    }
    found
}

/// Source text with multi-line comments joined.
fn without_line_ends(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.trim_start().trim_start_matches(['/', '!']));
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn numbers_are_found_in_lists() {
    for (text, want) in [
        ("(RFC 5321 section 4.5.3)", vec![5321]),
        (
            "RFC 5321, 2033 (LMTP), 2920 and 3030.",
            vec![2033, 2920, 3030, 5321],
        ),
        ("RFCs 821 and 5321", vec![821, 5321]),
        ("RFC 4954 section 4, RFC 4648 section 4", vec![4648, 4954]),
        ("the RFC asks for 1000", vec![]),
        ("GeneralName::RFC822Name", vec![]),
    ] {
        assert_eq!(rfcs(text).into_iter().collect::<Vec<_>>(), want, "{text}");
    }
}

#[test]
fn every_rfc_that_the_code_names_is_in_the_table_of_coverage() {
    let mut named: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for name in crates().into_iter().filter(|name| name != "testkit") {
        for file in files(&root().join("crates").join(&name).join("src"), "rs") {
            for rfc in rfcs(&without_line_ends(&fs::read_to_string(file).unwrap())) {
                named.entry(rfc).or_default().insert(name.clone());
            }
        }
    }
    let mut told: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for row in rows(&read("docs/rfc-coverage.md"), "RFC") {
        let number = row[0].trim_start_matches('[').split(']').next().unwrap();
        let places = row.last().unwrap().split(", ").map(str::to_owned).collect();
        assert!(
            told.insert(number.parse().unwrap(), places).is_none(),
            "RFC {number} twice"
        );
        assert!(!row[2].is_empty(), "RFC {number}: what is done of it?");
    }
    let none = BTreeSet::new();
    let numbers: BTreeSet<&u32> = named.keys().chain(told.keys()).collect();
    let wrong: Vec<String> = numbers
        .into_iter()
        .filter_map(|number| {
            let (code, table) = (
                named.get(number).unwrap_or(&none),
                told.get(number).unwrap_or(&none),
            );
            // The table may omit a crate that only mentions an RFC, but must not list one that does not.
            (table.is_empty() || !table.is_subset(code)).then(|| {
                format!("RFC {number}: the code names it in {code:?}, docs/rfc-coverage.md in {table:?}")
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names in the dependency tables of a manifest.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .filter(|name| !name.starts_with("postern-"))
        .collect()
}

#[test]
fn every_dependency_is_used_and_has_its_line() {
    let mut used = BTreeSet::new();
    for name in crates() {
        let manifest: toml::Table = read(format!("crates/{name}/Cargo.toml")).parse().unwrap();
        let folder = root().join("crates").join(&name);
        let sources: String = files(&folder, "rs")
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        for dependency in dependencies(&manifest) {
            assert!(
                sources.contains(&dependency.replace('-', "_")),
                "crates/{name} does not use {dependency}: take it out of its Cargo.toml"
            );
            used.insert(dependency);
        }
    }
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let listed: BTreeSet<String> = workspace["workspace"]["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .filter(|name| !name.starts_with("postern-"))
        .cloned()
        .collect();
    let unused: Vec<_> = listed.difference(&used).collect();
    assert!(
        unused.is_empty(),
        "in [workspace.dependencies] of Cargo.toml, and no crate uses it: {unused:?}"
    );

    let named: BTreeSet<String> = rows(&read("docs/decisions/0002-dependencies.md"), "crate")
        .iter()
        .flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .map(|name| name.split(" (").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        named, used,
        "docs/decisions/0002-dependencies.md beside the manifests"
    );
}

/// The examples of the guide, each appended to its first configuration: `check` only complains about missing files.
#[test]
fn the_examples_of_the_guide_are_configurations() {
    let guide = read("docs/guide.md");
    let blocks: Vec<&str> = guide
        .split("\n```toml\n")
        .skip(1)
        .map(|part| part.split("\n```").next().unwrap())
        .collect();
    assert!(blocks.len() > 4, "{blocks:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postern.toml");
    for (number, block) in blocks.iter().enumerate() {
        let more = if number == 0 { "" } else { block };
        // Top-level keys go above the first table, wherever the example shows them.
        let tables = more.find("\n[").map_or(more.len(), |at| at + 1);
        let tables = if more.starts_with('[') { 0 } else { tables };
        let (top, more) = more.split_at(tables);
        fs::write(&file, format!("{top}\n{}\n{more}\n", blocks[0])).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["check", "--offline", "--json", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for problem in result["problems"].as_array().unwrap() {
            let text = problem["problem"].as_str().unwrap();
            let expected = [
                "cannot read",
                "there are no users yet",
                "certificate rules need `client_ca`",
                "client certificates cannot be used without `client_ca`",
                "certificates are mapped to users, but EXTERNAL is off",
                "the folder /var/spool/postfix/postern of the socket",
                "the folder /run/postern-",
                "there is no user \"vmail\"",
            ];
            // Also tables in files.
            let missing = text.contains("does not exist: correct the path");
            assert!(
                missing || expected.iter().any(|start| text.starts_with(start)),
                "{block}\n{problem:#}"
            );
        }
    }
}

/// The text of a document outside its blocks.
fn without_blocks(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

/// The commands and options of `postern …` in running text are those of the program. Blocks of the guide are run by the
/// installation tests.
#[test]
fn commands_that_the_documents_name_exist() {
    let documents = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(PathBuf::from);
    let mut named = BTreeSet::new();
    for document in files(&root().join("docs"), "md").into_iter().chain(documents) {
        let text = without_blocks(&read(document));
        for code in text.split('`').skip(1).step_by(2) {
            if let Some(rest) = code.strip_prefix("postern ") {
                named.insert(rest.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    assert!(named.len() > 20, "{named:?}");
    let is_command = |word: &&str| {
        word.bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet == b'-')
    };
    let mut wrong = Vec::new();
    for line in named {
        let words = line.split(' ').map(|word| word.trim_end_matches(['…', ',']));
        let command: Vec<&str> = words
            .clone()
            .take_while(|word| !word.starts_with('-'))
            .take_while(is_command)
            .collect();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(&command)
            .arg("--help")
            .output()
            .unwrap();
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut options = words.filter(|word| word.starts_with("--"));
        let unknown = options.find(|option| !help.contains(option.split('=').next().unwrap()));
        if !output.status.success() || unknown.is_some() {
            wrong.push(line.clone());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
