#!/bin/bash
# Installs a server and an agent on two machines with only Debian 12, by the exact commands of docs/install.md. Then upgrades,
# restarts, hangs and stops the agent while commands run, and removes both. Leaves nothing on this machine.
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
  # The link returns to this machine when both machines are off, or was deleted with them.
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
# Prints the commands of the docs that are marked for PLACE.
commands() { awk -v mark="<!-- run on $1 -->" '$0 == mark { on = 1; next } on && /^```sh/ { body = 1; next } /^```/ { on = body = 0 } body' docs/install.md docs/operate.md; }
# follow PLACE DIR: runs these commands in a root shell, with one difference: no public authority signed the certificate.
follow() {
  commands "$1" | sed 's| < join-token| --ca-file /etc/ssl/test-ca.pem < join-token|' >"$2/fs/root/commands"
  [ -s "$2/fs/root/commands" ] || { printf 'FAIL the docs have nothing to run on %s\n' "$1"; return 1; }
  on "$2" env EXECPLANE_CA_FILE=/etc/ssl/test-ca.pem CURL_CA_BUNDLE=/etc/ssl/test-ca.pem sh -euxc 'cd /root/packages && . /root/commands'
}
cli() { on "$server" env EXECPLANE_CA_FILE=/etc/ssl/test-ca.pem execplane "$@"; }
field() { node_modules/.bin/node -p "JSON.parse(fs.readFileSync(0, 'utf8'))$1"; }
# start COMMAND…: starts the command on the machine without waiting. Prints the id of the execution when it runs.
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

# The prerequisites of the page: a host name, a certificate for it, and the packages.
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

# packages_of VERSION [DIRECTORY_TO_BREAK]: writes the packages with another version number to a folder on the machine.
packages_of() {
  on "$machine" sh -euc '
    mkdir "/root/$1"
    for name in execplane execplane-agent; do
      dpkg-deb --raw-extract /root/packages/${name}_*.deb "/root/$1/tree"
      sed -i "s/^Version: .*/Version: $1-1/; s/execplane (= [^)]*)/execplane (= $1-1)/" "/root/$1/tree/DEBIAN/control"
      if [ "$name" = execplane ]; then
        sed -i "s/\"version\": \".*\"/\"version\": \"$1\"/" "/root/$1/tree/usr/lib/execplane/package.json"
        [ -z "$2" ] || rm -r "/root/$1/tree/usr/lib/execplane/$2"
      fi
      dpkg-deb --build -Znone "/root/$1/tree" "/root/$1/${name}_$1-1_$(dpkg --print-architecture).deb" >/dev/null
      rm -r "/root/$1/tree"
    done' sh "$1" "${2:-}"
}
upgrade_to() { on "$machine" execplane agent upgrade --agent-dir /var/lib/execplane-agent/state --to "/root/$1" --within 60s; }
installed() { on "$machine" sh -c 'execplane --version; dpkg-query --show --showformat "\${Version} \${Status}\n" execplane execplane-agent'; }
packages_of 9.0.0
# This version prints its number but cannot run an agent.
packages_of 9.1.0 dist/agent/link

enough=/var/lib/execplane-agent/enough
count_on="i=0; while [ ! -e $enough ]; do i=\$((i+1)); echo \$i; sleep 0.05; done; echo \$i >&2"
# counted NAME ID: ends the count and checks that no number is missing.
counted() {
  on "$machine" touch "$enough"
  until_status "$2" succeeded
  on "$machine" rm "$enough"
  check "$1" "$(cli executions output dm-web-1 "$2" --json | field .stdout)" "$(seq "$(cli executions output dm-web-1 "$2" --json | field .stderr)")"
}

counting=$(start sh -c "$count_on")
until_status "$counting" running
upgrade_to 9.0.0
check 'agent upgrade: the other version is installed' "$(installed)" $'9.0.0\n9.0.0-1 install ok installed\n9.0.0-1 install ok installed'
said=$(upgrade_to 9.1.0 2>&1) && { printf 'FAIL an agent that cannot work was kept\n'; exit 1; }
printf '%s\n' "$said"
check 'one that does not come up: the one before is installed again' "$(installed)" $'9.0.0\n9.0.0-1 install ok installed\n9.0.0-1 install ok installed'
counted 'neither loses a line of the command that runs' "$counting"

upgrade_to packages
check 'an older version takes its place as well' "$(on "$machine" execplane --version)" "$(field .version <package.json)"

main_pid() { on "$machine" systemctl show --property MainPID --value execplane-agent; }
is_another() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ]; }
on "$machine" sh -c 'mkdir -p /run/systemd/system/execplane-agent.service.d && printf "[Service]\nWatchdogSec=6s\n" >/run/systemd/system/execplane-agent.service.d/watchdog.conf
  systemctl daemon-reload && systemctl restart execplane-agent'
counting=$(start sh -c "$count_on")
until_status "$counting" running
link=$(main_pid)
alive_at() { on "$machine" systemctl show --property WatchdogTimestampMonotonic --value execplane-agent; }
told() { [ "$(alive_at)" != "$1" ]; }
for _ in 1 2 3 4 5; do within 30 told "$(alive_at)"; done
check 'the agent tells systemd that it lives' "$(main_pid)" "$link"
on "$machine" kill -STOP "$link"
within 60 is_another "$link"
counted 'a link that hangs is replaced, and no line is lost' "$counting"
on "$machine" sh -c 'rm -r /run/systemd/system/execplane-agent.service.d && systemctl daemon-reload && systemctl restart execplane-agent'

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

on "$server" execplane doctor server --data-dir /var/lib/execplane --host 0.0.0.0 \
  --tls-cert /etc/execplane/tls/cert.pem --tls-key /etc/execplane/tls/key.pem
on "$machine" execplane doctor agent --agent-dir /var/lib/execplane-agent/state \
  --url https://execplane.example.com:7411 --ca-file /etc/ssl/test-ca.pem
printf 'ok   doctor finds both well\n'

before=$(on "$machine" sh -c 'execplane --version')
printf 'ok   version %s\n' "$before"
on "$machine" sh -c 'man -P cat execplane >/dev/null && test -s /usr/share/bash-completion/completions/execplane'
printf 'ok   man page and completion\n'

follow 'the machine, to remove it' "$machine"
line=$(cli machines create dm-web-2 --json | field .join_command)
on "$machine" sh -c "cd /root/packages && $line --ca-file /etc/ssl/test-ca.pem"
check 'the line that machines create prints makes another machine join' "$(cli exec dm-web-2 -- id -un)" execplane-agent
follow 'the machine, to remove it' "$machine"

follow 'the server, to serve the packages' "$server"
within 60 eval 'cli status >/dev/null'
on "$machine" sh -c 'rm /root/packages/*'
cli tokens create --machine dm-web-3 >"$machine/fs/root/packages/join-token"
follow 'the machine, from the server' "$machine"
check 'a machine that has nothing joins by the line that downloads the installer' "$(cli exec web-1 -- id -un)" execplane-agent
installer() { on "$machine" env CURL_CA_BUNDLE=/etc/ssl/test-ca.pem sh -c \
  "sh -c \"\$(curl -fsSL https://execplane.example.com:7411/install.sh)\" sh --ca-file /etc/ssl/test-ca.pem $1 </dev/null"; }
installer --remove
check 'removed: its credential and its settings stay' \
  "$(on "$machine" sh -c 'ls /etc/execplane/agent.env /var/lib/execplane-agent/state/credential.json; command -v execplane-agent || true')" \
  $'/etc/execplane/agent.env\n/var/lib/execplane-agent/state/credential.json'
installer ''
check 'installed again: it is the same machine' "$(cli exec web-1 -- id -un)" execplane-agent
follow 'the machine, to remove it' "$machine"
follow 'the server, to remove it' "$server"
for place in "$server" "$machine"; do
  left=$(on "$place" sh -c 'find / -xdev \( -path /root -o -path /proc -o -path /sys -o -path /var/log -o -path /var/cache \) -prune -o -name "*execplane*" -print; getent passwd | grep execplane; getent group | grep execplane; pgrep -f "[/]usr/lib/execplane"; true')
  check "nothing is left on $(cat "$place/fs/etc/hostname")" "$left" ''
done
printf 'all passed\n'
