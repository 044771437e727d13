#!/bin/sh
# Starts a server of the cluster. Reads its secrets from the files that docker-compose mounts, so that none is in the container's settings.
set -eu
EXECPLANE_API_KEY=$(cat /run/secrets/admin-key)
# No TLS: only these containers share the network. The password has only letters and digits, which need no escaping in a URL.
EXECPLANE_DATABASE_URL="postgres://execplane:$(cat /run/secrets/database-password)@postgres:5432/execplane?sslmode=disable"
# The other servers reach this one under the name of its container.
EXECPLANE_CLUSTER_ADDRESS="$(hostname):7412"
export EXECPLANE_API_KEY EXECPLANE_DATABASE_URL EXECPLANE_CLUSTER_ADDRESS
exec execplane server
