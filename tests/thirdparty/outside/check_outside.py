"""Checkpoints outside the platform, with software that nobody of this project wrote.

    python check_outside.py COUNTERFOIL GO-PROGRAMS

COUNTERFOIL is the program; GO-PROGRAMS a directory with `fsck` and `witnessed` (Tessera) and `litewitness` (torchwood).

- Tessera's fsck reads a whole log.
- aics-witness and litewitness cosign our checkpoints, and refuse those of a forked log with the same key.
- Tessera publishes its own log under the cosignatures of our witness, by its own client.
- A local authority (openssl) stamps our checkpoints; `openssl ts -verify` accepts the stamps, and no other checkpoint.
- An S3 server with Object Lock (moto) keeps our checkpoints and refuses to delete them.

Prints what it checked; exits 1 at the first failure.
"""

import base64
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import boto3
from botocore.exceptions import ClientError


class Failure(Exception):
    """What was found wrong."""


def require(condition, what):
    if not condition:
        raise Failure(what)
    print(f"ok      {what}", flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, look, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise Failure(f"{what} did not come within {seconds} s")


def listening(port):
    def look():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    return look


class Running:
    """A process that is stopped at the end."""

    def __init__(self, args, **kwargs):
        self.process = subprocess.Popen([str(a) for a in args], **kwargs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run(*args, code=0, **kwargs):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120, **kwargs)
    if code is not None and done.returncode != code:
        raise Failure(f"{args}: {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Check:
    def __init__(self, counterfoil, go, home):
        self.program, self.go, self.home = counterfoil, go, home
        self.data = home / "data"
        self.guards(home / "guards")
        self.demo(self.data, 20)
        self.vkey = (self.data / "log.vkey").read_text().strip()
        self.origin = self.vkey.split("+")[0]
        # What a thief has: key and all, from before.
        self.stolen = home / "stolen"
        shutil.copytree(self.data, self.stolen)
        self.demo(self.data, 40)

    def guards(self, place):
        os.environ["COUNTERFOIL_GUARDS"] = str(place)

    def demo(self, data, cases):
        run(self.program, "demo", "--once", "--json", "--dir", data, "--cases", cases)

    def serving(self, data):
        args = [self.program, "serve", "--dir", data, "--listen", "127.0.0.1:0"]
        return Running(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def witnessed(self, data):
        """Whether the newest checkpoint has its quorum."""
        done = subprocess.run(
            [str(self.program), "log", "witness", "--json", "--dir", str(data)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return None
        found = json.loads(done.stdout)
        return found if found["witnessed"] == found["published"] else None

    # Verifier

    def fsck(self):
        url = f"file://{self.data / 'log'}/"
        key = self.data / "log.vkey"
        args = [self.go / "fsck", "--storage_url", url, "--public_key", key, "--ui=false"]
        done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=60)
        require("Successfully fsck'd" in done.stderr, "Tessera's fsck accepts the whole log")

    # Witnesses that cosign us

    def aics(self):
        home = self.home / "aics"
        home.mkdir()
        config = home / "witness.json"
        tool = Path(sys.executable).with_name("aics-witness")
        port = free_port()
        said = run(tool, "init", "-c", config, "--name", "witness.example/aics", "--listen", f"127.0.0.1:{port}")
        vkey = re.search(r"witness\.example/aics\+\S+", said).group(0)
        run(tool, "add-log", "-c", config, "--origin", self.origin, "--vkey", self.vkey)
        with Running([tool, "serve", "-c", config], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
            wait_for("aics-witness", listening(port))
            self.cosigned_and_fork_refused("aics-witness", vkey, port)
        evidence = run(tool, "evidence", "-c", config, code=None)
        print(f"        it kept {len(evidence.splitlines())} lines of evidence")

    def litewitness(self):
        home = self.home / "lite"
        home.mkdir()
        key = home / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        blob = base64.b64decode((home / "key.pub").read_text().split()[1])
        public = blob[-32:]
        name = "witness.example/lite"
        digest = hashlib.sha256(name.encode() + b"\n\x04" + public).digest()
        key_id, key_data = digest[:4].hex(), base64.b64encode(bytes([4]) + public).decode()
        vkey = f"{name}+{key_id}+{key_data}"
        db = home / "witness.db"
        with sqlite3.connect(db) as c:
            # The schema of litewitness; its own tool for this needs a module that is not there to be had.
            c.execute("CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL)")
            c.execute("CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin))")
            empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
            c.execute("INSERT INTO log VALUES (?, 0, ?)", (self.origin, empty))
            c.execute("INSERT INTO key VALUES (?, ?)", (self.origin, self.vkey))
        agent = home / "agent"
        with Running(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL):
            wait_for("ssh-agent", agent.exists)
            run("ssh-add", "-q", key, env={**os.environ, "SSH_AUTH_SOCK": str(agent)})
            port = free_port()
            args = [self.go / "litewitness", "-name", name, "-db", db, "-ssh-agent", agent]
            args += ["-listen", f"127.0.0.1:{port}", "-key", hashlib.sha256(public).hexdigest()]
            with Running(args, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as witness:
                wait_for("litewitness", lambda: listening(port)() or witness.process.poll() is not None)
                if witness.process.poll() is not None:
                    raise Failure(f"litewitness ended: {' '.join(str(a) for a in args)}")
                self.cosigned_and_fork_refused("litewitness", vkey, port)

    def cosigned_and_fork_refused(self, name, vkey, port):
        policy = f"witness them {vkey} http://127.0.0.1:{port}\nquorum them\n"
        (self.data / "witness.policy").write_text(policy)
        with self.serving(self.data):
            found = wait_for("the cosignature", lambda: self.witnessed(self.data))
        require(found["by"][0][0] == "them", f"{name} cosigns our checkpoint of {found['published']} records")
        forked = self.home / f"forked-by-{name}"
        shutil.copytree(self.stolen, forked)
        self.guards(forked.with_suffix(".guards"))
        # Longer than the true log, so that it would be an honest extension by its size.
        self.demo(forked, 60)
        (forked / "witness.policy").write_text(policy)
        with self.serving(forked) as server:
            line = server.process.stderr.readline()
            while "witness" not in line:
                line = server.process.stderr.readline()
                if not line:
                    raise Failure("the server of the forked log says nothing of its witness")
        self.guards(self.home / "guards")
        require(self.witnessed(forked) is None, f"{name} refuses the forked log: {line.strip()[:160]}")
        (self.data / "witness.policy").unlink()

    # Our witness, for others

    def ours(self):
        home, key = self.home / "tessera", self.home / "tessera.key"
        witnessed = self.go / "witnessed"
        log = run(witnessed, home, key, "-").strip()
        ours = self.home / "ours"
        said = run(self.program, "witness", "--dir", ours, "--name", "witness.example/ours", "--log", log)
        vkey = re.search(r"witness key: (\S+)", said).group(1)
        port = free_port()
        policy = self.home / "tessera.policy"
        policy.write_text(f"witness ours {vkey} http://127.0.0.1:{port}/\nquorum ours\n")
        with Running([self.program, "witness", "--dir", ours, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL):
            wait_for("our witness", listening(port))
            note = run(witnessed, home, key, policy)
        lines = [line for line in note.splitlines() if line.startswith("\u2014 witness.example/ours ")]
        require(note.splitlines()[1] == "5" and len(lines) == 1, "Tessera publishes under the cosignature of our witness")

    # Time-stamps

    def stamps(self):
        home = self.home / "tsa"
        home.mkdir()
        (home / "tsa.cnf").write_text(TSA_CONFIG.format(home=home))
        (home / "serial").write_text("01\n")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tsa.example",
            "-addext", "extendedKeyUsage=critical,timeStamping", "-keyout", home / "key.pem", "-out", home / "cert.pem")

        class Authority(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                query = home / "query"
                query.write_bytes(self.rfile.read(int(self.headers["content-length"])))
                run("openssl", "ts", "-reply", "-config", home / "tsa.cnf", "-queryfile", query, "-out", home / "reply")
                reply = (home / "reply").read_bytes()
                self.send_response(200)
                self.send_header("content-type", "application/timestamp-reply")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Authority)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        self.anchor(f'[anchor.stamped]\nkind = "timestamp"\nurl = "{url}"\n')
        server.shutdown()
        kept = sorted((self.data / "anchors/stamped").glob("*.checkpoint"))
        require(len(kept) == 1, "our checkpoint is stamped")
        verify = ["openssl", "ts", "-verify", "-CAfile", home / "cert.pem", "-in", f"{kept[0]}.tsr", "-data"]
        run(*verify, kept[0])
        require(True, "openssl ts -verify accepts the stamp")
        other = home / "other"
        other.write_bytes(kept[0].read_bytes() + b"x")
        done = subprocess.run([str(a) for a in [*verify, other]], capture_output=True)
        require(done.returncode != 0, "and not for another checkpoint")
        self.verify_anchors("stamped: 1 checkpoints fit")

    # Object Lock

    def locked(self):
        port = free_port()
        tool = Path(sys.executable).with_name("moto_server")
        url = f"http://127.0.0.1:{port}"
        with Running([tool, "-H", "127.0.0.1", "-p", port], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
            wait_for("the S3 server", listening(port))
            s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1",
                              aws_access_key_id="id", aws_secret_access_key="secret")
            s3.create_bucket(Bucket="checkpoints", ObjectLockEnabledForBucket=True)
            for name in ["id", "secret"]:
                file = self.data / f"keys/s3.{name}"
                file.write_text(name)
                file.chmod(0o600)
            self.anchor(
                f'[anchor.locked]\nkind = "s3"\nendpoint = "{url}"\nbucket = "checkpoints"\nregion = "us-east-1"\n'
                'prefix = "payables/"\naccess_key_file = "keys/s3.id"\nsecret_key_file = "keys/s3.secret"\nretain_days = 7\n'
            )
            versions = s3.list_object_versions(Bucket="checkpoints")["Versions"]
            require(len(versions) == 1, f"our checkpoint is kept as {versions[0]['Key']}")
            place = {"Bucket": "checkpoints", "Key": versions[0]["Key"], "VersionId": versions[0]["VersionId"]}
            head = s3.head_object(**place)
            until = head.get("ObjectLockRetainUntilDate")
            require(head.get("ObjectLockMode") == "COMPLIANCE", f"it is locked in compliance mode until {until}")
            for bypass in [False, True]:
                try:
                    s3.delete_object(**place, BypassGovernanceRetention=bypass)
                except ClientError as refused:
                    require("AccessDenied" in str(refused), f"deletion is refused, with bypass {bypass}")
                else:
                    raise Failure("the locked checkpoint could be deleted")
            self.verify_anchors("locked: 1 checkpoints fit")

    def anchor(self, config):
        (self.data / "anchors.toml").write_text("every_minutes = 60\n" + config)
        run(self.program, "log", "anchor", "--dir", self.data)
        # Again is fine, and changes nothing.
        run(self.program, "log", "anchor", "--dir", self.data)

    def verify_anchors(self, line):
        verify = [self.program, "log", "verify", self.data, "--vkey", self.vkey, "--anchors", self.data / "anchors.toml"]
        said = run(*verify)
        require(line in said, f"log verify --anchors: {line}")


TSA_CONFIG = """
[tsa]
default_tsa = here
[here]
serial = {home}/serial
crypto_device = builtin
signer_cert = {home}/cert.pem
signer_key = {home}/key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
"""


def main():
    counterfoil, go = (Path(p).resolve() for p in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as home:
        check = Check(counterfoil, go, Path(home))
        for step in [check.fsck, check.aics, check.litewitness, check.ours, check.stamps, check.locked]:
            step()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"FAILED  {failure}", file=sys.stderr)
        sys.exit(1)
