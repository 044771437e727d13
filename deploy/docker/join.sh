#!/bin/sh
# The one-shot service between server and agent in docker-compose.yml: puts a join token where the agent looks for it.
#
# It runs as the server's user, in the server's network (so that it is a CLI on the server's own host), with the volumes of the server
# (for the admin key) and of the agent (to see whether a credential exists) mounted read-only. The token goes into a file that only this
# user can read; it joins one machine, once, within an hour. No secret is in an argument, an environment variable or the image.
set -eu
umask 077

token_file=/run/execplane-join/token
if [ -e "${EXECPLANE_AGENT_DIR:?}/credential.json" ]; then
  rm -f "$token_file"
  echo 'The agent has joined before.'
  exit 0
fi
execplane tokens create --machine "${EXECPLANE_MACHINE_ID:?}" >"$token_file.new"
mv "$token_file.new" "$token_file"
echo "A join token for $EXECPLANE_MACHINE_ID is ready."
