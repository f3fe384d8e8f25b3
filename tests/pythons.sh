#!/bin/sh
# theory/ is pure Python: run its tests, without torch, on every Python from 3.10 to 3.13 that is installed here.
# A shim that starts no interpreter (pyenv has such) counts as not installed.
set -eu
cd "$(dirname "$0")/.."
found=0
for version in 3.10 3.11 3.12 3.13; do
    python=""
    for candidate in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
        if "$candidate" -c "" >/dev/null 2>&1; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then echo "Python $version: not installed here"; continue; fi
    venv=".venv-$version"
    if [ ! -e "$venv/.ready" ]; then
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip --disable-pip-version-check install --quiet \
            --constraint constraints.txt pytest hypothesis
        touch "$venv/.ready"
    fi
    echo "Python $version"
    "$venv/bin/python" -m pytest -q -p no:cacheprovider --hypothesis-profile=ci tests/theory
    found=$((found + 1))
done
[ "$found" -gt 0 ]
