"""Holds the HTTP API against its own OpenAPI description with a tester that nobody here wrote: Schemathesis.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python check_api.py PATH-TO-COUNTERFOIL DATA-DIRECTORY

Serves the directory on a port of its own choosing and asks every route, as the local services and as an agent, what its
description allows and what it does not. No answer may be a 5xx, of another status or media type than described, or of
another shape. The stream of events never ends, and is left out. Exit code 1 if anything is found.
"""

import json
import os
import subprocess
import sys
import time

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def served(process, directory):
    """The address, once the server has written it down."""
    file = os.path.join(directory, "serve.json")
    while process.poll() is None:
        try:
            with open(file, encoding="utf-8") as text:
                return json.load(text)["url"]
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.05)
    sys.exit("the server did not start")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, directory = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    tester = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    server = subprocess.Popen([program, "serve", "--listen", "127.0.0.1:0", "--dir", directory], stdout=subprocess.DEVNULL)
    failed = False
    try:
        url = served(server, directory)
        for who in ["local.token", "agents/analyst.token"]:
            with open(os.path.join(directory, "keys", who), encoding="utf-8") as file:
                token = file.read().strip()
            print(f"as the holder of keys/{who}", flush=True)
            command = [tester, "run", f"{url}/v1/openapi.json", "--header", f"Authorization: Bearer {token}"]
            command += ["--checks", CHECKS, "--exclude-path-regex", "/events$", "--phases", "examples,coverage,fuzzing"]
            command += ["--max-examples", "10", "--seed", "1", "--request-timeout", "20", "--continue-on-failure", "--no-color"]
            failed |= subprocess.run(command, check=False).returncode != 0
        if server.poll() is not None:
            print("FAILED  the server did not live through it")
            failed = True
    finally:
        server.terminate()
        server.wait()
    sys.exit(failed)


main()
