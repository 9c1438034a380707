# `make help` lists the targets. Everything runs from .venv, made from the pinned, hashed files in requirements/.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv || echo $(BIN)/uv)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help env sandbox test soak longest bench crash docs lint types imports check lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

env: .venv/.ready ## make the environment (uv, pinned versions with hashes)

.venv/.ready: requirements/dev.txt requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/uv.txt requirements/dev.txt
	@touch $@

sandbox: env ## start the local Slack, the local Databricks and the bot (ARGS="--speed 600 --port 8900")
	@exec $(BIN)/python -m sandbox $(ARGS)

test: env ## run the test suite
	@$(BIN)/python -m pytest tests -m "not soak" --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: env ## run the long suites
	@$(BIN)/python -m pytest tests -m "soak and not longest" --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

longest: env ## run what wants a quiet machine: the large fleet through weather, five stages in a browser
	@$(BIN)/python -m pytest tests -m longest $(ARGS)

bench: env ## run the benchmarks
	@$(BIN)/python -m bench $(ARGS)

crash: env ## kill the engine at every journal boundary of a stage and compare the ends (ARGS="--only 123 --list")
	@$(BIN)/python -m crash $(ARGS)

docs: env ## write the generated pages of docs/
	@$(BIN)/python docs/generate.py

lint: env ## style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: env ## mypy, strict
	@$(BIN)/mypy

imports: env ## who may import whom
	@$(BIN)/lint-imports

check: lint types imports ## lint, types and import rules

lock: .venv/.ready ## renew the pinned requirement files from pyproject.toml
	@requirements/compile $(ARGS)

clean: ## remove the environment and what was generated
	@rm -rf .venv .sandbox .pytest_cache .mypy_cache .ruff_cache artefacts
