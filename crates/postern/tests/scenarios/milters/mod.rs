//! Mail filters, including real ones from Debian: with `postern milters` and `postern check`, and with mail through the server.

mod alike;
mod faults;
mod misbehaviour;
mod served;
mod tried;

use serde_json::Value;

use crate::harness::Site;

/// A table for each of these filters; `more` is added to all of them.
fn tables(filters: &[(&str, &str)], more: &str) -> String {
    let table = |(name, address): &(&str, &str)| {
        format!("[[milter]]\nname = \"{name}\"\naddress = \"{address}\"\n{more}\n")
    };
    filters.iter().map(table).collect()
}

/// Runs a message through one filter: the command's exit status and output.
fn tried(site: &Site, name: &str, message: &str, more: &[&str]) -> (i32, Value) {
    let arguments = [&["milters", "try", name, "-", "--json"], more].concat();
    let output = site.run_with(&arguments, message);
    let said = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&said).unwrap_or_else(|error| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        panic!("{arguments:?}: {error}: {said}{complaint}")
    });
    (output.status.code().unwrap(), report)
}

/// The changes of a report, each on a line.
fn changes(report: &Value) -> Vec<String> {
    let text = |change: &Value, key: &str| match &change[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |change: &Value| {
        ["change", "index", "field", "value", "parameters", "octets"]
            .map(|key| text(change, key))
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| part.trim().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    report["changes"].as_array().unwrap().iter().map(line).collect()
}
