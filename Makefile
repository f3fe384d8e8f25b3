# Two commands do everything: `make demo` and `make test`. They need python3, make and a package index.
# Paths are relative, so a space in the folder's own name does no harm. Works with GNU make 3.81 and later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest
# Two test processes: what a small machine has.
JOBS ?= 2
ARGS ?=

.PHONY: help demo test check lint types layers tests release bench fuzz docs snapshots pythons oldest mutants clean

help:  ## show this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed -e 's/:.*## /	/' | expand -t 12

demo: $(VENV)/.runtime  ## install what is needed and explain the lesson's LSTM
	@$(BIN)/lstm-shapes

test: lint types layers tests  ## every check: style, types, layers, tests, doctests, README, examples, coverage

lint: $(VENV)/.dev  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

types: $(VENV)/.dev  ## mypy --strict
	$(BIN)/mypy

layers: $(VENV)/.dev  ## import-linter: who may import whom
	$(BIN)/lint-imports

tests: $(VENV)/.dev  ## pytest with branch coverage
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(JOBS) --hypothesis-profile=ci $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

release:  ## build sdist and wheel, install the wheel in an empty environment and use it there
	PYTHON="$(PYTHON)" sh tests/release.sh

bench: $(VENV)/.dev  ## the budgets, as ratios measured in one run (ARGS=--huge adds the 275-billion layer)
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(VENV)/.dev  ## the random tests, with 25 times the examples and new seeds
	LSTM_SHAPES_FUZZ=25 $(PYTEST) -n $(JOBS) -m fuzz --hypothesis-profile=fuzz $(ARGS)

docs: $(VENV)/.dev  ## write README, docs and the tutorial again: what their code shows, the reference, the rules
	$(BIN)/python -m docs.build
	$(BIN)/python -m docs.notebook

snapshots: $(VENV)/.dev  ## write tests/snapshots again: read the diff before you commit it
	$(PYTEST) -m snapshot --update-snapshots $(ARGS)

pythons:  ## theory's tests, without torch, on every other Python found here
	PYTHON="$(PYTHON)" sh tests/pythons.sh

oldest:  ## every test with the oldest version of each dependency that pyproject.toml allows (downloads gigabytes)
	PYTHON="$(PYTHON)" sh tests/oldest.sh $(ARGS)

mutants: $(VENV)/.dev  ## change theory/ in small ways: which changes no test notices (hours; ARGS=counts for one file)
	@$(PIP) 'cosmic-ray>=8.4'
	$(BIN)/python -m benchmarks.mutants $(ARGS)

clean:  ## remove what the commands made
	rm -rf $(VENV) .venv-3.* .venv-oldest .mutants .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*

# A stamp is newer than what it was installed from, so a second run installs nothing.

$(VENV)/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("lstm_shapes needs Python 3.10 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	@echo "Making $(VENV) and installing torch and friends into it; the first time takes a minute or more."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the tools that check the project."
	@$(PIP) --editable '.[dev]'
	@touch $@
