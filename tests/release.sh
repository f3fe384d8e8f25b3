#!/bin/sh
# What a user gets: the sdist is built from this folder, the wheel from the sdist, and the wheel is installed with its
# extra [examples] in an empty environment and used there, away from here, with warnings as errors.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip="-m pip --disable-pip-version-check install --quiet --no-compile"

"$python" -m venv "$work/builder"
"$work/builder/bin/python" $pip hatchling
"$work/builder/bin/python" -m hatchling build -t sdist -d "$work/dist" >/dev/null 2>&1
mkdir "$work/sdist"
tar -xzf "$work"/dist/*.tar.gz -C "$work/sdist" --strip-components 1
(cd "$work/sdist" && "$work/builder/bin/python" -m hatchling build -t wheel -d "$work/dist" >/dev/null 2>&1)
# The whole package is in the wheel.
here=$(find lstm_shapes -name '*.py' | sort)
there=$("$python" -m zipfile -l "$work"/dist/*.whl | awk '/^lstm_shapes\/.*\.py /{print $1}' | sort)
[ "$here" = "$there" ] || { echo "the wheel is not the package:"; echo "$here" | grep -vxF "$there"; exit 1; }

"$python" -m venv "$work/user"
wheel=$(echo "$work"/dist/*.whl)
"$work/user/bin/python" $pip --constraint "$root/constraints.txt" "$wheel[examples]"
"$work/user/bin/python" -m pip --disable-pip-version-check check
cd "$work"
PYTHONWARNINGS=error "$work/user/bin/python" - <"$root/tests/smoke.py"
PYTHONWARNINGS=error "$work/user/bin/python" sdist/examples/lesson.py >/dev/null
# The pages' own code and commands; a file of weights takes one more extra.
"$work/user/bin/python" $pip --constraint "$root/constraints.txt" "$wheel[examples,safetensors]"
mkdir pages
cd pages
PYTHONWARNINGS=error "$work/user/bin/python" - ../sdist/README.md ../sdist/README.ko.md ../sdist/docs/command-line.md <"$root/tests/smoke.py"
