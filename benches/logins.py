#!/usr/bin/env python3
"""Postern, Postfix and Dovecot in one run: logins a second over STARTTLS, and what a login costs the server.

    benches/logins.py [--logins N] [--connections C] [--rounds R] [--rsa] [--cases own,ldap,scram,cold,flood] [--only NAME] [--pin]

A login is: connect, EHLO, STARTTLS with a full handshake (X25519, the same certificate everywhere), EHLO, AUTH, QUIT.

  own    PLAIN, own users; Postern remembers what it verified a short time ago, Dovecot has its auth_cache and clear passwords
  ldap   PLAIN, checked by a search and a bind at the same slapd each time, no cache
  scram  SCRAM-SHA-256 against stored keys
  cold   PLAIN, argon2id computed each time: what it costs, Postern alone
  flood  relaying beside a flood of cold logins: how much of the relaying is left

The peers are Postfix with Dovecot's auth service, Postfix with Cyrus SASL and saslauthd (LDAP alone), and Dovecot's
submission service, which opens a connection to the next hop for each login. Servers take turns, R rounds each; the median
of each is printed. CPU is the user and system time of the server's processes with those that check passwords, from
/proc; slapd's is shown apart. --pin has the servers on the first processor and the load on the second.

Needs root, the packages postfix, dovecot-core, dovecot-ldap, dovecot-submissiond, sasl2-bin, slapd, ldap-utils, openssl and
python3, target/release/postern, and the load: cargo build --release -p postern-testkit --example logins
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import relay
from relay import ROOT, cpu_seconds, free_port, wait_for

USERS = 64
LOGIN, PASSWORD = "user{}@bench.test", "pass word {}"
BASE = "ou=People,dc=bench,dc=test"
LOAD = os.environ.get("LOGINS_BIN", str(ROOT / "target/release/examples/logins"))
PIN_SERVER, PIN_LOAD = [], []


def users():
    return [(LOGIN.format(n), PASSWORD.format(n)) for n in range(USERS)]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def write(path, text, mode=0o644):
    path.write_text(text)
    path.chmod(mode)
    return path


def certificate(folder, rsa):
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    run("openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "30", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    (folder / "key.pem").chmod(0o600)


class Slapd:
    """One directory for all; its clients are measured, not it."""

    def __init__(self, folder):
        self.port = free_port()
        data = folder / "slapd-data"
        data.mkdir()
        conf = write(folder / "slapd.conf", f'''include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 67108864
suffix "dc=bench,dc=test"
directory {data}
index objectClass,uid,mail eq
''')
        ldif = "dn: dc=bench,dc=test\nobjectClass: domain\ndc: bench\n\n" \
               f"dn: {BASE}\nobjectClass: organizationalUnit\nou: People\n\n"
        for number, (login, password) in enumerate(users()):
            ldif += f"dn: uid=user{number},{BASE}\nobjectClass: inetOrgPerson\nuid: user{number}\ncn: user{number}\n" \
                    f"sn: user{number}\nmail: {login}\nuserPassword: {password}\n\n"
        run("slapadd", "-f", str(conf), "-l", str(write(folder / "tree.ldif", ldif)), env={**os.environ, "PATH": "/usr/sbin:/usr/bin"})
        self.process = subprocess.Popen(["/usr/sbin/slapd", "-d", "0", "-h", f"ldap://127.0.0.1:{self.port}/", "-f", str(conf)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while subprocess.run(["ldapsearch", "-x", "-H", f"ldap://127.0.0.1:{self.port}/", "-b", "", "-s", "base"],
                             capture_output=True).returncode:
            if time.monotonic() > end:
                sys.exit("slapd does not answer")
            time.sleep(0.05)

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Postern:
    name = "postern"

    def __init__(self, folder, case, site):
        self.port, self.mx = free_port(), free_port()
        folder.mkdir()
        kind = {"own": 'kind = "users"', "scram": 'kind = "users"', "cold": 'kind = "users"\ncache_time = "0s"\ntimeout = "1m"',
                "ldap": f'kind = "ldap"\nservers = ["ldap://127.0.0.1:{site.slapd_port}/"]\nsearch_base = "{BASE}"\n'
                        'filter = "(mail={login})"\npool_size = 16'}[case]
        mechanism = "SCRAM-SHA-256" if case == "scram" else "PLAIN"
        write(folder / "postern.toml", f'''hostname = "mx.bench.test"
state_dir = "state"
relay_domains = ["relay.test"]
[[listener]]
address = "127.0.0.1:{self.port}"
role = "submission"
[[listener]]
address = "127.0.0.1:{self.mx}"
role = "mx"
[tls]
certificate = "{site.folder}/cert.pem"
key = "{site.folder}/key.pem"
[auth]
mechanisms = ["{mechanism}"]
scram_iterations = 4096
[[directory]]
{kind}
[[route]]
domains = ["*"]
via = ["127.0.0.1:{site.hop}"]
tls = "none"
''')
        # Shows mistakes of this file before anything is measured.
        run(relay.Postern.binary(), "check", "--config", str(folder / "postern.toml"))
        if case != "ldap":
            for login, password in users():
                run(relay.Postern.binary(), "user", "add", login, "--password-stdin", "--config", str(folder / "postern.toml"),
                    input=password)
        with open(folder / "log", "ab") as log:
            self.process = subprocess.Popen([*PIN_SERVER, relay.Postern.binary(), "serve", "--config", str(folder / "postern.toml")],
                                            stdout=subprocess.DEVNULL, stderr=log)
        wait_for(self.port)
        self.pids = [self.process.pid]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def scram_key(password):
    """As `doveadm pw -s SCRAM-SHA-256` writes it; salts of 16 octets and 4096 iterations, as Postern has them here."""
    salt, count = os.urandom(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, count)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return "{SCRAM-SHA-256}" + ",".join([str(count), *(base64.b64encode(each).decode() for each in (salt, stored, server))])


class Dovecot:
    """Its auth service, and where wanted its submission service."""

    def __init__(self, folder, case, site, submission=None):
        folder.mkdir(exist_ok=True)
        if case == "ldap":
            conf = write(folder / "dovecot-ldap.conf.ext", f'''uris = ldap://127.0.0.1:{site.slapd_port}/
auth_bind = yes
base = {BASE}
pass_filter = (mail=%u)
pass_attrs = mail=user
''', 0o600)
            passdb = f"driver = ldap\n  args = {conf}"
        else:
            make = {"own": lambda word: "{PLAIN}" + word, "scram": scram_key}[case]
            lines = "".join(f"{login}:{make(password)}\n" for login, password in users())
            passwd = write(folder / "passwd", lines, 0o640)
            shutil.chown(passwd, "root", "dovecot")
            passdb = f"driver = passwd-file\n  args = username_format=%u {passwd}"
        cache = "auth_cache_size = 10M\nauth_cache_ttl = 1 hour" if case == "own" else "auth_cache_size = 0"
        protocols, services = "", ""
        if submission:
            protocols = "submission"
            services = f'''service submission-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 1000
  inet_listener submission {{
    address = 127.0.0.1
    port = {submission}
  }}
}}
service submission {{
  process_limit = 500
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {site.hop}
submission_relay_trusted = yes
'''
        spool = folder / "spool"
        spool.mkdir()
        shutil.chown(spool, "postfix")
        write(folder / "dovecot.conf", f'''base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = {protocols}
listen = 127.0.0.1
ssl = required
ssl_cert = <{site.folder}/cert.pem
ssl_key = <{site.folder}/key.pem
auth_mechanisms = {"scram-sha-256" if case == "scram" else "plain"}
auth_failure_delay = 0
{cache}
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
passdb {{
  {passdb}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u
}}
service auth {{
  client_limit = 4000
  unix_listener {folder}/spool/auth {{
    mode = 0666
  }}
}}
service anvil {{
  client_limit = 4000
}}
{services}
''')
        (folder / "mail").mkdir()
        (folder / "mail").chmod(0o777)
        self.process = subprocess.Popen([*PIN_SERVER, "dovecot", "-F", "-c", str(folder / "dovecot.conf")],
                                        stdout=subprocess.DEVNULL, stderr=open(folder / "errors", "ab"))
        self.socket = folder / "spool/auth"
        wait_until(self.socket.exists, "Dovecot's auth socket", self.process)
        self.pid = self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wait_until(ready, what, process):
    end = time.monotonic() + 20
    while not ready():
        if time.monotonic() > end or process.poll() is not None:
            sys.exit(f"no {what}")
        time.sleep(0.05)


class Postfix:
    """Postfix, tuned as for relaying, whose logins are checked by somebody else."""

    def __init__(self, folder, site, sasl, files=()):
        server = relay.Postfix(folder, site.sink, f'''smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {site.folder}/cert.pem
smtpd_tls_key_file = {site.folder}/key.pem
smtpd_tls_loglevel = 1
smtpd_sasl_auth_enable = yes
smtpd_sasl_security_options = noanonymous
smtpd_client_auth_rate_limit = 0
max_use = 1000
{sasl}
''', PIN_SERVER, files)
        self.port, self.pid, self.stop = server.port, server.pid, server.stop


class PostfixDovecot:
    name = "postfix+dovecot"

    def __init__(self, folder, case, site):
        folder.mkdir()
        folder.chmod(0o755)
        self.dovecot = Dovecot(folder / "dovecot", case, site)
        self.postfix = Postfix(folder / "postfix", site, f"smtpd_sasl_type = dovecot\nsmtpd_sasl_path = {self.dovecot.socket}")
        self.port = self.postfix.port
        self.pids = [self.dovecot.pid, self.postfix.pid]

    def stop(self):
        self.postfix.stop()
        self.dovecot.stop()


class PostfixCyrus:
    name = "postfix+saslauthd"

    def __init__(self, folder, case, site):
        assert case == "ldap"
        folder.mkdir()
        folder.chmod(0o755)
        conf = write(folder / "saslauthd.conf", f"ldap_servers: ldap://127.0.0.1:{site.slapd_port}/\nldap_search_base: {BASE}\n"
                     "ldap_filter: mail=%u\nldap_auth_method: bind\n")
        self.saslauthd = subprocess.Popen([*PIN_SERVER, "saslauthd", "-d", "-a", "ldap", "-r", "-n", "8", "-m", str(folder), "-O", str(conf)],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until((folder / "mux").exists, "saslauthd's socket", self.saslauthd)
        # Debian's Postfix looks for it in a folder beside main.cf.
        smtpd = {"sasl/smtpd.conf": f"pwcheck_method: saslauthd\nsaslauthd_path: {folder}/mux\nmech_list: PLAIN\n"}
        self.postfix = Postfix(folder / "postfix", site, "smtpd_sasl_type = cyrus", smtpd)
        self.port = self.postfix.port
        self.pids = [self.saslauthd.pid, self.postfix.pid]

    def stop(self):
        self.postfix.stop()
        os.killpg(self.saslauthd.pid, signal.SIGTERM)
        self.saslauthd.wait()


class DovecotSubmission:
    name = "dovecot"

    def __init__(self, folder, case, site):
        self.port = free_port()
        self.dovecot = Dovecot(folder, case, site, self.port)
        wait_for(self.port)
        self.pids = [self.dovecot.pid]

    def stop(self):
        self.dovecot.stop()


def load(server, case, args, logins, begin=lambda: None):
    """Each user logs in once, then `begin` is called, and then the logins that count are made."""
    mechanism = "SCRAM-SHA-256" if case == "scram" else "PLAIN"
    command = [*PIN_LOAD, LOAD, str(server.port), mechanism, str(logins), str(args.connections), str(USERS), LOGIN, PASSWORD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        begin()
        out, errors = process.communicate("\n")
    if process.returncode or errors:
        sys.exit(f"{server.name} {case}: {errors}")
    return json.loads(out)


def measure(server_class, case, args, site, number):
    server = server_class(site.folder / f"{server_class.name}-{case}-{number}", case, site)
    try:
        def cpu():
            return sum(cpu_seconds(pid) for pid in server.pids), site.slapd.cpu()

        before = []
        logins = max(args.logins // (20 if case == "cold" else 1), USERS)
        done = load(server, case, args, logins, lambda: before.extend(cpu()))
        time.sleep(0.2)
        own, slapd = ((now - then) * 1000 / logins for now, then in zip(cpu(), before))
        return {"rate": done["logins"] / done["seconds"], "cpu_ms": own, "slapd_ms": slapd, "p50_ms": done["p50_ms"], "p99_ms": done["p99_ms"]}
    finally:
        server.stop()


class Site:
    """What all servers share."""

    def __init__(self, folder, rsa):
        self.folder = folder
        certificate(folder, rsa)
        self.slapd = Slapd(folder)
        self.slapd_port = self.slapd.port
        self.sink = relay.Sink()
        self.hop = self.sink.port

    def stop(self):
        self.slapd.stop()
        self.sink.stop()


CASES = {"own": [Postern, PostfixDovecot, DovecotSubmission], "ldap": [Postern, PostfixDovecot, PostfixCyrus, DovecotSubmission],
         "scram": [Postern, PostfixDovecot, DovecotSubmission], "cold": [Postern]}


def compare(case, args, site):
    results = {}
    for number in range(args.rounds):
        for server in CASES[case]:
            if args.only in (None, server.name):
                results.setdefault(server.name, []).append(measure(server, case, args, site, number))
    medians = {name: {key: statistics.median(each[key] for each in runs) for key in runs[0]} for name, runs in results.items()}
    print(f"\n{case:18} {'logins/s':>9} {'CPU ms':>8} {'slapd ms':>9} {'p50 ms':>8} {'p99 ms':>8} {'logins':>8} {'CPU':>6}", flush=True)
    own = medians.get("postern")
    for name, m in medians.items():
        ratio = f"{own['rate'] / m['rate']:7.1f}x {m['cpu_ms'] / own['cpu_ms']:5.1f}x" if own and m is not own else ""
        print(f"{name:18} {m['rate']:9.0f} {m['cpu_ms']:8.3f} {m['slapd_ms']:9.3f} {m['p50_ms']:8.2f} {m['p99_ms']:8.2f} {ratio}", flush=True)
    return medians


def flood(args, site):
    """Relays with nothing beside it and beside a flood of logins that each cost an argon2, in turn."""
    server = Postern(site.folder / "flooded", "cold", site)
    rates = {False: [], True: []}
    hashed = []

    def relayed(messages):
        sent = site.sink.count
        start = time.monotonic()
        subprocess.run([*PIN_LOAD, "smtp-source", "-s", "4", "-d", "-l", "4096", "-f", "sender@from.test", "-t", "x@relay.test",
                        "-M", "client.test", "-m", str(messages), f"127.0.0.1:{server.mx}"], check=True)
        relay.until(site.sink, sent + messages)
        return messages / (site.sink.at - start)

    try:
        relayed(200)
        for number in range(2 * args.rounds):
            flooded = number % 2 == 1
            stop, threads = threading.Event(), []
            if flooded:
                def flood_it():
                    while not stop.is_set():
                        hashed.append(load(server, "cold", argparse.Namespace(connections=args.connections), 100))
                threads = [threading.Thread(target=flood_it)]
                threads[0].start()
                time.sleep(0.5)
            rates[flooded].append(relayed(4000))
            stop.set()
            for thread in threads:
                thread.join()
    finally:
        server.stop()
    quiet, beside = (statistics.median(rates[key]) for key in (False, True))
    rate = sum(each["logins"] for each in hashed) / sum(each["seconds"] for each in hashed)
    print(f"\nflood: {quiet:.0f} messages/s relayed alone, {beside:.0f} beside {rate:.0f} argon2 logins/s "
          f"over {args.connections} connections: {100 * beside / quiet:.0f} %", flush=True)
    return {"alone": quiet, "beside": beside, "argon2": rate}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logins", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rsa", action="store_true", help="a certificate of RSA 2048 in place of ECDSA P-256")
    parser.add_argument("--cases", default="own,ldap,scram,cold,flood")
    parser.add_argument("--only", help="one server: postern, postfix+dovecot, postfix+saslauthd, dovecot")
    parser.add_argument("--pin", action="store_true", help="servers on processor 0, load, slapd and sink on processor 1")
    parser.add_argument("--dir", help="where the files lie")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.pin:
        PIN_SERVER.extend(["taskset", "-c", "0"])
        PIN_LOAD.extend(["taskset", "-c", "1"])
        os.sched_setaffinity(0, {1})
    results = {}
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="postern-logins-") as base:
        os.chmod(base, 0o755)
        site = Site(pathlib.Path(base), args.rsa)
        try:
            kind = "RSA 2048" if args.rsa else "ECDSA P-256"
            print(f"{args.logins} logins over {args.connections} connections at a time, {kind}, median of {args.rounds} rounds"
                  f"{', pinned' if args.pin else ''}; ratios: postern to the peer", flush=True)
            for case in args.cases.split(","):
                results[case] = flood(args, site) if case == "flood" else compare(case, args, site)
        finally:
            site.stop()
    if args.json:
        print(json.dumps(results))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
