"""Checks the passkeys' assertions in a log directory with software that nobody of this project wrote.

    python check_passkey.py LOGDIR

webauthn: each assertion under an approval, against the public key, the origins and the relying party that the log records
when the passkey was added, with the SHA-256 of the statement's canonical JSON as challenge; and that it is refused
over another statement. Prints what it checked; exits 1 at the first failure or where there is nothing to check, 2 on
wrong usage.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

import cbor2
import webauthn
from webauthn.helpers import exceptions


def require(condition, what):
    if not condition:
        print(f"BAD {what}")
        sys.exit(1)
    print(f"ok  {what}")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def entries(log):
    """The records: bundles of entries, each after its length in 16 bits (C2SP tlog-tiles); a partial bundle stands for a full one to come."""
    full = sorted((log / "tile" / "entries").rglob("*"))
    bundles = {}
    for path in (p for p in full if p.is_file()):
        name = path.relative_to(log / "tile" / "entries").as_posix()
        index, _, width = name.partition(".p/")
        number = int("".join(part.lstrip("x") for part in index.split("/")))
        width = int(width) if width else 256
        if width > bundles.get(number, (0, None))[0]:
            bundles[number] = (width, path)
    for _, (_, path) in sorted(bundles.items()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            yield json.loads(data[2:2 + length])
            data = data[2 + length:]


def canonical(value):
    """RFC 8785, of what statements hold: texts, truths and objects of ASCII names."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def cose(proof):
    """The key as WebAuthn's own form (RFC 9053)."""
    key = decode(proof["public"])
    if proof["algorithm"] == "ES256":
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: key[1:33], -3: key[33:]})
    return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: key})


def holds(proof, statement, signature):
    try:
        webauthn.verify_authentication_response(
            credential={
                "id": proof["id"], "rawId": proof["id"], "type": "public-key", "response": signature,
            },
            expected_challenge=hashlib.sha256(canonical(statement)).digest(),
            expected_rp_id=proof["rp"],
            expected_origin=proof["origins"],
            credential_public_key=cose(proof),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except exceptions.InvalidAuthenticationResponse as e:
        return str(e)
    return None


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    proofs = {}
    checked = 0
    for record in entries(Path(sys.argv[1])):
        request = record["body"].get("request", {})
        if record["kind"] == "credential.added" and request["proof"]["kind"] == "passkey":
            signed = request["possession"]
            proofs[signed["statement"]["credential"]] = request["proof"]
        elif record["kind"] == "approval.given" and isinstance(request["signature"], dict):
            signed = request
        else:
            continue
        statement = signed["statement"]
        proof = proofs[statement["credential"]]
        wrong = holds(proof, statement, signed["signature"])
        require(wrong is None, f"record {record['seq']}: {record['kind']} by {statement['credential']}{f': {wrong}' if wrong else ''}")
        other = {**statement, "log": "another.example/log"}
        require(holds(proof, other, signed["signature"]), f"record {record['seq']}: not over another statement")
        checked += 1
    require(checked >= 2, f"{checked} assertions checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
