//! What many sessions cost.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::harness::Options;

/// Opens sessions with TLS, sends `EHLO` in each, and waits until its input is closed.
const CROWD: &str = r#"
import asyncio, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
async def session():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    await reader.readline()
    writer.write(b"STARTTLS\r\n")
    await reader.readline()
    await writer.start_tls(context, server_hostname="challenger.example")
    writer.write(b"EHLO c\r\n")
    while (await reader.readline())[3:4] != b" ":
        pass
    return reader, writer
async def main():
    sessions = []
    for _ in range(50):
        sessions += await asyncio.gather(*[session() for _ in range(10)])
    print(len(sessions), flush=True)
    sys.stdin.readline()
asyncio.run(main())
"#;

/// Memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Set in the process that measures.
const ALONE: &str = "POSTERN_TEST_ALONE";

/// 5,000 idle sessions with TLS must fit into 250 MiB, so one may cost 50 KiB. This is measured in a process of its own:
/// otherwise the memory of tests running in parallel, password hashes above all, would be counted too.
#[test]
fn idle_sessions_in_tls_are_small() {
    if std::env::var_os(ALONE).is_some() {
        return measure();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::idle_sessions_in_tls_are_small", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "nothing was measured: {said}");
}

fn measure() {
    let mut options = Options::submission();
    options.settings.admission.sessions_per_network = None;
    let server = options.start();
    let before = resident_kib();
    let mut crowd = Command::new("python3")
        .args(["-c", CROWD, &server.port.to_string()])
        .arg(server.ca())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed: Debian package python3");
    let mut line = String::new();
    BufReader::new(crowd.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line.trim(), "500");
    assert_eq!(server.receiver.sessions(), 500);
    let grown = resident_kib().saturating_sub(before);
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
    assert!(grown < 500 * 50, "{grown} KiB for 500 sessions");
}
