"""A receiver of webhooks over HTTPS: webhook_receiver.py PORT CERTIFICATE KEY SECRET FOLDER

What it does with a request stands in FOLDER/mode: `ok` takes it, `fail` answers 503, `hang` says nothing, `elsewhere` redirects. Each request is appended to
FOLDER/seen as a line of JSON: its mode, id, whether the signature is right (by Python's own hmac), and its body.
"""

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time

port, certificate, key, secret, folder = sys.argv[1:]
folder = pathlib.Path(folder)
octets = base64.b64decode(pathlib.Path(secret).read_text().strip().removeprefix("whsec_"))
lock = threading.Lock()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = (folder / "mode").read_text().strip()
        sent, moment = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        mac = hmac.new(octets, f"{sent}.{moment}.".encode() + body, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(mac).decode()
        seen = {
            "mode": mode,
            "path": self.path,
            "id": sent,
            "type": self.headers["Content-Type"],
            "verified": wanted in self.headers["webhook-signature"].split(" "),
            "fresh": abs(time.time() - int(moment)) < 600,
            "body": body.decode(),
        }
        with lock, open(folder / "seen", "a") as out:
            out.write(json.dumps(seen) + "\n")
        if mode == "hang":
            time.sleep(3600)
        self.send_response({"ok": 204, "fail": 503, "elsewhere": 307}[mode])
        if mode == "elsewhere":
            self.send_header("Location", f"https://localhost:{port}/other")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
