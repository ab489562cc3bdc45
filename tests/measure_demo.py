"""Cases a second through the whole demo, and its peak memory: runs the release binary on a fresh directory.

    cargo build --release && python3 tests/measure_demo.py [CASES]
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time

cases = sys.argv[1] if len(sys.argv) > 1 else "500"
with tempfile.TemporaryDirectory() as home:
    command = ["target/release/counterfoil", "demo", "--once", "--json", "--cases", cases, "--dir", f"{home}/data"]
    start = time.monotonic()
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.monotonic() - start
    summary = json.loads(out)
    # The largest of the processes that ended: the engine, beside which the two example targets are small.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(f"{home}/data/log") for f in files)
    print(f"{summary['cases']} cases, {summary['records']} records in {seconds:.2f} s: "
          f"{summary['cases'] / seconds:.0f} cases/s, {summary['records'] / seconds:.0f} records/s, "
          f"peak {peak:.0f} MiB, log {size / 2**20:.1f} MiB")
