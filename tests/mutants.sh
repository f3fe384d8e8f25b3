#!/bin/sh
# Changes files of theory/ in small ways, one at a time, in a copy (.mutants), and lists the changes that no test notices.
#     make mutants ARGS="counts shapes"
# A change that a survivor shows to be no fault (a message's line break, a cache's size) is left as it is.
set -eu
cd "$(dirname "$0")/.."
python=$(pwd)/${PYTHON:-.venv/bin/python}
[ $# -gt 0 ] || set -- $(cd lstm_shapes/theory && ls ./*.py | sed -e 's,^\./,,' -e 's,\.py$,,' | grep -v __init__)
"$python" -c "import cosmic_ray" 2>/dev/null || "$python" -m pip install --quiet 'cosmic-ray>=8.4'
rm -rf .mutants/project
mkdir -p .mutants/project
cp -R lstm_shapes tests pyproject.toml .mutants/project
cd .mutants/project
bin=$(dirname "$python")
for module in "$@"; do
    cat >../config.toml <<END
[cosmic-ray]
module-path = "lstm_shapes/theory/$module.py"
timeout = 120.0
excluded-modules = []
test-command = "$python -B -m pytest -x -q -p no:cacheprovider --hypothesis-profile=mutants tests/theory/test_$module.py lstm_shapes/theory/$module.py tests/theory"

[cosmic-ray.distributor]
name = "local"

[cosmic-ray.filters.operators-filter]
# One replacement of each operator is enough, and | stands in annotations only.
exclude-operators = [
  "core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_Add|Div_Mul|FloorDiv_Mul|Mod_Add).*",
  "core/ReplaceComparisonOperator_(?!Eq_NotEq|NotEq_Eq|Gt_GtE|GtE_Gt|Lt_LtE|LtE_Lt|Is_IsNot|IsNot_Is).*",
]
END
    "$bin/cosmic-ray" init ../config.toml "../$module.sqlite" --force
    "$bin/cr-filter-operators" "../$module.sqlite" ../config.toml
    "$bin/cosmic-ray" exec ../config.toml "../$module.sqlite"
    echo "== $module"
    "$bin/cr-report" --surviving-only --show-diff "../$module.sqlite" | grep -v "^\[job-id\]"
done
