#!/bin/sh
# Every test with the oldest version of each dependency that pyproject.toml allows, in an environment of its own. Not a part
# of `make test`: the oldest torch that pip finds may be a build for CUDA, of gigabytes.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-oldest
oldest=$(sed -n '/^dependencies = \[/,/^\]/s/.*"\([a-z]*\)>=\([0-9.]*\)".*/\1==\2/p' pyproject.toml)
if [ ! -e "$venv/.ready" ] || [ pyproject.toml -nt "$venv/.ready" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --editable '.[dev]' $oldest
    touch "$venv/.ready"
fi
echo "With $(echo "$oldest" | tr '\n' ' ')on $("$venv/bin/python" --version)"
"$venv/bin/python" -m pytest -n "${JOBS:-2}" --hypothesis-profile=ci "$@"
