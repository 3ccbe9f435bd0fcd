# The commands of the project. Everything runs in .venv, which holds what requirements/*.txt pin and nothing else.
# Set on the command line: PYTHON=…  WORKERS=… (test processes)  ARGS="…" (for pytest)  UPGRADE=1 (for lock)
# SIZE=… (jobs)  SECONDS=… (how long things go wrong)  SEED=… (of an earlier run), for chaos; the last two for fuzz too
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
WORKERS ?= 2
SIZE ?= 2000
SECONDS ?= 180
BIN := .venv/bin
UV := $(BIN)/uv --quiet --no-config --system-certs
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header $(if $(UPGRADE),--upgrade)
# An environment that happens to be active elsewhere must not be the one that is changed.
export VIRTUAL_ENV := $(CURDIR)/.venv

.DEFAULT_GOAL := help
.PHONY: help run test test-slow lint format coverage bench chaos fuzz emulators catalog docs lock clean

help:  ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# $(call install,run|dev): the environment with the pinned requirements and the project itself, editable. To run,
# everything is compiled at once: it saves more at the first start than it takes here.
define install
	@test -n "$(PYTHON)" || { echo "PixelDojo needs Python 3.11 or newer; none was found on PATH. Name one with PYTHON=…"; exit 1; }
	@echo "Setting up .venv from requirements/$(1).txt (once)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/uv.txt
	@$(UV) pip sync --require-hashes $(if $(filter run,$(1)),--compile-bytecode) requirements/$(1).txt
	@$(UV) pip install --no-deps --no-build-isolation --editable .
endef

# Where the development tools are, they stay.
.venv/run.stamp: requirements/run.txt requirements/uv.txt pyproject.toml
	$(call install,$(if $(wildcard .venv/dev.stamp),dev,run))
	@touch $@

.venv/dev.stamp: requirements/dev.txt requirements/uv.txt pyproject.toml
	$(call install,dev)
	@touch $@ .venv/run.stamp

run: .venv/run.stamp  ## start PixelDojo on this machine, run a first job, keep serving
	@$(BIN)/pixeldojo-server up

test: lint  ## lint, then the tests (real PostgreSQL and Valkey come from pip)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-slow: .venv/dev.stamp  ## the tests that take minutes: every model twice, any input at all, parts in trouble
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m slow $(ARGS)

lint: .venv/dev.stamp  ## ruff, mypy strict, layers; changes nothing
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

format: .venv/dev.stamp  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

coverage: .venv/dev.stamp  ## every test, and which lines and branches of src/ they reach
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

bench: .venv/dev.stamp  ## run every benchmarks/bench_*.py and print its figures
	@for file in benchmarks/bench_*.py; do \
	  echo "$$file"; $(BIN)/python -m "benchmarks.$$(basename $$file .py)" || exit 1; \
	done

chaos: .venv/dev.stamp  ## hurt a whole set-up at random while 2,000 jobs run, then prove that all is right
	@$(BIN)/python -m tests.chaos --size $(SIZE) --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

fuzz: .venv/dev.stamp  ## hostile input for every parser that sees what strangers send, for SECONDS; findings are kept
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

emulators: .venv/dev.stamp  ## play every upstream on this machine, to try live mode without an account
	@$(BIN)/python -m tests.emulators

catalog: .venv/run.stamp  ## check every file of the catalog and print the models
	@$(BIN)/pixeldojo-server catalog

docs: .venv/run.stamp  ## write the generated pages of docs/ again
	@$(BIN)/pixeldojo-server settings --markdown > docs/settings.md.new && mv docs/settings.md.new docs/settings.md

lock: .venv/dev.stamp  ## pin what pyproject.toml asks for; UPGRADE=1 takes the newest of everything
	$(COMPILE) --output-file requirements/run.txt pyproject.toml requirements/build.in
	$(COMPILE) --output-file requirements/dev.txt --group dev --constraints requirements/run.txt pyproject.toml
	$(COMPILE) --output-file requirements/uv.txt requirements/uv.in
	$(COMPILE) --output-file requirements/clients.txt requirements/clients.in

clean:  ## remove .venv and every cache; .pixeldojo stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache htmlcov .coverage .coverage.*
