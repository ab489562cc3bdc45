#!/bin/sh
# Sets a data directory up for an agent that connects by MCP: people, agents with tokens, two MCP servers as targets, the release
# of this example, in force in `staging`. Usage: setup.sh DIRECTORY
# The servers are found below NODE_MODULES; `npm ci` in tests/thirdparty/mcp puts them there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
counterfoil=${COUNTERFOIL:-counterfoil}
modules=${NODE_MODULES:-$here/../../tests/thirdparty/mcp/node_modules}
modules=$(cd "$modules" && pwd)
run() { "$counterfoil" "$@" --dir "$dir" >/dev/null; }

run init --origin counterfoil.example/files
for owner in olivia rashid ines carla dmitri; do run principal add "$owner" --human --role owner; done
for person in amira bram; do
  run principal add "$person" --human --role approver
  run certification add "$person" files --days 365
done
run principal add agent --owner olivia --role analyst --role intake
run principal add reviewer --owner rashid --role reviewer
run principal add executor --owner ines --role executor
dir=$(cd "$dir" && pwd)
mkdir -p "$dir/files/drafts" "$dir/files/board"
cat > "$dir/targets.toml" <<TARGETS
[files]
program = "node"
args = ["$modules/@modelcontextprotocol/server-filesystem/dist/index.js", "$dir/files"]

[everything]
program = "node"
args = ["$modules/@modelcontextprotocol/server-everything/dist/index.js", "stdio"]
TARGETS
release=$("$counterfoil" release build "$here/release" --as olivia --dir "$dir" | grep -oE '[0-9a-f]{64}' | head -n 1)
run control test "$release"
run release promote "$release" --env staging --as carla --reason "the example as it is shipped"
for owner in carla dmitri; do run threshold sign drafts --env staging --as "$owner"; done
