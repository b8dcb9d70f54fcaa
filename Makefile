# One door to every task. A fresh machine needs python3 (3.11 or newer) with venv, and make.
#
#   make demo     live through a sample campaign and look at its mails and reports
#   make test     the tests, in a process more than there are processors, up to four (JOBS=0: in one process, to debug)
#   make test-without-cache    the same without the cache of the last read: nothing but the time is different
#   make soak     the tests that take minutes: thousands of letters, killed again and again; and new examples for every property
#   make bench    what a run and a delivery cost, against SQLite's dump and Postfix's smtp-source (an hour; ARGS=--quick takes less)
#   make check    style, types, and the direction of imports
#   make wheel    what is released, in dist/
#   make lock     choose dependencies anew (needs uv)
#   make clean    everything that was made here

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV ?= uv
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TESTS ?=
JOBS ?= auto
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-without-cache soak bench check wheel lock clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.run
	$(BIN)/python -m compileall -q migrate
	rm -rf demo
	$(BIN)/migrate demo demo

test: $(VENV)/.dev
	$(BIN)/python -m compileall -q migrate tests
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS)

test-without-cache: export MIGRATE_WITHOUT_CACHE = 1
test-without-cache: test

soak: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak --timeout 3600 $(TESTS)
	MIGRATE_NEW_EXAMPLES=1 $(BIN)/python -m pytest -m "property and not soak" --timeout 3600 $(TESTS)

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m hatchling build -t sdist -t wheel

lock:
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -p 3.11 --upgrade \
	  --extra postgres --extra mysql --extra xlsx --extra fast --extra microsoft --extra google --extra entra --extra privacyidea --extra sign \
	  --extra bench --extra dev --group build pyproject.toml -o requirements-dev.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -p 3.11 \
	  --constraint requirements-dev.lock --extra postgres --extra mysql --extra xlsx --extra fast --extra microsoft --extra google --extra entra --extra privacyidea --extra sign \
	  --group build pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header -p 3.11 --upgrade .ci/privacyidea.in -o .ci/privacyidea.lock

clean:
	rm -rf $(VENV) dist build demo .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

# A stamp says which lock the environment holds, so that the second call has nothing to do. pip compiles what it installs, whatever
# PYTHONDONTWRITEBYTECODE says, and so do demo and test: without that every start would compile pandas and the package again.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "migrate needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	test -e $(VENV)/.dev || $(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@
