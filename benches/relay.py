#!/usr/bin/env python3
"""Postern and Debian's Postfix, in turn, on the same disk, in one run: relayed messages a second and their cost.

    benches/relay.py [--messages N] [--connections C] [--rounds R] [--size BYTES] [--dir DIR] [--only postern|postfix]
                     [--filter]

Each server takes N messages from smtp-source over C connections, says 250 to each after a sync, and hands them to
smtp-sink. The clock runs from the first connection to the last message that smtp-sink has taken. CPU is the user and
system time of the server's processes alone, from /proc. Servers alternate, R rounds each; the median of each is
printed, and the ratio. Needs root (Postfix insists), the packages postfix and python3, and target/release/postern.

With --filter both ask one mail filter, benches/looks.c, which looks at everything and changes nothing. It is a process of its own
whose CPU does not count, and it says at the end how many messages it has seen: all of them, or the run has failed. Needs
libmilter-dev and a C compiler.
"""
import argparse
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
                s.recv(100)
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def cpu_seconds(pid):
    """User and system time of a process, its living descendants, and the children they have reaped."""
    children, stats = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        stats[int(entry.name)] = sum(map(int, fields[11:15]))
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    total, todo = 0, [pid]
    while todo:
        at = todo.pop()
        total += stats.get(at, 0)
        todo += children.get(at, [])
    return total / TICK


class Sink:
    """smtp-sink, whose running counter tells when the last message has come."""

    def __init__(self):
        self.port = free_port()
        self.count, self.at = 0, 0.0
        master, slave = pty.openpty()
        self.process = subprocess.Popen(
            ["smtp-sink", "-u", "postfix", "-c", f"127.0.0.1:{self.port}", "1000"], stdout=slave, stderr=subprocess.DEVNULL)
        os.close(slave)
        self.master = master
        threading.Thread(target=self.read, daemon=True).start()
        wait_for(self.port)
        self.count = 0

    def read(self):
        tail = b""
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            lines = (tail + data).split(b"\r")
            tail = lines[-1]
            for count in re.findall(rb"mesg=(\d+)$", b"\n".join(lines[:-1][-1:])):
                new = int(count)
                if new > self.count:
                    self.count, self.at = new, time.monotonic()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Filter:
    """benches/looks.c on a socket of its own."""

    def __init__(self, folder):
        self.binary, self.socket, self.log = folder / "looks", folder / "looks.socket", folder / "looks.log"
        if not self.binary.exists():
            subprocess.run(["cc", "-O2", "-o", str(self.binary), str(ROOT / "benches/looks.c"), "-lmilter", "-lpthread"],
                           check=True)
        self.socket.unlink(missing_ok=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(self.binary), f"unix:{self.socket}"], stdout=log)
        end = time.monotonic() + 20
        while not self.socket.exists():
            if time.monotonic() > end:
                sys.exit("the filter does not start")
            time.sleep(0.05)

    def settings(self, name):
        """The lines that have a server ask it."""
        if name == "postern":
            return f'[[milter]]\nname = "looks"\naddress = "unix:{self.socket}"'
        return f"smtpd_milters = unix:{self.socket}\nmilter_default_action = tempfail"

    def stop(self):
        """Ends it, and says how many messages it has seen."""
        self.cpu = cpu_seconds(self.process.pid)
        self.process.terminate()
        self.process.wait()
        seen = re.match(rb"(\d+) messages", self.log.read_bytes())
        return int(seen.group(1)) if seen else 0


class Postern:
    name = "postern"

    def __init__(self, folder, sink, extra=""):
        self.port = free_port()
        self.folder = folder
        folder.mkdir()
        (folder / "postern.toml").write_text(f'''hostname = "mx.bench.test"
state_dir = "state"
relay_domains = ["bench.test"]
message_size_limit = "100 MiB"
[[listener]]
address = "127.0.0.1:{self.port}"
role = "mx"
[[route]]
domains = ["*"]
via = ["127.0.0.1:{sink.port}"]
tls = "none"
{extra}
''')
        self.start()

    @staticmethod
    def binary():
        return os.environ.get("POSTERN_BIN", str(ROOT / "target/release/postern"))

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary(), "serve", "--config", str(self.folder / "postern.toml")],
                stdout=subprocess.DEVNULL, stderr=log)
        wait_for(self.port)
        self.pid = self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait()


MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Postfix with what its documentation advises for relaying at speed: no content look-ups, many processes."""
    name = "postfix"

    def __init__(self, folder, sink, extra="", prefix=(), files=()):
        """`extra` is added to main.cf, `files` beside it by name and text; `prefix` stands before the command."""
        self.port = free_port()
        self.folder = folder
        conf, queue, data = folder / "conf", folder / "queue", folder / "data"
        for each in (folder, conf, queue, data):
            each.mkdir()
        shutil.chown(data, "postfix")
        (conf / "main.cf").write_text(f'''compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.bench.test
mydestination =
relay_domains = bench.test
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
relayhost = [127.0.0.1]:{sink.port}
smtp_tls_security_level = none
smtpd_tls_security_level = none
alias_maps =
alias_database =
local_recipient_maps =
default_process_limit = 100
default_destination_concurrency_limit = 20
smtp_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [127.0.0.1]:{sink.port}
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions = 127.0.0.0/8
in_flow_delay = 0
qmgr_message_active_limit = 100000
message_size_limit = 104857600
maillog_file = /var/log/postern-bench-postfix.log
disable_dns_lookups = yes
{extra}
''')
        for name, text in dict(files).items():
            (conf / name).parent.mkdir(exist_ok=True)
            (conf / name).write_text(text)
        (conf / "master.cf").write_text(MASTER_CF.format(port=self.port))
        os.chmod(folder, 0o755)
        subprocess.run([*prefix, "postfix", "-c", str(conf), "start"], check=True, capture_output=True)
        wait_for(self.port)
        self.conf = conf
        self.pid = int((queue / "pid/master.pid").read_text())

    def stop(self):
        subprocess.run(["postfix", "-c", str(self.conf), "stop"], check=False, capture_output=True)


def measure(server_class, args, base, number):
    sink = Sink()
    looks = Filter(base) if args.filter else None
    extra = looks.settings(server_class.name) if looks else ""
    server = server_class(base / f"{server_class.name}-{number}", sink, extra)
    try:
        # A few messages first, so that processes and files exist.
        source = ["smtp-source", "-s", str(args.connections), "-l", str(args.size), "-f", "sender@from.test",
                  "-t", "someone@bench.test", "-M", "client.test"]
        if args.keep:
            source.append("-d")
        target = f"127.0.0.1:{server.port}"
        warm = min(200, args.messages)
        subprocess.run(source + ["-m", str(warm), target], check=True)
        until(sink, warm)
        time.sleep(0.5)
        before = cpu_seconds(server.pid)
        start = time.monotonic()
        subprocess.run(source + ["-m", str(args.messages), target], check=True)
        accepted = time.monotonic() - start
        until(sink, warm + args.messages)
        total = sink.at - start
        time.sleep(0.3)
        cpu = cpu_seconds(server.pid) - before
        result = {"accepted": args.messages / accepted, "relayed": args.messages / total,
                  "cpu_ms": cpu * 1000 / args.messages}
        server.stop()
        if looks:
            seen, looks = looks.stop(), None
            if seen != warm + args.messages:
                sys.exit(f"the filter has seen {seen} of {warm + args.messages} messages of {server_class.name}")
        return result
    finally:
        server.stop()
        sink.stop()
        if looks:
            looks.process.kill()


def until(sink, count):
    quiet = time.monotonic()
    while sink.count < count:
        if time.monotonic() - max(quiet, sink.at) > 60:
            sys.exit(f"only {sink.count} of {count} messages arrived")
        time.sleep(0.005)


def medians(results):
    """The median of each figure over the rounds, by server."""
    return {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for name, runs in results.items()}


def show(found):
    """A table of these, a line for each server."""
    print(f"{'':10} {'accepted/s':>11} {'relayed/s':>11} {'CPU ms/message':>15}")
    for name, m in found.items():
        print(f"{name:10} {m['accepted']:11.0f} {m['relayed']:11.0f} {m['cpu_ms']:15.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=8000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="send many messages over a connection, not one")
    parser.add_argument("--filter", action="store_true", help="have both ask a mail filter that looks at everything")
    parser.add_argument("--dir", help="where the queues lie; their disk is what is measured")
    parser.add_argument("--only", choices=["postern", "postfix"])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = {}
    servers = [each for each in (Postern, Postfix) if args.only in (None, each.name)]
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="postern-bench-") as base:
        os.chmod(base, 0o755)
        for number in range(args.rounds):
            for server in servers:
                results.setdefault(server.name, []).append(measure(server, args, pathlib.Path(base), number))
    found = medians(results)
    if args.json:
        print(json.dumps(found))
        return
    print(f"{args.messages} messages of {args.size} octets, {args.connections} connections, median of {args.rounds} rounds"
          + (", one filter" if args.filter else ""))
    show(found)
    if len(found) == 2:
        a, b = found["postern"], found["postfix"]
        print(f"{'ratio':10} {a['accepted'] / b['accepted']:11.2f} {a['relayed'] / b['relayed']:11.2f} "
              f"{b['cpu_ms'] / a['cpu_ms']:14.1f}x")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
