#!/bin/bash
# Limits, usage and ceilings by cgroup v2 on a real kernel: a virtual machine with Debian 13 and its systemd, the packages installed,
# runs limits/main.ts. Leaves nothing behind on this machine.
# Needs root, qemu-system-x86, debootstrap and e2fsprogs, and packages/ (npm run package). Uses /dev/kvm if there is one and ACCELERATOR
# is not tcg.
#
#   bash test/deploy/limits-vm.sh [ROOT]     ROOT: a file system to keep for the next run
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in qemu-system-x86_64 debootstrap mke2fs; do
  command -v "$program" >/dev/null || { echo "limits-vm: skipped, $program is not installed"; exit 0; }
done

# Under /var/tmp: /tmp may be in memory, and overlayfs does not stack on everything that /tmp can be.
work=$(mktemp -d /var/tmp/execplane-limits-XXXXXX)
root=${1:-$work/root}
qemu_pid=

cleanup() {
  status=$?
  [ -z "$qemu_pid" ] || kill "$qemu_pid" 2>/dev/null || true
  [ "$status" = 0 ] || [ ! -e "$work/console" ] || tail -60 "$work/console" >&2
  umount "$work/fs" 2>/dev/null || true
  rm -rf --one-file-system "$work"
  exit "$status"
}
trap cleanup EXIT

if [ ! -e "$root/usr/bin/systemd-run" ]; then
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,procps,linux-image-cloud-amd64 trixie "$root" >/dev/null
fi
mkdir "$work/upper" "$work/below" "$work/fs"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/below" "$work/fs"

cp packages/*.deb "$work/fs/root/"
chroot "$work/fs" sh -c 'dpkg --install /root/*.deb && rm /root/*.deb' >/dev/null 2>&1
cp -r test/deploy/limits "$work/fs/root/"
cat >"$work/fs/etc/systemd/system/limits-checks.service" <<'END'
[Unit]
After=execplane-server.service dbus.socket
# systemd-run --wait needs D-Bus, which no other part of the checks starts.
Wants=execplane-server.service dbus.socket
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/usr/lib/execplane/bin/node /root/limits/main.ts
Environment=HOME=/root
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=25min
END
mke2fs -q -t ext4 -d "$work/fs" "$work/disk" 2500M

# Units that the checks do not need, and that take a minute on a machine without KVM.
masked=
for unit in systemd-udev-trigger systemd-udevd systemd-pstore modprobe@fuse modprobe@efi_pstore; do masked+=" systemd.mask=$unit.service"; done
# start ACCELERATOR
start() {
  : >"$work/console"
  qemu-system-x86_64 -accel "$1" -cpu max,arch-capabilities=off -smp 2 -m 1536 -nodefaults -display none -no-reboot \
    -kernel "$(echo "$work"/fs/boot/vmlinuz-*)" -initrd "$(echo "$work"/fs/boot/initrd.img-*)" \
    -append "root=/dev/vda rw console=ttyS0 loglevel=4 systemd.show_status=no systemd.unit=limits-checks.service $masked" \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" -serial "file:$work/console" 2>"$work/qemu.log" &
  qemu_pid=$!
}
# Whether the kernel prints to the console, which it does at once. Inside a virtual machine KVM can exist but not work.
speaks() {
  for _ in $(seq 100); do
    [ ! -s "$work/console" ] || return 0
    sleep 0.1
  done
  return 1
}
accelerator=${ACCELERATOR:-kvm}
[ -w /dev/kvm ] || accelerator=tcg
start "$accelerator"
if [ "$accelerator" = kvm ] && ! speaks; then
  # It has ended already if it cannot use KVM.
  kill "$qemu_pid" 2>/dev/null || true
  wait "$qemu_pid" || true
  accelerator=tcg
  start tcg
fi
wait "$qemu_pid"
qemu_pid=
tr -d '\r' <"$work/console" | grep -E '^(ok|FAIL|  )' || true
tr -d '\r' <"$work/console" | grep -qx 'all limits hold'
echo "ok   limits, usage and ceilings on a real kernel ($accelerator)"
