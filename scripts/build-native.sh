#!/bin/sh
# Builds the spawner, the addon that returns memory and the extension of SQLite for linux x64 and arm64 into native/prebuilt (or into the
# directory named as the first argument), the same bytes every time: the spawner is static, against musl, and the other two use Node's own
# C library. SQLite's headers are those of the better-sqlite3 package, so "npm ci" comes first.
# test/agent/runner/spawner/native-build.test.ts compares the committed files with a build.
# On Debian: apt-get install musl-tools gcc-aarch64-linux-gnu. The arm64 build takes musl from Debian's musl-dev package
# of that architecture, which is downloaded and unpacked into a temporary directory (nothing is installed).
# A second argument, x64 or arm64, builds for that architecture only.
set -eu
native=$(cd "$(dirname "$0")/../native" && pwd)
mkdir -p "${1:-$native/prebuilt}"
out=$(cd "${1:-$native/prebuilt}" && pwd)
cd "$native"
sources="main.c buffer.c frames.c pipes.c input.c children.c starts.c request.c launch.c tree.c"
sqlite=../node_modules/better-sqlite3/deps/sqlite3
only=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Warnings are errors: the runner is trusted, but the commands are not.
warnings="-Wall -Wextra -Wconversion -Werror"
# The same bytes on every machine, and only those that are needed.
reproducible="-std=c11 -Os -fno-asynchronous-unwind-tables -fno-ident -ffile-prefix-map=$PWD=. -ffunction-sections"
# Each of these makes a fault in the spawner harder to exploit:
#   -fPIE, -static-pie             code and data lie at random addresses
#   -fstack-protector-strong       a return address that was overwritten ends the process
#   -fstack-clash-protection       a frame cannot step over the guard page below the stack
#   -ftrivial-auto-var-init=zero   no variable starts with what was left on the stack
#   -D_FORTIFY_SOURCE=2            bounds of copies are checked, by C libraries that can (musl cannot; glibc in the sanitizer build)
#   -z relro, -z now               tables of addresses are read-only once the program runs
#   -z noexecstack, -z separate-code   what can be written is not executed, and code is not data
hardening="-fPIE -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero -D_FORTIFY_SOURCE=2"
hardening_link="-static-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code"
link="-s -Wl,--build-id=none -Wl,--gc-sections -Wl,--no-dynamic-linker -nostdlib"

# build COMPILER HEADERS LIBRARIES OUTPUT FLAGS...
build() {
  compiler=$1 headers=$2 libraries=$3 output=$4
  shift 4
  mkdir -p "$(dirname "$output")"
  $compiler $warnings $reproducible $hardening "$@" -nostdinc -isystem "$headers" -isystem "$($compiler -print-file-name=include)" \
    $hardening_link $link "$libraries/rcrt1.o" "$libraries/crti.o" $sources \
    "$libraries/libc.a" "$($compiler -print-libgcc-file-name)" "$libraries/crtn.o" -o "$output"
}

# build_addon COMPILER SOURCE OUTPUT FLAGS...: the functions of Node and its C library are found when it is loaded.
build_addon() {
  compiler=$1 source=$2 output=$3
  shift 3
  $compiler $warnings $reproducible -fPIC -fvisibility=hidden -fstack-protector-strong "$@" \
    -nostdinc -isystem "$($compiler -print-file-name=include)" -isystem "$sqlite" -shared -nostdlib -s \
    -Wl,--build-id=none -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack "$source" -o "$output"
}

# -fcf-protection: jumps land only where jumps may land, on processors that check it.
build_x64() {
  build gcc /usr/include/x86_64-linux-musl /usr/lib/x86_64-linux-musl "$out/linux-x64/execplane-spawner" -fcf-protection=full
  build_addon gcc memory.c "$out/linux-x64/execplane-memory.node" -fcf-protection=full
  build_addon gcc wal.c "$out/linux-x64/execplane-wal.so" -fcf-protection=full
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

# -mbranch-protection=standard: the same for jumps, and return addresses are signed, on processors that support it.
build_arm64() {
  fetch_arm64_musl
  root="$work/arm64/usr"
  build aarch64-linux-gnu-gcc "$root/include/aarch64-linux-musl" "$root/lib/aarch64-linux-musl" \
    "$out/linux-arm64/execplane-spawner" -mno-outline-atomics -mbranch-protection=standard
  build_addon aarch64-linux-gnu-gcc memory.c "$out/linux-arm64/execplane-memory.node" -mbranch-protection=standard
  build_addon aarch64-linux-gnu-gcc wal.c "$out/linux-arm64/execplane-wal.so" -mbranch-protection=standard
}

[ "$only" = arm64 ] || build_x64
[ "$only" = x64 ] || build_arm64
if [ -z "$only" ]; then (cd "$out" && sha256sum linux-*/execplane-* > SHA256SUMS && cat SHA256SUMS); fi
