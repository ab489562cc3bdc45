"""Comes to the real binary with tokens and certificates that libraries nobody here wrote make.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python check_identity.py COUNTERFOIL WORK-DIRECTORY

Keys and certificates: `cryptography`. Tokens and sets of keys: `PyJWT`. TLS: OpenSSL, as Python has it. Prints what it checked; exit code 1 at the first failure.
"""

import contextlib
import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://id.example"
AUDIENCE = "https://counterfoil.example"


def require(condition, what):
    print(("ok      " if condition else "FAILED  ") + what, flush=True)
    if not condition:
        sys.exit(1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(self.server.keys).encode()
        self.send_response(200)
        self.send_header("content-type", "application/jwk-set+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def claims(**other):
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "desk-agent", "iat": now, "exp": now + 300} | other
    return {name: value for name, value in said.items() if value is not None}


class Authority:
    """Issues certificates for an hour."""

    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = self.sign(self.name, self.key.public_key(), x509.BasicConstraints(True, 0))

    def sign(self, name, public, constraints):
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(constraints, critical=True)
        )
        if not constraints.ca:
            here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
            usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            made = made.add_extension(here, critical=False).add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, home, name, key):
        """Writes NAME.pem and NAME.key."""
        said = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        (home / f"{name}.pem").write_bytes(self.sign(said, key.public_key(), x509.BasicConstraints(False, None)))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file = home / f"{name}.key"
        file.touch(mode=0o600)
        file.write_bytes(key.private_bytes(*form))


def check_certificates(run, serve, home):
    ours, foreign = Authority("ours"), Authority("foreign")
    (home / "ours.pem").write_bytes(ours.pem)
    ours.issue(home, "server", ec.generate_private_key(ec.SECP256R1()))
    keys = {
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "rsa": rsa.generate_private_key(65537, 2048),
    }
    for name, key in keys.items():
        ours.issue(home, name, key)
        who = ("principal", "add", name, "--owner", "olivia", "--role", "analyst")
        run(*who, "--certificate", home / f"{name}.pem")
        ours.issue(home, f"{name}-renewed", key)
        foreign.issue(home, f"{name}-foreign", key)
    ours.issue(home, "nobody", ec.generate_private_key(ec.SECP256R1()))
    files = ("--tls-cert", home / "server.pem", "--tls-key", home / "server.key", "--client-ca", home / "ours.pem")
    with serve(*files) as serving:
        url = serving["public_url"]

        def me(name):
            context = ssl.create_default_context(cafile=home / "ours.pem")
            if name:
                context.load_cert_chain(home / f"{name}.pem", home / f"{name}.key")
            try:
                with urllib.request.urlopen(f"{url}/v1/me", timeout=30, context=context) as answer:
                    return json.load(answer)["credential"]
            except urllib.error.HTTPError as refused:
                return refused.code
            except OSError:
                return None

        for name in keys:
            require(me(name) == f"{name}.certificate-1", f"a certificate for a key of {name} is its agent's")
            require(me(f"{name}-renewed") == f"{name}.certificate-1", f"renewed for a key of {name}, it is the same")
            require(me(f"{name}-foreign") is None, f"no connection: another authority's for a key of {name}")
        require(me("nobody") == 401, "refused: a certificate that is nobody's")
        require(me(None) == 401, "refused: no certificate, and no token")
        run("principal", "key", "revoke", "p256.certificate-1", "--reason", "for a test")
        require(me("p256-renewed") == 401, "refused: revoked in the log, renewed or not")


def main(counterfoil, home):
    home = Path(home)
    directory = home / "data"
    env = dict(os.environ, COUNTERFOIL_GUARDS=str(home / "guards"))

    def run(*words):
        subprocess.run([counterfoil, *words, "--dir", directory], env=env, check=True, stdout=subprocess.DEVNULL)

    private = {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "RS256": rsa.generate_private_key(65537, 2048),
        "PS512": rsa.generate_private_key(65537, 3072),
    }
    makers = {"ES256": ECAlgorithm, "ES384": ECAlgorithm, "EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm, "PS512": RSAAlgorithm}
    keys = [
        makers[name].to_jwk(key.public_key(), as_dict=True) | {"kid": name, "use": "sig", "alg": name}
        for name, key in private.items()
    ]
    small = rsa.generate_private_key(65537, 1024)
    keys.append(RSAAlgorithm.to_jwk(small.public_key(), as_dict=True) | {"kid": "small"})
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.keys = {"keys": keys}
    threading.Thread(target=provider.serve_forever, daemon=True).start()

    run("init", "--origin", "counterfoil.example/identity")
    run("principal", "add", "olivia", "--human", "--role", "owner")
    (directory / "identity.toml").write_text(
        f'[issuers.corp]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nalgorithms = {json.dumps(list(private))}\n'
        f'jwks_url = "http://127.0.0.1:{provider.server_port}/keys"\n'
    )
    run(
        *("principal", "add", "desk", "--owner", "olivia", "--role", "analyst"),
        *("--issuer", ISSUER, "--audience", AUDIENCE, "--subject", "desk-agent"),
    )

    @contextlib.contextmanager
    def serve(*more):
        said = directory / "serve.json"
        server = subprocess.Popen(
            [counterfoil, "serve", "--listen", "127.0.0.1:0", "--dir", directory, *more],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + 60
            while not said.exists():
                if server.poll() is not None or time.monotonic() > end:
                    require(False, "the server starts")
                time.sleep(0.05)
            yield json.loads(said.read_text())
        finally:
            server.terminate()
            server.wait(60)

    with serve() as serving:
        url = serving["url"]

        def me(token):
            request = urllib.request.Request(f"{url}/v1/me", headers={"authorization": f"Bearer {token}"})
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as refused:
                return refused.code, dict(refused.headers)

        for name, key in private.items():
            status, told = me(jwt.encode(claims(), key, name, headers={"kid": name}))
            require((status, told.get("credential")) == (200, "desk.jwt-1"), f"a token by {name} is its agent's")
        es = private["ES256"]
        for what, token in {
            "another audience": jwt.encode(claims(aud="https://other.example"), es, "ES256", headers={"kid": "ES256"}),
            "another issuer": jwt.encode(claims(iss="https://other.example"), es, "ES256", headers={"kid": "ES256"}),
            "another subject": jwt.encode(claims(sub="other"), es, "ES256", headers={"kid": "ES256"}),
            "no expiry": jwt.encode(claims(exp=None), es, "ES256", headers={"kid": "ES256"}),
            "expired": jwt.encode(claims(exp=int(time.time()) - 60), es, "ES256", headers={"kid": "ES256"}),
            "not yet": jwt.encode(claims(nbf=int(time.time()) + 120), es, "ES256", headers={"kid": "ES256"}),
            "no key": jwt.encode(claims(), es, "ES256"),
            "another's key": jwt.encode(
                claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "ES256"}
            ),
            "a key of the other algorithm": jwt.encode(claims(), private["RS256"], "PS512", headers={"kid": "RS256"}),
            "an algorithm that is not pinned": jwt.encode(claims(), private["RS256"], "RS384", headers={"kid": "RS256"}),
            "a key of 1,024 bits": jwt.encode(claims(), small, "RS256", headers={"kid": "small"}),
            "no signature": jwt.encode(claims(), None, "none", headers={"kid": "ES256"}),
            "a published key as a secret": jwt.encode(
                claims(), keys[0]["x"], "HS256", headers={"kid": "ES256"}
            ),
        }.items():
            status, headers = me(token)
            told = {name.lower(): value for name, value in headers.items()}.get("www-authenticate", "")
            require(status == 401 and "resource_metadata=" in told, f"refused: {what}")
        with urllib.request.urlopen(f"{url}/.well-known/oauth-protected-resource/mcp", timeout=30) as answer:
            require(json.load(answer)["authorization_servers"] == [ISSUER], "the issuer is found by RFC 9728")
        run("principal", "key", "revoke", "desk.jwt-1", "--reason", "for a test")
        status, _ = me(jwt.encode(claims(), es, "ES256", headers={"kid": "ES256"}))
        require(status == 401, "refused: revoked in the log")
    provider.shutdown()
    check_certificates(run, serve, home)


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()), sys.argv[2])
