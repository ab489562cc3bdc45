"""The real binary on a data directory of its own, and a model endpoint that says what the test wrote."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from counterfoil import Client
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ROOT = Path(__file__).parent.parent.parent
BINARY = Path(os.environ.get("COUNTERFOIL", ROOT / "target/debug/counterfoil"))


class Desk:
    """A server of examples/desk, with its people's keys."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.dir = home / "data"
        self.refunds = home / "refunds.txt"
        self.env = {**os.environ, "COUNTERFOIL": str(BINARY), "COUNTERFOIL_GUARDS": str(home / "guards")}
        setup = ["sh", str(ROOT / "examples/desk/setup.sh"), str(self.dir)]
        subprocess.run(setup, env=self.env, check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        serve = [str(BINARY), "serve", "--listen", "127.0.0.1:0", "--dir", str(self.dir)]
        self.process = subprocess.Popen(serve, env=self.env, stdout=subprocess.DEVNULL)
        for _ in range(1200):
            try:
                self.url: str = json.loads((self.dir / "serve.json").read_text())["url"]
                return
            except (OSError, ValueError):
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.05)
        raise AssertionError("the server did not come")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def token(self, agent: str) -> str:
        return (self.dir / f"keys/agents/{agent}.token").read_text().strip()

    def client(self, agent: str) -> Client:
        return Client(self.url, self.token(agent))

    def decide(self, approval: str, person: str, decision: str = "approve", reason: str = "") -> None:
        """A person decides, with their own key over the bytes that they are shown."""
        client = self.client("analyst")
        shown = client.statement(
            approval, signer=person, credential=f"{person}.key-1", decision=decision, reason=reason
        )
        pem = (self.dir / f"keys/people/{person}.pem").read_bytes()
        key = load_pem_private_key(pem, None)
        assert isinstance(key, Ed25519PrivateKey)
        signature = base64.b64encode(key.sign(base64.b64decode(shown["bytes"]))).decode()
        client.sign(shown["statement"], signature)

    def paid(self) -> list[str]:
        return self.refunds.read_text().splitlines() if self.refunds.exists() else []

    def counterfoil(self, *args: str) -> str:
        run = [str(BINARY), *args, "--dir", str(self.dir)]
        done = subprocess.run(run, env=self.env, check=True, capture_output=True, text=True)
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    monkeypatch.setenv("COUNTERFOIL_URL", desk.url)
    monkeypatch.setenv("COUNTERFOIL_KEYS", str(desk.dir / "keys/agents"))
    monkeypatch.setenv("REFUNDS", str(desk.refunds))
    yield desk
    desk.stop()


class Script(BaseHTTPRequestHandler):
    """Chat completions of one conversation: first the tool is called, then its answer is said."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        last = asked["messages"][-1]
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if last["role"] == "tool":
            message["content"] = f"Done: {last['content']}"
        else:
            arguments = json.dumps({"order_id": "o-17", "amount_cents": 4500})
            function = {"name": "refund", "arguments": arguments}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        answer = {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": asked["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    yield
    server.shutdown()
