"""Cyrus SASL's library (libsasl2) as a peer: one exchange over standard input and output.

    cyrus.py client MECHANISM HOST LOGIN PASSWORD MIN_BITS MAX_BITS [BINDING_NAME BINDING_HEX]
    cyrus.py server MECHANISM HOST SASLDB MIN_BITS MAX_BITS
    cyrus.py submit MECHANISM HOST:PORT LOGIN PASSWORD MIN_BITS MAX_BITS SENDER RECIPIENT SUBJECT

A line is a message in base64; "-" is no message; "OK" is the end, and "OK BITS" the server's end. Behind the end, if there
is a security layer, "ping" comes out wrapped, and what comes in wrapped goes out unwrapped. "submit" speaks SMTP itself, under
the layer that was agreed on: it sends one message of 100,000 octets and prints the bits.
"""

import base64
import socket
import sys
from ctypes import *

LIBRARY = CDLL("libsasl2.so.2")
OK, CONTINUE = 0, 1
LIST_END, GETOPT, USER, AUTHNAME, PASS, GETREALM = 0, 1, 0x4001, 0x4002, 0x4004, 0x4008
SSF, SEC_PROPS, CHANNEL_BINDING = 1, 101, 21

SIMPLE = CFUNCTYPE(c_int, c_void_p, c_int, POINTER(c_char_p), POINTER(c_uint))
SECRET = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, POINTER(c_void_p))
REALM = CFUNCTYPE(c_int, c_void_p, c_int, POINTER(c_char_p), POINTER(c_char_p))
OPTION = CFUNCTYPE(c_int, c_void_p, c_char_p, c_char_p, POINTER(c_char_p), POINTER(c_uint))


class Callback(Structure):
    _fields_ = [("id", c_ulong), ("proc", c_void_p), ("context", c_void_p)]


class SecurityProperties(Structure):
    _fields_ = [
        ("min_ssf", c_uint), ("max_ssf", c_uint), ("maxbufsize", c_uint), ("flags", c_uint),
        ("names", c_void_p), ("values", c_void_p),
    ]


class Binding(Structure):
    _fields_ = [("name", c_char_p), ("critical", c_int), ("len", c_ulong), ("data", c_char_p)]


KEEP = []


def callbacks(*pairs):
    table = (Callback * (len(pairs) + 1))()
    for place, (number, function) in zip(table, pairs):
        KEEP.append(function)
        place.id, place.proc = number, cast(function, c_void_p)
    KEEP.append(table)
    return table


def check(result, what):
    if result not in (OK, CONTINUE):
        LIBRARY.sasl_errstring.restype = c_char_p
        sys.exit(f"{what}: {LIBRARY.sasl_errstring(result, None, None).decode()}")
    return result


def say(octets):
    print("-" if octets is None else base64.b64encode(octets).decode(), flush=True)


def hear():
    line = sys.stdin.readline().strip()
    return line if line == "OK" else None if line == "-" else base64.b64decode(line)


def properties(connection, least, most):
    wanted = SecurityProperties(int(least), int(most), 65536, 0, None, None)
    check(LIBRARY.sasl_setprop(connection, SEC_PROPS, byref(wanted)), "setprop")


def bits(connection):
    found = POINTER(c_uint)()
    check(LIBRARY.sasl_getprop(connection, SSF, byref(found)), "getprop")
    return found.contents.value


def layer(connection):
    if bits(connection) == 0:
        return
    out, length = c_void_p(), c_uint()
    check(LIBRARY.sasl_encode(connection, b"ping", 4, byref(out), byref(length)), "encode")
    say(string_at(out, length.value))
    wrapped = hear()
    check(LIBRARY.sasl_decode(connection, wrapped, len(wrapped), byref(out), byref(length)), "decode")
    say(string_at(out, length.value))


def connect(host, login, password, least, most):
    """A connection of the library as client."""
    login, password = login.encode(), password.encode()

    def simple(_context, _number, result, length):
        result[0] = login
        if length:
            length[0] = len(login)
        return OK

    secret = create_string_buffer(sizeof(c_ulong) + len(password) + 1)
    memmove(secret, bytes(c_ulong(len(password))) + password, sizeof(c_ulong) + len(password))

    def get_secret(_connection, _context, _number, result):
        result[0] = addressof(secret)
        return OK

    def get_realm(_context, _number, offered, result):
        result[0] = offered[0]
        return OK

    table = callbacks(
        (USER, SIMPLE(simple)), (AUTHNAME, SIMPLE(simple)), (PASS, SECRET(get_secret)), (GETREALM, REALM(get_realm))
    )
    check(LIBRARY.sasl_client_init(table), "init")
    connection = c_void_p()
    check(LIBRARY.sasl_client_new(b"smtp", host.encode(), None, None, table, 0, byref(connection)), "new")
    properties(connection, least, most)
    return connection


def client(mechanism, host, login, password, least, most, binding=None, data=""):
    connection, out, length = connect(host, login, password, least, most), c_void_p(), c_uint()
    if binding:
        octets = bytes.fromhex(data)
        KEEP.append(Binding(binding.encode(), 1, len(octets), octets))
        check(LIBRARY.sasl_setprop(connection, CHANNEL_BINDING, byref(KEEP[-1])), "binding")
    check(
        LIBRARY.sasl_client_start(connection, mechanism.encode(), None, byref(out), byref(length), None), "start"
    )
    say(string_at(out, length.value) if out else None)
    while (challenge := hear()) != "OK":
        check(
            LIBRARY.sasl_client_step(connection, challenge, len(challenge), None, byref(out), byref(length)), "step"
        )
        say(string_at(out, length.value) if out else b"")
    layer(connection)


class Smtp:
    """A dialogue, under a layer once there is one."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.buffer, self.layer = b"", None

    def send(self, octets):
        if not self.layer:
            return self.socket.sendall(octets)
        for start in range(0, len(octets), 4096):
            out, length, piece = c_void_p(), c_uint(), octets[start:start + 4096]
            check(LIBRARY.sasl_encode(self.layer, piece, len(piece), byref(out), byref(length)), "encode")
            self.socket.sendall(string_at(out, length.value))

    def reply(self):
        text = b""
        while True:
            while b"\r\n" not in self.buffer:
                octets = self.socket.recv(65536)
                if not octets:
                    sys.exit("connection closed")
                if self.layer:
                    out, length = c_void_p(), c_uint()
                    check(LIBRARY.sasl_decode(self.layer, octets, len(octets), byref(out), byref(length)), "decode")
                    octets = string_at(out, length.value) if length.value else b""
                self.buffer += octets
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            text += line
            if line[3:4] != b"-":
                return text.decode()

    def say(self, line, wanted):
        self.send(line.encode() + b"\r\n")
        reply = self.reply()
        if not reply.startswith(wanted):
            sys.exit(f"{line[:20]}: {reply}")
        return reply


def submit(mechanism, place, login, password, least, most, sender, recipient, subject):
    host, port = place.split(":")
    connection, out, length = connect(host, login, password, least, most), c_void_p(), c_uint()
    smtp = Smtp(host, port)
    smtp.reply()
    smtp.say("EHLO helo", "250")
    check(
        LIBRARY.sasl_client_start(connection, mechanism.encode(), None, byref(out), byref(length), None), "start"
    )
    first = " " + (base64.b64encode(string_at(out, length.value)).decode() or "=") if out else ""
    reply = smtp.say(f"AUTH {mechanism}{first}", ("334", "235"))
    while reply.startswith("334"):
        challenge = base64.b64decode(reply[4:])
        check(
            LIBRARY.sasl_client_step(connection, challenge, len(challenge), None, byref(out), byref(length)), "step"
        )
        reply = smtp.say(base64.b64encode(string_at(out, length.value) if out else b"").decode(), ("334", "235"))
    if bits(connection):
        smtp.layer = connection
    smtp.say("EHLO helo", "250")
    smtp.say(f"MAIL FROM:<{sender}>", "250")
    smtp.say(f"RCPT TO:<{recipient}>", "250")
    smtp.say("DATA", "354")
    body = f"Subject: {subject}\r\n\r\n" + ("x" * 98 + "\r\n") * 1000 + "."
    smtp.say(body, "250")
    smtp.say("QUIT", "221")
    print("OK", bits(connection))


def server(mechanism, host, sasldb, least, most):
    options = {b"sasldb_path": sasldb.encode(), b"auxprop_plugin": b"sasldb", b"pwcheck_method": b"auxprop"}

    def option(_context, _plugin, name, result, length):
        if name not in options:
            return -1
        result[0] = options[name]
        if length:
            length[0] = len(options[name])
        return OK

    table = callbacks((GETOPT, OPTION(option)))
    check(LIBRARY.sasl_server_init(table, b"postern-test"), "init")
    connection, out, length = c_void_p(), c_void_p(), c_uint()
    check(
        LIBRARY.sasl_server_new(b"smtp", host.encode(), host.encode(), None, None, table, 0, byref(connection)), "new"
    )
    properties(connection, least, most)
    first = hear()
    result = check(
        LIBRARY.sasl_server_start(
            connection, mechanism.encode(), first, len(first or b""), byref(out), byref(length)
        ),
        "start",
    )
    while result == CONTINUE:
        say(string_at(out, length.value) if out else b"")
        message = hear()
        result = check(
            LIBRARY.sasl_server_step(connection, message, len(message), byref(out), byref(length)), "step"
        )
    print("OK", bits(connection), flush=True)
    layer(connection)


for function in ("sasl_setprop", "sasl_getprop", "sasl_encode", "sasl_decode", "sasl_client_start",
                 "sasl_client_step", "sasl_server_start", "sasl_server_step"):
    getattr(LIBRARY, function).argtypes = {
        "sasl_setprop": [c_void_p, c_int, c_void_p],
        "sasl_getprop": [c_void_p, c_int, c_void_p],
        "sasl_encode": [c_void_p, c_char_p, c_uint, c_void_p, c_void_p],
        "sasl_decode": [c_void_p, c_char_p, c_uint, c_void_p, c_void_p],
        "sasl_client_start": [c_void_p, c_char_p, c_void_p, c_void_p, c_void_p, c_void_p],
        "sasl_client_step": [c_void_p, c_char_p, c_uint, c_void_p, c_void_p, c_void_p],
        "sasl_server_start": [c_void_p, c_char_p, c_char_p, c_uint, c_void_p, c_void_p],
        "sasl_server_step": [c_void_p, c_char_p, c_uint, c_void_p, c_void_p],
    }[function]

{"client": client, "server": server, "submit": submit}[sys.argv[1]](*sys.argv[2:])
