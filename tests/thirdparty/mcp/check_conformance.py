"""The public conformance suite against the MCP door, for both dates of the protocol.

    python check_conformance.py COUNTERFOIL [LIST]

Runs what each date requires of a server (`--requirements`), and holds the outcome against `conformance/<date>.yaml`: the
scenarios that may fail, with the reason for each. One that fails and is not there, or is there and passes, fails the check.
The scenarios of the tasks extension, which no date requires, are held against `conformance/tasks.toml` check by check: their
tools with an effect wait for people, so that their calls are tasks, and a thread says yes in the people's place.
The suite sends no credential, so a small proxy adds the agent's. With LIST, writes the table of results to that file.
"""

import http.client
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from desk import EXAMPLE, HERE, MODULES, NODE, Desk, main, require

DATES = ["2025-11-25", "2026-07-28"]
PROBES = [
    "test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource",
    "test_multiple_content_types", "test_error_handling", "test_tool_with_progress",
]  # fmt: skip
# Those of the tasks extension that have an effect here, with their arguments.
JOBS = {
    "slow_compute": 'seconds = "Long", label = "String"', "failing_job": "", "protocol_error_job": "",
    "confirm_delete": 'filename = "String"',
}  # fmt: skip
# People do not answer what asks for this many seconds or more.
NEVER = 60


def example(home):
    """The example, with the suite's tools behind it."""
    copy = home / "example"
    shutil.copytree(EXAMPLE, copy)
    with open(copy / "release/team.toml", "a") as team:
        for probe in PROBES:
            team.write(f'\n[[tool]]\nname = "probes.{probe}"\neffect = false\nargs = {{}}\n')
        team.write('\n[[tool]]\nname = "probes.greet"\neffect = false\nargs = { name = "String" }\n')
        for job, arguments in JOBS.items():
            team.write(f'\n[[tool]]\nname = "probes.{job}"\neffect = true\nidempotency = false\nargs = {{ {arguments} }}\n')
            team.write(f'\n[[bind]]\ntool = "probes.{job}"\nclause = "FIL-1.2"\n')
    jobs = ", ".join(f'Action::"probes.{job}"' for job in JOBS)
    actions = ", ".join(f'Action::"probes.{probe}"' for probe in [*PROBES, "greet"])
    why = '@clause("FIL-2.1") @why("the conformance suite")'
    rules = {
        "permissions/agent": f'permit (principal == Agent::"agent", action in [{actions}, {jobs}], resource);',
        "permissions/executor": f'permit (principal == Agent::"executor", action in [{jobs}], resource);',
        "risk": f'@tier("elevated")\npermit (principal, action in [{jobs}], resource);',
    }
    for file, rule in rules.items():
        with open(copy / f"release/{file}.cedar", "a") as text:
            text.write(f'\n@id("probe") {why}\n{rule}\n')
    return copy


def people(desk, done):
    """Says yes to what waits, as late as it asks for."""
    first = {}
    while not done.wait(0.1):
        waiting = [json.loads(line) for line in desk.run("approval", "list", "--json").splitlines()]
        for waits in waiting:
            since = first.setdefault(waits["approval"], time.monotonic())
            seconds = waits["action"]["arguments"].get("seconds", 0)
            if seconds < NEVER and time.monotonic() - since >= seconds:
                desk.run("approval", "approve", waits["approval"], "--as", "amira")


def proxy(url, token):
    """Adds the credential to whatever comes; answers its own address."""
    there = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *words):
            pass

        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "accept-encoding")}
            headers["Authorization"] = f"Bearer {token}"
            connection = http.client.HTTPConnection(there.netloc, timeout=60)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            try:
                while chunk := answer.read1(65536):
                    self.wfile.write(chunk)
                    self.wfile.flush()
            except ConnectionError:
                pass
            connection.close()

        do_POST = do_GET = do_DELETE = pass_on

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://localhost:{server.server_address[1]}{there.path}/staging"


def run(url, date, results):
    program = MODULES / "@modelcontextprotocol/conformance/dist/index.js"
    command = [NODE, program, "server", "--url", url, "--requirements", date, "--output-dir", results]
    command += ["--expected-failures", HERE / f"conformance/{date}.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout[-6000:], done.stderr[-2000:])
    require(done.returncode == 0, f"{date}: the suite passes but for what the list says")


def tasks(results):
    """The scenarios of the tasks extension, check by check."""
    expected = tomllib.loads((HERE / "conformance/tasks.toml").read_text())
    wrong = []
    for scenario, fail in expected.items():
        files = list(Path(results).glob(f"**/server-{scenario}-*/checks.json"))
        checks = [check for file in files for check in json.loads(file.read_text())]
        failed = {c["id"]: c.get("errorMessage") for c in checks if c["status"] not in ("SUCCESS", "INFO", "SKIPPED")}
        print(f"        {scenario}: {len(failed)} of {len(checks)} checks fail, {len(fail)} of them as it is listed")
        if not checks or failed.keys() != fail.keys():
            wrong.append((scenario, failed))
    require(not wrong, "the tasks extension: the checks pass but for what the list says", wrong)


def outcomes(results):
    """Each scenario's checks: how many passed, and of how many."""
    found = {}
    for file in sorted(Path(results).glob("**/checks.json")):
        name = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
        checks = [c["status"] for c in json.loads(file.read_text()) if c["status"] in ("SUCCESS", "FAILURE", "WARNING")]
        found[name] = (checks.count("SUCCESS"), len(checks))
    return found


def check():
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        desk = Desk(sys.argv[1], home / "data", example(home))
        with open(desk.dir / "targets.toml", "a") as targets:
            targets.write(f'\n[probes]\nprogram = "node"\nargs = ["{HERE / "probes.mjs"}"]\n')
        try:
            desk.start()
            url = proxy(desk.url, desk.token("agent"))
            done = threading.Event()
            answering = threading.Thread(target=people, args=(desk, done))
            answering.start()
            try:
                for date in DATES:
                    run(url, date, home / date)
            finally:
                done.set()
                answering.join()
            tasks(home / DATES[1])
            if len(sys.argv) > 2:
                seen = {date: outcomes(home / date) for date in DATES}
                Path(sys.argv[2]).write_text(json.dumps(seen, indent=1))
            desk.stop()
        finally:
            desk.kill()


if __name__ == "__main__":
    main(check)
