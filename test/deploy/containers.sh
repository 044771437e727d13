#!/bin/bash
# Starts the compose files and runs executions: with server and example agent, and with a server behind Caddy with TLS and an
# agent in a mounted folder. Removes everything at its end. Needs root, docker.io, docker-compose, debootstrap, caddy, curl.
#
#   bash test/deploy/containers.sh [ROOT]     ROOT: a file system to keep for the next run (base-image.sh)
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/deploy/engine.sh

work=$(mktemp -d)
root=${1:-$work/root}
key=
compose() { docker-compose --project-name xpdeploy "$@"; }
tls() { docker-compose --project-name xptls --file deploy/compose/tls/docker-compose.yml "$@"; }
in_folder() { docker-compose --project-name xpfolder --file deploy/compose/agent/docker-compose.yml "$@"; }

cleanup() {
  status=$?
  exec 3<&-
  [ "$status" = 0 ] || compose logs --tail 40 2>/dev/null || true
  for project in in_folder tls compose; do $project down --volumes --timeout 10 >/dev/null 2>&1 || true; done
  stop_engine
  rm -rf "$work"
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
  curl --silent --show-error --fail-with-body --max-time 70 ${ca:+--cacert "$ca"} --request "$1" "$url$2" \
    --header "authorization: Bearer $key" --header 'content-type: application/json' ${3:+--data "$3"}
}
field() { node_modules/.bin/node -p "const v = JSON.parse(fs.readFileSync(0, 'utf8'))$1; typeof v === 'object' ? JSON.stringify(v) : v"; }
# run MACHINE BODY: the execution at its end
run() { api POST "/v1/machines/$1/executions?wait_ms=55000" "$2"; }
output() { api GET "/v1/machines/$1/executions/$2/output" | field .stdout; }

start_engine "$work/engine"
sh test/deploy/base-image.sh "$root" >/dev/null

export EXECPLANE_PORT=17411
url=http://127.0.0.1:$EXECPLANE_PORT
compose build --quiet
compose up --detach
key=$(compose exec -T server cat /var/lib/execplane/admin.key)
execution=$(run dm-example '{"command": ["sh", "-c", "id -un; pwd; touch /x"]}')
echo "$execution"
check 'an execution runs in the example agent, which cannot write to its root' "$(field .error_code <<<"$execution")" nonzero_exit
check 'it runs as an ordinary user in its home' "$(output dm-example "$(field .execution_id <<<"$execution")")" $'execplane\n/home/execplane'
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }
for _ in $(seq 120); do healthy xpdeploy_agent_1 && break; sleep 0.5; done
check 'the agent is healthy' "$(docker inspect --format '{{.State.Health.Status}}' xpdeploy_agent_1)" healthy
check 'the server is healthy' "$(docker inspect --format '{{.State.Health.Status}}' xpdeploy_server_1)" healthy
token=$(compose exec -T agent cat /run/execplane-join/token)
inspected=$(docker inspect xpdeploy_server_1 xpdeploy_join_1 xpdeploy_agent_1; docker history --no-trunc execplane-server)
for secret in "$key" "$token"; do
  if grep -qF "$secret" <<<"$inspected"; then printf 'FAIL a secret is in the configuration\n'; exit 1; fi
done
printf 'ok   no secret is in an argument, an environment variable or an image\n'

running=$(api POST /v1/machines/dm-example/executions '{"command": ["sleep", "600"]}' | field .execution_id)
until [ "$(api GET "/v1/machines/dm-example/executions/$running" | field .status)" = running ]; do sleep 0.2; done
compose stop --timeout 30 agent
check 'stopping the container ends its commands' "$(api GET "/v1/machines/dm-example/executions/$running" | field .error_code)" agent_stopped
compose up --detach
check 'up again: the same machine' "$(run dm-example '{"command": ["true"]}' | field .status)" succeeded
check 'and no other' "$(api GET /v1/machines | field .items.length)" 1
compose exec -T agent test ! -e /run/execplane-join/token
printf 'ok   the used token is gone\n'
compose down --volumes --timeout 20

# A replacement for the image of Caddy, with Debian's binary.
mkdir "$work/caddy"
cp "$(command -v caddy)" "$work/caddy/"
printf 'FROM %s\nCOPY caddy /usr/bin/caddy\nENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config\nCMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]\n' \
  "$(docker images --format '{{.Repository}}:{{.Tag}}' node)" >"$work/caddy/Dockerfile"
docker-compose --project-name xpcaddy --file - build --quiet <<<"services: { caddy: { build: $work/caddy, image: 'caddy:2' } }"
export EXECPLANE_HTTP_PORT=17480 EXECPLANE_HTTPS_PORT=17443 EXECPLANE_DOMAIN=execplane.localhost
tls up --detach
url=https://execplane.localhost:$EXECPLANE_HTTPS_PORT
ca=$work/ca.crt
until tls exec -T caddy cat /data/caddy/pki/authorities/local/root.crt >"$ca" 2>/dev/null; do sleep 0.5; done
key=$(tls exec -T server cat /var/lib/execplane/admin.key)

mkdir -m 755 "$work/folder"
chmod 755 "$work"
tls exec -T server execplane tokens create --machine dm-folder >"$work/join-token" 2>/dev/null
chown -R 1234 "$work/folder" "$work/join-token"
chmod 600 "$work/join-token"
cat >"$work/here.yml" <<YAML
services:
  agent:
    extra_hosts: ["execplane.localhost:10.213.0.1"]
    volumes: ["$ca:/ca.crt:ro"]
YAML
export EXECPLANE_UID=1234 EXECPLANE_URL=$url EXECPLANE_WORKSPACE=$work/folder EXECPLANE_TOKEN_FILE=$work/join-token EXECPLANE_CA_FILE=/ca.crt
in_folder() { docker-compose --project-name xpfolder --file deploy/compose/agent/docker-compose.yml --file "$work/here.yml" "$@"; }
in_folder build --quiet
in_folder up --detach
execution=$(run dm-folder '{"command": ["sh", "-c", "echo made > made"], "cwd": "/workspace"}')
check 'behind Caddy with TLS, an agent writes to its mounted folder' "$(field .status <<<"$execution") $(cat "$work/folder/made") $(stat -c %u "$work/folder/made")" 'succeeded made 1234'
id=$(api POST /v1/machines/dm-folder/executions '{"command": ["sh", "-c", "echo one; exec sleep 600"]}' | field .execution_id)
exec 3< <(curl --silent --no-buffer --cacert "$ca" --header "authorization: Bearer $key" "$url/v1/machines/dm-folder/executions/$id/output/stdout?follow=true")
read -r first <&3
check 'output that is followed comes through Caddy as it is printed' "$first $(api GET "/v1/machines/dm-folder/executions/$id" | field .status)" 'one running'
api DELETE "/v1/machines/dm-folder/executions/$id" >/dev/null
check 'until its end' "$(cat <&3)" ''
printf 'all passed\n'
