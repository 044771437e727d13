#!/bin/sh
# Starts a server of the cluster. Reads its secrets from the files that docker-compose mounts, so that none is in the container's settings.
set -eu
EXECPLANE_API_KEY=$(cat /run/secrets/admin-key)
# No TLS: only these containers share the network. The password has only letters and digits, which need no escaping in a URL.
EXECPLANE_DATABASE_URL="postgres://execplane:$(cat /run/secrets/database-password)@postgres:5432/execplane?sslmode=disable"
export EXECPLANE_API_KEY EXECPLANE_DATABASE_URL
exec execplane server
