#!/usr/bin/env python3
"""Postern when more mail comes in than fits into its memory, beside Postern with memory for all of it, in turn.

    benches/overrun.py [--messages N] [--connections C] [--rounds R] [--size BYTES] [--dir DIR] [--bin POSTERN]

smtp-source sends N messages over C connections, smtp-sink takes them: one next hop. `roomy` has memory for all of them,
`default` has the default bounds, `tight` a fiftieth of them. Printed are the median rates, the longest time without a
delivery while mail waited, and how long messages were on their way. Needs smtp-source and smtp-sink (the package postfix) and
root, as they do.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import threading
import time

import relay

BOUNDS = {
    "roomy": "[spool]\nfresh = 1000000\nfresh_bytes = \"4 GiB\"\n[delivery]\nwaiting_per_destination = 1000000\n",
    "default": "",
    "tight": "[spool]\nfresh = 200\n[delivery]\nwaiting_per_destination = 20\n",
}


class Gaps(threading.Thread):
    """Watches the sink's counter for the longest time in which it stands still."""

    def __init__(self, sink, until):
        super().__init__(daemon=True)
        self.sink, self.until, self.longest = sink, until, 0.0

    def run(self):
        last, since = self.sink.count, time.monotonic()
        while self.sink.count < self.until:
            time.sleep(0.01)
            if self.sink.count != last:
                last, since = self.sink.count, time.monotonic()
            self.longest = max(self.longest, time.monotonic() - since)


def measure(name, args, base, number):
    sink = relay.Sink()
    server = relay.Postern(base / f"{name}-{number}", sink, BOUNDS[name])
    try:
        source = ["smtp-source", "-d", "-s", str(args.connections), "-l", str(args.size), "-f", "sender@from.test",
                  "-t", "someone@bench.test", "-M", "client.test"]
        target = f"127.0.0.1:{server.port}"
        subprocess.run(source + ["-m", "200", target], check=True)
        relay.until(sink, 200)
        time.sleep(0.5)
        gaps = Gaps(sink, 200 + args.messages)
        before, start = relay.cpu_seconds(server.pid), time.monotonic()
        gaps.start()
        subprocess.run(source + ["-m", str(args.messages), target], check=True)
        accepted = time.monotonic() - start
        relay.until(sink, 200 + args.messages)
        total = sink.at - start
        gaps.join()
        time.sleep(0.5)
        cpu = relay.cpu_seconds(server.pid) - before
    finally:
        server.stop()
        sink.stop()
    delays = sorted(int(ms) for ms in re.findall(r"delay_ms=(\d+)", (server.folder / "log").read_text(errors="replace")))
    return {"accepted": args.messages / accepted, "relayed": args.messages / total, "cpu_ms": cpu * 1000 / args.messages,
            "gap": gaps.longest, "median": delays[len(delays) // 2] / 1000, "longest": delays[-1] / 1000}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=55_000)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", help="where the queues lie; their disk is what is measured")
    parser.add_argument("--bin", help="the program; else $POSTERN_BIN, else target/release/postern")
    args = parser.parse_args()
    if args.bin:
        os.environ["POSTERN_BIN"] = args.bin
    runs = {name: [] for name in BOUNDS}
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="postern-bench-") as base:
        os.chmod(base, 0o755)
        for number in range(args.rounds):
            for name in BOUNDS:
                runs[name].append(measure(name, args, pathlib.Path(base), number))
    medians = {name: {key: statistics.median(run[key] for run in all_of) for key in all_of[0]}
               for name, all_of in runs.items()}
    print(f"{args.messages} messages of {args.size} octets, {args.connections} connections, median of {args.rounds} rounds")
    print(f"{'':8} {'accepted/s':>10} {'relayed/s':>10} {'of roomy':>9} {'CPU ms':>7} {'gap s':>6} {'median s':>9} {'longest s':>10}")
    for name, m in medians.items():
        print(f"{name:8} {m['accepted']:10.0f} {m['relayed']:10.0f} {m['relayed'] / medians['roomy']['relayed']:8.0%} "
              f"{m['cpu_ms']:7.3f} {m['gap']:6.2f} {m['median']:9.2f} {m['longest']:10.2f}")


if __name__ == "__main__":
    main()
