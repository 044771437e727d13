#!/bin/sh
# A server of the cluster: takes its secrets from the files that docker-compose mounts, so that none is in the container's settings.
set -eu
EXECPLANE_API_KEY=$(cat /run/secrets/admin-key)
# Plain, on a network of these containers alone. The password is of letters and digits: nothing in it has a meaning in a URL.
EXECPLANE_DATABASE_URL="postgres://execplane:$(cat /run/secrets/database-password)@postgres:5432/execplane?sslmode=disable"
export EXECPLANE_API_KEY EXECPLANE_DATABASE_URL
exec execplane server
