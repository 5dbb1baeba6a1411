//! The aliases file on disk, with what it includes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use postern_directory::aliases::{AliasMistake, Aliases, DEPTH_MAX, Target};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(folder.path(name), text).unwrap();
            folder.chmod(name, 0o644);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Aliases, Vec<AliasMistake>> {
        load(&self.path("aliases"))
    }

    /// The mistakes, each without the folder's name.
    fn mistakes(&self) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        self.load()
            .expect_err("mistakes")
            .iter()
            .map(|mistake| mistake.to_string().replace(&folder, ""))
            .collect()
    }
}

fn load(path: &Path) -> Result<Aliases, Vec<AliasMistake>> {
    Aliases::load(path, &|domain| domain.name() == Some("local.test"))
}

fn lookup(aliases: &Aliases, name: &str) -> Option<Vec<String>> {
    let show = |target: Target| match target {
        Target::Local(name) => name,
        Target::Address(mailbox) => mailbox.to_string(),
        Target::Discard => "nowhere".into(),
        Target::Refused(text) => text.to_string(),
    };
    Some(aliases.lookup(name)?.into_iter().map(show).collect())
}

const GOOD: &str = "\
# Basic system aliases
MAILER-DAEMON: postmaster
postmaster: root
root:   acaird, \"jane doe\"@outside.example,
        :include:operators

\"joe smith\": jsmith
jsmith: \\jsmith, jsmith@outside.example
self: self, other@outside.example
home: Root@Local.Test
away: root@else.test
mailbox: nobody@local.test
owner-list: acaird
twice: acaird, ACaird@local.test, postmaster, root
";

#[test]
fn names_lead_where_they_should() {
    let folder = Folder::with(&[
        ("aliases", GOOD),
        ("operators", "# on duty\nop1, op2@outside.example\n"),
    ]);
    let aliases = folder.load().unwrap();
    let root: &[&str] = &[
        "acaird",
        "\"jane doe\"@outside.example",
        "op1",
        "op2@outside.example",
    ];
    let cases: [(&str, &str, Option<&[&str]>); 13] = [
        ("a name", "root", Some(root)),
        ("over another", "postmaster", Some(root)),
        ("over two, in any case", "mailer-daemon", Some(root)),
        ("not there", "acaird", None),
        ("quoted", "joe smith", Some(&["jsmith", "jsmith@outside.example"])),
        (
            "with a backslash: the mailbox",
            "JSmith",
            Some(&["jsmith", "jsmith@outside.example"]),
        ),
        (
            "itself: the mailbox too",
            "self",
            Some(&["self", "other@outside.example"]),
        ),
        ("an own domain is looked up", "home", Some(root)),
        ("another one not", "away", Some(&["root@else.test"])),
        (
            "no alias in an own domain",
            "mailbox",
            Some(&["nobody@local.test"]),
        ),
        ("owner- is a name", "owner-list", Some(&["acaird"])),
        (
            "each once",
            "twice",
            Some(&[
                "acaird",
                "ACaird@local.test",
                "\"jane doe\"@outside.example",
                "op1",
                "op2@outside.example",
            ]),
        ),
        ("nothing", "", None),
    ];
    for (shows, name, want) in cases {
        let want = want.map(|want| want.iter().map(|&target| target.to_owned()).collect::<Vec<_>>());
        assert_eq!(lookup(&aliases, name), want, "{shows}");
    }
    assert_eq!(aliases.len(), 11);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "\
a: b
prog: \"|/usr/bin/vacation joe\"
A: c
file: /var/mail/archive
broken
one: two
two: three
three: one
outside: one
list: :include:missing
list2: :include:wrong
";
    let folder = Folder::with(&[("aliases", text), ("wrong", "fine\nno comma\n")]);
    let mistakes = folder.mistakes();
    let want = [
        ("aliases:5: ", "no `:`"),
        ("aliases:10: ", "cannot read missing"),
        ("wrong:2: ", "put `,` between"),
        ("aliases:3: ", "\"A\" is there already, at line 1"),
        ("aliases:6: ", "loop: one -> two -> three -> one"),
    ];
    assert_eq!(mistakes.len(), want.len(), "{mistakes:#?}");
    for (mistake, (place, text)) in mistakes.iter().zip(want) {
        assert!(
            mistake.starts_with(place) && mistake.contains(text),
            "{mistake} is not {place}{text}"
        );
    }
}

#[test]
fn programs_and_files_are_left_out() {
    let text = "\
tickets: \"|/usr/local/bin/ticket --queue joinery\"
both: \"|/usr/bin/vacation joe\", joe, /var/mail/archive
list: :include:members
nobody: /dev/null
lost: lisa@new.test.REDIRECT
all: both, nobody
";
    let folder = Folder::with(&[("aliases", text), ("members", "ann\n|/bin/prog\n")]);
    let aliases = folder.load().expect("no mistake");
    let shown: Vec<String> = aliases.warnings().iter().map(ToString::to_string).collect();
    let base = format!("{}/", folder.0.path().display());
    let places: Vec<&str> = shown
        .iter()
        .filter_map(|line| line.strip_prefix(&base)?.split(": ").next())
        .collect();
    assert_eq!(
        places,
        ["aliases:1", "aliases:2", "aliases:2", "members:2"],
        "{shown:#?}"
    );
    assert!(
        shown[0].contains("\"|/usr/local/bin/ticket --queue joinery\" is not run")
            && shown[0].contains("lmtp")
    );
    assert!(shown[2].contains("\"/var/mail/archive\" is not written to"));
    let refused =
        "550 5.3.3 The mail of this address went to a program or a file, which this server does not do";
    let moved = "551 5.1.6 User has moved; please try <lisa@new.test>";
    for (name, wanted) in [
        ("tickets", vec![refused]),
        ("both", vec!["joe"]),
        ("list", vec!["ann"]),
        ("nobody", vec!["nowhere"]),
        ("lost", vec![moved]),
        ("all", vec!["joe", "nowhere"]),
    ] {
        assert_eq!(lookup(&aliases, name).unwrap(), wanted, "{name}");
    }
}

#[test]
fn the_owner_of_the_innermost_list_counts() {
    let text = "\
news: ann, inner
owner-news: bob
inner: carl
owner-inner: dora
owner-owner-news: eve
plain: fred, news
";
    let folder = Folder::with(&[("aliases", text)]);
    let aliases = folder.load().unwrap();
    let owners = |name: &str| {
        let ends = aliases.ends(name).unwrap().into_iter();
        ends.map(|end| format!("{:?} {}", end.target, end.owner.as_deref().unwrap_or("-")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        owners("plain"),
        [
            "Local(\"fred\") -",
            "Local(\"ann\") owner-news",
            "Local(\"carl\") owner-inner"
        ]
    );
    assert_eq!(owners("owner-news"), ["Local(\"bob\") -"], "an owner is no list");
}

#[test]
fn loops_through_an_own_domain_and_bounds() {
    let folder = Folder::with(&[("aliases", "a: b@local.test\nb: \"a\"\n")]);
    assert!(folder.mistakes()[0].contains("loop: a -> b -> a"));

    let chain = |length: usize| {
        let mut text: String = (1..length).map(|n| format!("n{n}: n{}\n", n + 1)).collect();
        text.push_str(&format!("n{length}: end\n"));
        text
    };
    let folder = Folder::with(&[("aliases", &chain(DEPTH_MAX))]);
    assert_eq!(
        lookup(&folder.load().unwrap(), "n1"),
        Some(vec!["end".to_owned()])
    );
    let folder = Folder::with(&[("aliases", &chain(DEPTH_MAX + 1))]);
    assert_eq!(
        folder.mistakes(),
        ["aliases:1: \"n1\" goes through over 10 aliases"]
    );

    let many: String = (0..=10_000).map(|n| format!("u{n}\n")).collect();
    let folder = Folder::with(&[("aliases", "all: :include:many\n"), ("many", &many)]);
    assert_eq!(folder.mistakes(), ["aliases:1: \"all\" has over 10000 targets"]);

    // A diamond is not a loop, however often it is followed.
    let mut text: String = (0..9)
        .map(|n| format!("d{n}: d{0}, \"d{0}\", d{0}@local.test\n", n + 1))
        .collect();
    text.push_str("d9: end\n");
    let folder = Folder::with(&[("aliases", &text)]);
    assert_eq!(
        lookup(&folder.load().unwrap(), "d0"),
        Some(vec!["end".to_owned()])
    );
}

#[test]
fn files_that_others_can_write_are_refused() {
    let files = [("aliases", "a: :include:list\n"), ("list", "b\n")];
    let folder = Folder::with(&files);
    folder.chmod("list", 0o664);
    assert!(
        folder.mistakes()[0].contains("chmod go-w"),
        "the group may write the list"
    );
    folder.chmod("list", 0o646);
    assert!(folder.mistakes()[0].contains("chmod go-w"), "all may");
    folder.chmod("list", 0o640);
    assert_eq!(lookup(&folder.load().unwrap(), "a"), Some(vec!["b".to_owned()]));
    folder.chmod("aliases", 0o666);
    assert!(
        folder.mistakes()[0].contains("chmod go-w"),
        "the aliases themselves"
    );
    folder.chmod("aliases", 0o600);

    fs::set_permissions(folder.0.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(
        folder.load().unwrap_err()[0].message.contains("the folder"),
        "a file can be put in its place"
    );
    fs::set_permissions(folder.0.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(folder.load().is_ok(), "not where the folder is sticky");
}

#[test]
fn what_is_no_file_or_includes_itself() {
    let folder = Folder::with(&[
        ("aliases", "a: :include:ring\n"),
        ("ring", "b\n:include:ring2\n"),
        ("ring2", ":include:ring\n"),
    ]);
    assert_eq!(folder.mistakes(), ["ring2:1: ring includes itself"]);

    let folder = Folder::with(&[(
        "aliases",
        "a: :include:pipe\nb: :include:/dev/zero\nc: :include:.\n",
    )]);
    make_pipe(&folder.path("pipe"));
    let mistakes = folder.mistakes();
    assert!(
        mistakes
            .iter()
            .all(|mistake| mistake.contains("is not a regular file")),
        "{mistakes:?}"
    );
    assert_eq!(mistakes.len(), 3);

    let mut files = vec![("aliases".to_owned(), "a: :include:f0\n".to_owned())];
    files.extend((0..7).map(|n| (format!("f{n}"), format!(":include:f{}\n", n + 1))));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert!(Folder::with(&files).mistakes()[0].contains("over 5 files"));

    let none = load(Path::new("/nonexistent/aliases")).unwrap_err();
    assert_eq!((none.len(), none[0].line), (1, 0));
    assert!(Aliases::default().is_empty());
}

fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}
