"""The example `examples/mcp`, set up in a directory and served by the real binary."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent.parent.parent / "examples" / "mcp"
MODULES = HERE / "node_modules"
NODE = MODULES / ".bin" / "node"


class Failure(Exception):
    """What was found wrong."""


def require(condition, what, seen=""):
    if not condition:
        raise Failure(f"{what}: {seen}" if seen else what)
    print(f"ok      {what}", flush=True)


def wait_for(what, look, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.1)
    raise Failure(f"{what} did not come in {seconds} s")


class Desk:
    """A data directory and its server."""

    def __init__(self, counterfoil, home, example=EXAMPLE):
        self.counterfoil = str(Path(counterfoil).resolve())
        self.dir = Path(home).resolve()
        path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
        guards = str(self.dir.parent / "guards")
        self.env = dict(os.environ, PATH=path, COUNTERFOIL_GUARDS=guards)
        more = {"COUNTERFOIL": self.counterfoil, "NODE_MODULES": str(MODULES)}
        subprocess.run([example / "setup.sh", self.dir], env=self.env | more, check=True)
        self.child = None

    def start(self, minutes=0, listen="127.0.0.1:0"):
        """Serves; where minutes are given, with a clock that is so many ahead."""
        env = dict(self.env)
        if minutes:
            library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
            env |= {"LD_PRELOAD": str(library), "FAKETIME": f"+{minutes}m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        command = [self.counterfoil, "serve", "--listen", listen, "--dir", str(self.dir)]
        said = self.dir / "serve.json"
        # A server that was killed left its own.
        said.unlink(missing_ok=True)
        self.child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

        def look():
            try:
                return json.loads(said.read_text())["url"]
            except (OSError, ValueError, KeyError):
                if self.child.poll() is not None:
                    raise Failure("the server ended") from None
                return None

        self.url = wait_for("the server", look) + "/mcp"

    def stop(self):
        if self.child:
            self.child.send_signal(signal.SIGTERM)
            if self.child.wait(60):
                raise Failure("the server did not end well")
            self.child = None

    def kill(self):
        if self.child:
            self.child.kill()
            self.child.wait()

    def token(self, agent):
        return (self.dir / f"keys/agents/{agent}.token").read_text().strip()

    def run(self, *words):
        words = [self.counterfoil, *words, "--dir", str(self.dir)]
        return subprocess.run(words, env=self.env, check=True, capture_output=True, text=True).stdout


def main(check):
    """Runs a script's check; exits 1 at the first thing that is wrong."""
    try:
        check()
    except Failure as failure:
        print(f"FAILED  {failure}", flush=True)
        sys.exit(1)
