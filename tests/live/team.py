"""The built-in team on a live language model: analyst and reviewer over some cases, whatever the model says.

`team.py [CASES]`, with the packages of requirements.txt and `COUNTERFOIL` naming the binary. It is optional: `./test` does not
run it, since a model takes minutes. It asserts that nothing illegal happened, whatever was said: the log verifies, every decision comes out
again, every control is sound, every question has its answer in the log, nothing malformed is relied on, and nothing was paid
without a threshold or signatures. It prints what was counted.
"""

import collections
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARY = os.environ.get("COUNTERFOIL", str(ROOT / "target/debug/counterfoil"))


def run(*args, code=0):
    done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def server(name):
    child = subprocess.Popen([sys.executable, HERE / "serve.py", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = child.stdout.readline().strip()
    assert address.startswith("http"), f"the server of {name} did not start: {address!r}"
    return child, address


def release(home):
    """The example's release, with both agents on language models."""
    shutil.copytree(ROOT / "examples/payables/release", home)
    team = (home / "team.toml").read_text()
    # The analyst must call a function, whatever comes of it; the reviewer may talk.
    for agent, choice in (("analyst", "required"), ("reviewer", "auto")):
        rules = f'model = {{ kind = "rules", table = "tables/{agent}.cedar" }}'
        assert rules in team
        model = (
            f'model = {{ kind = "openai", id = "smol-{agent}", family = "smol-{agent}", endpoint = "{agent}", max_tokens = 96, '
            f'timeout_seconds = 300, repairs = 1, parameters = {{ temperature = 0.8, tool_choice = "{choice}" }}, '
            "budget = { case_calls = 6 } }"
        )
        team = team.replace(rules, model)
        (home / f"tables/{agent}.cedar").unlink()
    (home / "team.toml").write_text(team)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    children = []
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        os.environ["COUNTERFOIL_GUARDS"] = str(home / "guards")
        data = home / "data"
        try:
            run("demo", "--once", "--json", "--cases", 1, "--dir", data)
            began = len(records_of(data))
            endpoints = ""
            for agent in ("analyst", "reviewer"):
                child, address = server(f"smol-{agent}")
                children.append(child)
                endpoints += f'[{agent}]\nurl = "{address}/v1"\n'
            (data / "models.toml").write_text(endpoints)
            release(home / "release")
            digest = run("release", "build", home / "release", "--as", "olivia", "--dir", data).strip()
            run("control", "test", digest, "--dir", data)
            run("release", "promote", digest, "--env", "staging", "--as", "carla", "--reason", "live", "--dir", data)
            with open(data / "targets/books/invoices.csv", encoding="utf-8") as file:
                lines = file.read().splitlines()
            rows = list(csv.DictReader(lines))
            for n, row in enumerate(rows[:count]):
                source = home / "source.csv"
                source.write_text(f"{lines[0]}\n{lines[n + 1]}\n")
                run("run", "--case", f"live-{n}", "--env", "staging", "--subject", row["row"], "--source", source, "--dir", data)
            check(data, began, count)
        finally:
            for child in children:
                child.terminate()
                child.wait()


def check(data, began, count):
    records = records_of(data)[began:]
    by_kind = collections.defaultdict(list)
    for record in records:
        by_kind[record["kind"]].append(record)
    asked = {r["body"]["call"] for r in by_kind["model.called"]}
    answers = {r["body"]["request"]["call"]: r["body"] for r in by_kind["model.answered"]}
    assert asked and asked == set(answers), "every question has its answer in the log"
    results = collections.Counter(a["request"]["result"] for a in answers.values())
    for body in answers.values():
        said = body["request"]["result"] in ("usable", "malformed")
        assert not said or body["request"].get("snapshot"), "what a model said is kept"
        assert body["request"]["result"] == "usable" or body["request"]["problem"]
    stances = collections.Counter()
    for record in by_kind["recommendation.made"]:
        request = record["body"]["request"]
        escalated = request.get("row") == "escalated"
        assert not escalated or (request["stance"] == "refer" and "action" not in request)
        stances[(record["actor"]["id"], "escalated" if escalated else request["stance"])] += 1
    granted = {r["body"]["grant"]: r["body"]["basis"] for r in by_kind["grant.issued"]}
    for record in by_kind["grant.used"]:
        basis = granted[record["body"]["request"]["grant"]]
        assert basis["type"] == "threshold" or len(basis["signers"]) >= 1
    run("log", "verify", data, "--vkey", data / "log.vkey")
    run("audit", "reperform", "--dir", data)
    run("control", "report", "--dir", data)
    opened = len(by_kind["case.opened"])
    assert opened == count
    print(json.dumps({
        "cases": opened,
        "questions": len(asked),
        "answers": dict(results),
        "drifted": sum(1 for a in answers.values() if "drift" in a),
        "problems": dict(collections.Counter(a["request"].get("problem", "")[:60] for a in answers.values() if a["request"]["result"] != "usable").most_common(8)),
        "recommendations": {f"{who} {what}": n for (who, what), n in sorted(stances.items())},
        "closed": dict(collections.Counter(r["body"]["outcome"] for r in by_kind["case.closed"])),
        "grants used": len(by_kind["grant.used"]),
        "approvals asked": len(by_kind["approval.requested"]),
    }, indent=1))


def records_of(data):
    """The records of the log, from its bundles (c2sp.org/tlog-tiles)."""
    records = []
    entries = data / "log/tile/entries"
    while True:
        number, offset = divmod(len(records), 256)
        assert offset == 0 and number < 1000
        whole = entries / f"{number:03}"
        parts = sorted(entries.glob(f"{number:03}.p/*"), key=lambda part: int(part.name))
        bundle = whole if whole.exists() else parts[-1] if parts else None
        if bundle is None:
            return records
        content = bundle.read_bytes()
        while content:
            length = int.from_bytes(content[:2], "big")
            records.append(json.loads(content[2 : 2 + length]))
            content = content[2 + length :]
        if bundle != whole:
            return records


main()
