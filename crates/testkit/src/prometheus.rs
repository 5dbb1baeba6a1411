//! A real Prometheus, and its checker.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::process::{Server, free_port, program, wait_until};

/// A Prometheus that scrapes one target each second, killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    _server: Server,
    folder: TempDir,
}

impl Prometheus {
    /// Starts it for a target on a loopback port, as the job `postern`, with the alert rules of a file.
    ///
    /// # Panics
    ///
    /// When it is not installed (the panic names the Debian package), or does not start.
    #[must_use]
    pub fn start(target: u16, rules: &Path) -> Self {
        let folder = TempDir::new().expect("a scratch folder");
        let config = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [{:?}]\nscrape_configs:\n  - job_name: postern\n    \
             static_configs:\n      - targets: [\"127.0.0.1:{target}\"]\n",
            rules.display().to_string()
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("a configuration");
        let port = free_port();
        let mut command = Command::new(program("/usr/bin/prometheus", "prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn");
        let server = Server::start(&mut command, &folder.path().join("log"));
        let prometheus = Self {
            port,
            _server: server,
            folder,
        };
        wait_until("Prometheus to be ready", || {
            http::get(port, "/-/ready").is_ok_and(|(status, _)| status == 200)
        });
        prometheus
    }

    /// The values of an expression, each with its labels.
    ///
    /// # Panics
    ///
    /// If the expression is invalid.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let mut escaped = String::new();
        for octet in expression.bytes() {
            let _ = write!(escaped, "%{octet:02X}");
        }
        let path = format!("/api/v1/query?query={escaped}");
        let (status, body) = http::get(self.port, &path).expect("an answer");
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!(status, 200, "{expression}: {body}");
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |result: &Value| result["value"][1].as_str()?.parse().ok();
        results
            .iter()
            .filter_map(|result| Some((result["metric"].clone(), value(result)?)))
            .collect()
    }

    /// The sum of an expression's values; `None` if there are none.
    #[must_use]
    pub fn sum(&self, expression: &str) -> Option<f64> {
        let values = self.query(expression);
        (!values.is_empty()).then(|| values.iter().map(|(_, value)| value).sum())
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Runs `promtool`, for example `["check", "metrics"]` with a text on its standard input; returns whether it succeeded, and its
/// output.
///
/// # Panics
///
/// When it is not installed.
#[must_use]
pub fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program("/usr/bin/promtool", "prometheus"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("its input");
    let text = input.to_owned();
    // It may stop reading before the end.
    let writing = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
    let output = child.wait_with_output().expect("promtool ends");
    let _ = writing.join();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
