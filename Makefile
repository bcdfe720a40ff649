# Pie. `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
SETUP_FILES := pyproject.toml sdk/python/pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(STAMP): $(SETUP_FILES)
	@$(PYTHON) scripts/setup_environment.py $(VENV)
	@touch $@

setup: $(STAMP) ## virtual environment, pinned packages, default model, runner guest
	@$(BIN)/pie setup

demo: $(STAMP) ## the main job: text completion on the default model
	@$(BIN)/pie run text-completion -- --prompt "Once upon a time, a small robot" --max-tokens 64

test: setup ## all tests, two at a time
	@$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP) ## ruff, mypy, import-linter, coverage of the contract
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/coverage.py --check

bench: setup ## the quick form of every benchmark
	@$(BIN)/python benchmarks --quick

clean: ## remove the virtual environment and caches of tools
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
