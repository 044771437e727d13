#!/bin/sh
# Makes a replacement for the base image of the Dockerfile, for machines that cannot pull images: Debian 12 by
# debootstrap, Node from node_modules, this machine's npm and its certificate bundle. Prints the tag.
#
#   DOCKER_HOST=… sh test/deploy/base-image.sh ROOT     ROOT: the directory of the file system; an existing one is used again
set -eu

root=${1:?a directory for the file system}
repository=$(cd "$(dirname "$0")/../.." && pwd)
tag=$(sed -n 's/^ARG NODE_IMAGE=//p' "$repository/Dockerfile")

if [ ! -e "$root/usr/local/bin/npm" ]; then
  debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >&2
  install -m 755 "$repository/node_modules/node/bin/node" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  # Not `npm root -g`, which depends on the node in PATH.
  cp -r "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi
tar -C "$root" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists --exclude=./usr/share/doc -c . |
  docker import \
    --change 'CMD ["node"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' \
    - "$tag" >&2
echo "$tag"
