//! Generates the document of the contract.

use std::fmt::Write as _;

use crate::contract::{FAMILIES, Family};

/// `docs/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for family in FAMILIES {
        family_lines(family, &mut text);
    }
    text
}

const INTRODUCTION: &str = "\
# Metrics

*This document is made by `postern metrics-reference`.*

`GET /metrics` on an [`[[http]]` listener](configuration.md) that serves them answers in the OpenMetrics format to whoever asks for it, as
Prometheus does, and in Prometheus' older text format to others. The guide has [a section about it](guide.md#monitoring); `packaging/prometheus` has a configuration and alert rules, `packaging/grafana` a dashboard.

The names below and those of their labels are a contract, as those of the log are: new ones may come, and one that is here is not
given another meaning. Units are those of Prometheus: seconds and octets (`bytes`). Counters begin with the start of the server. With a label
`rule`, `cause` or `mechanism`, a series is there from its first event on; the others are there from the start.

No label holds what a client can choose, such as a login, an address or a domain: `postern stats` has those. Labels that hold names of the configuration tell at most 100 of them apart,
and count what is beyond as `other`.
";

fn family_lines(family: &Family, text: &mut String) {
    let _ = write!(
        text,
        "\n## `{}`\n\n{}: {}.\n",
        family.name, family.kind, family.meaning
    );
    if family.labels.is_empty() {
        return;
    }
    text.push('\n');
    for label in family.labels {
        let _ = writeln!(text, "- `{}`: {}", label.name, label.values);
    }
}
