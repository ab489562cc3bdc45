#!/usr/bin/env bash
# Measures what a call through the MCP door costs beside the same call made directly, on a disk and on a memory file system,
# and another gateway beside it; prints Markdown.
#
#   tests/load/run.sh [--dir DIRECTORY] [OPTIONS OF THE BENCH]
#
# --dir says which disk (default: the system's temporary directory); the other options are those of
# crates/counterfoil/benches/gateway/main.rs. Needs Rust and Python 3.11; FastMCP comes from PyPI into a directory of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

dir="${TMPDIR:-/tmp}"
if [[ ${1:-} == --dir ]]; then
  dir="$2"
  shift 2
fi
room="$(mktemp -d "$dir/load.XXXXXX")"
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --requirement tests/load/requirements.txt
version="$("$room/venv/bin/python" -c 'import importlib.metadata as m; print(m.version("fastmcp"))')"

cargo bench --quiet --locked -p counterfoil --bench gateway -- --dir "$dir" --dir /dev/shm \
  --beside "FastMCP $version as a proxy=$room/venv/bin/fastmcp run {upstream} --transport http --port {port} --no-banner --log-level ERROR" \
  "$@"
