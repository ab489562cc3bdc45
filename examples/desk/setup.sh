#!/bin/sh
# Sets a data directory up for an app of your own: people, agents with tokens, the release of this example, in force in `staging`.
# Usage: setup.sh DIRECTORY
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
counterfoil=${COUNTERFOIL:-counterfoil}
run() { "$counterfoil" "$@" --dir "$dir" >/dev/null; }

run init --origin counterfoil.example/desk
for owner in olivia rashid ines carla; do run principal add "$owner" --human --role owner; done
for person in amira bram; do
  run principal add "$person" --human --role approver
  run certification add "$person" refunds --days 365
done
run principal add analyst --owner olivia --role analyst --role intake
run principal add reviewer --owner rashid --role reviewer
run principal add executor --owner ines --role executor
release=$("$counterfoil" release build "$here/release" --as olivia --dir "$dir" | grep -oE '[0-9a-f]{64}' | head -n 1)
run control test "$release"
run release promote "$release" --env staging --as carla --reason "the example as it is shipped"
