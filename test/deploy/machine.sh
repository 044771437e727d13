# A Debian machine of its own for a test, sourced: systemd boots in a container (systemd-nspawn) over a copy-on-write root.
# Needs root, debootstrap and systemd-container. Everything is under the folder given.

# make_root DIR: Debian 12 with systemd and nothing else that it would not have anyway; used again when it is there.
make_root() {
  [ ! -e "$1/usr/sbin/init" ] && [ ! -e "$1/sbin/init" ] || return 0
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,ca-certificates,curl,procps,iproute2,man-db,bash-completion \
    bookworm "$1" >/dev/null
}

# A cable between two machines, xpdeploy1 at one end and xpdeploy2 at the other: no bridge, whose packets a firewall of this
# machine would judge.
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
  # Its first child is a helper of nspawn's that goes again; the machine is the one that is called systemd.
  within 60 eval 'ps -o pid=,comm= --ppid "$(cat "$dir/nspawn")" | awk "\$2 == \"systemd\" { print \$1 }" >"$dir/leader" && [ -s "$dir/leader" ]'
  # `degraded` is as good: what the test needs is checked by the test.
  within 120 eval 'on "$dir" systemctl is-system-running 2>/dev/null | grep -qE "running|degraded"'
  ip link set "$interface" netns "$(cat "$dir/leader")"
  on "$dir" sh -c "ip link set lo up; ip addr add $address/24 dev $interface; ip link set $interface up"
}

# within SECONDS COMMAND…: repeats it until it succeeds; fails when the time is over.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then echo "not in time: $*"; return 1; fi
    sleep 0.2
  done
}

# on DIR COMMAND…: runs it on the machine as root.
on() {
  local dir=$1
  shift
  nsenter --target "$(cat "$dir/leader")" --all --root --wd env --ignore-environment \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

# nspawn hands SIGTERM on as the wish for an orderly power-off.
power_off() {
  local dir=$1
  [ -e "$dir/nspawn" ] || return 0
  kill "$(cat "$dir/nspawn")" 2>/dev/null || true
  wait "$(cat "$dir/nspawn")" 2>/dev/null || true
  umount "$dir/fs" || true
}
