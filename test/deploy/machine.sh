# A Debian machine for a test. Sourced. systemd boots in a container (systemd-nspawn) over a copy-on-write root.
# Needs root, debootstrap and systemd-container. All files are under the given folder.

# make_root DIR: makes a minimal Debian 12 with systemd. An existing DIR is used again.
make_root() {
  [ ! -e "$1/usr/sbin/init" ] && [ ! -e "$1/sbin/init" ] || return 0
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,ca-certificates,curl,procps,iproute2,man-db,bash-completion \
    bookworm "$1" >/dev/null
}

# A virtual cable between two machines, xpdeploy1 to xpdeploy2. Not a bridge, since a firewall of this machine would filter its
# packets.
make_cable() {
  ip link add xpdeploy1 type veth peer name xpdeploy2
}

# boot ROOT DIR NAME INTERFACE ADDRESS: starts the machine with that end of the cable; its file system is at DIR/fs.
boot() {
  local root=$1 dir=$2 name=$3 interface=$4 address=$5
  mkdir -p "$dir/upper" "$dir/work" "$dir/fs"
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" "$dir/fs"
  : >"$dir/fs/etc/machine-id"
  echo "$name" >"$dir/fs/etc/hostname"
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --directory="$dir/fs" --machine="$name" --register=no --keep-unit \
    --private-network --boot >"$dir/console" 2>&1 </dev/null &
  echo $! >"$dir/nspawn"
  # The first child process is a temporary helper of nspawn. The init process of the machine is named systemd.
  within 60 eval 'ps -o pid=,comm= --ppid "$(cat "$dir/nspawn")" | awk "\$2 == \"systemd\" { print \$1 }" >"$dir/leader" && [ -s "$dir/leader" ]'
  # `degraded` is accepted too: the test checks the units that it needs.
  within 120 eval 'on "$dir" systemctl is-system-running 2>/dev/null | grep -qE "running|degraded"'
  ip link set "$interface" netns "$(cat "$dir/leader")"
  on "$dir" sh -c "ip link set lo up; ip addr add $address/24 dev $interface; ip link set $interface up"
}

# within SECONDS COMMAND…: repeats the command until it succeeds. Fails when the time is over.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then echo "not in time: $*"; return 1; fi
    sleep 0.2
  done
}

# on DIR COMMAND…: runs the command on the machine as root.
on() {
  local dir=$1
  shift
  nsenter --target "$(cat "$dir/leader")" --all --root --wd env --ignore-environment \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

# nspawn passes SIGTERM on as a request for an orderly power-off.
power_off() {
  local dir=$1
  [ -e "$dir/nspawn" ] || return 0
  kill "$(cat "$dir/nspawn")" 2>/dev/null || true
  wait "$(cat "$dir/nspawn")" 2>/dev/null || true
  umount "$dir/fs" || true
}
