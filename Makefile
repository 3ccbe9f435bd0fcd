# Every target runs in .venv, built from the locked requirements alone.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
UV := $(BIN)/uv --quiet --no-config --system-certs
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test lint format lock clean

help:  ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/run.stamp: requirements/run.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "PixelDojo needs Python 3.11 or newer; none was found on PATH."; exit 1; }
	@echo "Setting up .venv (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/uv.txt
	@test -e .venv/dev.stamp || $(UV) pip sync --require-hashes requirements/run.txt
	@$(UV) pip install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "PixelDojo needs Python 3.11 or newer; none was found on PATH."; exit 1; }
	@echo "Setting up .venv with the development tools (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/uv.txt
	@$(UV) pip sync --require-hashes requirements/dev.txt
	@$(UV) pip install --no-deps --no-build-isolation --editable .
	@touch $@ .venv/run.stamp

run: .venv/run.stamp  ## start PixelDojo on this machine, run a first job, keep serving
	@$(BIN)/pixeldojo-server up

test: .venv/dev.stamp lint  ## lint, then every test (real PostgreSQL and Valkey come from pip)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: .venv/dev.stamp  ## ruff, mypy strict, layers
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/dev.stamp  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

lock: .venv/dev.stamp  ## renew the locked requirements from pyproject.toml
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --upgrade --output-file requirements/run.txt pyproject.toml requirements/build.in
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --upgrade --group dev --output-file requirements/dev.txt --constraints requirements/run.txt pyproject.toml
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --upgrade --output-file requirements/uv.txt requirements/uv.in

clean:  ## remove the environment and every cache (keeps .pixeldojo)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache htmlcov .coverage
