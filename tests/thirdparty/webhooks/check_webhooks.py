"""Receives webhooks of the real binary and verifies them with libraries that nobody here wrote.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python check_webhooks.py COUNTERFOIL WORK-DIRECTORY

Signatures: `standardwebhooks` (v1) and `cryptography` (v1a). Bodies: against the `webhooks` of the served OpenAPI description,
with `jsonschema`; the description itself: with `openapi-spec-validator`. Prints what it checked; exit code 1 at the first failure.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from standardwebhooks import Webhook, WebhookVerificationError


def require(condition, what):
    print(("ok      " if condition else "FAILED  ") + what, flush=True)
    if not condition:
        sys.exit(1)


class Receiver(ThreadingHTTPServer):
    """Keeps what comes; refuses the first attempt at each event."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        again = any(h["webhook-id"] == headers["webhook-id"] for h, _ in self.server.seen)
        self.server.seen.append((headers, body))
        self.send_response(204 if again else 500)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def wait_for(what, look):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    require(False, f"{what} came")


def resolved(schema, document):
    """A schema with the document's own definitions at hand."""
    return Draft202012Validator(schema | {"components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER)


def verify_own(key, headers, body):
    """v1a: Ed25519 over id, time and body."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signatures = [s[4:] for s in headers["webhook-signature"].split() if s.startswith("v1a,")]
    for signature in signatures:
        key.verify(base64.b64decode(signature), signed)
    return bool(signatures)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, work = os.path.abspath(sys.argv[1]), Path(sys.argv[2]).resolve()
    directory = work / "data"
    env = dict(os.environ, COUNTERFOIL_GUARDS=str(work / "guards"))

    def run(*words):
        words = [program, *map(str, words), "--dir", str(directory)]
        return subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout

    def decide(decision, waiting, person):
        overrides = waiting["yes_overrides" if decision == "approve" else "no_overrides"]
        against = ["--override"] if overrides and decision == "approve" else []
        against += ["--code", waiting["codes"][0]] if overrides and waiting.get("codes") else []
        run("approval", decision, waiting["approval"], "--as", person, "--reason", "looked at", *against)

    run("demo", "--once", "--json", "--cases", 40)
    run("webhook", "secret", "keys/shared.secret")
    own = run("webhook", "secret", "keys/own.secret", "--asymmetric").split()[-1]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(own.removeprefix("whpk_")))
    receiver = Receiver()
    (directory / "webhooks.toml").write_text(
        f'[desk]\nurl = "http://127.0.0.1:{receiver.server_port}/hook"\n'
        'secret_files = ["keys/shared.secret", "keys/own.secret"]\nfirst_wait_ms = 20\n'
    )
    shared = Webhook((directory / "keys/shared.secret").read_text())
    command = [program, "serve", "--listen", "127.0.0.1:0", "--dir", str(directory)]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        file = directory / "serve.json"
        url = wait_for("the server", lambda: file.exists() and json.loads(file.read_text())["url"])
        with urllib.request.urlopen(f"{url}/v1/openapi.json") as answer:
            document = json.load(answer)
        validate(document)
        require(True, "the description with its webhooks is OpenAPI 3.1")
        waiting = [json.loads(line) for line in run("approval", "list", "--json").splitlines()]
        decide("reject", waiting[0], "amira")
        for person in ["amira", "bram"][: waiting[1]["humans"]]:
            decide("approve", waiting[1], person)
        wanted = {"approval.rejected", "approval.signed", "approval.granted", "case.closed"}

        def told():
            return {json.loads(body)["type"] for _, body in receiver.seen}

        wait_for("every event", lambda: wanted <= told() and len(receiver.seen) % 2 == 0)
        time.sleep(0.5)
    finally:
        server.terminate()
        server.wait()
    for headers, body in receiver.seen:
        message = shared.verify(body, headers)
        assert verify_own(key, headers, body)
        schema = document["webhooks"][message["type"]]["post"]["requestBody"]["content"]["application/json"]["schema"]
        problems = [e.message for e in resolved(schema, document).iter_errors(message)]
        require(not problems, f"{message['type']}: v1, v1a and its schema {problems or ''}")
    ids = [headers["webhook-id"] for headers, _ in receiver.seen]
    require(all(ids.count(i) == 2 for i in ids), "each event came twice under one id: refused, then taken")
    headers, body = receiver.seen[0]
    for what, (h, b) in {
        "another body": (headers, body.replace(b"approval", b"approvaL")),
        "another id": (headers | {"webhook-id": "x"}, body),
        "an older time": (headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}, body),
    }.items():
        try:
            shared.verify(b, h)
            require(False, f"{what} is refused (v1)")
        except WebhookVerificationError:
            pass
        try:
            verify_own(key, h, b)
            require(False, f"{what} is refused (v1a)")
        except InvalidSignature:
            require(True, f"{what} is refused")


main()
