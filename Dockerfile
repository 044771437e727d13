# Execplane in containers: `server` (the control plane) and `agent` (an example; most agents run directly on their machine,
# docs/install.md). docs/containers.md describes how to run them.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run --silent build && node scripts/package.ts --program /program

FROM ${NODE_IMAGE} AS program
# The user of the containers. For an agent that works in a mounted folder: the owner of that folder.
ARG EXECPLANE_UID=7411
RUN if getent passwd node >/dev/null; then userdel --remove node; fi && \
    groupadd --gid ${EXECPLANE_UID} execplane && \
    useradd --uid ${EXECPLANE_UID} --gid execplane --home-dir /home/execplane --create-home --shell /bin/sh execplane && \
    install -d -o execplane -g execplane -m 0700 /var/lib/execplane /var/lib/execplane-agent /run/execplane-join
COPY --from=build /program /usr/lib/execplane
RUN ln -s ../lib/execplane/bin/execplane /usr/bin/execplane
ENV NODE_ENV=production

FROM program AS server
COPY deploy/docker/healthcheck.js deploy/docker/join.sh /usr/lib/execplane/docker/
ENV EXECPLANE_HOST=0.0.0.0 EXECPLANE_DATA_DIR=/var/lib/execplane
USER execplane
WORKDIR /var/lib/execplane
VOLUME /var/lib/execplane
EXPOSE 7411
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "/usr/lib/execplane/docker/healthcheck.js", "http://127.0.0.1:7411/readyz"]
CMD ["execplane", "server"]

FROM program AS agent
COPY deploy/docker/agent-healthcheck.js /usr/lib/execplane/docker/
ENV EXECPLANE_AGENT_DIR=/var/lib/execplane-agent
USER execplane
WORKDIR /home/execplane
VOLUME /var/lib/execplane-agent
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "/usr/lib/execplane/docker/agent-healthcheck.js", "/var/lib/execplane-agent"]
# SIGTERM would detach the agent and leave its commands to a successor. A container has no successor, so SIGINT ends them.
STOPSIGNAL SIGINT
CMD ["execplane", "agent"]
