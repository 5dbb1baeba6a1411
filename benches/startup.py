#!/usr/bin/env python3
"""Start-up, memory and speed of Postern with an empty and with a very full queue.

    benches/startup.py [--queued N] [--dir DIR]

Fills a queue with N messages (default 1,000,000, over 1,000 domains that are due in an hour), then measures from the start of
the process to its first greeting, the memory it uses, and messages a second over one and over 20 connections, each beside the
same server with an empty queue. Needs target/release/postern and the package postfix (for smtp-source and smtp-sink).
"""
import argparse
import pathlib
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from relay import Postern, Sink, until  # noqa: E402


def greeting_ms(folder, port, runs=5):
    times = []
    for _ in range(runs):
        start = time.monotonic()
        process = subprocess.Popen([Postern.binary(), "serve", "--config", str(folder / "postern.toml")],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port)) as s:
                    s.recv(100)
                break
            except OSError:
                if time.monotonic() - start > 60:
                    sys.exit("no greeting within a minute")
                time.sleep(0.001)
        times.append((time.monotonic() - start) * 1000)
        process.terminate()
        process.wait()
    return statistics.median(times)


def fill(database, count):
    db = sqlite3.connect(database)
    db.execute("PRAGMA synchronous=OFF")
    first = (int(time.time() * 1000) - 1_577_836_800_000 - count) << 21
    now = int(time.time() * 1000)
    prefix = b"Received: from bench.test\r\n\tby mx.bench.test (Postern) with ESMTP id 0;\r\n\tSun, 22 Nov 2026 00:00:00 +0000\r\n"
    content = b"Subject: queued\r\n\r\n" + b"x" * 200 + b"\r\n"
    size = len(prefix) + len(content)
    step = 20_000
    for start in range(0, count, step):
        ids = [first + (n << 21) for n in range(start, min(start + step, count))]
        db.executemany(
            "INSERT INTO message (id, sender, received_at, size, recipients, unfinished, body_kind, smtputf8, origin)"
            " VALUES (?, 'sender@from.test', ?, ?, 1, 1, 0, 0, 0)", [(i, now, size) for i in ids])
        db.executemany("INSERT INTO body VALUES (?, ?, ?)", [(i, prefix, content) for i in ids])
        db.executemany(
            "INSERT INTO recipient (message_id, idx, state, due_at, attempts, warned, domain, address, notify)"
            " VALUES (?, 0, 1, ?, 1, 0, ?, ?, 0)",
            [(i, now + 3_600_000, f"d{n % 1000}.bench.test", f"someone@d{n % 1000}.bench.test")
             for n, i in enumerate(ids, start)])
        db.commit()
    db.execute("UPDATE totals SET messages = ?, recipients = ?, bytes = ?, fresh_from = ?",
               (count, count, count * size, first + (count << 21)))
    db.commit()
    db.close()


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def rate(server, sink, connections, messages):
    before = sink.count
    start = time.monotonic()
    subprocess.run(["smtp-source", "-s", str(connections), "-l", "4096", "-m", str(messages), "-f", "sender@from.test",
                    "-t", "someone@bench.test", f"127.0.0.1:{server.port}"], check=True)
    until(sink, before + messages)
    return messages / (sink.at - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, default=1_000_000)
    parser.add_argument("--dir", help="where the queue lies")
    args = parser.parse_args()
    print(f"{'queued':>10} {'greeting ms':>12} {'RSS MiB':>8} {'1 conn/s':>9} {'20 conn/s':>10} {'RSS after':>10}")
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="postern-bench-") as base:
        for count in (0, args.queued):
            sink = Sink()
            folder = pathlib.Path(base) / str(count)
            server = Postern(folder, sink)
            server.stop()
            if count:
                fill(folder / "state/queue.db", count)
            greeting = greeting_ms(folder, server.port)
            server.start()
            time.sleep(3)
            resident = resident_mib(server.pid)
            rate(server, sink, 20, 500)
            one, twenty = rate(server, sink, 1, 2000), rate(server, sink, 20, 8000)
            print(f"{count:10} {greeting:12.1f} {resident:8.1f} {one:9.0f} {twenty:10.0f} {resident_mib(server.pid):10.1f}")
            server.stop()
            sink.stop()


if __name__ == "__main__":
    main()
