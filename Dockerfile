# Two images of one build:
#   docker build -t pgmcp .                    serves HTTP on port 8765 (target http, the last one)
#   docker build --target stdio -t pgmcp-stdio .   for `docker run -i --rm`, never with a terminal (-t)
# docs/containers.md has the commands, compose.yaml a whole example.

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY pgmcp pgmcp
COPY worker worker
# Every dependency comes as a wheel (--no-build), so no compiler is needed.
RUN uv build --wheel --out-dir /dist \
    && uv venv /opt/pgmcp \
    && uv pip install --no-cache --no-build --compile-bytecode --python /opt/pgmcp/bin/python "$(ls /dist/*.whl)[fleet,metrics,telemetry]"

FROM python:3.13-slim AS runtime
# tini is PID 1: it passes signals on and reaps workers whose parent died. openssh-client is for PG_MCP_DATABASE_SSH;
# ssh needs a user that /etc/passwd has. Debian removes an old version from its archive when a fixed one comes, so
# versions are not pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin pgmcp
COPY --from=build /opt/pgmcp /opt/pgmcp
ENV PATH=/opt/pgmcp/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/tmp
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "pgmcp"]

FROM runtime AS stdio
CMD ["serve"]

FROM runtime AS http
EXPOSE 8765
CMD ["serve", "--http", "0.0.0.0:8765"]
# It requests /healthz at the address that the server was started with, over HTTP or TLS. A server over stdio counts as
# healthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-m", "pgmcp.healthcheck"]
