# A Debian machine of its own for a test, sourced: systemd boots in a container (systemd-nspawn) over a copy-on-write root.
# Needs root, debootstrap and systemd-container. Everything is under the folder given.

# make_root DIR: Debian 12 with systemd and nothing else that it would not have anyway; used again when it is there.
make_root() {
  [ ! -e "$1/usr/sbin/init" ] && [ ! -e "$1/sbin/init" ] || return 0
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,ca-certificates,curl,procps,iproute2,man-db,bash-completion \
    bookworm "$1" >/dev/null
}

make_bridge() {
  ip link add name xpdeploy1 type bridge
  ip addr add 10.215.0.1/24 dev xpdeploy1
  ip link set xpdeploy1 up
}

# boot ROOT DIR NAME ADDRESS: starts the machine; its file system is at DIR/fs.
boot() {
  local root=$1 dir=$2 name=$3 address=$4
  mkdir -p "$dir/upper" "$dir/work" "$dir/fs"
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/upper,workdir=$dir/work" "$dir/fs"
  : >"$dir/fs/etc/machine-id"
  echo "$name" >"$dir/fs/etc/hostname"
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --directory="$dir/fs" --machine="$name" --register=no --keep-unit \
    --network-bridge=xpdeploy1 --boot >"$dir/console" 2>&1 </dev/null &
  echo $! >"$dir/nspawn"
  until leader=$(ps -o pid= --ppid "$(cat "$dir/nspawn")" | tr -d ' ') && [ -n "$leader" ]; do sleep 0.1; done
  echo "$leader" >"$dir/leader"
  # `degraded` is as good: what the test needs is checked by the test.
  until state=$(on "$dir" systemctl is-system-running 2>/dev/null) || [ "$state" = degraded ]; do sleep 0.3; done
  on "$dir" sh -c "ip link set lo up; ip addr add $address/24 dev host0; ip link set host0 up"
}

# on DIR COMMAND…: runs it on the machine as root.
on() {
  local dir=$1
  shift
  nsenter --target "$(cat "$dir/leader")" --all --root --wd env --ignore-environment \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

# SIGRTMIN+4 asks systemd for a power-off.
power_off() {
  local dir=$1
  [ -e "$dir/nspawn" ] || return 0
  kill -s RTMIN+4 "$(cat "$dir/leader")" 2>/dev/null || true
  wait "$(cat "$dir/nspawn")" 2>/dev/null || true
  umount "$dir/fs" || true
}
