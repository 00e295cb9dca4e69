# What people type. Everything lives in .venv, made at first need and again when setup.py changes.
PYTHON ?= python3
# Tests run in so many processes; each has servers of its own.
PROCESSES ?= 2
BIN := .venv/bin
# Where tests put their files: in memory, if there is room. What hunts put stays on the disk.
FOLDER := $(shell df -k --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 4000000 {print "/dev/shm"}')
IN_MEMORY := $(if $(FOLDER),PYTEST_DEBUG_TEMPROOT=$(FOLDER))
TESTS = $(IN_MEMORY) $(BIN)/pytest -n $(PROCESSES) --dist loadgroup
# Compiled modules are kept: else every process that tests start compiles all of them again.
unexport PYTHONDONTWRITEBYTECODE
READY := .venv/.ready

.DEFAULT_GOAL := help

$(READY): setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hubrepo needs Python 3.11 or newer (make PYTHON=python3.11 ...)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

.PHONY: help serve test lint types imports check backends stress bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(READY) ## run the hub at http://127.0.0.1:6543; the first start shows a key
	$(BIN)/hubrepo serve $(if $(PORT),--port $(PORT))

test: $(READY) ## run the tests, save for those that take long
	$(TESTS) -m "not long and not stress"

lint: $(READY) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## check types
	$(BIN)/mypy

imports: $(READY) ## check who imports whom
	$(BIN)/lint-imports

check: lint types imports ## all that must be green before a push: style, types, imports, every test but the hunts
	$(TESTS) -m "not stress"

# What is left out chooses stores and databases itself, never gets as far, or is about what nodes allow.
OWN_CHOICE := tests/kernel/transfer tests/architecture/test_permission_matrix.py $(foreach each,checking sweeping holds stores s3_store s3_filesystem,tests/kernel/blobs/test_$(each).py) $(wildcard tests/features/*/test_contract_fuzz.py)

backends: $(READY) ## run the tests of the hub on PostgreSQL and S3
	$(TESTS) --database=postgresql --store=s3 -m "not stress" $(OWN_CHOICE:%=--ignore=%) tests/features tests/kernel tests/architecture tests/test_workers.py

stress: $(READY) ## run the long tests: faults, kills, load, fuzzing, memory (SECONDS=, KILLS=, SEED=)
	$(BIN)/pytest -n $(PROCESSES) --dist loadgroup -m "stress and not serial"
	$(BIN)/pytest -m serial

bench: $(READY) ## run every benchmark, each beside what it is compared with
	@for each in bench/bench_*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

clean: ## remove what was built; the data in var/ stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
