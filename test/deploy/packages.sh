#!/bin/bash
# Two machines with nothing but Debian 12 become a server and an agent by docs/install.md, word for word; then the agent is
# upgraded, restarted and stopped under running commands, and all is removed again. Leaves nothing behind on this machine.
# Needs root, debootstrap, systemd-container and openssl, and packages/ (npm run package).
#
#   bash test/deploy/packages.sh [ROOT]     ROOT: a file system to keep for the next run
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/deploy/machine.sh

work=$(mktemp -d)
root=${1:-$work/root}
server=$work/server machine=$work/machine

cleanup() {
  status=$?
  if [ "$status" != 0 ]; then
    on "$server" journalctl --unit execplane-server --lines 30 --no-pager || true
    on "$machine" journalctl --unit execplane-agent --lines 30 --no-pager || true
  fi
  power_off "$machine"
  power_off "$server"
  # Back with this machine once both are off, or gone with them.
  ip link delete xpdeploy1 2>/dev/null || true
  rm -rf --one-file-system "$work"
  exit "$status"
}
trap cleanup EXIT

# check NAME ACTUAL EXPECTED
check() {
  [ "$2" = "$3" ] || { printf 'FAIL %s: %s, not %s\n' "$1" "$2" "$3"; return 1; }
  printf 'ok   %s\n' "$1"
}
# The commands of the docs that are marked for this place.
commands() { awk -v mark="<!-- run on $1 -->" '$0 == mark { on = 1; next } on && /^```sh/ { body = 1; next } /^```/ { on = body = 0 } body' docs/install.md docs/operate.md; }
# follow PLACE DIR: runs them as a person at a root shell would. One thing differs: no public authority signed this certificate.
follow() {
  commands "$1" | sed 's| < join-token| --ca-file /etc/ssl/test-ca.pem < join-token|' >"$2/fs/root/commands"
  [ -s "$2/fs/root/commands" ] || { printf 'FAIL the docs have nothing to run on %s\n' "$1"; return 1; }
  on "$2" env EXECPLANE_CA_FILE=/etc/ssl/test-ca.pem sh -euxc 'cd /root/packages && . /root/commands'
}
cli() { on "$server" env EXECPLANE_CA_FILE=/etc/ssl/test-ca.pem execplane "$@"; }
field() { node_modules/.bin/node -p "JSON.parse(fs.readFileSync(0, 'utf8'))$1"; }
# start COMMAND…: starts it on the machine without waiting; prints the execution's id once it runs.
start() {
  local key
  key=$(cat "$server/fs/var/lib/execplane/admin.key")
  on "$server" curl --silent --show-error --fail --cacert /etc/ssl/test-ca.pem --header "authorization: Bearer $key" \
    --json "$(node_modules/.bin/node -p 'JSON.stringify({ command: process.argv.slice(1) })' "$@")" \
    https://execplane.example.com:7411/v1/machines/dm-web-1/executions | field .execution_id
}
state() { cli executions show dm-web-1 "$1" --json; }
has_status() { [ "$(state "$1" | field .status)" = "$2" ]; }
until_status() { within 120 has_status "$1" "$2"; }

make_root "$root"
make_cable
boot "$root" "$server" xpserver xpdeploy1 10.215.0.2
boot "$root" "$machine" xpmachine xpdeploy2 10.215.0.3

# What the page takes for granted: a name, a certificate for it, the packages.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=Test CA' -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=execplane.example.com' -keyout "$work/key.pem" -out "$work/csr.pem" 2>/dev/null
printf 'subjectAltName=DNS:execplane.example.com\n' >"$work/san"
openssl x509 -req -in "$work/csr.pem" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 -extfile "$work/san" -out "$work/cert.pem" 2>/dev/null
for place in "$server" "$machine"; do
  echo '10.215.0.2 execplane.example.com' >>"$place/fs/etc/hosts"
  install -m 644 "$work/ca.pem" "$place/fs/etc/ssl/test-ca.pem"
  cp -r packages "$place/fs/root/packages"
done
cp "$work/cert.pem" "$work/key.pem" "$server/fs/root/packages/"

follow 'the server' "$server"
cp "$server/fs/root/packages/join-token" "$machine/fs/root/packages/"
follow 'the machine' "$machine"

check 'a command runs on the machine, as its own user' "$(cli exec dm-web-1 -- sh -c 'id -un; pwd')" $'execplane-agent\n/var/lib/execplane-agent'
check 'the token is gone from the machine' "$(ls -A "$machine/fs/etc/credstore")" ''
check 'neither process has it in its arguments or environment' \
  "$(on "$machine" sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\0" "\n" | grep -c "xpj[_]" || true')" 0

count='i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; sleep 0.1; done'
counting=$(start sh -c "$count")
until_status "$counting" running
on "$machine" systemctl restart execplane-agent
on "$machine" sh -c 'cd /root/packages && dpkg -i execplane_*.deb execplane-agent_*.deb >/dev/null'
on "$machine" sh -c 'kill -KILL $(systemctl show --property MainPID --value execplane-agent)'
on "$server" systemctl restart execplane-server
until_status "$counting" succeeded
check 'restart, upgrade and kill -9 of the agent and a restart of the server lose no line' \
  "$(cli executions output dm-web-1 "$counting")" "$(seq 200)"

sleeping=$(start sleep 600)
until_status "$sleeping" running
on "$machine" systemctl stop execplane-agent
until_status "$sleeping" failed
check 'stopping the unit ends its commands' "$(state "$sleeping" | field .error_code)" agent_stopped
check 'and nothing of it is left' "$(on "$machine" pgrep -u execplane-agent -c || true)" 0

on "$machine" sh -c 'sh /root/packages/install-agent.sh </dev/null'
check 'the installer again: the same machine' "$(cli machines ls --json | field '.items?.length ?? 1')" 1
check 'and it works' "$(cli exec dm-web-1 -- echo again)" again

follow 'the machine, as root' "$machine"
check 'as root: it runs as root, in its home' "$(cli exec dm-web-1 -- sh -c 'id -un; pwd')" $'root\n/root'
follow 'the machine, as its own user again' "$machine"
check 'and as its own user again' "$(cli exec dm-web-1 -- id -un)" execplane-agent

before=$(on "$machine" sh -c 'execplane --version')
printf 'ok   version %s\n' "$before"
on "$machine" sh -c 'man -P cat execplane >/dev/null && test -s /usr/share/bash-completion/completions/execplane'
printf 'ok   man page and completion\n'

follow 'the machine, to remove it' "$machine"
follow 'the server, to remove it' "$server"
for place in "$server" "$machine"; do
  left=$(on "$place" sh -c 'find / -xdev \( -path /root -o -path /proc -o -path /sys -o -path /var/log -o -path /var/cache \) -prune -o -name "*execplane*" -print; getent passwd | grep execplane; getent group | grep execplane; pgrep -f "[/]usr/lib/execplane"; true')
  check "nothing is left on $(cat "$place/fs/etc/hostname")" "$left" ''
done
printf 'all passed\n'
