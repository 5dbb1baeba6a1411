"""Runs a command under the SystemCallFilter lines of a systemd unit: unit_filter.py UNIT COMMAND..."""
import errno, os, subprocess, sys

import seccomp


def names(word):
    """The calls of a group, as systemd has it, or the call itself."""
    if not word.startswith("@"):
        return {word}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    calls = set()
    for line in listed.stdout.splitlines()[1:]:
        line = line.strip()
        if line and not line.startswith("#"):
            calls |= names(line)
    return calls


unit, command = sys.argv[1], sys.argv[2:]
allowed = names("@default")
for line in open(unit):
    key, _, value = line.strip().partition("=")
    if key != "SystemCallFilter":
        continue
    takes_away = value.startswith("~")
    for word in value.lstrip("~").split():
        allowed = allowed - names(word) if takes_away else allowed | names(word)
assert len(allowed) > 100, "no filter was read"
seccomp_filter = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
for call in sorted(allowed | {"execve"}):
    try:
        seccomp_filter.add_rule(seccomp.ALLOW, call)
    except RuntimeError:
        pass  # A call that this machine does not have.
seccomp_filter.load()
os.execv(command[0], command)
