# What people type. Everything lives in .venv, made at first need and again when setup.py changes.
PYTHON ?= python3
# Tests run in so many processes; each has servers of its own.
PROCESSES ?= 2
BIN := .venv/bin
# Where tests put their files: in memory, if there is room. What long searches put stays on the disk.
FOLDER := $(shell df -k --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 4000000 {print "/dev/shm"}')
IN_MEMORY := $(if $(FOLDER),PYTEST_DEBUG_TEMPROOT=$(FOLDER))
TESTS = $(IN_MEMORY) $(BIN)/pytest -n $(PROCESSES) --dist loadgroup
# Compiled modules are kept: else every process that tests start compiles all of them again.
unexport PYTHONDONTWRITEBYTECODE
# What serving needs, and what tests and checks need besides.
SERVING := .venv/.serving
READY := .venv/.ready

.DEFAULT_GOAL := help

define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hubrepo needs Python 3.11 or newer (make PYTHON=python3.11 ...)"; exit 1; }
	@echo "Installing hubrepo and $(2) into .venv (once, and again when setup.py changes) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.$(1)'
	@touch $(SERVING)
endef

$(SERVING): setup.py
	$(call install,,the libraries that it needs)

$(READY): setup.py
	$(call install,[dev],all that its tests need: about 500 MB)
	@touch $@

.PHONY: help ready serve test lint types imports check backends sample stress bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

ready: $(READY) ## install what tests and checks need

serve: $(SERVING) ## run the hub at http://127.0.0.1:6543; the first start shows a key
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

check: lint types imports ## all that must be green before a push: style, types, imports, every test but the long searches
	$(TESTS) --durations=25 -m "not stress"

backends: $(READY) ## run what can differ by database or store on PostgreSQL and S3
	$(TESTS) --durations=25 --database=postgresql --store=s3 -m "backend and not stress"

sample: $(READY) ## run a short, fixed sample of the long searches
	SECONDS=2 KILLS=3 SEED=20261130 $(BIN)/pytest -n $(PROCESSES) --dist loadgroup --durations=25 -m "stress and not serial"

# A whole search may take longer than a test that hangs is given elsewhere.
SEARCH = $(BIN)/pytest -o faulthandler_timeout=0
stress: $(READY) ## run the long searches: faults, kills, load, fuzzing, memory (SECONDS=, KILLS=, SEED=)
	$(SEARCH) -n $(PROCESSES) --dist loadgroup -m "stress and not serial"
	$(SEARCH) -m serial
	EXAMPLES=500 $(SEARCH) -n $(PROCESSES) --dist loadgroup -m "hypothesis and not stress" $(if $(SEED),--hypothesis-seed=$(SEED))

bench: $(READY) ## run every benchmark, each beside what it is compared with
	@for each in bench/bench_*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

clean: ## remove what was built; the data in var/ stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
