//! `postern dkim records`: the required DNS records, for a zone file and for web forms.

use super::common::{enter, failed, the_domain};
use crate::args::{ConfigArg, JsonArg};
use crate::dkim::records::{RecordLine, lines};
use crate::exit::Failure;
use crate::output;

pub(super) fn run(config: &ConfigArg, domain: &str, json: JsonArg) -> Result<(), Failure> {
    let (config, _) = enter(config)?;
    let lines = lines(&config.state_dir, the_domain(&config, domain)?).map_err(failed)?;
    if json.json {
        return output::print_json(&lines);
    }
    if lines.is_empty() {
        return output::print(&format!("no keys: `postern dkim new {domain}` makes them"));
    }
    output::print(&as_text(&lines))
}

/// The records, ready to paste.
pub(super) fn as_text(lines: &[RecordLine]) -> String {
    let mut text = String::from("For a zone file:\n\n");
    for line in lines {
        text.push_str(&line.zone);
        text.push('\n');
    }
    text.push_str("\nFor a web form, a record of type TXT for each:\n");
    for line in lines {
        text.push_str(&format!(
            "\n  name   {}\n  value  {}\n",
            line.record.name, line.record.text
        ));
        if line.strings.len() > 1 {
            let quoted: Vec<String> = line
                .strings
                .iter()
                .map(|string| format!("\"{string}\""))
                .collect();
            text.push_str(&format!(
                "  value, where the form takes 255 letters at most:\n         {}\n",
                quoted.join(" ")
            ));
        }
    }
    text
}
