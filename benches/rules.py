#!/usr/bin/env python3
"""Postern without and with a site's rules, in turn, on the same disk, in one run: accepted messages a second and their cost.

    benches/rules.py [--messages N] [--connections C] [--rounds R] [--size BYTES] [--dir DIR]

With rules means 50 access rules (networks, names, HELO, senders, recipients, faults, limits) and three tables of 10,000 rows: one
that refuses senders, one that refuses recipients, and one of aliases by address, which every recipient is looked up in. No row
and no refusing rule is about the mail that is sent, so each message is judged by every rule to the last. Before the clock runs a
sender of the table and a sender of the last rule are tried: both must be refused, or nothing was measured. Ratios are of the two
servers; 0.9 is what is asked for. Needs root, the packages postfix and python3, and target/release/postern.
"""
import argparse
import os
import pathlib
import signal
import smtplib
import sys
import tempfile

import relay

ROWS = 10_000


def rules():
    """50 rules, of kinds that sites have, of which the last has to be reached."""
    texts = []
    for number in range(10):
        texts.append(f'client = ["192.0.2.{number}", "198.51.100.{2 * number}/31"]')
        texts.append(f'helo = [".dynamic{number}.example"]')
        texts.append(f'sender = ["@junk{number}.example", "offers{number}@"]')
        texts.append(f'recipient = ["former{number}@bench.test"]\nstranger = true')
    texts += ['fault = ["helo_syntax"]', 'fault = ["sender_not_full"]', 'fault = ["recipient_not_full"]',
              'login = ["@former.example"]', 'tls = "TLSv1.2"\nsender = "@weak.example"', 'larger_than = "90 MiB"']
    written = [f'[[access]]\nname = "rule-{at}"\n{text}\nverdict = "refuse"' for at, text in enumerate(texts)]
    for look_up, table in (("sender", "senders"), ("recipient", "recipients")):
        written.append(f'[[access]]\nname = "table-{look_up}"\nverdict = "table"\ntable = "table:{table}"\nlook_up = "{look_up}"')
    written.append('[[access]]\nname = "count"\nverdict = "limit"\nlimit = "many"')
    written.append('[[access]]\nname = "last"\nsender = "last@from.test"\nverdict = "refuse"')
    assert len(written) == 50, len(written)
    return "\n".join(written)


def settings(folder):
    """Writes the tables, and gives the lines that use them."""
    tables = {
        "senders": "".join(f"spammer{row}@from{row % 100}.example REJECT\n" for row in range(ROWS)),
        "recipients": "".join(f"gone{row}@bench.test REJECT has left\n" for row in range(ROWS)),
        "aliases": "".join(f"alias{row}@bench.test person{row}@bench.test\n" for row in range(ROWS)),
    }
    lines = []
    for name, text in tables.items():
        path = folder / f"{name}.table"
        path.write_text(text)
        lines.append(f'[[table]]\nname = "{name}"\nkind = "file"\npath = "{path}"')
    lines.append('[[limit]]\nname = "many"\nby_rule = true\nwindow = "1m"\nrecipients = 1000000')
    lines.append('[[alias]]\ntable = "table:aliases"')
    return "\n".join(lines) + "\n" + rules()


class Bare(relay.Postern):
    name = "without"


class Ruled(relay.Postern):
    name = "with"

    def __init__(self, folder, sink, extra=""):
        super().__init__(folder, sink, extra + settings(folder.parent))
        for sender in ("spammer9999@from99.example", "last@from.test"):
            with smtplib.SMTP("127.0.0.1", self.port, "client.test") as client:
                client.mail(sender)
                code, text = client.rcpt("someone@bench.test")
                if code < 500:
                    sys.exit(f"{sender} should be refused by the rules, and is told {code} {text.decode()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=8000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="send many messages over a connection, not one")
    parser.add_argument("--dir", help="where the queues lie; their disk is what is measured")
    args = parser.parse_args()
    args.filter = False
    results = {Bare.name: [], Ruled.name: []}
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="postern-bench-") as base:
        os.chmod(base, 0o755)
        for number in range(args.rounds):
            # Who goes first changes from round to round, since the disk is not the same for the second.
            for server in (Bare, Ruled) if number % 2 == 0 else (Ruled, Bare):
                results[server.name].append(relay.measure(server, args, pathlib.Path(base), number))
    medians = relay.medians(results)
    print(f"{args.messages} messages of {args.size} octets, {args.connections} connections, median of {args.rounds} rounds")
    relay.show(medians)
    bare, ruled = medians[Bare.name], medians[Ruled.name]
    print(f"{'ratio':10} {ruled['accepted'] / bare['accepted']:11.2f} {ruled['relayed'] / bare['relayed']:11.2f} "
          f"{ruled['cpu_ms'] / bare['cpu_ms']:14.2f}x")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
