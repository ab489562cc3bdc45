#!/bin/sh
# Sets a data directory up for one suite: people, agents with tokens, its release in force in `staging`, its thresholds signed.
# Usage: setup.sh SUITE DIRECTORY PYTHON ENVIRONMENT-FILE
set -eu
here=$(cd "$(dirname "$0")" && pwd)
suite=$1 dir=$2
counterfoil=${COUNTERFOIL:-counterfoil}
run() { "$counterfoil" "$@" --dir "$dir" >/dev/null; }

run init --origin "counterfoil.example/agentdojo-$suite"
for owner in olivia rashid ines carla dmitri; do run principal add "$owner" --human --role owner; done
# The user, and who signs beside them where the risk is high.
for person in emma noah; do
  run principal add "$person" --human --role approver
  run certification add "$person" assistants --days 365
done
run principal add assistant --owner olivia --role analyst --role intake
run principal add checker --owner rashid --role reviewer
run principal add executor --owner ines --role executor
release=$("$counterfoil" release build "$here/releases/$suite" --as olivia --dir "$dir" | grep -oE '[0-9a-f]{64}' | head -n 1)
run control test "$release"
run release promote "$release" --env staging --as carla --reason "the suite's release"
for file in "$here/releases/$suite"/thresholds/*.toml; do
  [ -e "$file" ] || continue
  for owner in carla dmitri; do run threshold sign "$(basename "$file" .toml)" --env staging --as "$owner"; done
done
cat > "$dir/targets.toml" <<TARGET
[$suite]
program = "$3"
args = ["$here/upstream.py", "$suite", "$4"]
TARGET
