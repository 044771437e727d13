#!/bin/sh
# Joins this machine to an Execplane server: installs the agent, or upgrades it, and enrols it.
#
#   sh install-agent.sh --url https://execplane.example.com < join-token
#   curl -fsSL https://execplane.example.com/install.sh | sh          from a server that serves it: asks for the join token
#
#   --url URL           the server; needed the first time
#   --token-file FILE   the join token; default: read from standard input, or asked for at the terminal. It cannot be an argument,
#                       which every user could see.
#   --machine-id ID     the machine id to request
#   --name NAME         the name of the machine for people
#   --ca-file FILE      PEM file of the server's certificate authority, if it is not a public one
#   --from PLACE        folder or https address with the packages and SHA256SUMS; default: the folder of this script, or its server
#   --sums SHA256       the SHA-256 that the file SHA256SUMS must have, if PLACE is not trusted; then PLACE may be an http address
#   --keyring FILE      instead of --sums: OpenPGP keys (as gpg --export writes them); SHA256SUMS.sig must be a signature by one of them
#
# It can be run again at any time: existing settings are kept, and commands keep running. Needs root, and Debian 12 or later (or a
# derivative) with systemd.
#
#   sh install-agent.sh --remove    removes the package of the agent, and ends its commands. Its credential, its settings and its home
#                                   stay: docs/install.md, "Remove", deletes these as well
set -eu

credential=/var/lib/execplane-agent/state/credential.json
credstore=/etc/credstore
token_file=$credstore/execplane.join-token
settings=/etc/execplane/agent.env

fail() {
  echo "install-agent: $1" >&2
  exit 1
}

read_options() {
  token_source='' machine_id='' name='' ca_file='' keyring='' remove=''
  # A server sets these in the copy of the script that it serves.
  url=${INSTALL_URL-} sums=${INSTALL_SUMS-} from=${INSTALL_FROM-$(dirname "$0")}
  while [ $# -gt 0 ]; do
    if [ "$1" = --remove ]; then
      remove=yes
      shift
      continue
    fi
    [ $# -ge 2 ] || fail "$1 needs a value"
    case $1 in
      --url) url=$2 ;;
      --token-file) token_source=$2 ;;
      --machine-id) machine_id=$2 ;;
      --name) name=$2 ;;
      --ca-file) ca_file=$2 ;;
      --from) from=$2 ;;
      --sums) sums=$2 ;;
      --keyring) keyring=$2 ;;
      *) fail "unknown option $1 (a join token is read from standard input or --token-file)" ;;
    esac
    shift 2
  done
  case $from in
    https://*) ;;
    # An attacker on the network path could choose what root installs, unless the sums are known.
    http://*) [ -n "$sums" ] || fail "--from must be a folder or an https address, not $from" ;;
    *://*) fail "--from must be a folder or an https address, not $from" ;;
  esac
}

check_machine() {
  [ "$(id -u)" = 0 ] || fail 'must be run as root'
  for tool in dpkg apt-get systemctl sha256sum; do
    command -v "$tool" >/dev/null || fail "$tool is missing: this machine needs the tarball (docs/install.md)"
  done
}

# Reads the token into $token; empty if the machine has joined before and no token was given.
read_token() {
  token=''
  if [ -n "$token_source" ]; then
    token=$(cat "$token_source")
  elif [ ! -t 0 ]; then
    token=$(cat)
  fi
  if [ -z "$token" ] && [ ! -e "$credential" ] && { : </dev/tty; } 2>/dev/null; then
    printf 'Join token: ' >/dev/tty
    stty -echo </dev/tty
    IFS= read -r token </dev/tty || true
    stty echo </dev/tty
    echo >/dev/tty
  fi
  [ -n "$token" ] || [ -e "$credential" ] || fail 'no join token: give it on standard input or with --token-file'
  [ -n "$url" ] || grep -qs '^EXECPLANE_URL=' "$settings" || fail '--url is missing'
}

fetch() {
  case $from in
    http*://*)
      # A redirect must stay on https: wget has no such option, so it follows none.
      if command -v curl >/dev/null; then
        curl --fail --silent --show-error --proto "=${from%%://*}" --proto-redir '=https' --location ${ca_file:+--cacert "$ca_file"} \
          --output "$work/$1" "$from/$1"
      else
        wget --quiet --max-redirect=0 ${ca_file:+--ca-certificate="$ca_file"} --output-document="$work/$1" "$from/$1"
      fi || fail "$from/$1 cannot be fetched"
      ;;
    *) cp "$from/$1" "$work/$1" || fail "$from/$1 is missing" ;;
  esac
}

# Prints the name of the package $1 for this machine, from SHA256SUMS.
package_file() {
  sed -n "s/^[0-9a-f]\{64\}  \($1_[^_/]*_$(dpkg --print-architecture)\.deb\)\$/\1/p" "$work/SHA256SUMS"
}

install_packages() {
  fetch SHA256SUMS
  if [ -n "$sums" ]; then
    echo "$sums  $work/SHA256SUMS" | sha256sum --check --status || fail 'SHA256SUMS is not the one that --sums names'
  fi
  if [ -n "$keyring" ]; then
    command -v gpgv >/dev/null || fail 'gpgv is missing: --keyring needs it'
    fetch SHA256SUMS.sig
    gpgv --quiet --keyring "$(realpath "$keyring")" "$work/SHA256SUMS.sig" "$work/SHA256SUMS" 2>"$work/log" ||
      { cat "$work/log" >&2; fail "SHA256SUMS is not signed by a key of $keyring"; }
  fi
  for package in execplane execplane-agent; do
    file=$(package_file "$package")
    [ -n "$file" ] || fail "there is no $package for $(dpkg --print-architecture) in $from"
    [ "$(printf '%s\n' "$file" | wc -l)" -eq 1 ] || fail "SHA256SUMS of $from names several versions of $package: leave one"
    fetch "$file"
    (cd "$work" && grep "  $file\$" SHA256SUMS | sha256sum --check --status) || fail "$file does not match SHA256SUMS"
    set -- "$@" "$work/$file"
  done
  chmod 755 "$work"
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
    --option Dpkg::Options::=--force-confold "$@" </dev/null >"$work/log" 2>&1 || { cat "$work/log" >&2; fail 'the packages cannot be installed'; }
}

# Sets $1 to $2 in the settings, whether it was set, commented out or missing.
set_setting() {
  [ -n "$2" ] || return 0
  { grep -v "^#\{0,1\}$1=" "$settings" || true; echo "$1=$2"; } >"$work/settings"
  cat "$work/settings" >"$settings"
}

join() {
  if [ -n "$token" ]; then
    install -d -m 0700 "$credstore"
    (umask 077 && printf '%s\n' "$token" >"$token_file")
  fi
  systemctl enable --quiet execplane-agent.service
  systemctl restart execplane-agent.service
  waited=0
  until [ -e "$credential" ]; do
    waited=$((waited + 1))
    [ "$waited" -le 60 ] || fail 'not joined within a minute: journalctl -u execplane-agent says why. The agent keeps trying'
    sleep 1
  done
  rm -f "$token_file"
}

remove_packages() {
  DEBIAN_FRONTEND=noninteractive apt-get remove --yes --quiet execplane-agent </dev/null >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail 'the packages cannot be removed'; }
  echo "Removed. What the agent kept is still in ${credential%/state/*}, its settings in $settings."
  echo 'To delete those as well: apt-get purge execplane-agent. On the server: execplane machines rm ID.'
}

# A function, so that a script that was cut off on its way does nothing.
main() {
  read_options "$@"
  check_machine
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  if [ -n "$remove" ]; then
    remove_packages
    return
  fi
  read_token
  install_packages
  set_setting EXECPLANE_URL "$url"
  set_setting EXECPLANE_MACHINE_ID "$machine_id"
  set_setting EXECPLANE_MACHINE_NAME "$name"
  set_setting EXECPLANE_CA_FILE "$ca_file"
  join
  echo "Joined as $(sed -n 's/.*"machine_id": *"\([^"]*\)".*/\1/p' "$credential")."
  echo 'To undo: apt-get purge execplane-agent (and remove the machine on the server: execplane machines rm ID).'
}

main "$@"
