#!/usr/bin/env python3
"""The history: how large it is, how fast messages are found in it, and what it costs a server that takes mail.

    benches/history.py [--messages N] [--lookups N] [--folder DIR]     # fill a history by the way of real events, then look messages up
    benches/history.py --relay [--rounds N] [--mail N]                 # the accept rate with and without history, in turns, CPU a message

Needs `cargo build --release -p postern -p postern-history --example fill` for the first, `cargo build --release` for the second. Prints a table
of Markdown for docs/performance.md.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import relay as relay_bench

ROOT = Path(__file__).resolve().parent.parent


def fill(args):
    """Fills a history and has it searched; prints size and times."""
    program = Path(os.environ.get("FILL", ROOT / "target/release/examples/fill"))
    folder = Path(args.folder or tempfile.mkdtemp(prefix="history-"))
    folder.mkdir(parents=True, exist_ok=True)
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([program, folder, str(args.messages), str(args.lookups)], check=True, capture_output=True, text=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads(done.stdout)
    cpu = used.ru_utime + used.ru_stime - begun.ru_utime - begun.ru_stime
    print(f"{result['messages']:,} messages: {result['octets_a_message']} octets each, "
          f"{result['telling_us']} us to tell of one, {result['all_us']} us until it is written; "
          f"{result['dropped']} dropped; {used.ru_maxrss / 1024:.0f} MiB of memory; {cpu:.0f} s of CPU in all\n")
    print("| looked up by | median ms | 99 of 100 ms | longest ms | not found |\n| --- | --- | --- | --- | --- |")
    for kind, times in result["lookups"].items():
        print(f"| {kind.replace('_', ' ')} | {times['median_ms']} | {times['p99_ms']} | {times['max_ms']} | {times['missing']} |")
    if not args.folder:
        shutil.rmtree(folder)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


CONFIG = """
hostname = "mx.bench.test"
state_dir = "state"
user = "root"
sandbox = false
relay_domains = ["bench.test"]
[[listener]]
name = "mx"
address = "127.0.0.1:{port}"
role = "mx"
[relay]
networks = ["127.0.0.0/8"]
[[route]]
domains = ["*"]
via = ["127.0.0.1:{sink}"]
tls = "none"
[log]
file = "log"
level = "warning"
[history]
enabled = {enabled}
"""


class Server:
    """A Postern with or without a history, in a folder of its own."""

    def __init__(self, enabled, sink):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-history-")
        self.port = free_port()
        path = Path(self.folder.name) / "postern.toml"
        path.write_text(CONFIG.format(port=self.port, sink=sink, enabled="true" if enabled else "false"))
        binary = os.environ.get("POSTERN_BIN", ROOT / "target/release/postern")
        self.process = subprocess.Popen([binary, "serve", "--config", path], cwd=self.folder.name,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the server does not start")

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.folder.cleanup()


def send(port, messages, number):
    """One connection that sends so many messages, each with addresses of its own."""
    with socket.create_connection(("127.0.0.1", port), 30) as stream:
        reader = stream.makefile("rb")

        def say(text):
            stream.sendall(text)
            line = reader.readline()
            while line[3:4] == b"-":
                line = reader.readline()
            if line[:1] not in b"23":
                raise SystemExit(f"{text!r}: {line!r}")

        reader.readline()
        say(b"EHLO client.bench.test\r\n")
        body = b"Subject: a message\r\n\r\n" + b"x" * 70 * 28 + b"\r\n"
        for turn in range(messages):
            name = f"{number}-{turn}".encode()
            say(b"MAIL FROM:<from-%s@bench.test>\r\n" % name)
            say(b"RCPT TO:<to-%s@bench.test>\r\n" % name)
            say(b"DATA\r\n")
            say(b"Message-ID: <%s@bench.test>\r\n" % name + body + b".\r\n")


def relay(args):
    """Both servers in turns; the ratio of each round is what counts."""
    ratios, cpus, memory = [], [], 0
    sink = relay_bench.Sink()
    print("| round | without: accepted/s | with | ratio | CPU ms without | with |\n| --- | --- | --- | --- | --- | --- |")
    for turn in range(args.rounds):
        rates = {}
        for enabled in [False, True] if turn % 2 == 0 else [True, False]:
            server = Server(enabled, sink.port)
            before, begun = server.cpu(), time.monotonic()
            threads = [threading.Thread(target=send, args=(server.port, args.mail // args.connections, number))
                       for number in range(args.connections)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            spent = time.monotonic() - begun
            time.sleep(2)
            rates[enabled] = (args.mail / spent, (server.cpu() - before) * 1000 / args.mail)
            if enabled:
                memory = max(memory, server.memory())
            server.stop()
        ratio = rates[True][0] / rates[False][0]
        ratios.append(ratio)
        cpus.append(rates[True][1] / rates[False][1])
        print(f"| {turn + 1} | {rates[False][0]:.0f} | {rates[True][0]:.0f} | {ratio:.2f} "
              f"| {rates[False][1]:.3f} | {rates[True][1]:.3f} |", flush=True)
    sink.stop()
    print(f"\nmedian ratio {statistics.median(ratios):.2f}, of CPU {statistics.median(cpus):.2f}; {memory:.0f} MiB of memory with history")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--lookups", type=int, default=1_000)
    parser.add_argument("--folder")
    parser.add_argument("--relay", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mail", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=20)
    args = parser.parse_args()
    (relay if args.relay else fill)(args)


if __name__ == "__main__":
    sys.exit(main())
