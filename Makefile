# The commands that people, the documentation and CI use. Each is complete: it sets up `.venv` first where needed.
#   make PYTHON=python3.12 test     picks the interpreter of a new .venv (3.11, 3.12 or 3.13)
#   make TORCH_INDEX=URL demo          takes torch from another wheel index

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
SOURCES := $(wildcard dnaml benchmarks training tests)
TYPED := $(wildcard dnaml benchmarks training)

# One thread a process: two BLAS threads on a busy two-core machine take 27 times the time of one.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export MLFLOW_DISABLE_TELEMETRY ?= true
export RAY_USAGE_STATS_ENABLED ?= 0

.PHONY: help setup demo test check unit audit soak bench train serve notebooks docs clean

help:  ## print this list
	@grep -hE '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

setup: $(STAMP)  ## create .venv and install the pinned dependencies (goes on after Ctrl-C, does nothing twice)

demo: $(STAMP)  ## the main job on this machine: profile, learn, place and run, lose a worker, report
	@$(PY) -m compileall -q dnaml
	@$(VENV)/bin/dnaml demo $(ARGS)

test: check unit  ## every check and every test, with coverage

check: $(STAMP)  ## formatting, lint, types, import contracts, lengths
	@$(PY) -m compileall -q dnaml
	@$(PY) -m ruff format --check $(SOURCES)
	@$(PY) -m ruff check $(SOURCES)
	@$(PY) -m mypy $(TYPED)
	@$(VENV)/bin/lint-imports
	@$(PY) -m bandit -q -r dnaml -ll -b .ci/bandit.json
	@$(PY) .ci/audit --tell
	@$(PY) -m pytest tests/test_style.py -q -p no:cacheprovider

# What make test never uses of the plugins that are installed: they take 0.7 s of each process that runs tests.
PYTEST := $(PY) -m pytest -p no:nbmake -p no:schemathesis

# Tests that drive dnaml from outside or through whole traces: the tracer makes them up to 2.6 times slower and sees little
# new. Files that take long with few tests come first, and are not reordered, so that no process is left alone with one.
PLAIN := tests/test_docs.py tests/rest/test_fuzz.py tests/demo tests/e2e tests/predict/test_bad_tables.py tests/sim \
         tests/training tests/datasets/test_traces.py tests/benchmarks tests/faults tests/test_notebooks.py \
         tests/test_package.py tests/test_readme.py tests/test_audit.py tests/rest/test_malice.py \
         tests/execution/test_environment_build.py
PARALLEL := -n 2 --dist loadfile -m "not serial and not soak"

# test_style.py has run in `check`. Tests marked `serial` measure time or own the machine; they run alone, the others two at a time.
unit: $(STAMP)
	@rm -f .coverage .coverage.*
	@$(PYTEST) $(PARALLEL) --no-loadscope-reorder $(PLAIN) $(ARGS)
	@$(PYTEST) $(PARALLEL) --ignore tests/test_style.py $(PLAIN:%=--ignore %) --cov --cov-report= $(ARGS)
	@$(PYTEST) -m "serial and not soak" $$(grep -rl --include='test_*.py' 'mark\.serial' tests) $(ARGS)
	@$(PY) -m coverage report --include='dnaml/core/*,dnaml/schedule/*' --fail-under=100
	@$(PY) -m coverage report --omit='dnaml/core/*,dnaml/schedule/*' --fail-under=90

audit: $(STAMP)  ## ask for known vulnerabilities of every package; fails when one was not asked about
	@$(PY) .ci/audit

bench: $(STAMP)  ## every benchmark; rewrites docs/benchmarks.md
	@test -f benchmarks/__main__.py || { echo "make bench: there is no benchmarks/__main__.py in this version" >&2; exit 1; }
	@$(PY) -m benchmarks $(ARGS)

soak: $(STAMP)  ## the long tests that do not fit into make test
	@test -d tests/soak || { echo "make soak: there is no tests/soak in this version" >&2; exit 1; }
	@$(PY) -m pytest tests/soak --timeout=0 $(ARGS)
	@$(PY) -m pytest tests -m soak --timeout=600 $(ARGS)
	@$(PY) -m pytest tests -m "hypothesis and not serial" --hypothesis-profile random $(ARGS)

train: $(STAMP)  ## train the shipped model again, on the shipped telemetry
	@$(PY) -m training.train --config training/configs/dnaml-small.toml $(ARGS)

serve: $(STAMP)  ## the scheduler service with its web page
	@$(VENV)/bin/dnaml serve --help >/dev/null 2>&1 || { echo "make serve: there is no 'dnaml serve' in this version" >&2; exit 1; }
	@$(VENV)/bin/dnaml serve $(ARGS)

notebooks: $(STAMP)  ## run every notebook
	@ls notebooks/*.ipynb >/dev/null 2>&1 || { echo "make notebooks: there are no notebooks in this version" >&2; exit 1; }
	@$(PY) -m pytest --nbmake --timeout=600 notebooks $(ARGS)

docs: $(STAMP)  ## build the pages of docs/ into site/
	@$(PY) -m mkdocs build --strict $(ARGS)

clean:  ## remove .venv and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* *.egg-info build

# The stamp is written last, so an interrupted set-up goes on where it stopped; pip skips what is there already.
$(STAMP): pyproject.toml constraints.txt
	@PYTHON_ORIGIN='$(origin PYTHON)' TORCH_INDEX='$(TORCH_INDEX)' .ci/setup '$(PYTHON)' '$(VENV)'
	@touch $@
