# A separate container engine for a test. Sourced. `start_engine DIR` starts dockerd in DIR and sets DOCKER_HOST, `stop_engine`
# stops it. Needs root and Debian's docker.io and docker-compose. All images, networks and sockets are under DIR.

start_engine() {
  engine=$1
  mkdir -p "$engine"
  # Saves the firewall rules, to remove the rules of dockerd later. Its FORWARD DROP would stay otherwise.
  iptables-save >"$engine/iptables"
  [ -s "$engine/iptables" ] || printf '%s\n' '*filter' ':INPUT ACCEPT' ':FORWARD ACCEPT' ':OUTPUT ACCEPT' COMMIT \
    '*nat' ':PREROUTING ACCEPT' ':INPUT ACCEPT' ':OUTPUT ACCEPT' ':POSTROUTING ACCEPT' COMMIT >"$engine/iptables"
  # A separate bridge and address range, to avoid conflicts with another engine on this machine.
  ip link add name xpdeploy0 type bridge
  ip addr add 10.213.0.1/16 dev xpdeploy0
  ip link set xpdeploy0 up
  dockerd --storage-driver "${STORAGE_DRIVER:-overlay2}" --bridge xpdeploy0 --default-address-pool base=10.214.0.0/16,size=24 \
    --data-root "$engine/data" --exec-root "$engine/exec" --host "unix://$engine/docker.sock" --pidfile "$engine/pid" \
    >"$engine/log" 2>&1 &
  engine_pid=$!
  export DOCKER_HOST="unix://$engine/docker.sock"
  until docker version >/dev/null 2>&1; do
    kill -0 "$engine_pid" || { tail -20 "$engine/log" >&2; return 1; }
    sleep 0.2
  done
}

stop_engine() {
  kill "$engine_pid" 2>/dev/null && wait "$engine_pid" || true
  umount "$engine/exec/netns/default" 2>/dev/null || true
  ip link delete xpdeploy0 || true
  iptables-restore <"$engine/iptables" || true
}
