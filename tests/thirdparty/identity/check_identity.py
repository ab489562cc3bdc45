"""Comes to the real binary with tokens that libraries nobody here wrote make, as an identity provider does.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python check_identity.py COUNTERFOIL WORK-DIRECTORY

Keys: `cryptography`. Tokens and sets of keys: `PyJWT`. Prints what it checked; exit code 1 at the first failure.
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
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
    run(
        *("principal", "add", "desk", "--owner", "olivia", "--role", "analyst"),
        *("--issuer", ISSUER, "--audience", AUDIENCE, "--subject", "desk-agent"),
    )
    (directory / "identity.toml").write_text(
        f'[issuers.corp]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nalgorithms = {json.dumps(list(private))}\n'
        f'jwks_url = "http://127.0.0.1:{provider.server_port}/keys"\n'
    )
    server = subprocess.Popen(
        [counterfoil, "serve", "--listen", "127.0.0.1:0", "--dir", directory],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        said = directory / "serve.json"
        end = time.monotonic() + 60
        while not said.exists():
            if server.poll() is not None or time.monotonic() > end:
                require(False, "the server starts")
            time.sleep(0.05)
        url = json.loads(said.read_text())["url"]

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
    finally:
        server.terminate()
        server.wait(60)
        provider.shutdown()


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()), sys.argv[2])
