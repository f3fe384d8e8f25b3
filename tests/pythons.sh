#!/bin/sh
# What needs no torch, on every Python from 3.10 to 3.14 that is installed here: theory's tests, the first table, and that
# every file of the rest is Python there too. A shim that starts no interpreter (pyenv has such) counts as not installed.
set -eu
cd "$(dirname "$0")/.."
ran=0
for version in 3.10 3.11 3.12 3.13 3.14; do
    python=""
    for candidate in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
        if "$candidate" -c "" >/dev/null 2>&1; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then echo "Python $version: not installed here"; continue; fi
    venv=".venv-$version"
    if [ ! -e "$venv/.ready" ]; then
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip --disable-pip-version-check install --quiet \
            --constraint constraints.txt pytest hypothesis rich
        touch "$venv/.ready"
    fi
    echo "$("$venv/bin/python" --version)"
    "$venv/bin/python" -W error -m compileall -q -f lstm_shapes
    "$venv/bin/python" -W error -m lstm_shapes count 28 256 3 | grep -q 1,345,536
    "$venv/bin/python" -m pytest -q -p no:cacheprovider --hypothesis-profile=ci tests/theory
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ]
