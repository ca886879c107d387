#!/bin/sh
# Makes .venv with everything the workspace needs, given git, make and Python 3.11 or newer.
# Run again it only checks, so every make target may start with it. Arguments go to `uv sync`:
# `--group bench` adds what only the benchmarks need.
set -eu

UV_VERSION=0.13.9
cd "$(dirname "$0")/.."
tools=.run/tools

fail() {
    printf 'bootstrap: %s\n' "$@" >&2
    exit 1
}

# Whether a Python runs, is new enough and can make environments. That a name is on the path proves
# nothing: version switchers put names there that only print an error.
is_suitable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
        "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# The Python chosen before, so that the environment is not made anew when the path changes.
choose_python() {
    chosen=$(cat "$tools/interpreter" 2>/dev/null || true)
    if [ -n "$chosen" ] && is_suitable "$chosen"; then
        printf '%s\n' "$chosen"
        return
    fi
    for name in python3.13 python3.12 python3.11 python3; do
        if is_suitable "$name"; then
            "$name" -c 'import os, sys; print(os.path.realpath(sys.executable))'
            return
        fi
    done
}

explain_python() {
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
            fail "$name runs, but cannot make environments; on Debian or Ubuntu:" \
                "    apt install python3-venv     (or python$version-venv)"
        fi
    done
    fail "no Python 3.11 or newer is on the path; on Debian 12, Ubuntu 24.04 or newer:" \
        "    apt install python3 python3-venv"
}

owner() {
    # shellcheck disable=SC2012  # one folder whose name is ours; stat differs between systems
    ls -ldn "$1" | awk '{ print $3 }'
}

check_folders() {
    mkdir -p .run 2>/dev/null || fail "$(pwd) cannot be written to by $(id -un)"
    for folder in .run .venv; do
        if [ -e "$folder" ] && [ "$(owner "$folder")" != "$(id -u)" ]; then
            fail "$(pwd)/$folder belongs to user $(owner "$folder"), and you are $(id -un):" \
                "run as that user, or remove it:  rm -rf $(pwd)/$folder"
        fi
    done
    if [ -e .venv ] && ! .venv/bin/python -c '' 2>/dev/null; then
        echo "bootstrap: .venv is broken (its Python does not run); making it anew" >&2
        rm -rf .venv
    fi
}

# Caches stay with the user where there is a home to keep them, else with the clone.
choose_caches() {
    cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
    if ! mkdir -p "$cache" 2>/dev/null || [ ! -w "$cache" ]; then
        UV_CACHE_DIR=${UV_CACHE_DIR:-$(pwd)/.run/cache/uv}
        PIP_CACHE_DIR=${PIP_CACHE_DIR:-$(pwd)/.run/cache/pip}
        export UV_CACHE_DIR PIP_CACHE_DIR
    fi
}

install_uv() {
    case $("$tools/bin/uv" --version 2>/dev/null || true) in
    "uv $UV_VERSION"*) return ;;
    esac
    echo "bootstrap: installing uv $UV_VERSION" >&2
    rm -rf "$tools"
    "$UV_PYTHON" -m venv "$tools" || fail "$UV_PYTHON could not make $tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" ||
        fail "uv could not be fetched from the package index: is there a network?"
    printf '%s\n' "$UV_PYTHON" >"$tools/interpreter"
}

check_folders
choose_caches
UV_PYTHON=$(choose_python)
[ -n "$UV_PYTHON" ] || explain_python
UV_PYTHON_DOWNLOADS=never
export UV_PYTHON UV_PYTHON_DOWNLOADS
unset VIRTUAL_ENV
install_uv
"$tools/bin/uv" sync --quiet --frozen --all-packages "$@" ||
    fail "the packages of uv.lock could not be installed; uv says why above." \
        "Without a network only packages that are in uv's cache can be used."
