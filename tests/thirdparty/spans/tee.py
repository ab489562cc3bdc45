"""Starts a program and notes what it is told: `tee.py FILE PROGRAM ARGS...`."""

import subprocess
import sys

with open(sys.argv[1], "ab", buffering=0) as noted:
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE)
    for line in sys.stdin.buffer:
        noted.write(line)
        child.stdin.write(line)
        child.stdin.flush()
    child.stdin.close()
    sys.exit(child.wait())
