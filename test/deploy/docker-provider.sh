#!/bin/bash
# The docker provider with a real engine: a machine that is created joins by itself, runs commands, sleeps, is woken by the next
# command and is deleted. Leaves nothing behind. Needs root, docker.io, debootstrap, curl and jq, and a built tree (npm run build).
#
#   bash test/deploy/docker-provider.sh [ROOT]     ROOT: a file system to keep for the next run (base-image.sh)
#
# SDK=MODULE: the official TypeScript SDK of the Dedalus Machines API, whose checks run too (sdk-machines.ts). STORAGE_DRIVER=vfs: for a
# machine without overlayfs.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/deploy/engine.sh

work=$(mktemp -d)
root=${1:-$work/root}
node=$PWD/node_modules/.bin/node
server_pid=

cleanup() {
  status=$?
  [ "$status" = 0 ] || tail -20 "$work/server.log" >&2 || true
  [ -z "$server_pid" ] || { kill "$server_pid" && wait "$server_pid"; } || true
  # Cleans up only the engine of this test.
  if [ -n "${engine_pid-}" ]; then
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
    stop_engine
  fi
  rm -rf --one-file-system "$work"
  exit "$status"
}
trap cleanup EXIT

# check NAME ACTUAL EXPECTED
check() {
  [ "$2" = "$3" ] || { printf 'FAIL %s: %s, not %s\n' "$1" "$2" "$3"; return 1; }
  printf 'ok   %s\n' "$1"
}
# api METHOD PATH [BODY]
api() {
  curl --silent --show-error --fail-with-body --max-time 120 --request "$1" "$url$2" \
    --header "authorization: Bearer $key" ${3:+--json "$3"}
}
# Waits until the machine is in the desired state. Prints its phase and reason.
settled() { api GET "/v1/machines/$1/status/stream" | sed -n 's/^data: *//p' | tail -1 | jq -r '"\(.status.phase) \(.status.reason)"'; }
run() { api POST "/v1/machines/$1/executions?wait_ms=55000&include=output" "{\"command\": $2}"; }
state() { docker ps --all --filter "name=^/execplane-$1\$" --format '{{.State}}'; }

# The image of an agent: the base image and the program.
start_engine "$work/engine"
base=$(sh test/deploy/base-image.sh "$root")
"$node" scripts/package.ts --program "$work/image/program" >/dev/null
printf 'FROM %s\nCOPY program /usr/lib/execplane\nENV EXECPLANE_AGENT_DIR=/var/lib/execplane-agent/state EXECPLANE_INSECURE=true\n%s\n' "$base" \
  'CMD ["/usr/lib/execplane/bin/execplane", "agent"]' >"$work/image/Dockerfile"
docker build --quiet --tag execplane-test-agent "$work/image" >/dev/null

# The address of the bridge of engine.sh, at which containers connect to the server.
url=http://10.213.0.1:17412
cat >"$work/providers.json" <<END
{"default": "docker", "providers": {"docker": {
  "command": ["$PWD/deploy/providers/docker"],
  "env": {"EXECPLANE_IMAGE": "execplane-test-agent", "DOCKER_HOST": "$DOCKER_HOST"},
  "capabilities": ["create", "delete", "wake", "sleep", "resize", "describe"]}}}
END
"$node" dist/cli/main.js server --host 10.213.0.1 --port 17412 --data-dir "$work/data" \
  --public-url "$url" --providers "$work/providers.json" 2>"$work/server.log" &
server_pid=$!
until curl --silent --fail "$url/readyz" >/dev/null; do kill -0 "$server_pid"; sleep 0.2; done
key=$(cat "$work/data/admin.key")

machine=$(api POST /v1/machines '{"vcpu": 0.5, "memory_mib": 512, "storage_gib": 1, "name": "docker-1"}' | jq -r .machine_id)
check 'a machine that is created joins by itself' "$(settled "$machine")" 'running agent_connected'
check 'its container runs' "$(state "$machine")" running
execution=$(run "$machine" '["sh", "-c", "hostname; echo kept > /root/kept"]')
check 'it runs a command' "$(jq -r '.status + " " + .output.stdout' <<<"$execution")" "succeeded $machine"
check 'it can be resized' "$(api PATCH "/v1/machines/$machine" '{"memory_mib": 640}' | jq .memory_mib; settled "$machine" >/dev/null)" 640
api POST "/v1/machines/$machine/sleep" >/dev/null
check 'it is put to sleep' "$(settled "$machine")" 'sleeping slept'
check 'its container does not run' "$(state "$machine")" exited
check 'it has its new size' "$(docker inspect --format '{{.HostConfig.Memory}}' "execplane-$machine")" "$((640 * 1048576))"
execution=$(run "$machine" '["cat", "/root/kept"]')
check 'a command wakes it, and finds what was left' "$(jq -r '.status + " " + .output.stdout' <<<"$execution")" 'succeeded kept'
check 'its container runs again' "$(state "$machine")" running
api DELETE "/v1/machines/$machine" >/dev/null
check 'it is deleted' "$(settled "$machine")" 'destroyed removed'
check 'nothing is left of its container' "$(state "$machine")" ''
check 'nothing is left of its volume' "$(docker volume ls --quiet)" ''

if [ -n "${SDK-}" ]; then
  "$node" test/deploy/sdk-machines.ts "$SDK" "$url" "$key"
  check 'nothing is left of the machines of the SDK' "$(docker ps --all --quiet; docker volume ls --quiet)" ''
else
  echo 'SKIP the checks of the official SDK: SDK names no module'
fi
