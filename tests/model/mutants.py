"""Weakens the core's own source, one rule at a time, and runs the model check on each: every mutant must be caught.

All mutants are built into one program, each behind a switch that an environment variable turns, so that it is compiled
once. Without a mutant the same program must find nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "target" / "mutants"
# What both are built of is compiled once, for the model as it is and for this one.
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PROGRAM = "model-mutants"
USUAL = "--cases 1 --moments 2 --amounts low,high --threads 2 --most 3000000"
SWITCH = '''
//! Which mutant is on.

use std::sync::OnceLock;

pub(crate) fn on(name: &str) -> bool {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    NAME.get_or_init(|| std::env::var("MUTANT").ok()).as_deref() == Some(name)
}
'''


def fail(why: str) -> None:
    print(f"mutants: {why}", file=sys.stderr)
    sys.exit(1)


def prepare(mutants: list[dict]) -> None:
    """A copy of the core and of the model, with every mutant in it."""
    for crate in ("duty", "model"):
        shutil.rmtree(HOME / crate, ignore_errors=True)
    for crate in ("duty", "model"):
        shutil.copytree(ROOT / "crates" / crate, HOME / crate)
    manifest = HOME / "duty" / "Cargo.toml"
    # Its own tests and benches are not built here.
    manifest.write_text(re.sub(r"(?ms)^\[dev-dependencies\]\n.*?(?=^\[|\Z)|^\[\[bench\]\]\n.*?(?=^\[|\Z)", "", manifest.read_text()))
    manifest = HOME / "model" / "Cargo.toml"
    manifest.write_text(f'{manifest.read_text()}\n[[bin]]\nname = "{PROGRAM}"\npath = "src/main.rs"\n')
    text = (ROOT / "Cargo.toml").read_text()
    text = re.sub(r"(?m)^members = .*$", 'members = ["duty", "model"]', text)
    text = re.sub(r"(?m)^default-members = .*\n", "", text)
    text = text.replace('duty = { path = "crates/duty" }', 'duty = { path = "duty" }')
    (HOME / "Cargo.toml").write_text(text)
    shutil.copy(ROOT / "Cargo.lock", HOME / "Cargo.lock")
    source = HOME / "duty" / "src"
    (source / "mutant.rs").write_text(SWITCH.lstrip())
    lib = source / "lib.rs"
    lib.write_text(lib.read_text().replace("pub mod name;", "mod mutant;\npub mod name;", 1))
    # Two mutants may change the same place: each is told apart from the text as it is, and their switches are joined.
    places: dict[tuple[str, str], list[str]] = {}
    for mutant in mutants:
        for change in mutant["change"]:
            key = (change["file"], change["find"])
            original = (ROOT / "crates/duty/src" / change["file"]).read_text()
            if original.count(change["find"]) != 1:
                fail(f"`{mutant['name']}`: `{change['find']}` occurs {original.count(change['find'])} times in {change['file']}")
            names = places.setdefault((*key, change["replace"]), [])
            names.append(mutant["name"])
    if len({(file, find) for file, find, _ in places}) != len(places):
        fail("two mutants change one place in two ways")
    for (file, find, replace), names in places.items():
        switch = " || ".join(f'crate::mutant::on("{name}")' for name in names)
        path = source / file
        path.write_text(path.read_text().replace(find, re.sub(r"\bON\b", f"({switch})", replace), 1))


def run(options: str, mutant: str | None, breaks: str | None) -> subprocess.CompletedProcess:
    words = (USUAL + " " + options).split()
    # A later option takes the place of an earlier one.
    args: dict[str, str] = {}
    for name, value in zip(words[::2], words[1::2]):
        args[name] = value
    line = [str(TARGET / "release" / PROGRAM)]
    for name, value in args.items():
        line += [name, value]
    if breaks:
        line += ["--expect", breaks]
    environment = os.environ | ({"MUTANT": mutant} if mutant else {})
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=900)


def main() -> None:
    mutants = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())["mutant"]
    prepare(mutants)
    build = ["cargo", "build", "--release", "--quiet", "-p", "model", "--manifest-path", str(HOME / "Cargo.toml")]
    # Switches leave warnings behind, which are of no interest; flags that silence them would build all else anew.
    built = subprocess.run(build, env=os.environ | {"CARGO_TARGET_DIR": str(TARGET)}, capture_output=True, text=True)
    if built.returncode != 0:
        fail(f"the mutants cannot be built:\n{built.stderr}")
    sound = run("", None, None)
    if sound.returncode != 0:
        fail(f"without a mutant a violation was found:\n{sound.stdout}")
    survived = 0
    print(f"{'mutant':<46} {'breaks':<8} {'states':>9} {'steps':>6}  seconds")
    for mutant in mutants:
        since = time.monotonic()
        done = run(mutant.get("world", ""), mutant["name"], mutant["breaks"])
        states = re.search(r"^(\d+) distinct", done.stdout, re.M)
        steps = len(re.findall(r"^ +\d+\. ", done.stdout, re.M))
        broken = re.search(r"^(\w+) is broken", done.stdout, re.M)
        word = broken.group(1) if broken else "-"
        if done.returncode != 0:
            survived += 1
            word = f"SURVIVED ({word})"
        print(f"{mutant['name']:<46} {word:<8} {states.group(1) if states else '?':>9} {steps:>6}  {time.monotonic() - since:.1f}")
        if done.returncode != 0:
            print(done.stdout[-3000:] + done.stderr[-1000:])
    if survived:
        fail(f"{survived} of {len(mutants)} mutants survived")
    print(f"all {len(mutants)} mutants caught")


main()
