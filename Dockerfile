# One recipe for every service, and for the operator's command:
#   docker build --build-arg SERVICE=ideas --tag taawon/ideas .
#   docker build --build-arg SERVICE=cli --build-arg FOLDER=tools/cli --tag taawon/cli .
# Only the kernel, the service and what they need go in: no sibling, no tests, no tools.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
ARG SERVICE
ARG FOLDER=services/${SERVICE}
# More arguments for uv, such as the extra for traces (docs/operations.md).
ARG EXTRAS=""
RUN test -n "${SERVICE}" || { echo "say which service: --build-arg SERVICE=ideas" >&2; exit 1; }
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON=/usr/local/bin/python3 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /app

# The dependencies first: they change less often than the code, and this layer is kept.
COPY pyproject.toml uv.lock ./
COPY shared/pyproject.toml shared/
COPY ${FOLDER}/pyproject.toml ${FOLDER}/
RUN uv sync --frozen --no-dev --no-install-workspace --package "${SERVICE}" ${EXTRAS}

# The code stays where it is in the repository, because migrations are found beside their package.
COPY shared/shared shared/shared
COPY ${FOLDER} ${FOLDER}
RUN uv sync --frozen --no-dev --package "${SERVICE}" ${EXTRAS} && \
    python -m compileall -q shared "${FOLDER}"
# Every image has the command `taawon`; in the image of a service it has a service's commands only.
RUN test -e .venv/bin/taawon || ln -s taawon-service .venv/bin/taawon


FROM ${PYTHON_IMAGE}
ARG SERVICE
LABEL org.opencontainers.image.title="taawon ${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin taawon
COPY --from=build /app /app
WORKDIR /app
# Nothing is written at run time but /tmp, so the root may be read-only.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TAAWON_HTTP_HOST=0.0.0.0 \
    TAAWON_HTTP_PORT=8000 \
    TAAWON_INTERNAL_HOST=0.0.0.0 \
    TAAWON_INTERNAL_PORT=9100 \
    TAAWON_HEARTBEAT_FILE=/tmp/heartbeat
USER 10001:10001
# The second port is for whoever runs this: metrics, and the description of the API.
EXPOSE 8000 9100
# Ready: the database answers, the consumers consume, none is paused. No proxy is used.
# The engine restarts what has ended and not what is unhealthy: so a frozen process is ended first.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; from shared.kernel import heartbeat; heartbeat.end_frozen_process(); u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['TAAWON_HTTP_PORT'] + '/readyz', timeout=8)"]
ENTRYPOINT ["taawon"]
CMD ["--help"]
