#!/bin/sh
# Builds the spawner for linux x64 and arm64 into native/prebuilt: static, against musl, the same bytes every time.
# On Debian: apt-get install musl-tools gcc-aarch64-linux-gnu. The arm64 build takes musl from Debian's musl-dev package
# of that architecture, which is downloaded and unpacked into a temporary directory (nothing is installed).
set -eu
cd "$(dirname "$0")/../native"
sources="spawner.c launch.c tree.c"
flags="-std=c11 -Os -Wall -Wextra -Werror -fno-stack-protector -fno-asynchronous-unwind-tables -fno-ident -ffile-prefix-map=$PWD=."
link="-static -no-pie -s -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--gc-sections"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build_x64() {
  mkdir -p prebuilt/linux-x64
  musl-gcc $flags -ffunction-sections $sources $link -o prebuilt/linux-x64/execplane-spawner
}

# apt with lists and state of its own, so that the machine's own list of architectures stays as it is.
fetch_arm64_musl() {
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  touch "$work/status"
  apt_options="-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists=$work/lists -o Dir::State::Status=$work/status -o Dir::Cache=$work/cache -o APT::Sandbox::User=root"
  apt-get $apt_options update
  (cd "$work" && apt-get $apt_options download musl-dev)
  dpkg-deb -x "$work"/musl-dev_*_arm64.deb "$work/arm64"
}

build_arm64() {
  fetch_arm64_musl
  root="$work/arm64/usr"
  mkdir -p prebuilt/linux-arm64
  aarch64-linux-gnu-gcc $flags -ffunction-sections -nostdinc -isystem "$root/include/aarch64-linux-musl" \
    -isystem "$(aarch64-linux-gnu-gcc -print-file-name=include)" -mno-outline-atomics $link -nostdlib \
    "$root/lib/aarch64-linux-musl/crt1.o" "$root/lib/aarch64-linux-musl/crti.o" $sources \
    "$root/lib/aarch64-linux-musl/libc.a" "$(aarch64-linux-gnu-gcc -print-libgcc-file-name)" \
    "$root/lib/aarch64-linux-musl/crtn.o" -o prebuilt/linux-arm64/execplane-spawner
}

build_x64
build_arm64
(cd prebuilt && sha256sum linux-*/execplane-spawner > SHA256SUMS && cat SHA256SUMS)
