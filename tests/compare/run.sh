#!/usr/bin/env bash
# Measures the log beside SQLite, PostgreSQL 15 and Tessera on one disk, and the log as it grows; prints Markdown and
# draws docs/append.svg.
#
#   tests/compare/run.sh [--dir DIRECTORY] [--seconds N] [--most RECORDS] [--bytes N] [--only compare|growth]
#
# --dir says which disk (default: the system's temporary directory), --seconds how long each row is driven (10), --most
# how large the log grows (10,000,000; with --bytes 1024 that takes 11 GB of disk for the time of the run).
# Needs Rust, Go 1.25, PostgreSQL 15 (Debian: postgresql-15; elsewhere its binaries' directory in PG_BIN) and Python 3.
set -euo pipefail
cd "$(dirname "$0")/../.."

dir="${TMPDIR:-/tmp}" seconds=10 most=10000000 bytes=1024 only=all
while (($#)); do
  case "$1" in
    --dir) dir="$2" ;;
    --seconds) seconds="$2" ;;
    --most) most="$2" ;;
    --bytes) bytes="$2" ;;
    --only) only="$2" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift 2
done

room="$(mktemp -d "$dir/compare.XXXXXX")"
trap 'rm -rf "$room"' EXIT
# PostgreSQL's user must get through to its directory.
chmod 755 "$room"
# Directories below are spread over the file system, where it can do that: a file system without a journal searches
# long for a free file where many were just removed, and one row must not pay for another's.
chattr +T "$room" 2>/dev/null || true
mkdir "$room/bin" "$room/rows"

target="${CARGO_TARGET_DIR:-$PWD/target}"
cargo bench --quiet --locked -p store --bench append --bench growth --no-run
if [[ $only != growth ]]; then
  CARGO_TARGET_DIR="$target/compare" cargo build --quiet --locked --release --manifest-path tests/compare/Cargo.toml
  (cd tests/compare/tessera && go build -mod=readonly -o "$room/bin/tessera" .)
fi

machine() {
  printf 'On %s cores (%s), %s GiB, Linux %s, %s at %s; load %s when it began.\n\n' \
    "$(nproc)" "$(uname -m)" "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r)" \
    "$(df --output=fstype "$room" | tail -n 1)" "$(df --output=source "$room" | tail -n 1)" "$(cut -d' ' -f1 /proc/loadavg)"
}

ours() { # ON_THEIR_WAY
  cargo bench --quiet --locked -p store --bench append -- "$room" "$seconds" "$1" | awk -v window="$1" '
    /^64 writers/ {
      match($0, /: [0-9]+ records/); rate = substr($0, RSTART + 2, RLENGTH - 10)
      printf "Counterfoil\t64, %s on their way each\t%s\tpublished checkpoint every 200 ms\n", window, rate
    }'
}

tessera() { # ON_THEIR_WAY BATCH AGE
  "$room/bin/tessera" -dir "$room/tessera-$1-$2" -time "${seconds}s" -window "$1" -batch "$2" -age "$3" 2>"$room/tessera.log" ||
    { cat "$room/tessera.log" >&2; exit 1; }
}

if [[ $only != growth ]]; then
  machine
  databases="$target/compare/release/compare"
  {
    ours 1
    ours 16
    "$databases" sqlite "$room/sqlite-1" "$seconds" 1
    "$databases" sqlite "$room/sqlite-16" "$seconds" 16
    "$databases" postgres-locked "$room/postgres-locked" "$seconds"
    "$databases" postgres-batched "$room/postgres-1" "$seconds" 1
    "$databases" postgres-batched "$room/postgres-16" "$seconds" 16
    tessera 1 64 1ms
    tessera 16 1024 5ms
  } >"$room/rows/compare"
  printf '| | writers | durable records/s | |\n|---|---|---|---|\n'
  awk -F'\t' '
    function grouped(n,   out) { while (length(n) > 3) { out = "," substr(n, length(n) - 2) out; n = substr(n, 1, length(n) - 3) } return n out }
    { printf "| %s | %s | %s | %s |\n", $1, $2, grouped($3), $4 }' "$room/rows/compare"
  if (($(wc -l <"$room/rows/compare") != 9)); then
    echo "a measurement printed no row" >&2
    exit 1
  fi
  printf '\nAlone: '
  cargo bench --quiet --locked -p store --bench append -- "$room" 0 | awk '
    /^one fdatasync/ { sub(/^[^:]*: */, ""); sync = $0 }
    /^one writer/ { sub(/^[^:]*: */, ""); one = $0 }
    END { printf "one fdatasync of 1 KiB %s; one writer, append to durable, %s.\n", sync, one }'
fi

if [[ $only != compare ]]; then
  need=$((most * (bytes + 128) / 1024 + 2097152)) free="$(df --output=avail "$room" | tail -n 1)"
  if ((free < need)); then
    echo "the log to grow takes $((need >> 20)) GiB and $((free >> 20)) GiB are free: ask for fewer with --most or smaller with --bytes" >&2
    exit 1
  fi
  cargo bench --quiet --locked -p store --bench growth -- "$room" "$most" "$bytes" >"$room/rows/growth"
  printf '\n| records in the log | records/s for those after them, at most 100,000 | resident | peak |\n|---|---|---|---|\n'
  awk -F'\t' '
    function grouped(n,   out) { while (length(n) > 3) { out = "," substr(n, length(n) - 2) out; n = substr(n, 1, length(n) - 3) } return n out }
    { printf "| %s | %s | %d MiB | %d MiB |\n", grouped($1), grouped($2), $3, $4 }' "$room/rows/growth"
  python3 tests/compare/plot.py "$room/rows/growth" docs/append.svg
fi
