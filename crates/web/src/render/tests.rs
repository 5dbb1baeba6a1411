use super::*;
use crate::parts::*;
use crate::{Area, Notice, Qr, Viewer};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>' onfocus='alert(1) \u{202e}";

fn text() -> String {
    HOSTILE.to_owned()
}

fn frame() -> Frame {
    Frame {
        title: text(),
        host: text(),
        viewer: Some(Viewer {
            name: text(),
            role: text(),
            csrf: "0123abcd".into(),
        }),
        areas: vec![Area {
            href: text(),
            label: text(),
            current: true,
        }],
        notice: Some(Notice {
            tone: Tone::Bad,
            text: text(),
        }),
        live: false,
    }
}

fn cells() -> Vec<Cell> {
    vec![
        Cell::Text(text()),
        Cell::Number(text()),
        Cell::Time(text(), text()),
        Cell::Badge(Tone::Warn, text()),
        Cell::Link(Link::new(text(), text())),
        Cell::Button {
            action: text(),
            fields: vec![(text(), text())],
            label: text(),
            about: text(),
        },
        Cell::Many(vec![Cell::Text(text()), Cell::None]),
    ]
}

fn fields() -> Vec<Field> {
    let inputs = [
        Input::Text,
        Input::Password,
        Input::Code,
        Input::Number,
        Input::Lines,
        Input::OneOf(vec![(text(), text())]),
        Input::Tick,
        Input::Hidden,
    ];
    let numbered = inputs.into_iter().enumerate();
    numbered
        .map(|(index, input)| {
            Field::new(input, &format!("f{index}"), HOSTILE)
                .with(text())
                .help(HOSTILE)
        })
        .collect()
}

fn everything() -> Vec<Section> {
    let mut table = Table::new("things", HOSTILE, &[HOSTILE, "#n", "t", "b", "l", "d", "m"]);
    table.rows = vec![Row {
        key: Some(text()),
        cells: cells(),
    }];
    table.status = text();
    table.about = text();
    table.pages = vec![Link::new(text(), text())];
    table.select = Some(Select {
        action: text(),
        fields: vec![(text(), text())],
        acts: vec![Act {
            value: text(),
            label: text(),
            danger: true,
        }],
        all: Some(text()),
    });
    let empty = Table {
        empty: text(),
        ..Table::new("none", HOSTILE, &["a"])
    };
    let named = || cells().into_iter().map(|cell| (text(), cell)).collect::<Vec<_>>();
    vec![
        Section::Heading {
            title: text(),
            about: text(),
        },
        Section::Note(text()),
        Section::Verdict {
            tone: Tone::Good,
            text: text(),
        },
        Section::Findings(vec![Found {
            tone: Tone::Bad,
            problem: text(),
            remedy: text(),
        }]),
        Section::Tiles(vec![Tile {
            label: text(),
            value: text(),
            tone: Tone::Plain,
            href: Some(text()),
        }]),
        Section::Chart(Chart {
            caption: text(),
            series: [text(), text()],
            bars: vec![Bar {
                label: text(),
                counts: [1, 2],
            }],
        }),
        Section::Facts {
            title: text(),
            rows: named(),
        },
        Section::Table(table),
        Section::Table(empty),
        Section::Form(Form {
            about: text(),
            target: Some("things".into()),
            ..Form::get(text(), HOSTILE, HOSTILE, fields())
        }),
        Section::Form(Form::post("/x", HOSTILE, HOSTILE, fields())),
        Section::Text {
            title: text(),
            lines: vec![text(), text()],
        },
        Section::Timeline {
            title: text(),
            steps: vec![Step {
                at: (text(), text()),
                event: text(),
                tone: Tone::Plain,
                fields: named(),
            }],
        },
        Section::Secret {
            title: text(),
            lines: vec![text()],
            about: text(),
        },
        Section::Code(Qr::new("otpauth://totp/x", text()).unwrap()),
        Section::Links(vec![Link::new(text(), text())]),
    ]
}

/// The names of all elements, and of their attributes outside values.
fn markup(html: &str) -> (Vec<String>, Vec<String>) {
    let (mut elements, mut attributes) = (Vec::new(), Vec::new());
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        elements.push(tag.split_whitespace().next().unwrap_or_default().to_owned());
        // What stands between quotes is a value.
        let outside: String = tag.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        attributes.extend(outside.split_whitespace().skip(1).map(str::to_owned));
    }
    (elements, attributes)
}

#[test]
fn hostile_text_is_text_in_every_part_of_a_page() {
    let (frame, sections) = (frame(), everything());
    let html = Page::new(&frame, &sections).html().unwrap();
    let (elements, attributes) = markup(&html);
    assert_eq!(
        elements.iter().filter(|name| *name == "script").count(),
        2,
        "{html}"
    );
    assert!(!elements.contains(&"img".to_owned()), "{html}");
    let handlers: Vec<&String> = attributes.iter().filter(|name| name.starts_with("on")).collect();
    assert!(handlers.is_empty(), "{handlers:?}");
    assert!(!html.contains('\u{202e}'));
    assert!(
        !html.contains("style="),
        "the policy for content allows no inline style"
    );
    // The hostile text is in there, as text.
    assert!(html.matches("&#60;script&#62;alert(1)&#60;/script&#62;").count() > 60);
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    let (frame, sections) = (frame(), everything());
    let html = Page::new(&frame, &sections).html().unwrap();
    let forms: Vec<&str> = html
        .split("<form")
        .skip(1)
        .filter_map(|form| form.split("</form>").next())
        .collect();
    assert!(forms.len() >= 4, "{}", forms.len());
    for form in forms {
        let posts = form.contains("method=\"post\"");
        assert_eq!(posts, form.contains("name=\"csrf\" value=\"0123abcd\""), "{form}");
        assert!(posts || form.contains("method=\"get\""), "{form}");
    }
}

#[test]
fn every_input_has_a_label() {
    let (frame, sections) = (frame(), everything());
    let html = Page::new(&frame, &sections).html().unwrap();
    for kind in ["<input", "<select", "<textarea"] {
        for input in html.split(kind).skip(1) {
            let tag = input.split('>').next().unwrap();
            if tag.contains("type=\"hidden\"") || tag.contains("aria-label=") {
                continue;
            }
            let wrapped = tag.contains("name=\"all\"");
            let id = tag.split("id=\"").nth(1).and_then(|rest| rest.split('"').next());
            assert!(
                wrapped || id.is_some_and(|id| html.contains(&format!("for=\"{id}\""))),
                "{tag}"
            );
        }
    }
}

#[test]
fn lines_stay_lines() {
    let sections = [Section::Text {
        title: "Header".into(),
        lines: vec!["Subject: a".into(), "To: b".into()],
    }];
    let html = Page::new(&Frame::default(), &sections).html().unwrap();
    assert!(html.contains("Subject: a\nTo: b</pre>"), "{html}");
}

#[test]
fn bars_fill_the_picture_and_none_is_lost() {
    let bar = |lower, upper| Bar {
        label: String::new(),
        counts: [lower, upper],
    };
    let chart = |bars| Chart {
        caption: String::new(),
        series: [String::new(), String::new()],
        bars,
    };
    let drawn = draw(&chart(vec![
        bar(0, 0),
        bar(1, 0),
        bar(1_000_000, 0),
        bar(500_000, 500_000),
    ]));
    let heights: Vec<(u64, u64)> = drawn.iter().map(|one| (one.lower.1, one.upper.1)).collect();
    assert_eq!(heights, [(0, 0), (1, 0), (99, 0), (50, 50)]);
    assert!(drawn.iter().all(|one| one.lower.0 + one.lower.1 == HEIGHT));
    let huge = draw(&chart(vec![bar(u64::MAX, u64::MAX)]));
    assert!(huge[0].lower.1 + huge[0].upper.1 <= HEIGHT);
    assert!(draw(&chart(Vec::new())).is_empty());
}
