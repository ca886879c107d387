#!/bin/sh
# Prints how to reach a Docker engine, as `export DOCKER_HOST=…`, or fails and says what is missing.
# Where images can't be pulled, TAAWON_IMAGES names a program that starts an engine with stand-ins.
set -eu

if docker version >/dev/null 2>&1 && [ -z "${TAAWON_IMAGES:-}" ]; then
    echo "export DOCKER_HOST=${DOCKER_HOST:-unix:///var/run/docker.sock}"
    exit 0
fi
if [ -x "${TAAWON_IMAGES:-}" ]; then
    "$TAAWON_IMAGES" --engine --compose-v2 --tag axllent/mailpit:v1.27 >&2
    # Its last lines say where the engine listens. Its images have no Ryuk, which removes containers.
    "$TAAWON_IMAGES" --engine 2>&1 | sed -n 's/.*\(export DOCKER_HOST=.*\)/\1/p' | tail -n 1
    echo "export TESTCONTAINERS_RYUK_DISABLED=true"
    exit 0
fi
echo "no Docker engine answers: start one, or set TAAWON_IMAGES to a program that does" >&2
exit 1
